"""Which of very many boxes meet a window: points in sorted bands, a few bytes each, and all others in a tree."""

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
        points = self._points.inside(edges)
        if not len(self._wide):
            return np.sort(points)
        return np.sort(np.concatenate([points, self._wide[self._tree.query(shapely.box(*edges))]]))


class _Points:
    """Points in bands of rows, sorted by column in each."""

    def __init__(self, numbers: NDArray[np.intp], positions: NDArray[np.float64], top: float, height: float) -> None:
        bands = np.floor((positions[:, 1] - top) / height).astype(np.int64)
        order = np.lexsort((positions[:, 0], bands))
        self._numbers = numbers[order]
        self._x, self._y = np.ascontiguousarray(positions[order].T)
        self._top, self._height = top, height
        self._starts = np.searchsorted(bands[order], np.arange(int(bands.max(initial=-1)) + 2))

    @classmethod
    def of(cls, positions: NDArray[np.float64], numbers: NDArray[np.intp]) -> "_Points":
        """Return the points with these numbers among some positions, x and y, shape (n, 2)."""
        own = positions[numbers]
        (left, top), (right, bottom) = (own.min(axis=0), own.max(axis=0)) if len(own) else ((0.0, 0.0), (0.0, 0.0))
        # Square cells of a mean number of points would be as high as the bands are.
        area = max(right - left, 1.0) * max(bottom - top, 1.0)
        height = max(np.sqrt(area * _PER_BAND / max(len(own), 1)), (bottom - top) / 2**20, 1e-6)
        return cls(numbers, own, float(top), float(height))

    def inside(self, edges: NDArray[np.float64]) -> NDArray[np.intp]:
        left, top, right, bottom = edges.tolist()
        last = len(self._starts) - 2
        first_band = max(0, int((top - self._top) // self._height))
        last_band = min(last, int((bottom - self._top) // self._height))
        found = []
        for band in range(first_band, last_band + 1):
            begin, end = self._starts[band], self._starts[band + 1]
            columns = self._x[begin:end]
            begin, end = begin + columns.searchsorted(left), begin + columns.searchsorted(right, side="right")
            rows = self._y[begin:end]
            found.append(self._numbers[begin:end][(rows >= top) & (rows <= bottom)])
        return np.concatenate(found) if found else np.empty(0, np.intp)
