"""The order in which the prompts of a slide are worked on: region by region, each of some lattice cells, row by row.

It says what comes in each region, and in which region the last mask may come that can touch a place. No result
depends on it.
"""

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_wsi.segmentation.blocks import PITCH

Numbers = NDArray[np.int64]
Edges = NDArray[np.float64]
"""Boxes as left, top, right and bottom in slide pixels, shape (n, 4)."""

AT_ONCE = 2048
"""Prompts of a region: few enough to hold, many enough to keep readers and network busy."""

_LARGEST, _SMALLEST = 7, 1
"""Sides of a cell in blocks of a shared encoder, so that no block is encoded for two regions."""

_ROW = 1 << 31
"""More columns than any slide has cells: makes one number of a row and a column."""


@dataclass(frozen=True, slots=True, eq=False)
class Route:
    """The regions of a route.

    Attributes
    ----------
    regions
        The numbers of each region's prompts.
    """

    regions: list[Numbers]
    _cells: shapely.STRtree
    """A box around all that the prompts of each cell may reach."""
    _region_of_cell: Numbers

    @classmethod
    def through(cls, prompts: Numbers, reach: Edges, downsample: float, at_once: int = AT_ONCE) -> "Route":
        """Return a route through some prompts.

        Parameters
        ----------
        prompts
            Their numbers.
        reach
            A box for each, around its middle, that no mask of it leaves.
        downsample
            Slide pixels per pixel of the grid.
        at_once
            Prompts after which a region ends, with the cell that the last one is in.
        """
        cells = _cells_of(reach, PITCH * downsample, at_once)
        order = np.argsort(cells, kind="stable")
        begins = np.flatnonzero(np.append(True, np.diff(cells[order]) != 0)[: len(order)])
        region_of_cell = _regions_of(begins, len(order), at_once)
        ends = np.flatnonzero(np.diff(region_of_cell)) + 1
        regions = np.split(prompts[order], begins[ends]) if len(order) else []
        sides = [extreme.reduceat(reach[order], begins) for extreme in (np.minimum, np.maximum)] if len(order) else []
        boxes = shapely.box(*np.hstack([sides[0][:, :2], sides[1][:, 2:]]).T) if sides else np.empty(0, object)
        return cls(regions, shapely.STRtree(boxes), region_of_cell)

    def last_to_meet(self, edges: Edges) -> Numbers:
        """Return for each box the number of the last region from which a mask may meet it; -1 for none."""
        last = np.full(len(edges), -1, np.int64)
        box, cell = self._cells.query(shapely.box(*edges.T))
        np.maximum.at(last, box, self._region_of_cell[cell])
        return last


def _cells_of(reach: Edges, pitch: float, at_once: int) -> Numbers:
    """Return a number of each prompt's cell, row by row, of cells so small that few hold more than a region may."""
    middles = (reach[:, :2] + reach[:, 2:]) / 2
    side = _LARGEST
    while True:
        columns, rows = np.floor(middles / (side * pitch)).astype(np.int64).T
        cells: Numbers = rows * _ROW + columns
        if side == _SMALLEST or np.unique(cells, return_counts=True)[1].max(initial=0) <= at_once:
            return cells
        side = max(_SMALLEST, side // 2)


def _regions_of(begins: Numbers, count: int, at_once: int) -> Numbers:
    """Return the number of each cell's region: a region ends with the cell that fills it.

    Parameters
    ----------
    begins
        How many prompts come before each cell, of so many in all.
    """
    regions = np.empty(len(begins), np.int64)
    number, first = 0, 0
    for cell, end in enumerate([*begins[1:].tolist(), count][: len(begins)]):
        regions[cell] = number
        if end - first >= at_once:
            number, first = number + 1, end
    return regions
