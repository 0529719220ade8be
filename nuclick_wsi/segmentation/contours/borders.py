"""Where borders run between the middles of pixels, and where three of them meet.

For the rings of patches, as corners of pixels, it finds for every pixel edge on a border the place between the middles
of its two pixels where the border crosses, once for both sides, and a node where borders of instances meet.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.contours.outlines import Ring
from nuclick_wsi.segmentation.contours.stack import Positions, Stack

Places: TypeAlias = NDArray[np.float64]
"""Positions on the grid between pixels, as x, y, shape (N, 2)."""
_Floats: TypeAlias = NDArray[np.float64]

_NEAREST = 0.04
"""How near to a pixel's middle a border may come, in pixels: the middle stays on its side, also after rounding."""

_SUREST = 1e-6
"""The least probability with a logit of its own, and the most is as far from 1."""

_ROW = 1 << 31
"""More columns than any grid has: makes one number of a column and a row."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """The slide on the grid; the last column and row of pixels may be on it with a part of their width."""

    right: int
    bottom: int
    width: float
    height: float

    @classmethod
    def of(cls, grid: Grid, size: Size) -> "Sheet":
        """Return the sheet of a slide of this size."""
        extent = grid.extent(size)
        return cls(extent.width, extent.height, size.width / grid.downsample, size.height / grid.downsample)

    def middles(self, pixels: Positions) -> Places:
        """Return the middles of pixels, of what is on the slide of them."""
        ends = np.minimum(pixels + 1, (self.width, self.height))
        return np.where(pixels + 1 < (self.right, self.bottom), pixels + 0.5, (pixels + ends) / 2)

    def onto_edge(self, corners: Positions, places: Places) -> Places:
        """Return places, those of corners on the slide's edge moved there."""
        onto = np.where(corners == 0, 0, places)
        return np.where(corners == (self.right, self.bottom), (self.width, self.height), onto)


@dataclass(frozen=True, slots=True, eq=False)
class Walk:
    """All rings as steps from corner to corner along one pixel each, ring by ring.

    Attributes
    ----------
    rings, owners
        Of each step, its ring and the patch that the ring is of.
    starts, lows
        The corner at which a step begins, and the upper or left one of its two corners, on the grid.
    upright, owns_second
        Whether the step goes up or down, and whether its patch has the pixel right of it or below it.
    """

    rings: NDArray[np.int64]
    owners: NDArray[np.int64]
    starts: Positions
    lows: Positions
    upright: NDArray[np.bool_]
    owns_second: NDArray[np.bool_]

    @classmethod
    def along(cls, rings: Sequence[Ring], stack: Stack) -> "Walk":
        """Return the walk along rings in the frame of a stack's array."""
        sizes = np.array([len(ring) for ring in rings])
        corners = np.concatenate(rings)
        after = np.arange(1, len(corners) + 1)
        after[np.cumsum(sizes) - 1] = np.cumsum(sizes) - sizes
        sides = corners[after] - corners
        lengths = np.abs(sides).sum(axis=1)
        side = np.repeat(np.arange(len(corners)), lengths)
        along = np.arange(len(side)) - (np.cumsum(lengths) - lengths)[side]
        steps = np.sign(sides)[side]
        ring = np.repeat(np.arange(len(rings)), sizes)[side]
        owners = stack.owners(np.array([one[0, 1] for one in rings]))[ring]
        starts = corners[side] + along[:, None] * steps + stack.origins[owners]
        return cls(
            ring,
            owners,
            starts,
            np.minimum(starts, starts + steps),
            steps[:, 1] != 0,
            (steps[:, 0] > 0) | (steps[:, 1] < 0),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Borders:
    """The pixel edges that a walk goes along, each once, and the corners between them.

    Attributes
    ----------
    edges, corners
        Of each step of the walk, its edge and the corner that it begins at.
    keys
        Of each edge, a number that grows along the rows of the grid.
    neighbours
        Of each step, the patch on the other side of its edge; -1 for none.
    places, least, most
        Of each edge, where the border crosses between the middles of its two pixels, and between which places it may.
    is_node, nodes
        Of each corner, whether borders meet there, and where.
    """

    edges: NDArray[np.int64]
    corners: NDArray[np.int64]
    keys: NDArray[np.int64]
    neighbours: NDArray[np.int64]
    places: Places
    least: Places
    most: Places
    is_node: NDArray[np.bool_]
    nodes: Places

    @classmethod
    def of(cls, walk: Walk, stack: Stack, sheet: Sheet, threshold: float) -> "Borders":
        """Return the borders between patches and what is around them."""
        keys, first, edges = np.unique(_numbered(walk.lows) * 2 + walk.upright, return_index=True, return_inverse=True)
        holders = np.full((len(keys), 2), -1, np.int64)
        holders[edges, walk.owns_second.astype(np.int64)] = walk.owners
        lows, upright = walk.lows[first], walk.upright[first]
        across = np.stack([upright, ~upright], axis=1).astype(np.int64)
        pixels = lows - across, lows
        shares = _crossings(holders, pixels, stack, threshold)
        ends = [sheet.middles(pixel) for pixel in pixels]
        places, least, most = (ends[0] + share * (ends[1] - ends[0]) for share in (shares, _NEAREST, 1 - _NEAREST))
        outer = ((lows == 0) | (lows == (sheet.right, sheet.bottom)))[across.astype(np.bool_)]
        for one in (places, least, most):
            # On the slide's edge the border is known exactly.
            one[outer] = np.where(across, sheet.onto_edge(lows, one), one)[outer]
        numbers, is_node, nodes = _nodes(lows, across, holders, outer, places, sheet)
        begins = np.searchsorted(numbers, _numbered(walk.starts))
        other = holders[edges, 1 - walk.owns_second.astype(np.int64)]
        return cls(edges, begins, keys, other, places, least, most, is_node, nodes)


def _crossings(
    holders: NDArray[np.int64], pixels: tuple[Positions, Positions], stack: Stack, threshold: float
) -> NDArray[np.float64]:
    """Return where borders cross, as a share of the way from the middle of an edge's first pixel to its second's.

    Towards background it is where the probability falls to the threshold; towards a neighbour, where both are equally
    probable. Halfway, where they cross nowhere between the two: a hole was filled, a part was given up, a click keeps
    its own pixels, or the crop ends. What is linear between two pixels is not the probability of a network but its
    logit: across a straight edge the probability is a sigmoid.
    """
    is_first = holders[:, 0] >= 0
    owners: NDArray[np.int64] = np.where(is_first, holders[:, 0], holders[:, 1])
    shared = (holders >= 0).all(axis=1)
    margins = []
    for pixel in pixels:
        limit = np.repeat(_logit(np.array([threshold])), len(holders))
        limit[shared] = _logit(stack.probability(holders[shared, 1], pixel[shared]))
        margins.append(np.where(is_first, 1, -1) * (_logit(stack.probability(owners, pixel)) - limit))
    first, second = margins
    crosses = (first >= 0) & (second <= 0) & (first > second)
    shares = np.divide(first, first - second, out=np.full(len(first), 0.5), where=crosses)
    clipped: NDArray[np.float64] = np.clip(shares, _NEAREST, 1 - _NEAREST)[:, None]
    return clipped


def _logit(probabilities: _Floats) -> _Floats:
    sure = np.clip(probabilities, _SUREST, 1 - _SUREST)
    logits: _Floats = np.log(sure / (1 - sure))
    return logits


def _nodes(
    lows: Positions,
    across: Positions,
    holders: NDArray[np.int64],
    outer: NDArray[np.bool_],
    places: Places,
    sheet: Sheet,
) -> tuple[NDArray[np.int64], NDArray[np.bool_], Places]:
    """Return the numbers of the corners at the ends of edges, which of them are nodes, and where.

    A node is a corner where three borders or more meet, unless all of them have background on one side: then two
    borders pass each other. On the slide's edge every border that ends there has a node, and so has the slide's corner.
    """
    both = np.concatenate([lows, lows + 1 - across])
    numbers, first, ends = np.unique(_numbered(both), return_index=True, return_inverse=True)
    corners = both[first]

    def counted(chosen: NDArray[np.bool_] | _Floats) -> _Floats:
        sums: _Floats = np.bincount(ends, np.tile(chosen, 2).astype(np.float64), len(corners)).astype(np.float64)
        return sums

    both_held = (holders[:, 0] >= 0) & (holders[:, 1] >= 0)
    inner, on_edge, shared = counted(~outer), counted(outer), counted(both_held)
    is_slide_corner = ((corners == 0) | (corners == (sheet.right, sheet.bottom))).all(axis=1)
    is_node = ((inner >= 3) & (shared > 0)) | ((on_edge > 0) & (inner > 0)) | is_slide_corner
    means = np.stack([counted(np.where(outer, 0, places[:, axis])) for axis in (0, 1)], axis=1)
    means /= np.maximum(inner, 1)[:, None]
    return numbers, is_node, sheet.onto_edge(corners, means)


def _numbered(positions: Positions) -> NDArray[np.int64]:
    """Return one number for each position; they grow along rows."""
    numbers: NDArray[np.int64] = positions[:, 1] * _ROW + positions[:, 0]
    return numbers
