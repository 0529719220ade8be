"""Claims on pixels that their first winner has given up, in the order of their rank.

It takes patches and what some of them give up, and ranks, for each such pixel, all others that claim it. `contest`
gives the pixels away by it.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Mask
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.squares import SIDE, Corner, Squares, corners_of
from nuclick_wsi.segmentation.winners import ON_SIGNAL

Numbers = NDArray[np.int64]

PackedMask: TypeAlias = NDArray[np.uint8]
"""A mask in bits: thousands of patches give up a part of themselves in one round."""
_MOST = np.iinfo(np.int32).max
_TOGETHER = 1_000_000
"""Claims that are ranked at once, about: memory grows with it, and no result depends on it."""


def packed(mask: Mask) -> PackedMask:
    """Return a mask in bits."""
    return np.packbits(mask)


def unpacked(bits: PackedMask, shape: tuple[int, ...]) -> Mask:
    """Return the mask of a shape that was packed."""
    mask: Mask = np.unpackbits(bits, count=math.prod(shape)).reshape(shape).view(np.bool_)
    return mask


@dataclass(slots=True, eq=False)
class Claims:
    """All claims on some pixels, pixel by pixel, the best claim on each first.

    A pixel's claims are `starts[pixel]` to `starts[pixel + 1]`.

    Attributes
    ----------
    owners
        Of each claim, the number of its patch, int32.
    positions
        Of each pixel, its row and column on the grid, int32 (n, 2).
    starts
        Where the claims of each pixel begin, and the end of the last.
    """

    owners: NDArray[np.int32]
    positions: NDArray[np.int32]
    starts: Numbers
    _best: Numbers = field(init=False)
    """Of each pixel, the claim that it goes to; the one before its first, as long as nobody has it."""

    def __post_init__(self) -> None:
        self._best = self.starts[:-1] - 1

    @property
    def pixels(self) -> Numbers:
        """The numbers of all pixels."""
        return np.arange(len(self._best))

    def fall(self, pixels: Numbers) -> tuple[Numbers, Numbers]:
        """Let pixels fall to the next claim on them.

        Returns
        -------
        pixels, claims
            Those on which there is one, and its number.
        """
        self._best[pixels] += 1
        still = pixels[self._best[pixels] < self.starts[pixels + 1]]
        return still, self._best[still]


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Ranks the claims of patches.

    Attributes
    ----------
    ranks
        The place of each patch among all, sorted by prompt id.
    """

    patches: Sequence[Patch]
    squares: Squares
    ranks: Numbers
    _frame: "_Frame" = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_frame", _Frame.around(self.patches))

    def below(self, given_up: Mapping[int, PackedMask], on_step: Callable[[int, int], None]) -> Iterator[Claims]:
        """Yield the claims on pixels that their first winners give up, without those of the winners.

        A pixel goes first to the one whose own signal it is, then to the higher probability, then to the nearer signal,
        then to the smaller prompt id.

        Parameters
        ----------
        given_up
            By the number of the patch, what it gives up, in its window.
        on_step
            Called with the squares that are done and those that there are.
        """
        waiting: list[Numbers] = []
        corners = dict.fromkeys(corner for index in given_up for corner in corners_of(self.patches[index].window))
        for done, corner in enumerate(corners):
            on_step(done, len(corners))
            waiting += self._keys(corner, given_up)
            if sum(map(len, waiting)) > _TOGETHER:
                yield self._ranked(np.concatenate(waiting))
                waiting = []
        if waiting:
            yield self._ranked(np.concatenate(waiting))

    def first(self, claimed: Mapping[int, Mask]) -> Iterator[tuple[int, Mask]]:
        """Yield the patches that rank first on some pixel, with all such pixels of each.

        Parameters
        ----------
        claimed
            By the number of the patch, what it claims of its mask, in its window.
        """
        if not claimed:
            return
        patches = self.patches
        keys = [self._frame.keys(i, mask, patches[i].window.y, patches[i].window.x) for i, mask in claimed.items()]
        claims = self._ranked(np.concatenate(keys))
        owners = claims.owners[claims.starts[:-1]]
        for index in np.unique(owners).tolist():
            window, positions = patches[index].window, claims.positions[owners == index]
            mask = np.zeros(window.shape, np.bool_)
            mask[positions[:, 0] - window.y, positions[:, 1] - window.x] = True
            yield index, mask

    def _keys(self, corner: Corner, given_up: Mapping[int, PackedMask]) -> list[Numbers]:
        """Return the keys of the claims on what is given up in a square."""
        parts = self.squares.parts[corner]
        givers = [place for place, part in enumerate(parts) if part.index in given_up]
        free = np.zeros((SIDE, SIDE), np.bool_)
        for place in givers:
            part = parts[place]
            free[part.there] |= unpacked(given_up[part.index], self.patches[part.index].mask.shape)[part.own]
        if not free.any():
            return []
        keys = []
        for part in self.squares.meeting(corner, givers):
            claimed = self.patches[part.index].mask[part.own] & free[part.there]
            if part.index in given_up:
                claimed &= ~unpacked(given_up[part.index], self.patches[part.index].mask.shape)[part.own]
            if claimed.any():
                window = self.patches[part.index].window
                top, left = window.y + part.own[0].start, window.x + part.own[1].start
                keys.append(self._frame.keys(part.index, claimed, top, left))
        return keys

    def _ranked(self, keys: Numbers) -> Claims:
        keys.sort()
        patches, frame = self.patches, self._frame
        owners = frame.owners_of(keys)
        rows, columns = frame.rows_and_columns(keys)
        pixels = frame.pixels_of(keys)
        is_first = np.append(True, pixels[1:] != pixels[:-1])
        by_strength = _by_strength(np.cumsum(is_first), _strengths(patches, frame, keys))
        order = np.argsort(by_strength)
        tied = _tied(by_strength[order])
        equals = order[tied]
        distances = _distances(patches, owners[equals], np.stack([rows[equals], columns[equals]], axis=1))
        order[tied] = equals[np.lexsort((self.ranks[owners[equals]], distances, by_strength[equals]))]
        starts = np.append(np.flatnonzero(is_first), len(pixels))
        positions = np.stack([rows[is_first], columns[is_first]], axis=1).astype(np.int32)
        return Claims(owners[order].astype(np.int32), positions, starts)


@dataclass(frozen=True, slots=True)
class _Frame:
    """Makes one number of a pixel and a patch that claims it; numbers sort by row, column and patch."""

    left: int
    top: int
    width: int
    shift: int

    @classmethod
    def around(cls, patches: Sequence[Patch]) -> "_Frame":
        union = Window.union(patch.window for patch in patches) if patches else Window(0, 0, 1, 1)
        shift = len(patches).bit_length()
        assert (union.width * union.height).bit_length() + shift < 64, "no slide has so many pixels"
        return cls(union.x, union.y, union.width, shift)

    def keys(self, index: int, claimed: Mask, top: int, left: int) -> Numbers:
        """Return the keys of a patch's claims on pixels of an array that begins at this row and column."""
        rows, columns = np.nonzero(claimed)
        return self._numbered(rows + top, columns + left, index)

    def signal_keys(self, patch: Patch, index: int) -> Numbers:
        """Return the keys of a patch's own signal, of what is in its window."""
        rows, columns = np.add(patch.signal_in(patch.window), (patch.window.y, patch.window.x)).T
        return self._numbered(rows, columns, index)

    def owners_of(self, keys: Numbers) -> Numbers:
        return keys & ((1 << self.shift) - 1)

    def pixels_of(self, keys: Numbers) -> Numbers:
        return keys >> self.shift

    def rows_and_columns(self, keys: Numbers) -> tuple[Numbers, Numbers]:
        """Return where the pixels are on the grid."""
        rows, columns = np.divmod(self.pixels_of(keys), self.width)
        return rows + self.top, columns + self.left

    def _numbered(self, rows: Numbers, columns: Numbers, index: int) -> Numbers:
        keys: Numbers = (((rows - self.top) * self.width + (columns - self.left)) << self.shift) | index
        return keys


def _strengths(patches: Sequence[Patch], frame: _Frame, keys: Numbers) -> NDArray[np.float32]:
    """Return the probabilities of claims, raised above all others on the prompt's own signal."""
    owners = frame.owners_of(keys)
    rows, columns = frame.rows_and_columns(keys)
    strengths = np.empty(len(keys), np.float32)
    order = np.argsort(owners, kind="stable")
    indices, begins = np.unique(owners[order], return_index=True)
    signals = []
    for index, of_patch in zip(indices.tolist(), np.split(order, begins[1:]), strict=False):
        patch = patches[index]
        strengths[of_patch] = patch.probabilities[rows[of_patch] - patch.window.y, columns[of_patch] - patch.window.x]
        signals.append(frame.signal_keys(patch, index))
    own = np.concatenate([np.empty(0, np.int64), *signals])
    places = np.searchsorted(keys, own)
    places = places[(places < len(keys)) & (keys[np.minimum(places, len(keys) - 1)] == own)]
    strengths[places] += ON_SIGNAL
    return strengths


def _by_strength(pixels: Numbers, strengths: NDArray[np.float32]) -> Numbers:
    """Return one number for each claim: they sort by pixel, the strongest first; equal where claims are as strong.

    Parameters
    ----------
    pixels
        Numbers of the pixels, less than 2^31.
    strengths
        None below 0, so that their bits rise with them; a sum with 0 has no sign.
    """
    bits = (strengths + np.float32(0)).view(np.int32).astype(np.int64)
    return (pixels << 32) | (_MOST - bits)


def _tied(numbers: Numbers) -> NDArray[np.bool_]:
    """Return which of sorted numbers are there more than once."""
    as_next = numbers[1:] == numbers[:-1]
    none = np.zeros(min(len(numbers), 1), np.bool_)
    tied: NDArray[np.bool_] = np.append(as_next, none) | np.append(none, as_next)
    return tied


def _distances(patches: Sequence[Patch], owners: Numbers, positions: Numbers) -> NDArray[np.float64]:
    """Return how far claims are from their signals, in pixels.

    Parameters
    ----------
    positions
        Of the claims, as row and column on the grid.
    """
    distances = np.zeros(len(owners))
    order = np.argsort(owners, kind="stable")
    indices, begins = np.unique(owners[order], return_index=True)
    for index, of_patch in zip(indices.tolist(), np.split(order, begins[1:]), strict=False):
        distances[of_patch] = patches[index].distances_to_signal(positions[of_patch])
    return distances
