"""Which of very many boxes meet a window: points in sorted bands, a few bytes each, and all others in a tree."""

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

_PER_BAND = 64
"""Points in a band of rows, on average: a window then meets few bands, and few points of each."""


class BoxIndex:
    """Boxes by their corners; most of them are points.

    Parameters
    ----------
    low, high
        The upper left and the lower right corner of each box, as x and y, shape (n, 2).
    """

    def __init__(self, low: NDArray[np.float64], high: NDArray[np.float64]) -> None:
        wide = (low < high).any(axis=1)
        self._points = _Points.of(low, np.flatnonzero(~wide))
        self._wide = np.flatnonzero(wide)
        self._tree = shapely.STRtree(shapely.box(*low[wide].T, *high[wide].T))

    def meeting(self, edges: NDArray[np.float64]) -> NDArray[np.intp]:
        """Return the numbers of the boxes that meet a window, its edges included, in rising order.

        Parameters
        ----------
        edges
            Left, top, right and bottom.
        """
        return np.sort(self.meeting_each(edges[None])[1])

    def meeting_each(self, edges: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return of each pair of a window and a box that meet both numbers, by window.

        Parameters
        ----------
        edges
            Left, top, right and bottom of each window, shape (n, 4).
        """
        windows, points = self._points.inside_each(edges)
        if not len(self._wide):
            return windows, points
        further, found = self._tree.query(shapely.box(*edges.T))
        windows, boxes = np.append(windows, further), np.append(points, self._wide[found])
        order = np.argsort(windows, kind="stable")
        return windows[order], boxes[order]


class _Points:
    """Points in bands of rows, sorted by column in each."""

    def __init__(self, numbers: NDArray[np.intp], positions: NDArray[np.float64], top: float, height: float) -> None:
        bands = np.floor((positions[:, 1] - top) / height).astype(np.int64)
        order = np.lexsort((positions[:, 0], bands))
        self._numbers = numbers[order]
        # Complex numbers are in order by their first part, then by their second: one search finds band and column.
        self._places = np.empty(len(order), np.complex128)
        self._places.real, self._places.imag = bands[order], positions[order, 0]
        self._y = positions[order, 1]
        self._top, self._height = top, height
        self._last = int(bands.max(initial=-1))

    @classmethod
    def of(cls, positions: NDArray[np.float64], numbers: NDArray[np.intp]) -> "_Points":
        """Return the points with these numbers among some positions, x and y, shape (n, 2)."""
        own = positions[numbers]
        (left, top), (right, bottom) = (own.min(axis=0), own.max(axis=0)) if len(own) else ((0.0, 0.0), (0.0, 0.0))
        # Square cells of a mean number of points would be as high as the bands are.
        area = max(right - left, 1.0) * max(bottom - top, 1.0)
        height = max(np.sqrt(area * _PER_BAND / max(len(own), 1)), (bottom - top) / 2**20, 1e-6)
        return cls(numbers, own, float(top), float(height))

    def inside_each(self, edges: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return of each pair of a window and a point in it both numbers, by window."""
        bands = np.floor((edges[:, 1::2] - self._top) / self._height)
        first, last = np.maximum(bands[:, 0], 0), np.minimum(bands[:, 1], self._last)
        counts = np.maximum(last - first + 1, 0).astype(np.intp)
        windows = np.repeat(np.arange(len(edges)), counts)
        ends = np.empty((2, len(windows)), np.complex128)
        ends.real = _counted_on(first, counts)
        ends.imag = edges[windows, 0], edges[windows, 2]
        begin, end = self._places.searchsorted(ends[0]), self._places.searchsorted(ends[1], side="right")
        counts = end - begin
        windows, points = np.repeat(windows, counts), _counted_on(begin, counts)
        rows = self._y[points]
        inside = (rows >= edges[windows, 1]) & (rows <= edges[windows, 3])
        return windows[inside], self._numbers[points[inside]]


def _counted_on(firsts: NDArray[Any], counts: NDArray[np.intp]) -> NDArray[Any]:
    """Return numbers that go on from each first one by one, so many from each."""
    before = np.cumsum(counts) - counts
    return np.repeat(firsts - before, counts) + np.arange(counts.sum())
