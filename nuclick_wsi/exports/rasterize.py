"""From outlines to pixels: an object has the pixels whose middles lie inside its outline.

A middle on an outline belongs to the object to its right, or below it, so that of two objects with a common border
exactly one has it. The rule is the same for pixels of any size: a coarse picture needs no finer one.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import MultiPolygon, Polygon

from nuclick_wsi.scale import Window

Polygonal: TypeAlias = MultiPolygon | Polygon


@dataclass(frozen=True, slots=True)
class Raster:
    """A rectangle of square pixels on a slide: `window` counts pixels that are `downsample` slide pixels wide."""

    window: Window
    downsample: float = 1.0

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom in slide pixels."""
        left, top, right, bottom = (edge * self.downsample for edge in self.window.edges)
        return left, top, right, bottom


def pixels_of(polygon: Polygonal, raster: Raster) -> tuple[tuple[slice, slice], NDArray[np.bool_]] | None:
    """Return which pixels of a raster an outline has; None where it has none there.

    Parameters
    ----------
    polygon
        In slide pixels.

    Returns
    -------
    place, mask
        Rows and columns in an array that fills the raster's window, and the pixels in that place.
    """
    rows, crossings = _crossings(_edges(polygon) / raster.downsample)
    if not len(rows):
        return None
    window = raster.window
    top, bottom = max(int(rows.min()), window.y), min(int(rows.max()) + 1, window.bottom)
    left, right = max(int(crossings.min()), window.x), min(int(crossings.max()), window.right)
    if top >= bottom or left >= right:
        return None
    inside = (rows >= top) & (rows < bottom)
    columns = np.clip(crossings[inside] - left, 0, right - left)
    turns = np.zeros((bottom - top, right - left + 1), np.int32)
    np.add.at(turns, (rows[inside] - top, columns), 1)
    mask = (np.cumsum(turns[:, :-1], axis=1) & 1).astype(np.bool_)
    place = slice(top - window.y, bottom - window.y), slice(left - window.x, right - window.x)
    return (place, mask) if mask.any() else None


def _edges(polygon: Polygonal) -> NDArray[np.float64]:
    """Return the edges of all rings, upper end first, those that are level left out: (n, 4) x, y, x, y."""
    parts = polygon.geoms if isinstance(polygon, shapely.MultiPolygon) else [polygon]
    rings = [shapely.get_coordinates(ring) for part in parts for ring in (part.exterior, *part.interiors)]
    edges = np.concatenate([np.hstack([ring[:-1], ring[1:]]) for ring in rings])
    # The same two ends in the same order give the same numbers, whichever object an edge is taken from.
    falling = edges[:, 1] > edges[:, 3]
    edges[falling] = edges[falling][:, [2, 3, 0, 1]]
    return edges[edges[:, 1] < edges[:, 3]]


def _crossings(edges: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where edges cross the middles of rows: the rows, and the first column whose middle is not left of it."""
    first, beyond = (np.ceil(edges[:, axis] - 0.5).astype(np.int64) for axis in (1, 3))
    counts = beyond - first
    starts = np.cumsum(counts) - counts
    rows = np.arange(counts.sum()) - np.repeat(starts - first, counts)
    x, y, end_x, end_y = np.repeat(edges, counts, axis=0).T
    at = x + (rows + 0.5 - y) * (end_x - x) / (end_y - y)
    return rows, np.ceil(at - 0.5).astype(np.int64)
