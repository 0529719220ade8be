"""A background of plasma with red cells and platelets, composed of the surroundings of a library's white cells.

It is made of library cells of one stain, has any size, and is transmittance.
"""

from collections.abc import Sequence

import numpy as np

from nuclick_training.synthesis.background_pieces import Transmittance
from nuclick_training.synthesis.cell_library import Background, LibraryCell

# Set by hand for the library's pictures of about 120 x 120 pixels; no publication gives these values.
_SPACING = 56
"""Pixels between neighbouring patches of plasma: half a picture, so that patches overlap."""
_FEATHER = 8.0
"""Pixels over which a patch of plasma fades in from its border."""
_MOST_PIECES = 60
"""Red cells and platelets per 512 x 512 pixels, at most."""
_FEW_PIECES = 12
"""With fewer different red cells and platelets in the cells of one stain, those of all cells are used."""


def composed_background(
    cells: Sequence[LibraryCell], others: Sequence[LibraryCell], side: int, rng: np.random.Generator
) -> Transmittance:
    """Return (side, side, 3) float32 transmittance.

    Parameters
    ----------
    others
        Where the red cells come from if `cells` have few.
    """
    background = _plasma([cell.background for cell in cells], side, rng)
    pieces = _pieces(cells)
    pieces = pieces if len(pieces) >= _FEW_PIECES else _pieces(others)
    count = int(rng.uniform(0.05, 1) * _MOST_PIECES * (side / 512) ** 2) if pieces else 0
    for _ in range(count):
        piece = _turned(pieces[int(rng.integers(len(pieces)))], rng)
        row, column = rng.integers(0, side - len(piece), 2)
        background[row : row + len(piece), column : column + len(piece)] *= piece
    return background


def _pieces(cells: Sequence[LibraryCell]) -> list[Transmittance]:
    return [piece for cell in cells for piece in cell.background.pieces]


def _plasma(backgrounds: Sequence[Background], side: int, rng: np.random.Generator) -> Transmittance:
    """Lay bare plasma over each other at places of a jittered grid; what none covers is plain.

    Each counts most far from its border; the powers of these weights make one win almost everywhere, with soft borders.
    """
    total = np.full((side, side, 3), 1e-3, np.float32)
    weights = np.full((side, side, 1), 1e-3, np.float32)
    for corner in np.argwhere(np.ones((side // _SPACING + 2,) * 2)) * _SPACING - 2 * _SPACING:
        chosen = backgrounds[int(rng.integers(len(backgrounds)))]
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
