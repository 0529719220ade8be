"""Fields: the parts of a slide in which every object is outlined, as polygons or as an instance map.

A field is read window by window, as the numbers of its objects and as the pixels that belong to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import shapely

from nuclick_training.datasets.data import Known, Labels
from nuclick_training.datasets.rasterize import covered_pixels
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Grid, Window


class Field(Protocol):
    """A part of a slide in which every object is outlined."""

    def window(self, grid: Grid) -> Window:
        """Return the pixels of a grid that have a part of it."""
        ...

    def read(self, grid: Grid, window: Window) -> tuple[Labels, Known]:
        """Return what is in a window of the grid: (H, W) int32 objects by number, and (H, W) bool the field itself.

        A pixel belongs to what its centre lies in; outside the field there are no objects.
        """
        ...


class ObjectShapes:
    """The objects of a slide in slide pixels, searchable by place; number n is at n - 1."""

    def __init__(self, shapes: Sequence[shapely.Geometry]) -> None:
        self._shapes = np.array(shapes, object)
        self._tree = shapely.STRtree(shapes)
        self._areas = shapely.area(self._shapes) if len(shapes) else np.empty(0)

    def touching(self, shape: shapely.Geometry) -> bool:
        """Whether any object has a point in common with a shape."""
        return bool(len(self._tree.query(shape, "intersects")))

    def drawn(self, grid: Grid, window: Window) -> Labels:
        """Return the numbers of the objects in a window of the grid; of two on one place, the smaller."""
        labels = np.zeros(window.shape, np.int32)
        frame = shapely.box(*(edge * grid.downsample for edge in window.edges))
        near = np.sort(self._tree.query(frame))
        for index in near[np.argsort(-self._areas[near], kind="stable")]:
            box, mask = covered_pixels(_on_grid(self._shapes[index], grid, window), window.shape)
            labels[box][mask] = index + 1
        return labels


@dataclass(frozen=True, slots=True)
class DrawnField:
    """A region that a user drew around outlined objects."""

    region: shapely.Polygon
    shapes: ObjectShapes

    def window(self, grid: Grid) -> Window:
        """Return the pixels of a grid that have a part of it."""
        left, top, right, bottom = shapely.bounds(self.region) / grid.downsample
        x, y = int(np.floor(left)), int(np.floor(top))
        return Window(x, y, max(1, int(np.ceil(right)) - x), max(1, int(np.ceil(bottom)) - y))

    def read(self, grid: Grid, window: Window) -> tuple[Labels, Known]:
        """Return the objects in a window, and the region itself."""
        known = np.zeros(window.shape, bool)
        box, mask = covered_pixels(_on_grid(self.region, grid, window), window.shape)
        known[box] = mask
        labels = self.shapes.drawn(grid, window) if mask.any() else np.zeros(window.shape, np.int32)
        return np.where(known, labels, 0), known


@dataclass(frozen=True, slots=True, eq=False)
class LabelledField:
    """A picture with an instance map of the same size: all of it is known."""

    labels: Labels

    def window(self, grid: Grid) -> Window:
        """Return the pixels of a grid that have a part of it."""
        return grid.extent(Size(self.labels.shape[1], self.labels.shape[0]))

    def read(self, grid: Grid, window: Window) -> tuple[Labels, Known]:
        """Return the objects in a window, and the picture itself."""
        rows, in_rows = _pixels(window.y, window.bottom, grid, self.labels.shape[0])
        columns, in_columns = _pixels(window.x, window.right, grid, self.labels.shape[1])
        known = in_rows[:, None] & in_columns
        return np.where(known, self.labels[np.ix_(rows, columns)], 0), known


def _pixels(start: int, stop: int, grid: Grid, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the picture's row or column under the centre of each grid pixel, and whether there is one."""
    found = np.floor((np.arange(start, stop) + 0.5) * grid.downsample).astype(np.int64)
    return np.clip(found, 0, count - 1), (found >= 0) & (found < count)


def _on_grid(shape: shapely.Geometry, grid: Grid, window: Window) -> shapely.Geometry:
    """Return a shape of slide pixels in the pixels of a window."""
    return shapely.transform(shape, lambda xy: xy / grid.downsample - (window.x, window.y))
