"""Crops around outlines and rejections, at the pixel size at which the network saw them."""

from dataclasses import dataclass

import numpy as np
import shapely
from PIL import Image

from nuclick_wsi.geometry import Point, Region
from nuclick_wsi.instances import Instance, Rejection
from nuclick_wsi.prompts import ObjectKind, Prompt
from nuclick_wsi.runs.preview.canvas import Canvas, square_around
from nuclick_wsi.runs.preview.overview import REJECTED
from nuclick_wsi.runs.preview.pictured import Pictured, Survey

SIDE = 240
"""Pixels of a crop."""
_LEAST_GRID_PIXELS = 96
"""Of the network; a larger object is shown smaller."""
_MARGIN = 0.3
_COARSEST = 4
"""How many times a crop may have more of the network's pixels than its own before fewer are read."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A crop and what it shows.

    Attributes
    ----------
    place
        Where the prompt is, in slide pixels (level 0).
    """

    shown: Instance | Rejection
    place: Point
    picture: Image.Image


class Cropper:
    """Cuts crops out of one image.

    Parameters
    ----------
    survey
        Of its outlines.
    """

    def __init__(self, pictured: Pictured, survey: Survey) -> None:
        self._pictured, self._survey = pictured, survey
        self._prompts = {prompt.id: prompt for prompt in pictured.prompts}
        self._downsample = {reading.kind: reading.downsample for reading in pictured.readings}

    def outline(self, instance: Instance) -> Crop:
        """Return the crop of an outline, with its prompt and the outlines around it."""
        prompt = self._prompts.get(instance.prompt_id)
        marks = [shapely.get_coordinates(instance.polygon), *([_points(prompt)] if prompt else [])]
        canvas = self._canvas(marks, instance.kind, except_for=instance)
        color = self._pictured.color(instance.class_name)
        canvas.draw_outline(instance.polygon, color, 2.2)
        if prompt is not None:
            canvas.draw_prompt(prompt, color, 2)
        corner = marks[-1][0]
        return Crop(instance, Point(float(corner[0]), float(corner[1])), _cut(canvas))

    def rejection(self, rejection: Rejection) -> Crop | None:
        """Return the crop of a rejection; None where it has no place on the slide."""
        place = rejection.position
        if place is None or not Region.of(self._pictured.slide.info.size).contains(place):
            return None
        prompt = self._prompts.get(rejection.prompt_id)
        kind = rejection.kind or ObjectKind.NUCLEUS
        canvas = self._canvas([_points(prompt) if prompt else np.array([[place.x, place.y]])], kind)
        if prompt is not None:
            canvas.draw_prompt(prompt, REJECTED, 2)
        canvas.draw_ring(place, REJECTED, 14)
        return Crop(rejection, place, _cut(canvas))

    def _canvas(self, marks: list[np.ndarray], kind: ObjectKind, *, except_for: Instance | None = None) -> Canvas:
        """Return the tissue around some points, with the outlines of that kind there but one."""
        downsample = self._downsample.get(kind, 1.0)
        region = square_around(marks, _LEAST_GRID_PIXELS * downsample, _MARGIN, self._pictured.slide.info.size)
        read = max(downsample, region.width / (SIDE * _COARSEST))
        canvas = Canvas(self._pictured.slide, region, read, SIDE * read / region.width)
        own = None if except_for is None else except_for.prompt_id
        for place in self._survey.near(region.x, region.y, region.x + region.width, region.y + region.height):
            one = self._pictured.instances[place]
            if one.prompt_id != own and one.kind is kind:
                canvas.draw_outline(one.polygon, self._pictured.color(one.class_name), 1)
        return canvas


def _cut(canvas: Canvas) -> Image.Image:
    """Return a crop without the part that whole pixels of the network added."""
    return canvas.picture().crop((0, 0, SIDE, SIDE))


def _points(prompt: Prompt) -> np.ndarray:
    return np.array([(point.x, point.y) for stroke in prompt.signal.strokes for point in stroke])
