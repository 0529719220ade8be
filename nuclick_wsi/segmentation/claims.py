"""Which pixels several masks claim, and who of them comes first: one table for all patches of a place.

It takes patches and ranks, for each contested pixel, all that claim it. `stitch` gives the pixels away by it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Mask
from nuclick_wsi.segmentation.patch import Patch

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """All claims on contested pixels, pixel by pixel, the best claim on each first.

    A pixel's claims are `starts[pixel]` to `starts[pixel + 1]`.

    Attributes
    ----------
    owners
        Of each claim, the number of its patch.
    places
        Of each claim, its pixel as a flat index into its patch's window.
    pixels
        Of each claim, the number of its pixel among the contested ones.
    starts
        Where the claims of each pixel begin, and the end of the last.
    """

    owners: Numbers
    places: Numbers
    pixels: Numbers
    starts: Numbers
    _by_owner: Numbers
    _owner_starts: Numbers

    @classmethod
    def of(cls, patches: Sequence[Patch]) -> "Claims":
        """Return the claims of patches on the pixels that at least two of them have.

        A pixel goes first to the one whose own signal it is, then to the higher probability, then to the nearer signal,
        then to the smaller prompt id.
        """
        frame = _Frame.around(patches)
        keys = frame.contested(patches)
        owners = frame.owners_of(keys)
        rows, columns = frame.rows_and_columns(keys)
        strengths = _strengths(patches, frame, keys)
        ids = sorted(range(len(patches)), key=lambda index: patches[index].prompt.id)
        ranks = np.empty(len(patches), np.int64)
        ranks[ids] = np.arange(len(patches))
        pixels = frame.pixels_of(keys)
        distances = _distances_of_ties(patches, owners, np.stack([rows, columns], axis=1), pixels, strengths)
        order = np.lexsort((ranks[owners], distances, -strengths, pixels))
        corners = np.array([(patch.window.y, patch.window.x, patch.window.width) for patch in patches]).reshape(-1, 3)
        top, left, width = corners[owners].T
        places = (rows - top) * width + columns - left
        is_first = np.append(True, pixels[1:] != pixels[:-1])[: len(pixels)]
        numbers = np.cumsum(is_first) - 1
        starts = np.append(np.flatnonzero(is_first), len(pixels))
        owners, places = owners[order], places[order]
        by_owner = np.argsort(owners, kind="stable")
        owner_starts = np.searchsorted(owners[by_owner], np.arange(len(patches) + 1))
        return cls(owners, places, numbers, starts, by_owner, owner_starts)

    def of_patch(self, index: int) -> Numbers:
        """Return the numbers of a patch's claims."""
        return self._by_owner[self._owner_starts[index] : self._owner_starts[index + 1]]

    def groups(self, chosen: Mask) -> list[list[int]]:
        """Return the patches that are joined by pixels, each group once: all that claim a pixel of a chosen patch.

        Parameters
        ----------
        chosen
            Of each patch, whether it is.
        """
        if not chosen.any() or not len(self.owners):
            return []
        has_chosen = np.logical_or.reduceat(chosen[self.owners], self.starts[:-1])
        follows = has_chosen[self.pixels[1:]] & (self.pixels[1:] == self.pixels[:-1])
        count = len(chosen)
        pairs = np.unique(self.owners[:-1][follows] * count + self.owners[1:][follows])
        graph = coo_array((np.ones(len(pairs), np.int8), np.divmod(pairs, count)), shape=(count, count))
        labels = connected_components(graph, directed=False)[1]
        members = np.argsort(labels, kind="stable")
        begins = np.flatnonzero(np.diff(labels[members])) + 1
        return [group.tolist() for group in np.split(members, begins) if len(group) > 1]


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

    def contested(self, patches: Sequence[Patch]) -> Numbers:
        """Return the keys of all claims on pixels that at least two patches have, sorted."""
        # Pixel by pixel and not pair by pair: ten thousand clicks in one object would make many millions of pairs.
        claims = [self._keys(patch, index) for index, patch in enumerate(patches)]
        keys = np.sort(np.concatenate([np.empty(0, np.int64), *claims]))
        pixels = self.pixels_of(keys)
        as_next = np.append(pixels[1:] == pixels[:-1], False)[: len(keys)]
        contested: Numbers = keys[as_next | np.append(False, as_next[:-1])[: len(keys)]]
        return contested

    def signal_keys(self, patch: Patch, index: int) -> Numbers:
        """Return the keys of a patch's own signal, of what is in its window."""
        signal = np.add(patch.signal_in(patch.window), (patch.window.y - self.top, patch.window.x - self.left))
        keys: Numbers = ((signal[:, 0] * self.width + signal[:, 1]) << self.shift) | index
        return keys

    def _keys(self, patch: Patch, index: int) -> Numbers:
        rows, columns = np.nonzero(patch.mask)
        flat = (rows + (patch.window.y - self.top)) * self.width + (columns + (patch.window.x - self.left))
        keys: Numbers = (flat << self.shift) | index
        return keys

    def owners_of(self, keys: Numbers) -> Numbers:
        return keys & ((1 << self.shift) - 1)

    def pixels_of(self, keys: Numbers) -> Numbers:
        return keys >> self.shift

    def rows_and_columns(self, keys: Numbers) -> tuple[Numbers, Numbers]:
        """Return where the pixels are on the grid."""
        rows, columns = np.divmod(self.pixels_of(keys), self.width)
        return rows + self.top, columns + self.left


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
    places = places[(places < len(keys)) & (keys[np.minimum(places, len(keys) - 1)] == own)] if len(keys) else places
    strengths[places] += 2
    return strengths


def _distances_of_ties(
    patches: Sequence[Patch], owners: Numbers, positions: Numbers, pixels: Numbers, strengths: NDArray[np.float32]
) -> NDArray[np.float64]:
    """Return how far claims are from their signals, in pixels, where another claim on the pixel is as strong; else 0.

    Parameters
    ----------
    positions
        Of the claims, as row and column on the grid.
    """
    order = np.lexsort((strengths, pixels))
    as_next = (pixels[order][1:] == pixels[order][:-1]) & (strengths[order][1:] == strengths[order][:-1])
    tied = order[np.append(as_next, False)[: len(order)] | np.append(False, as_next)[: len(order)]]
    distances = np.zeros(len(owners))
    tied = tied[np.argsort(owners[tied], kind="stable")]
    indices, begins = np.unique(owners[tied], return_index=True)
    for index, of_patch in zip(indices.tolist(), np.split(tied, begins[1:]), strict=False):
        signal = patches[index].signal
        if len(signal) == 1:
            distances[of_patch] = np.sqrt(((positions[of_patch] - signal) ** 2).sum(axis=1))
        else:
            distances[of_patch] = cKDTree(signal).query(positions[of_patch])[0]
    return distances
