"""A library's file becomes a `Slide`: the frame, the levels' true downsamples, and white outside the slide.

These rules are here once, so that all readers agree on them: OpenSlide gives transparent pixels outside, TiffSlide
black ones, plain images nothing.
"""

import math
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Point, Region, Size
from nuclick_wsi.scale import Window
from nuclick_wsi.slides.readers.source import Source
from nuclick_wsi.slides.slide import Frame, Level, SlideInfo

WHITE = 255


class FramedSlide:
    """A slide over one library's file; keeps the `Slide` protocol."""

    def __init__(self, path: Path, source: Source, frame: Frame) -> None:
        about = source.about
        region = Region.of(about.sizes[0])
        if frame is Frame.BOUNDS and about.bounds is not None:
            region = about.bounds
        extents = [_LevelExtent.of(about.sizes[0], size, region) for size in about.sizes]
        self._source = source
        self._windows = [extent.window for extent in extents]
        self._closed = False
        self._info = SlideInfo(
            path=path,
            reader=about.reader,
            size=Size(int(region.width), int(region.height)),
            levels=tuple(extent.level for extent in extents),
            pixel_size=about.pixel_size,
            refused_pixel_size=None if about.pixel_size else next(iter(about.pixel_sizes), None),
            frame=frame,
            origin=Point(region.x, region.y),
        )

    @property
    def info(self) -> SlideInfo:
        """What is known without reading pixels."""
        return self._info

    def read(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        """Read a rectangle of one level, white outside the slide; see `Slide.read`."""
        extent = self._windows[level]
        wanted = Window(x + extent.x, y + extent.y, size.width, size.height)
        inside = wanted.intersection(extent)
        if inside == wanted:
            return self._read_inside(level, wanted)
        pixels = np.full((size.height, size.width, 3), WHITE, np.uint8)
        if inside is not None:
            pixels[inside.slices_in(wanted)] = self._read_inside(level, inside)
        return pixels

    def _read_inside(self, level: int, window: Window) -> NDArray[np.uint8]:
        if self._closed:
            raise SlideError(f"{self._info.path}: was closed before it was read.")
        try:
            return self._source.read_inside(level, window.x, window.y, Size(window.width, window.height))
        except SlideError as error:
            raise SlideError(
                f"{self._info.path}: level {level} cannot be read at x {window.x}, y {window.y} "
                f"({window.width} x {window.height} px of that level): {error}. The file is damaged or cut short: "
                "copy it again from where it came."
            ) from error

    def close(self) -> None:
        """Let go of the file."""
        if not self._closed:
            self._closed = True
            self._source.close()

    def __enter__(self) -> Self:
        """Return the slide itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the slide."""
        self.close()


class _LevelExtent:
    """A level of a frame, and the pixels of the file's level that it is made of."""

    def __init__(self, level: Level, window: Window) -> None:
        self.level = level
        self.window = window

    @classmethod
    def of(cls, full: Size, size: Size, region: Region) -> "_LevelExtent":
        """Cut a level of a file, whose level 0 has the size `full`, to the region of a frame."""
        downsample = true_downsample(full, size)
        x, y = region.x / downsample, region.y / downsample
        left, top = math.floor(x), math.floor(y)
        right = min(size.width, math.ceil((region.x + region.width) / downsample))
        bottom = min(size.height, math.ceil((region.y + region.height) / downsample))
        # A frame narrower than one pixel of a coarse level still has that pixel.
        window = Window(left, top, max(1, right - left), max(1, bottom - top))
        return cls(Level(downsample, Size(window.width, window.height), x - left, y - top), window)


def true_downsample(full: Size, size: Size) -> float:
    """Return slide pixels per pixel of a level.

    The ratio of two rounded sizes is not what the level was made with: a level of 287 x 216 under 574 x 433 has
    downsample 2, not 2.0023, which would put its far end half a pixel off. So a whole number is taken wherever it
    explains both sides, and the mean of both ratios elsewhere.
    """
    ratios = full.width / size.width, full.height / size.height
    mean = sum(ratios) / 2
    whole = max(1, round(mean))
    sides = ((full.width, size.width), (full.height, size.height))
    explained = all(long // whole <= short <= -(-long // whole) for long, short in sides)
    return float(whole) if explained else mean
