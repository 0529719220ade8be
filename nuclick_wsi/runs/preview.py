"""An overlay picture of each image: tissue, prompts and outlines."""

import io
import math
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import shapely
from PIL import Image, ImageDraw

from nuclick_wsi.formats.geojson import Color, color_of
from nuclick_wsi.geometry import Region
from nuclick_wsi.ownership import ResultPlace, source_name, write_picture
from nuclick_wsi.prompts import Click, Prompt
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.engine import Outcome
from nuclick_wsi.slides.resample import read_window
from nuclick_wsi.slides.slide import Slide

LONGEST_SIDE = 1600
"""Pixels; a larger region is drawn smaller."""
LARGEST_ZOOM = 2.0
SMOOTH = 2
"""Lines are drawn this many times larger and reduced, because Pillow draws them without smoothing."""
NO_CLASS: Color = (255, 220, 0)
REJECTED: Color = (230, 0, 0)

ToPicture = Callable[[np.ndarray], list[tuple[float, float]]]


def write_preview(
    path: Path, slide: Slide, prompts: Iterable[Prompt], outcome: Outcome, colors: Mapping[str, Color]
) -> ResultPlace:
    """Draw everything that a run saw and made on one slide, over the region that holds it, as PNG; return where.

    Raises
    ------
    ResultError
        If the picture cannot be written.
    SlideError
        If the slide cannot be read there.
    """
    drawn = list(prompts)
    region = _region_of(drawn, outcome, slide)
    downsample = max(max(region.width, region.height) / LONGEST_SIDE, 1 / LARGEST_ZOOM)
    window = _window_of(region, downsample)
    tissue = Image.fromarray(read_window(slide, Grid(downsample, 1.0), window))
    canvas = tissue.resize((tissue.width * SMOOTH, tissue.height * SMOOTH))

    def to_picture(points: np.ndarray) -> list[tuple[float, float]]:
        pixels = (points / downsample - (window.x, window.y)) * SMOOTH
        return [(float(x), float(y)) for x, y in pixels]

    _draw(ImageDraw.Draw(canvas), drawn, outcome, colors, to_picture)
    target = io.BytesIO()
    canvas.resize(tissue.size, Image.Resampling.LANCZOS).save(target, "PNG")
    return write_picture(path, target.getvalue(), source_name(path.parent, slide.info.path))


def _region_of(prompts: list[Prompt], outcome: Outcome, slide: Slide) -> Region:
    """Return the bounding box of all that is drawn with some tissue around it, inside the slide."""
    size = slide.info.size
    points = [(p.x, p.y) for prompt in prompts for stroke in prompt.signal.strokes for p in stroke]
    corners = [shapely.total_bounds([instance.polygon for instance in outcome.instances])] if outcome.instances else []
    everything = np.vstack([np.array(points).reshape(-1, 2), np.array(corners).reshape(-1, 2)])
    if not len(everything):
        return Region.of(size)
    margin = 0.05 * float(np.ptp(everything, axis=0).max()) + 32
    low = np.clip(everything.min(axis=0) - margin, 0, (size.width - 1, size.height - 1))
    high = np.clip(everything.max(axis=0) + margin, low + 1, (size.width, size.height))
    return Region(*map(float, low), *map(float, high - low))


def _window_of(region: Region, downsample: float) -> Window:
    left, top = math.floor(region.x / downsample), math.floor(region.y / downsample)
    right = math.ceil((region.x + region.width) / downsample)
    bottom = math.ceil((region.y + region.height) / downsample)
    return Window(left, top, right - left, bottom - top)


def _draw(
    pen: ImageDraw.ImageDraw,
    prompts: list[Prompt],
    outcome: Outcome,
    colors: Mapping[str, Color],
    to_picture: ToPicture,
) -> None:
    for instance in outcome.instances:
        for ring in shapely.get_rings(shapely.get_parts(instance.polygon)):
            _line(pen, to_picture(shapely.get_coordinates(ring)), _color(instance.class_name, colors), 2)
    rejected = {rejection.prompt_id for rejection in outcome.rejections}
    for prompt in prompts:
        color = REJECTED if prompt.id in rejected else _color(prompt.class_name, colors)
        for stroke in prompt.signal.strokes:
            points = to_picture(np.array([(p.x, p.y) for p in stroke]))
            if isinstance(prompt.signal, Click):
                (x, y), radius = points[0], 2 * SMOOTH
                pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color, outline=(255, 255, 255))
            else:
                _line(pen, points, color, 3)


def _line(pen: ImageDraw.ImageDraw, points: list[tuple[float, float]], color: Color, width: int) -> None:
    """Draw a line with a dark rim, so that it is seen on any tissue."""
    pen.line(points, fill=(20, 20, 20), width=(width + 1) * SMOOTH, joint="curve")
    pen.line(points, fill=color, width=width * SMOOTH - SMOOTH // 2, joint="curve")


def _color(class_name: str | None, colors: Mapping[str, Color]) -> Color:
    if class_name is None:
        return NO_CLASS
    return colors.get(class_name) or color_of(class_name)
