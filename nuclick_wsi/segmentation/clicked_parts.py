"""The masks of many clicks at once: what `masks.decode_mask` makes of each map whose click lies on its object.

Maps are thresholded into one array, one below the other, and what follows works on runs: pixels of the object side by
side in a row. A map has a hundred of them or two, and NumPy goes through those of a batch of maps together.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from nuclick_wsi.segmentation.arrays import Mask, Pixels, Probabilities
from nuclick_wsi.segmentation.masks import MaskRule, dilated

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class ClickedPart:
    """An object in its box, with the pixels around it as far as the map goes.

    Attributes
    ----------
    row, column
        Where the box begins in the map.
    mask, probabilities
        Of the box; the probabilities are 0 but in the mask and in the eight neighbours of its pixels.
    """

    row: int
    column: int
    mask: Mask
    probabilities: Probabilities


def decode_clicks(maps: Sequence[Probabilities], clicks: Pixels, rule: MaskRule) -> list[ClickedPart | None]:
    """Return the objects that clicks lie on; None for one that is smaller than the rule allows.

    Parameters
    ----------
    maps
        At least one, float32, of any shapes.
    clicks
        Row and column of one pixel in each map; its probability reaches the threshold.
    rule
        Threshold and sizes.
    """
    sheet = _Sheet.of(maps, rule.threshold)
    own = sheet.runs.connected_to(sheet.places(clicks))
    filled = own.and_holes(rule.fill_holes_px)
    return _cut_out(sheet, filled, maps, rule.smallest_px)


@dataclass(frozen=True, slots=True, eq=False)
class _Runs:
    """Runs of pixels in the rows of a flat array, in order.

    Attributes
    ----------
    starts, ends
        Flat indices of each run's first pixel, and of the one after its last.
    stride
        Pixels of a row; no run fills one.
    """

    starts: Numbers
    ends: Numbers
    stride: int

    @classmethod
    def of(cls, mask: Mask) -> "_Runs":
        """Return the runs of a mask whose first column is empty, and its last row."""
        flat = mask.ravel()
        edges = np.flatnonzero(flat[1:] != flat[:-1]) + 1
        return cls(edges[::2], edges[1::2], mask.shape[1])

    def chosen(self, which: NDArray[np.bool_]) -> "_Runs":
        return _Runs(self.starts[which], self.ends[which], self.stride)

    @property
    def rows(self) -> Numbers:
        rows: Numbers = self.starts // self.stride
        return rows

    @property
    def sizes(self) -> Numbers:
        return self.ends - self.starts

    def parts(self) -> Numbers:
        """Return the number of the 4-connected part that each run belongs to."""
        first = np.searchsorted(self.ends, self.starts + self.stride, side="right")
        last = np.searchsorted(self.starts, self.ends + self.stride)
        begins = np.append(0, np.cumsum(np.maximum(last - first, 0)))
        below = np.arange(begins[-1]) + np.repeat(first - begins[:-1], np.diff(begins))
        # As SciPy takes it: anything else is copied several times over.
        graph = csr_array((np.ones(len(below)), below.astype(np.int32), begins.astype(np.int32)), (len(first),) * 2)
        parts: Numbers = connected_components(graph, directed=False)[1].astype(np.int64)
        return parts

    def connected_to(self, places: Numbers) -> "_Runs":
        """Return the runs of the parts that have these pixels."""
        parts = self.parts()
        chosen = np.zeros(int(parts.max()) + 1, np.bool_)
        chosen[parts[np.searchsorted(self.starts, places, side="right") - 1]] = True
        return self.chosen(chosen[parts])

    def and_holes(self, largest_px: int) -> "_Runs":
        """Return connected parts, apart from each other by an empty row, with their holes of at most so many pixels."""
        rows = self.rows
        follows = np.flatnonzero(rows[1:] == rows[:-1])
        if largest_px == 0 or not len(follows):
            return self
        gaps = _Runs(self.ends[follows], self.starts[follows + 1], self.stride)
        is_open = np.zeros(len(gaps.starts), np.bool_)
        for step in (-self.stride, self.stride):
            # Beside a gap, in the row above or below, the part has to reach as far on either side.
            before = np.searchsorted(self.starts, gaps.starts + step, side="right") - 1
            after = np.searchsorted(self.ends, gaps.ends + step)
            row = gaps.rows + step // self.stride
            is_open |= (before < 0) | (rows[before] != row)
            is_open |= (after == len(rows)) | (rows[np.minimum(after, len(rows) - 1)] != row)
        parts = gaps.parts()
        fills = np.bincount(parts, gaps.sizes) <= largest_px
        fills[parts[is_open]] = False
        return self.joined(gaps.chosen(fills[parts]))

    def joined(self, gaps: "_Runs") -> "_Runs":
        """Return these runs and what is filled between them, which may end where another begins."""
        if not len(gaps.starts):
            return self
        starts, ends = np.append(self.starts, gaps.starts), np.append(self.ends, gaps.ends)
        return _Runs(np.sort(starts), np.sort(ends), self.stride)


@dataclass(frozen=True, slots=True, eq=False)
class _Sheet:
    """Maps one below the other, with an empty row after each and an empty column before them.

    Attributes
    ----------
    tops
        The row in which each map begins.
    """

    runs: _Runs
    tops: Numbers

    @classmethod
    def of(cls, maps: Sequence[Probabilities], threshold: float) -> "_Sheet":
        heights = np.array([len(one) for one in maps]) + 1
        tops = np.cumsum(heights) - heights
        above = np.zeros((int(heights.sum()), 1 + max(one.shape[1] for one in maps)), np.bool_)
        for one, top in zip(maps, tops.tolist(), strict=True):
            np.greater_equal(one, threshold, out=above[top : top + one.shape[0], 1 : 1 + one.shape[1]])
        return cls(_Runs.of(above), tops)

    def places(self, clicks: Pixels) -> Numbers:
        """Return the flat indices of a pixel in each map."""
        places: Numbers = (self.tops + clicks[:, 0]) * self.runs.stride + 1 + clicks[:, 1]
        return places


def _cut_out(sheet: _Sheet, runs: _Runs, maps: Sequence[Probabilities], smallest_px: int) -> list[ClickedPart | None]:
    """Return the part of each map that runs make, of at least so many pixels; each map has some."""
    rows, columns = np.divmod(runs.starts, runs.stride)
    columns -= 1
    begins = np.searchsorted(rows, sheet.tops)
    sizes = np.add.reduceat(runs.sizes, begins)
    owners = np.repeat(np.arange(len(maps)), np.diff(begins, append=len(rows)))
    rows -= sheet.tops[owners]
    shapes = np.array([one.shape for one in maps])
    top = np.maximum(rows[begins] - 1, 0)
    left = np.maximum(np.minimum.reduceat(columns, begins) - 1, 0)
    bottom = np.minimum(np.maximum.reduceat(rows, begins) + 2, shapes[:, 0])
    right = np.minimum(np.maximum.reduceat(columns + runs.sizes, begins) + 1, shapes[:, 1])
    # The boxes one below the other, with an empty row after each.
    heights, width = bottom - top + 1, int((right - left).max())
    places = np.cumsum(heights) - heights
    starts = (rows - top[owners] + places[owners]) * width + columns - left[owners]
    edges = np.zeros(int(heights.sum()) * width, np.int8)
    edges[starts] = 1
    # Where one run ends another may begin.
    np.subtract.at(edges, starts + runs.sizes, 1)
    masks = np.add.accumulate(edges, dtype=np.int8).view(np.bool_).reshape(-1, width)
    around = dilated(masks)
    found: list[ClickedPart | None] = []
    boxes = np.stack([top, bottom, left, right, places, sizes], axis=1).tolist()
    for one, (y, y_end, x, x_end, place, size) in zip(maps, boxes, strict=True):
        if size < smallest_px:
            found.append(None)
            continue
        there = np.s_[place : place + y_end - y, : x_end - x]
        said = np.where(around[there], one[y:y_end, x:x_end], np.float32(0))
        found.append(ClickedPart(y, x, masks[there].copy(), said))
    return found
