"""A ground of plasma with red cells and platelets, laid together from what lies around the white cells of a library.

Library cells of one look go in, a ground of any size comes out, as transmittance.
"""

from collections.abc import Sequence

import numpy as np

from nuclick_training.synthesis.background_pieces import Transmittance
from nuclick_training.synthesis.cell_library import Ground, LibraryCell

_SPACING = 56
_FEATHER = 8.0
_MOST_PIECES = 60
"""Red cells and platelets per 512 x 512 pixels, at most."""
_FEW_PIECES = 12


def composed_background(
    cells: Sequence[LibraryCell], others: Sequence[LibraryCell], side: int, rng: np.random.Generator
) -> Transmittance:
    """Return (side, side, 3) float32 transmittance.

    Parameters
    ----------
    others
        Where the red cells come from if `cells` have few.
    """
    ground = _plasma([cell.ground for cell in cells], side, rng)
    pieces = _pieces(cells)
    pieces = pieces if len(pieces) >= _FEW_PIECES else _pieces(others)
    count = int(rng.uniform(0.05, 1) * _MOST_PIECES * (side / 512) ** 2) if pieces else 0
    for _ in range(count):
        piece = _turned(pieces[int(rng.integers(len(pieces)))], rng)
        row, column = rng.integers(0, side - len(piece), 2)
        ground[row : row + len(piece), column : column + len(piece)] *= piece
    return ground


def _pieces(cells: Sequence[LibraryCell]) -> list[Transmittance]:
    return [piece for cell in cells for piece in cell.ground.pieces]


def _plasma(grounds: Sequence[Ground], side: int, rng: np.random.Generator) -> Transmittance:
    """Lay bare plasma over each other at places of a jittered grid; what none covers is plain.

    Each counts most far from its border; the powers of these weights make one win almost everywhere, with soft borders.
    """
    total = np.full((side, side, 3), 1e-3, np.float32)
    weights = np.full((side, side, 1), 1e-3, np.float32)
    for corner in np.argwhere(np.ones((side // _SPACING + 2,) * 2)) * _SPACING - 2 * _SPACING:
        chosen = grounds[int(rng.integers(len(grounds)))]
        patch = _turned(np.dstack([chosen.transmittance, chosen.depth]), rng)
        row, column = corner + rng.integers(0, _SPACING, 2)
        inside = patch[max(-row, 0) : max(side - row, 0), max(-column, 0) : max(side - column, 0)]
        top, left = max(row, 0), max(column, 0)
        here = np.s_[top : top + inside.shape[0], left : left + inside.shape[1]]
        weight = np.clip(inside[..., 3:] / _FEATHER, 0, 1) ** 3
        total[here] += weight * inside[..., :3]
        weights[here] += weight
    plasma: Transmittance = total / weights
    return plasma


def _turned(patch: Transmittance, rng: np.random.Generator) -> Transmittance:
    turned = np.rot90(patch, int(rng.integers(4)))
    return turned[:, ::-1] if rng.random() < 0.5 else turned
