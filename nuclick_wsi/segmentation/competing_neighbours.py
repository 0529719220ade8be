"""Which neighbours compete with the wanted masks for pixels, so that no others go through the network.

A neighbour competes if its mask touches a wanted one, for they have a border in common, or shares a pixel with another
neighbour that competes: overlaps are settled among all of these, and among no others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_wsi.prompts import Role
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, View
from nuclick_wsi.segmentation.patch import Patch

Boxes = NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The neighbours among the prompts of a field; `reach` has the edges of a box around all views of each.

    `numbers` are their indices by id; `plan` returns the first views of prompts with these indices, and `wider_looks`
    says whether others may follow.
    """

    prompts: NDArray[np.intp]
    numbers: Mapping[str, int]
    reach: NDArray[np.float64]
    plan: Callable[[Sequence[int]], list[View]]
    wider_looks: bool

    @classmethod
    def of(
        cls,
        field: SignalField,
        grid: Grid,
        spec: CropSpec,
        plan: Callable[[Sequence[int]], list[View]],
        *,
        wider_looks: bool,
    ) -> "Neighbours":
        """Return the neighbours of a field."""
        prompts = field.having(Role.NEIGHBOUR)
        reach = field.reach(prompts, grid, spec, wider_looks=wider_looks)
        numbers = {field.prompts[index].id: index for index in prompts}
        return cls(np.array(prompts, np.intp), numbers, reach, plan, wider_looks)

    def views_meeting(self, boxes: Boxes, done: set[int]) -> list[View]:
        """Return all views of those neighbours, beside those done, of which a view meets one of the boxes.

        Of neighbours that may be looked at again, a wider view may: these are known by their reach alone.
        """
        near = set(self.prompts[self._reaching(boxes)].tolist()) - done
        views = self.plan(sorted(near))
        if not views or self.wider_looks:
            return views
        # A coarser view is resampled to the grid, which may reach one of its pixels further.
        scales = np.array([[view.grid.downsample] for view in views])
        hit, _ = shapely.STRtree(boxes).query(_boxes([view.window.edges for view in views], scales, 1))
        meeting = {views[index].prompt for index in hit.tolist()}
        return [view for view in views if view.prompt in meeting]

    def _reaching(self, boxes: Boxes) -> NDArray[np.intp]:
        """Return the places of the neighbours whose reach meets one of the boxes."""
        left, top, right, bottom = shapely.total_bounds(boxes)
        # Few of a slide's neighbours are anywhere near: only those become boxes.
        reach = self.reach
        around = np.flatnonzero(
            (reach[:, 0] <= right) & (reach[:, 1] <= bottom) & (reach[:, 2] >= left) & (reach[:, 3] >= top)
        )
        hit = shapely.STRtree(boxes).query(shapely.box(*reach[around].T))[0]
        meeting: NDArray[np.intp] = around[np.unique(hit)]
        return meeting


def find_competing_neighbours(
    patches: Sequence[Patch],
    neighbours: Neighbours,
    known: set[int],
    grid: Grid,
    predict: Callable[[Sequence[View]], list[Patch]],
) -> list[Patch]:
    """Return the masks of the neighbours that compete.

    Parameters
    ----------
    patches
        The wanted masks, or those of them that are new.
    known
        The neighbours that compete with earlier ones: they are not returned again. These here come to it.
    grid
        That of the patches.
    predict
        Runs the network on all views of some neighbours; returns the masks of those that have one.
    """
    competing: list[Patch] = []
    others: list[Patch] = []
    done = set(known)
    front, meets = list(patches), Patch.touches
    while front and len(neighbours.prompts):
        boxes = _boxes([patch.window.edges for patch in front], grid.downsample, 1)
        views = neighbours.views_meeting(boxes, done)
        done |= {view.prompt for view in views}
        others += predict(views)
        hit = _meeting(front, others, meets)
        meets = Patch.shares_pixel_with
        front = [others[index] for index in sorted(hit)]
        others = [patch for index, patch in enumerate(others) if index not in hit]
        competing += front
    known |= {neighbours.numbers[patch.prompt.id] for patch in competing}
    return competing


def _meeting(front: Sequence[Patch], others: Sequence[Patch], meets: Callable[[Patch, Patch], bool]) -> set[int]:
    """Return the indices of the other patches that one of the front meets."""
    if not others:
        return set()
    tree = shapely.STRtree(_boxes([patch.window.edges for patch in front], 1, 1))
    pairs = zip(*tree.query(_boxes([patch.window.edges for patch in others], 1, 0)).tolist(), strict=True)
    return {index for index, other in pairs if meets(front[other], others[index])}


def _boxes(edges: Sequence[tuple[int, int, int, int]], scale: float | NDArray[np.float64], margin: float) -> Boxes:
    widened = np.array(edges) + np.array((-margin, -margin, margin, margin))
    boxes: Boxes = shapely.box(*(widened * scale).T)
    return boxes
