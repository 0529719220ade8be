"""An overview of one image: everything that a run saw and made there, on the region that holds it."""

from itertools import chain

import numpy as np

from nuclick_wsi.geometry import Region
from nuclick_wsi.runs.preview.canvas import Canvas
from nuclick_wsi.runs.preview.pictured import Pictured, Survey

LONGEST_SIDE = 1600
"""Pixels; a larger region is drawn smaller."""
LARGEST_ZOOM = 2.0
REJECTED = (230, 0, 0)


def draw_overview(pictured: Pictured, survey: Survey) -> Canvas:
    """Return the overview of an image, with outlines and prompts drawn on the tissue.

    Parameters
    ----------
    survey
        Of its outlines.
    """
    region = _region_of(pictured, survey)
    downsample = max(max(region.width, region.height) / LONGEST_SIDE, 1 / LARGEST_ZOOM)
    canvas = Canvas(pictured.slide, region, downsample)
    for instance in pictured.instances:
        canvas.draw_outline(instance.polygon, pictured.color(instance.class_name), 2)
    rejected = {rejection.prompt_id for rejection in pictured.rejections}
    for prompt in pictured.prompts:
        color = REJECTED if prompt.id in rejected else pictured.color(prompt.class_name)
        canvas.draw_prompt(prompt, color, 2)
    return canvas


def _region_of(pictured: Pictured, survey: Survey) -> Region:
    """Return the bounding box of all that is drawn with some tissue around it, inside the slide."""
    size = pictured.slide.info.size
    points = (p for prompt in pictured.prompts for stroke in prompt.signal.strokes for p in stroke)
    places = np.fromiter(chain.from_iterable((p.x, p.y) for p in points), np.float64)
    everything = np.vstack([places.reshape(-1, 2), survey.boxes.reshape(-1, 2)])
    if not len(everything):
        return Region.of(size)
    margin = 0.05 * float(np.ptp(everything, axis=0).max()) + 32
    low = np.clip(everything.min(axis=0) - margin, 0, (size.width - 1, size.height - 1))
    high = np.clip(everything.max(axis=0) + margin, low + 1, (size.width, size.height))
    return Region(*map(float, low), *map(float, high - low))
