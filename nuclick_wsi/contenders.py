"""Which neighbours have a say in the outlines that were asked for, so that no others go through the network.

A neighbour has one if its mask shares a pixel with a wanted one, or with another neighbour that has one: what falls
to whom is settled among all of them, and among nobody else.
"""

from collections.abc import Callable, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_wsi.crops import View
from nuclick_wsi.scale import Grid
from nuclick_wsi.stitch import Patch

Boxes = NDArray[np.object_]


def find_contenders(
    patches: Sequence[Patch], views: Sequence[View], grid: Grid, look: Callable[[Sequence[View]], list[Patch]]
) -> list[Patch]:
    """Return the masks of the neighbours that have a say.

    Parameters
    ----------
    patches
        The masks that were asked for.
    views
        Of the neighbours, on the grid or a coarser one.
    grid
        That of the patches.
    look
        Runs the network on all views of some neighbours; returns the masks of those that have one.
    """
    reached: list[Patch] = []
    seen: list[Patch] = []
    waiting = list(views)
    front = list(patches)
    while front:
        near = _near(front, waiting, grid)
        seen += look([view for view in waiting if view.prompt in near]) if near else []
        waiting = [view for view in waiting if view.prompt not in near]
        hit = _sharing(front, seen)
        front = [seen[index] for index in sorted(hit)]
        seen = [patch for index, patch in enumerate(seen) if index not in hit]
        reached += front
    return reached


def _near(front: Sequence[Patch], views: Sequence[View], grid: Grid) -> set[int]:
    """Return the prompts of which a view, and so perhaps the mask, meets one of the patches."""
    if not views:
        return set()
    tree = shapely.STRtree(_boxes([patch.window.edges for patch in front], grid.downsample, 0))
    corners = [view.window.edges for view in views]
    # A coarser view is resampled to the grid, which may reach one of its pixels further.
    hit, _ = tree.query(_boxes(corners, np.array([[view.grid.downsample] for view in views]), 1))
    return {views[index].prompt for index in hit.tolist()}


def _sharing(front: Sequence[Patch], seen: Sequence[Patch]) -> set[int]:
    """Return the indices of the patches seen that share a pixel with one of the front."""
    if not seen:
        return set()
    tree = shapely.STRtree(_boxes([patch.window.edges for patch in front], 1, 0))
    pairs = zip(*tree.query(_boxes([patch.window.edges for patch in seen], 1, 0)).tolist(), strict=True)
    return {index for index, other in pairs if seen[index].shares_pixel_with(front[other])}


def _boxes(edges: Sequence[tuple[int, int, int, int]], scale: float | NDArray[np.float64], margin: float) -> Boxes:
    widened = np.array(edges) + np.array((-margin, -margin, margin, margin))
    boxes: Boxes = shapely.box(*(widened * scale).T)
    return boxes
