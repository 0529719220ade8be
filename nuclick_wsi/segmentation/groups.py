"""Which patches are joined by pixels that they both claim: they are settled together."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from nuclick_wsi.segmentation.arrays import Mask
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.squares import SIDE, Part, Squares


def joined(patches: Sequence[Patch], squares: Squares, chosen: Mask) -> list[list[int]]:
    """Return the groups of patches that are joined, each once: all that claim a pixel of a chosen patch.

    Parameters
    ----------
    squares
        Of these patches.
    chosen
        Of each patch, whether it is.
    """
    pairs = [pair for parts in squares.parts.values() for pair in _pairs(patches, parts, chosen)]
    if not pairs:
        return []
    count = len(patches)
    graph = coo_array((np.ones(len(pairs), np.int8), np.array(pairs).T), shape=(count, count))
    labels = connected_components(graph, directed=False)[1]
    members = np.argsort(labels, kind="stable")
    begins = np.flatnonzero(np.diff(labels[members])) + 1
    return [group.tolist() for group in np.split(members, begins) if len(group) > 1]


def _pairs(patches: Sequence[Patch], parts: Sequence[Part], chosen: Mask) -> set[tuple[int, int]]:
    """Return pairs of patches in a square that join all who claim a pixel of a chosen one.

    Masks are laid on top of each other, each joined with those that it covers: all pairs of ten thousand clicks in one
    object would be many millions.
    """
    of_chosen = np.zeros((SIDE, SIDE), np.bool_)
    if len(parts) == 1:
        return set()
    for part in parts:
        if chosen[part.index]:
            of_chosen[part.there] |= patches[part.index].mask[part.own]
    pairs: set[tuple[int, int]] = set()
    if not of_chosen.any():
        return pairs
    upper = np.full((SIDE, SIDE), -1, np.int32)
    for part in parts:
        claimed = patches[part.index].mask[part.own] & of_chosen[part.there]
        covered = upper[part.there][claimed]
        if len(covered):
            ends = covered[np.append(covered[1:] != covered[:-1], True)]
            pairs.update((part.index, other) for other in set(ends.tolist()) if other >= 0)
            upper[part.there][claimed] = part.index
    return pairs
