"""A piece of tissue to draw on, with lines of two tones that are seen on every stain."""

import math
from collections.abc import Iterable

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from nuclick_wsi.errors import SlideError
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.geometry import Point, Region, Size
from nuclick_wsi.prompts import Click, Prompt
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.slides.resample import read_window
from nuclick_wsi.slides.slide import Slide

_SMOOTH = 3
"""Lines are drawn this many times larger and reduced, because Pillow draws them without smoothing."""
_DARK, _LIGHT = (15, 15, 15), (255, 255, 255)
_RIM = 2.0
"""Pixels that a rim adds to the width of a line; to a thin one less."""
_BRIGHT = 140
"""Of 255, from which on a colour has a dark rim."""
_UNREADABLE = (128, 128, 128)


class Canvas:
    """A part of a slide as a picture.

    Parameters
    ----------
    region
        The part, in slide pixels (level 0).
    downsample
        Slide pixels per pixel that is read.
    zoom
        Pixels of the picture per pixel that is read.
    """

    def __init__(self, slide: Slide, region: Region, downsample: float, zoom: float = 1.0) -> None:
        window = _window_of(region, downsample)
        tissue = _tissue(slide, Grid(downsample, 1.0), window)
        self.size = max(1, round(tissue.width * zoom)), max(1, round(tissue.height * zoom))
        self._corner = np.array((window.x, window.y)) * downsample
        self._scale = zoom / downsample
        large = self.size[0] * _SMOOTH, self.size[1] * _SMOOTH
        self._picture = tissue.resize(large, Image.Resampling.BICUBIC)
        self._pen = ImageDraw.Draw(self._picture)

    def place_of(self, point: Point) -> tuple[float, float]:
        """Return where in the picture a point of the slide is, in its pixels."""
        (place,) = self._places(np.array([[point.x, point.y]]))
        return place[0] / _SMOOTH, place[1] / _SMOOTH

    def draw_outline(self, shape: shapely.Geometry, color: Color, width: float) -> None:
        """Draw all rings of a shape."""
        for ring in shapely.get_rings(shapely.get_parts(shape)):
            self._line(shapely.get_coordinates(ring), color, width)

    def draw_prompt(self, prompt: Prompt, color: Color, size: float) -> None:
        """Draw a click as a dot, a squiggle as its lines; `size` is the dot's radius, or about the lines' width."""
        for stroke in prompt.signal.strokes:
            points = np.array([(p.x, p.y) for p in stroke])
            if isinstance(prompt.signal, Click):
                ((x, y),) = self._places(points)
                for radius, tone in ((size + 1, _rim_of(color)), (size, color)):
                    self._pen.ellipse(_box(x, y, radius * _SMOOTH), fill=tone)
            else:
                self._line(points, color, size)

    def draw_ring(self, point: Point, color: Color, radius: float) -> None:
        """Draw a ring around a point."""
        ((x, y),) = self._places(np.array([[point.x, point.y]]))
        for half, tone in ((2.0, _rim_of(color)), (1.0, color)):
            self._pen.ellipse(_box(x, y, (radius + half) * _SMOOTH), outline=tone, width=round(2 * half * _SMOOTH))

    def picture(self) -> Image.Image:
        """Return what has been drawn."""
        return self._picture.resize(self.size, Image.Resampling.LANCZOS)

    def _places(self, points: NDArray[np.float64]) -> list[tuple[float, float]]:
        return [(float(x), float(y)) for x, y in (points - self._corner) * self._scale * _SMOOTH]

    def _line(self, points: NDArray[np.float64], color: Color, width: float) -> None:
        places = self._places(points)
        for wide, tone in ((width + min(width, _RIM), _rim_of(color)), (width, color)):
            self._pen.line(places, fill=tone, width=max(1, round(wide * _SMOOTH)), joint="curve")


def square_around(points: Iterable[NDArray[np.float64]], least_side: float, margin: float, size: Size) -> Region:
    """Return a square around points, inside the slide as far as it fits; all in slide pixels (level 0).

    Parameters
    ----------
    points
        Of shape (n, 2), columns x and y.
    margin
        To each side, as a share of the points' extent.
    """
    everything = np.vstack(list(points))
    low, high = everything.min(axis=0), everything.max(axis=0)
    side = max(least_side, float((high - low).max()) * (1 + 2 * margin))
    middle = (low + high) / 2 - side / 2
    x, y = (
        min(max(0.0, float(at)), extent - side) if side <= extent else (extent - side) / 2
        for at, extent in zip(middle, (size.width, size.height), strict=True)
    )
    return Region(x, y, side, side)


def _window_of(region: Region, downsample: float) -> Window:
    left, top = math.floor(region.x / downsample), math.floor(region.y / downsample)
    right = math.ceil((region.x + region.width) / downsample)
    bottom = math.ceil((region.y + region.height) / downsample)
    return Window(left, top, right - left, bottom - top)


def _tissue(slide: Slide, grid: Grid, window: Window) -> Image.Image:
    """Return a window of the slide; grey where it cannot be read, since its rejections are worth a picture too."""
    try:
        return Image.fromarray(read_window(slide, grid, window))
    except SlideError:
        return Image.new("RGB", (window.width, window.height), _UNREADABLE)


def _rim_of(color: Color) -> Color:
    """Return the tone that a colour stands out from: one of the two is seen on any tissue."""
    red, green, blue = color
    return _DARK if 0.299 * red + 0.587 * green + 0.114 * blue > _BRIGHT else _LIGHT


def _box(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius
