"""Settled masks to outlines that follow the threshold between pixels, and share their borders.

Patches without a common pixel become polygons in slide pixels, rounded to 0.01 px and valid after it. An outline
passes between the same middles of pixels as its mask's edge does, so it keeps parts and holes of the mask;
where two masks touch, the vertices of both outlines are the same.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.contours.arcs import Arcs
from nuclick_wsi.segmentation.contours.borders import Borders, Places, Sheet, Walk
from nuclick_wsi.segmentation.contours.outlines import Outline, outline, trace_all_rings
from nuclick_wsi.segmentation.contours.stack import Stack
from nuclick_wsi.segmentation.contours.straighten import Numbers, straighten
from nuclick_wsi.segmentation.masks import label_parts
from nuclick_wsi.segmentation.patch import Patch

Lines: TypeAlias = NDArray[np.object_]
"""Geometries, or None."""

_FEWEST = 3
"""Vertices of a ring."""

_TOGETHER = 500_000
"""Pixels of windows that are traced at once."""


@dataclass(frozen=True, slots=True)
class ContourRule:
    """Where outlines run: at this probability, and how far they may leave it for fewer vertices, in grid pixels."""

    threshold: float
    tolerance: float


def draw_contours(
    wanted: Sequence[Patch], beside: Sequence[Patch], grid: Grid, size: Size, rule: ContourRule
) -> list[Outline]:
    """Return the outlines of the wanted patches, in their order, which decides nothing else.

    Parameters
    ----------
    wanted, beside
        Settled: no two have a common pixel. All that touch a wanted one are among them.
    size
        Of the slide; an outline of a mask at its edge ends on the edge.
    """
    outlines: list[Outline] = [shapely.Polygon()] * len(wanted)
    for members, near in _groups(wanted, beside):
        shapes = _drawn([wanted[index] for index in members], near, grid, size, rule)
        for index, shape in zip(members, shapes.tolist(), strict=True):
            outlines[index] = shape
    return outlines


def draw_pixel_edges(patch: Patch, grid: Grid, size: Size) -> Outline:
    """Return the outline of a patch along the edges of its pixels, cut off where the slide ends."""
    polygon = outline(patch.mask, patch.window, grid)
    if polygon.bounds[2] > size.width or polygon.bounds[3] > size.height:
        # The last column and row of the grid may reach past the slide by part of a pixel.
        polygon = shapely.transform(polygon, lambda corners: np.minimum(corners, (size.width, size.height)))
    return polygon


def _groups(wanted: Sequence[Patch], beside: Sequence[Patch]) -> Iterator[tuple[list[int], list[Patch]]]:
    """Yield indices of wanted patches that lie near each other, with the other patches that may touch them.

    So few patches are traced twice.
    """
    if not wanted:
        return
    patches = [*wanted, *beside]
    edges = np.array([patch.window.edges for patch in patches])
    chosen = edges[: len(wanted)]
    areas = (chosen[:, 2] - chosen[:, 0]) * (chosen[:, 3] - chosen[:, 1])
    order = np.lexsort((chosen[:, 0], chosen[:, 1] // 1024))
    group = np.cumsum(areas[order]) // _TOGETHER
    boxes = shapely.box(*edges.T)
    tree = shapely.STRtree(boxes)
    for number in np.unique(group):
        members = order[group == number]
        near = np.setdiff1d(tree.query(boxes[members])[1], members)
        yield members.tolist(), [patches[index] for index in near]


def _drawn(chosen: Sequence[Patch], beside: Sequence[Patch], grid: Grid, size: Size, rule: ContourRule) -> Lines:
    """Return the outlines of the chosen patches, among those beside them."""
    parts = [(index, part) for index, patch in enumerate(chosen) for part in _parts(patch)]
    owners = np.array([index for index, _ in parts])
    others = [part for patch in beside for part in _parts(patch)]
    polygons = _polygons(Stack.of([*(part for _, part in parts), *others]), len(parts), grid, size, rule)
    shapes = np.full(len(chosen), None, object)
    shapes[owners] = polygons
    for index in np.flatnonzero(np.bincount(owners) > 1).tolist():
        of_patch = polygons[owners == index]
        shapes[index] = None if shapely.is_missing(of_patch).any() else shapely.MultiPolygon(list(of_patch))
    # Rounding may spoil what is hardly larger than 0.01 px.
    for index in np.flatnonzero(~(shapely.is_valid(shapes) & (shapely.area(shapes) > 0))).tolist():
        shapes[index] = draw_pixel_edges(chosen[index], grid, size)
    return shapes


def _parts(patch: Patch) -> list[Patch]:
    """Return a patch of its own for every part of a mask: parts that touch in a corner are not joined there."""
    if len(patch.signal) == 1:
        return [patch]  # what a click holds is one part
    labels, count = label_parts(patch.mask)
    return [replace(patch, mask=labels == label) for label in range(1, count + 1)]


def _polygons(stack: Stack, wanted: int, grid: Grid, size: Size, rule: ContourRule) -> Lines:
    """Return the polygons of the first so many masks of a stack, each of one part; None for what rounding has lost."""
    traced = [ring for ring, _ in trace_all_rings(stack.masks)]
    walk = Walk.along(traced, stack)
    borders = Borders.of(walk, stack, Sheet.of(grid, size), rule.threshold)
    arcs = Arcs.of(walk, borders, stack, int(np.searchsorted(walk.owners, wanted)))
    vertices, rings = _without_repeats(*_rounded(arcs.joined(*straighten(arcs.paths, rule.tolerance)), grid))
    owners = walk.owners[np.searchsorted(walk.rings, np.arange(int(arcs.rings[-1]) + 1))]
    lost = np.zeros(wanted, np.bool_)
    lost[owners[np.bincount(rings, minlength=len(owners)) < _FEWEST]] = True
    kept = ~lost[owners[rings]]
    polygons = np.full(wanted, None, object)
    if kept.any():
        lines = np.full(len(owners), None, object)
        shapely.linearrings(vertices[kept], indices=rings[kept], out=lines)
        # The first ring of a mask is its exterior.
        whole = ~lost[owners]
        shapely.polygons(lines[whole], indices=owners[whole], out=polygons)
    return polygons


def _rounded(joined: tuple[Places, Numbers], grid: Grid) -> tuple[Places, Numbers]:
    vertices, rings = joined
    return grid.to_slide(vertices), rings


def _without_repeats(vertices: Places, rings: Numbers) -> tuple[Places, Numbers]:
    """Return vertices without those that rounding has put where the one before is."""
    numbers = np.arange(len(rings))
    is_first = np.append(True, rings[1:] != rings[:-1])
    before = np.where(is_first, np.searchsorted(rings, rings, side="right"), numbers) - 1
    moved = (vertices != vertices[before]).any(axis=1)
    return vertices[moved], rings[moved]
