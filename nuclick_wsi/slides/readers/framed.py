"""A library's file becomes a `Slide`: the frame, the levels' true downsamples, and white outside the slide.

These rules are here once, so that all readers agree on them: OpenSlide gives transparent pixels outside, TiffSlide
black ones, plain images nothing.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Point, Region, Size
from nuclick_wsi.scale import PixelSize, Window
from nuclick_wsi.slides.pixel_sizes import in_microns, is_plausible
from nuclick_wsi.slides.readers.own_tiles import OwnTiles
from nuclick_wsi.slides.readers.source import Source
from nuclick_wsi.slides.readers.tiff_content import NOTHING_KNOWN, TiffContent
from nuclick_wsi.slides.slide import Frame, Level, SlideInfo

WHITE = 255

_SAME_SHAPE = 0.01
"""How far, beyond rounding, width and height of a level may be shrunk by different factors."""


class FramedSlide:
    """A slide over one library's file; keeps the `Slide` protocol."""

    def __init__(self, path: Path, source: Source, frame: Frame, content: TiffContent = NOTHING_KNOWN) -> None:
        about = source.about
        region = Region.of(about.sizes[0])
        if frame is Frame.BOUNDS and about.bounds is not None:
            region = about.bounds
        self._places = _levels_in_order(about.sizes)
        extents = [_LevelExtent.of(about.sizes[0], about.sizes[place], region) for place in self._places]
        stated = [one for one in (content.described_size, about.pixel_size, content.resolution) if one is not None]
        plausible = next(filter(is_plausible, stated), None)
        self._source = OwnTiles(path, source)
        self._windows = [extent.window for extent in extents]
        self._closed = False
        self._info = SlideInfo(
            path=path,
            reader=about.reader,
            size=Size(int(region.width), int(region.height)),
            levels=tuple(extent.level for extent in extents),
            pixel_size=plausible,
            refused_pixel_size=None if plausible else next(iter(stated), None),
            frame=frame,
            origin=Point(region.x, region.y),
            remarks=(*about.remarks, *content.remarks, *_doubts(content.described_size, plausible)),
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
            size = Size(window.width, window.height)
            pixels = self._source.read_inside(self._places[level], window.x, window.y, size)
            if pixels.shape[:2] != window.shape:
                raise SlideError(f"{pixels.shape[1]} x {pixels.shape[0]} px came")
            return pixels
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


def _levels_in_order(sizes: Sequence[Size]) -> list[int]:
    """Return which of a library's levels are those of its level 0, the finest first.

    Some files list their levels in another order, and some libraries count a label or an overview as one.
    """
    full = sizes[0]
    alike = [place for place, size in enumerate(sizes) if _has_shape(full, size)]
    return sorted(alike, key=lambda place: -sizes[place].width)


def _has_shape(full: Size, size: Size) -> bool:
    ratios = full.width / size.width, full.height / size.height
    rounding = 1 / size.width + 1 / size.height
    return min(ratios) >= 1 and max(ratios) / min(ratios) <= 1 + rounding + _SAME_SHAPE


def _doubts(described: PixelSize | None, used: PixelSize | None) -> tuple[str, ...]:
    """Return a remark where a file says one size that no microscope gives, and another that is used."""
    if described is None or used is None or is_plausible(described):
        return ()
    return (
        f"the file's description says that a pixel is {in_microns(described)}, which no microscope gives; its other "
        f"statement, {in_microns(used)}, is used",
    )


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
