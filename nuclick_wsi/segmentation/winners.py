"""Who wins each pixel that several masks claim, before anybody gives up a claim.

It takes patches in their squares and lays their masks on top of each other, so that the work grows with the masks and
not with the pairs of them, and memory holds one square.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.segmentation.arrays import Mask
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.squares import SIDE, Corner, Part, Squares

Numbers = NDArray[np.int64]

ON_SIGNAL = np.float32(2)
"""What a claim on a pixel of the prompt's own signal is stronger by than its probability."""


def first_wins(patches: Sequence[Patch], squares: Squares, ranks: Numbers) -> dict[int, Mask]:
    """Return what each patch wins, of those that do not win all that they claim.

    A pixel goes to the one whose own signal it is, then to the higher probability, then to the nearer signal, then to
    the lower rank.

    Parameters
    ----------
    squares
        Of these patches.
    ranks
        The place of each patch among all, sorted by prompt id.
    """
    board = _Board(patches, ranks)
    wins: dict[int, Mask] = {}
    spots = _spots(patches, ranks)
    for corner, parts in squares.parts.items():
        if len(parts) == 1:
            continue
        board.lay(parts)
        if corner in spots:
            rows, columns, owners = spots[corner]
            board.owners[rows, columns] = owners
        for part in parts:
            patch = patches[part.index]
            lost = patch.mask[part.own] & (board.owners[part.there] != part.index)
            if lost.any():
                wins.setdefault(part.index, patch.mask.copy())[part.own][lost] = False
    return wins


class _Board:
    """One square after the other: whose each pixel is."""

    def __init__(self, patches: Sequence[Patch], ranks: Numbers) -> None:
        self._patches, self._ranks = patches, ranks
        self.owners = np.empty((SIDE, SIDE), np.int32)
        self._best, self._tied = np.empty((2, SIDE, SIDE), np.float32)

    def lay(self, parts: Sequence[Part]) -> None:
        """Find the owners of a square's pixels by probability, then by distance, then by rank."""
        self._best.fill(-1)
        self._tied.fill(-1)
        equals: list[Part] = []
        for part in parts:
            patch = self._patches[part.index]
            mask, said, best = patch.mask[part.own], patch.probabilities[part.own], self._best[part.there]
            as_good = mask & (said == best)
            if as_good.any():
                np.copyto(self._tied[part.there], said, where=as_good)
                equals.append(part)
            better = mask & (said > best)
            np.copyto(best, said, where=better)
            np.copyto(self.owners[part.there], part.index, where=better)
        if equals:
            self._break_ties(parts, {part.index for part in equals})

    def _break_ties(self, parts: Sequence[Part], equals: set[int]) -> None:
        """Give pixels on which several probabilities are the highest to the nearer signal, then to the lower rank."""
        tied = (self._tied == self._best) & (self._best >= 0)
        equals |= set(np.unique(self.owners[tied]).tolist())
        found: list[tuple[Numbers, NDArray[np.float64], Numbers]] = []
        for part in parts:
            if part.index not in equals:
                continue
            patch = self._patches[part.index]
            is_best = patch.probabilities[part.own] == self._best[part.there]
            places = np.argwhere(patch.mask[part.own] & tied[part.there] & is_best)
            if len(places):
                corner = patch.window.y + part.own[0].start, patch.window.x + part.own[1].start
                distances = patch.distances_to_signal(places + corner)
                places += part.there[0].start, part.there[1].start
                found.append((places, distances, np.full(len(places), part.index)))
        if not found:
            return
        places, distances, owners = map(np.concatenate, zip(*found, strict=True))
        flat = places[:, 0] * SIDE + places[:, 1]
        order = np.lexsort((self._ranks[owners], distances, flat))
        first = order[_is_first(flat[order])]
        self.owners.ravel()[flat[first]] = owners[first]


def _spots(patches: Sequence[Patch], ranks: Numbers) -> dict[Corner, tuple[Numbers, Numbers, Numbers]]:
    """Return the rows and columns in each square that somebody's own signal is on, and whose they are."""
    signals = [_claimed_signal(patch) for patch in patches]
    pixels = np.concatenate([np.empty((0, 2), np.int64), *(pixels for pixels, _ in signals)])
    strengths = np.concatenate([np.empty(0, np.float32), *(strengths for _, strengths in signals)])
    owners = np.repeat(np.arange(len(patches)), [len(pixels) for pixels, _ in signals])
    order = np.lexsort((ranks[owners], -strengths, pixels[:, 1], pixels[:, 0]))
    pixels, owners = pixels[order], owners[order]
    first = _is_first(pixels)
    pixels, owners = pixels[first], owners[first]
    corners, places = np.divmod(pixels, SIDE)
    by_square = np.lexsort((corners[:, 1], corners[:, 0]))
    begins = np.flatnonzero(_is_first(corners[by_square]))
    found = {}
    for of_square in np.split(by_square, begins[1:]) if len(begins) else []:
        row, column = corners[of_square[0]].tolist()
        found[row, column] = (*places[of_square].T, owners[of_square])
    return found


def _claimed_signal(patch: Patch) -> tuple[Numbers, NDArray[np.float32]]:
    """Return the grid's pixels of a patch's signal that are in its mask, and how strong its claims on them are."""
    inside = patch.signal_in(patch.window)
    rows, columns = inside[patch.mask[inside[:, 0], inside[:, 1]]].T
    pixels = np.stack([rows + patch.window.y, columns + patch.window.x], axis=1)
    return pixels, patch.probabilities[rows, columns] + ON_SIGNAL


def _is_first(values: Numbers) -> NDArray[np.bool_]:
    """Return which of sorted values, or rows of them, differ from the one before."""
    differs = values[1:] != values[:-1]
    return np.append(True, differs if values.ndim == 1 else differs.any(axis=1))[: len(values)]
