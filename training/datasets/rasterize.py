"""Which pixels a polygon covers: those whose centres lie inside it, holes left out.

A centre exactly on an edge belongs to the shape to its right or below, so that shapes that share an edge share no pixel
and leave none out.
"""

import numpy as np
import numpy.typing as npt
import shapely

Mask = npt.NDArray[np.bool_]
Box = tuple[slice, slice]


def covered_pixels(shape: shapely.Geometry, size: tuple[int, int]) -> tuple[Box, Mask]:
    """Return the pixels of a window that lie in a shape.

    Parameters
    ----------
    shape
        Polygons, x and y in pixels of the window, integers at pixel corners.
    size
        Rows and columns of the window.

    Returns
    -------
    box, mask
        The part of the window that the shape's bounds cover, perhaps empty, and its pixels in it.
    """
    box = _box(shape, size)
    (top, bottom), (left, right) = ((one.start, one.stop) for one in box)
    if bottom <= top or right <= left:
        return box, np.zeros((bottom - top, right - left), bool)
    rows, columns = _crossings(shape, top, bottom)
    # Along a row every edge that is crossed turns inside into outside and back.
    turns = np.zeros((bottom - top, right - left + 1), np.int32)
    np.add.at(turns, (rows - top, np.clip(columns - left, 0, right - left)), 1)
    return box, np.cumsum(turns[:, :-1], axis=1) % 2 == 1


def _box(shape: shapely.Geometry, size: tuple[int, int]) -> Box:
    """Return the rows and columns of the window whose centres lie within the shape's bounds."""
    if shape.is_empty:
        return slice(0, 0), slice(0, 0)
    left, top, right, bottom = shapely.bounds(shape)
    ends = []
    for low, high, most in ((top, bottom, size[0]), (left, right, size[1])):
        start = int(np.clip(np.ceil(low - 0.5), 0, most))
        ends.append(slice(start, max(start, int(np.clip(np.ceil(high - 0.5), 0, most)))))
    return ends[0], ends[1]


def _crossings(shape: shapely.Geometry, top: int, bottom: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return every row whose centres' line crosses an edge, and the first column whose centre is not left of it."""
    # Twice, for what was made valid may be a collection of lines and multi-polygons.
    polygons = shapely.get_parts(shapely.get_parts(shape))
    points, ring = shapely.get_coordinates(shapely.get_rings(polygons), return_index=True)
    joined = ring[1:] == ring[:-1]
    start, end = points[:-1][joined], points[1:][joined]
    # From above to below, so that two shapes with one edge between them compute it alike.
    upwards = start[:, 1] > end[:, 1]
    start[upwards], end[upwards] = end[upwards], start[upwards].copy()
    first = np.clip(np.ceil(start[:, 1] - 0.5), top, bottom).astype(np.int64)
    counts = np.clip(np.ceil(end[:, 1] - 0.5), top, bottom).astype(np.int64) - first
    edge = np.repeat(np.arange(len(counts)), counts)
    rows = np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts) + first[edge]
    (x0, y0), (x1, y1) = start[edge].T, end[edge].T
    # Multiplied first: then a centre that is on an edge is found there, without an error of rounding.
    x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
    return rows, np.ceil(x - 0.5).astype(np.int64)
