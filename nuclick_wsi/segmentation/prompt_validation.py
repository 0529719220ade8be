"""Which prompts can be segmented: the others are rejected by name before anything is read."""

import math
from collections.abc import Iterable, Sequence

import numpy as np

from nuclick_wsi.geometry import Region
from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.prompts import Click, ObjectKind, Plane, Prompt, Role, Squiggle
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.signals import REACH
from nuclick_wsi.slides.slide import SlideInfo

_ONLY = Plane()

LONGEST_IN_GLAND_PX = 1536
"""Pixels of the grid that a line through a gland may span, 3 mm with the model that is shipped: the map of what is seen
of it has up to 16 million pixels. A ruler line of 25 mm would take 17 GB."""


def refuse_misplaced(prompts: Iterable[Prompt], info: SlideInfo) -> tuple[list[Prompt], list[Rejection]]:
    """Split off the prompts that lie outside the slide, or on a plane other than its only one.

    A squiggle lies outside when all of its points do. What only excludes is left out without a rejection: it asks
    for nothing.
    """
    kept: list[Prompt] = []
    rejections: list[Rejection] = []
    slide = Region.of(info.size)
    for prompt in prompts:
        fault = _misplacement(prompt, slide)
        if fault is None:
            kept.append(prompt)
        elif prompt.role is Role.SEGMENT:
            rejections.append(Rejection.of(prompt, *fault))
    return kept, rejections


def _misplacement(prompt: Prompt, slide: Region) -> tuple[Reason, str] | None:
    if (prompt.plane.z, prompt.plane.t) != (_ONLY.z, _ONLY.t):
        return Reason.OTHER_PLANE, f"it is on z {prompt.plane.z}, t {prompt.plane.t}; the slide has z 0, t 0"
    if any(slide.contains(point) for stroke in prompt.signal.strokes for point in stroke):
        return None
    first = prompt.signal.strokes[0][0]
    return (
        Reason.OUTSIDE_SLIDE,
        f"it is at ({first.x:.2f}, {first.y:.2f}); the slide has {slide.width:.0f} x {slide.height:.0f} px",
    )


def refuse_long_lines(prompts: Sequence[Prompt], grid: Grid, crop: int) -> tuple[list[Prompt], list[Rejection]]:
    """Split off the lines that are too long to lie in one object: they were drawn through something larger.

    A nucleus or a cell fits in its crop. A gland may be larger, as far as its mask fits in memory. A neighbour is left
    out without a rejection.

    Parameters
    ----------
    crop
        Side of the kind's crop, in pixels of the grid.
    """
    kept: list[Prompt] = []
    rejections: list[Rejection] = []
    for prompt in prompts:
        longest = LONGEST_IN_GLAND_PX if prompt.kind is ObjectKind.GLAND else REACH * crop
        # A slide may have a million clicks, and these have no length.
        may_be_long = isinstance(prompt.signal, Squiggle) and prompt.role is not Role.EXCLUDE_ONLY
        if not may_be_long or (spans := _span(prompt, grid)) <= longest:
            kept.append(prompt)
        elif prompt.role is Role.SEGMENT:
            um = math.sqrt(grid.pixel_area_um2)
            detail = f"it spans {spans * um:.0f} um; a line through a {prompt.kind} spans up to {longest * um:.0f} um"
            rejections.append(Rejection.of(prompt, Reason.TOO_LONG, detail))
    return kept, rejections


def _span(prompt: Prompt, grid: Grid) -> float:
    """Return the longer side of a signal's bounding box, in pixels of the grid."""
    columns, rows = zip(*(grid.position(point) for stroke in prompt.signal.strokes for point in stroke), strict=True)
    return float(max(max(columns) - min(columns), max(rows) - min(rows)))


def refuse_duplicates(prompts: Sequence[Prompt], grid: Grid) -> tuple[list[Prompt], list[Rejection]]:
    """Split off the prompts that the network could not tell from another: drawn on the same grid pixels.

    The one with the lowest id stays, whatever order they come in. What only excludes never stands in the way, and a
    neighbour is left out without a rejection.
    """
    first: dict[frozenset[tuple[int, int]], Prompt] = {}
    refused: set[str] = set()
    rejections: list[Rejection] = []
    for prompt in sorted(_perhaps_alike(prompts, grid), key=lambda one: one.id):
        spot = frozenset(grid.pixel_of(point) for stroke in prompt.signal.strokes for point in stroke)
        kept = first.setdefault(spot, prompt)
        if kept is prompt:
            continue
        refused.add(prompt.id)
        if prompt.role is Role.SEGMENT:
            detail = f"prompt {kept.id} (class {kept.class_name or 'none'}) is drawn there too and is kept"
            rejections.append(Rejection.of(prompt, Reason.DUPLICATE, detail))
    return [prompt for prompt in prompts if prompt.id not in refused], rejections


def _perhaps_alike(prompts: Sequence[Prompt], grid: Grid) -> list[Prompt]:
    """Return the prompts that have their first pixel in common with another; of a million, few have."""
    spots = [prompt for prompt in prompts if prompt.role is not Role.EXCLUDE_ONLY]
    pixels = np.array([_first_pixel(prompt, grid) for prompt in spots], np.int64).reshape(-1, 2)
    order = np.lexsort(pixels.T)
    follows_its_like = (pixels[order][1:] == pixels[order][:-1]).all(axis=1)
    alike = np.union1d(order[1:][follows_its_like], order[:-1][follows_its_like])
    return [spots[index] for index in alike.tolist()]


def _first_pixel(prompt: Prompt, grid: Grid) -> tuple[int, int]:
    """Return the leftmost grid pixel of a prompt's points, the upper one of several."""
    if isinstance(prompt.signal, Click):
        return grid.pixel_of(prompt.signal.point)
    return min(grid.pixel_of(point) for stroke in prompt.signal.strokes for point in stroke)
