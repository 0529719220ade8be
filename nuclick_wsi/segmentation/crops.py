"""From prompts to views: the windows on the network's grid that are its crops, and the signals inside each.

Most prompts have one view; a large gland that is covered at the model's own pixel size has several. Reading, tiles and
batches come later and change nothing here.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.choices import GlandMode
from nuclick_wsi.prompts import Click, ObjectKind, Prompt, Role
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Map, Pixels
from nuclick_wsi.segmentation.box_index import BoxIndex
from nuclick_wsi.segmentation.lines import Lines
from nuclick_wsi.segmentation.marks import Marks, marks_of
from nuclick_wsi.segmentation.signals import REACH, guiding_signals, middle_of, rasterize

WIDER = (1.5, 4 / 3)
"""How many times as wide as the last crop each further one is, in which a gland is seen that reaches its crop's border:
one and a half times the first, then twice."""


@dataclass(frozen=True, slots=True)
class CropSpec:
    """The crop that a network takes: `size` x `size` pixels of `mpp` microns."""

    size: int
    mpp: float


@dataclass(frozen=True, slots=True)
class View:
    """One crop of one prompt: its window on its grid.

    `prompt` is the prompt's index in its `SignalField`. The grid is the kind's own, or a coarser one for a prompt
    that was scaled down to fit. `look` counts how often it was looked at again in a wider crop.
    """

    prompt: int
    grid: Grid
    window: Window
    look: int = 0


class SignalField:
    """The signals of all prompts of one kind on one slide, drawn into the maps of each other's views.

    Parameters
    ----------
    prompts
        Prompts of one kind and plane, of both roles; a prompt's index here is its number everywhere downstream.
    """

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self.prompts = tuple(prompts)
        self._excludes = np.array([prompt.role is Role.EXCLUDE_ONLY for prompt in self.prompts], bool)
        self._is_click = np.array([isinstance(prompt.signal, Click) for prompt in self.prompts], bool)
        # Arrays of all prompts: a slide may have a million of them.
        self._lines = Lines(self.prompts)
        self._low, self._high = self._lines.corners()
        self._places = BoxIndex(self._low, self._high)

    def having(self, role: Role) -> list[int]:
        """Return the indices of the prompts of a role."""
        return [index for index, prompt in enumerate(self.prompts) if prompt.role is role]

    def reach(
        self, prompts: Sequence[int] | Pixels, grid: Grid, spec: CropSpec, *, wider_looks: bool
    ) -> NDArray[np.float64]:
        """Return the edges of a box for each prompt that no view of it leaves.

        Left, top, right and bottom in slide pixels, shape (n, 4).
        """
        chosen = np.asarray(prompts, np.intp)
        low, high = self._low[chosen], self._high[chosen]
        # The last crop is twice as wide as the first, and its middle lies in the one before.
        widest = 2 if wider_looks else 1
        furthest = widest * np.maximum(spec.size * grid.downsample, (high - low).max(axis=1) / REACH)[:, None]
        return np.hstack([low - furthest, high + furthest])

    def drawn_in_reach(self, view: View) -> bytes:
        """Return a digest of the other prompts that a wider view of a gland than this, its first one, may show."""
        return self._lines.digest(self._reached(view))

    def _reached(self, view: View) -> NDArray[np.intp]:
        width = view.window.width
        left, top, right, bottom = view.window.edges
        # A wider crop's middle lies in the one before, and the last is twice as wide as the first.
        reached = np.array([left - 2 * width, top - 2 * width, right + 2 * width, bottom + 2 * width])
        return self._within(reached * view.grid.downsample, view.prompt)

    def around(self, views: Iterable[View]) -> set[int]:
        """Return the indices of the other prompts that are drawn in one of some views, or may be in a wider look."""
        found: set[int] = set()
        for view in views:
            looks_wider = self.prompts[view.prompt].kind is ObjectKind.GLAND
            others = self._reached(view) if looks_wider else self._others_near(view)
            found.update(others.tolist())
        return found

    @property
    def has_excluding(self) -> bool:
        """Whether any prompt only excludes."""
        return bool(self._excludes.any())

    def excluded(self, view: View, grid: Grid) -> Pixels:
        """Return the pixels of what only excludes near a view: int (N, 2), row and column on a grid."""
        if not self.has_excluding:
            return np.empty((0, 2), np.int64)
        near = self._others_near(view)
        window = grid.window_of(view.window, view.grid)
        drawn = [self._pixels_near(index, grid, window) for index in near[self._excludes[near]].tolist()]
        return np.concatenate([np.empty((0, 2), np.int64), *drawn])

    def pixels(self, index: int, grid: Grid) -> Pixels:
        """Return a prompt's signal on the grid: int (N, 2), row and column, each pixel once."""
        if self._is_click[index]:
            return rasterize([self._low[index : index + 1] / grid.downsample])
        return self._lines.pixels(index, grid)

    def spots(self, clicks: Sequence[int] | NDArray[np.intp], grid: Grid) -> Pixels:
        """Return the one pixel of each of some clicks on the grid, as `pixels` does."""
        spots: Pixels = np.floor(self._low[clicks, ::-1] / grid.downsample).astype(np.int64)
        return spots

    def are_clicks(self, indices: Sequence[int]) -> NDArray[np.bool_]:
        """Return which of these prompts are clicks."""
        return np.asarray(self._is_click[np.asarray(indices, np.intp)])

    def _pixels_near(self, index: int, grid: Grid, window: Window) -> Pixels:
        return self.pixels(index, grid) if self._is_click[index] else self._lines.pixels_near(index, grid, window)

    def signals(self, view: View) -> Map:
        """Return the inclusion and the exclusion map of a view: float32 (2, size, size)."""
        origin = np.array([view.window.y, view.window.x])
        own = self.pixels(view.prompt, view.grid) - origin
        near = self._others_near(view)
        clicks = near[self._is_click[near]]
        spots = np.floor(self._low[clicks, ::-1] / view.grid.downsample).astype(np.int64) - origin
        if len(clicks) == len(near):
            return guiding_signals(own, [], view.window.width, spots)
        squiggles = near[~self._is_click[near]]
        # What lies in the crop as a whole leaves the same pixel in each crop; only what is cut is drawn anew.
        is_whole = self._lies_in(squiggles, view)
        whole = self._lines.centres(squiggles[is_whole], view.grid) - origin
        cut = squiggles[~is_whole].tolist()
        lines = [self._lines.pixels_near(index, view.grid, view.window) - origin for index in cut]
        one_each = np.concatenate([spots, whole])
        return guiding_signals(own, [line for line in lines if len(line)], view.window.width, one_each)

    def marks(self, views: Sequence[View]) -> tuple[Marks, Marks]:
        """Return the pixels that are 1 in the inclusion and in the exclusion maps of some views, at least one."""
        prompts = np.array([view.prompt for view in views])
        scales = np.array([view.grid.downsample for view in views])[:, None]
        edges = np.array([view.window.edges for view in views])
        of_view, near = self._places.meeting_each(edges * scales)
        is_drawn = ~self._is_click[prompts]
        is_drawn[of_view[~self._is_click[near]]] = True
        own = np.floor(self._low[prompts, ::-1] / scales).astype(np.int64) - edges[:, 1::-1]
        spots = np.floor(self._low[near, ::-1] / scales[of_view]).astype(np.int64) - edges[of_view, 1::-1]
        side = edges[:, 2:3] - edges[:, :1]
        has_own = ~is_drawn & ((own >= 0) & (own < side)).all(axis=1)
        left = ~is_drawn[of_view] & ((spots >= 0) & (spots < side[of_view])).all(axis=1)
        left &= (near != prompts[of_view]) & (spots != own[of_view]).any(axis=1)
        marks = Marks(np.flatnonzero(has_own), own[has_own]), Marks(of_view[left], spots[left])
        if not is_drawn.any():
            return marks
        drawn = marks_of({number: self.signals(views[number]) for number in np.flatnonzero(is_drawn).tolist()})
        return marks[0].joined(drawn[0]), marks[1].joined(drawn[1])

    def _lies_in(self, indices: NDArray[np.intp], view: View) -> NDArray[np.bool_]:
        """Return which prompts have all their pixels in a view."""
        low, high = (np.floor(corner[indices] / view.grid.downsample) for corner in (self._low, self._high))
        left, top, right, bottom = view.window.edges
        return np.asarray(((low >= (left, top)) & (high < (right, bottom))).all(axis=1))

    def _others_near(self, view: View) -> NDArray[np.intp]:
        """Return the indices of the other prompts whose bounding box meets the view, in rising order."""
        return self._within(np.array(view.window.edges) * view.grid.downsample, view.prompt)

    def _within(self, edges: NDArray[np.float64], but: int) -> NDArray[np.intp]:
        """Return the indices of prompts, all but one, whose bounding box meets a box in slide pixels; in order."""
        near = self._places.meeting(edges)
        others: NDArray[np.intp] = near[near != but]
        return others


def plan_views(
    field: SignalField, grid: Grid, spec: CropSpec, mode: GlandMode, prompts: Iterable[int] | None = None
) -> list[View]:
    """Return the views of prompts, in their order: of those with these indices, or of all that want an outline."""
    indices = field.having(Role.SEGMENT) if prompts is None else list(prompts)
    corners = (field.spots(indices, grid) - spec.size // 2).tolist()
    views: list[View] = []
    for index, (top, left), is_click in zip(indices, corners, field.are_clicks(indices).tolist(), strict=True):
        if is_click:
            views.append(View(index, grid, Window(left, top, spec.size, spec.size)))
        else:
            views += _views_of(field, index, grid, spec, mode)
    return views


def _views_of(field: SignalField, index: int, grid: Grid, spec: CropSpec, mode: GlandMode) -> Iterator[View]:
    pixels = field.pixels(index, grid)
    longest = int(np.ptp(pixels, axis=0).max()) + 1
    if longest <= REACH * spec.size:
        yield View(index, grid, _centred(pixels, spec.size))
    elif mode is GlandMode.TILED:
        for window in _covering(pixels, spec.size):
            yield View(index, grid, window)
    else:
        coarse = grid.coarsened(longest / (REACH * spec.size))
        yield View(index, coarse, _centred(field.pixels(index, coarse), spec.size))


def wider_view(view: View, corners: NDArray[np.float64]) -> View | None:
    """Return the next, wider view of a gland that reaches the border of a view; None after the last.

    Parameters
    ----------
    corners
        Of the box around what has been found of the gland and its squiggle: (2, 2) row and column in slide pixels.
    """
    if view.look == len(WIDER):
        return None
    grid = view.grid.coarsened(WIDER[view.look])
    pixels = np.floor(corners / grid.downsample).astype(np.int64)
    return View(view.prompt, grid, _centred(pixels, view.window.width), view.look + 1)


def _centred(pixels: Pixels, size: int) -> Window:
    """Return the window around the signal's bounding box; a click's pixel is at (size // 2, size // 2)."""
    top, left = middle_of(pixels) - size // 2
    return Window(int(left), int(top), size, size)


def _covering(pixels: Pixels, size: int) -> Iterator[Window]:
    """Yield half-overlapping windows over the signal, counted from its own corner, each with signal inside."""
    step = size // 2
    low, high = pixels.min(axis=0), pixels.max(axis=0)
    rows, columns = (range(int(low[i]) - step, int(high[i]) + 1, step) for i in (0, 1))
    for top in rows:
        for left in columns:
            offset = pixels - (top, left)
            if ((offset >= 0) & (offset < size)).all(axis=1).any():
                yield Window(left, top, size, size)
