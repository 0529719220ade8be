"""The `Slide` protocol: sizes, levels, a pixel size, and pixels on request.

`nuclick_wsi.slides.readers.open_slide` opens a path as a `Slide`. No slide library is imported here.
"""

from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Point, Size
from nuclick_wsi.scale import PixelSize

_CORNER = Point(0, 0)


class Frame(Enum):
    """Where (0, 0) is, on slides whose file says that only a part of them was scanned."""

    FULL = "full"
    """The corner of the whole slide, as in ASAP and in QuPath's `--no-crop`."""
    BOUNDS = "bounds"
    """The corner of the part that was scanned (`openslide.bounds-*`), as in QuPath."""


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of a slide.

    `downsample` is slide pixels per pixel of this level, the same for x and y. Slide pixel (0, 0) has its corner at
    (shift_x, shift_y) inside this level's first pixel, in its pixels, [0, 1): not 0 only where `Frame.BOUNDS` cuts
    through a pixel.
    """

    downsample: float
    size: Size
    shift_x: float = 0.0
    shift_y: float = 0.0


@dataclass(frozen=True, slots=True)
class SlideInfo:
    """What is known of a slide without reading its pixels; sizes are in the frame that it was opened in."""

    path: Path
    reader: ReaderChoice
    """The library that reads it; never AUTO."""
    size: Size
    """Of level 0: what positions on the slide are counted in."""
    levels: tuple[Level, ...]
    """Finest first; never empty, and the first has downsample 1."""
    pixel_size: PixelSize | None
    """Of level 0, as the file says; None where it says nothing, or nothing that a microscope gives."""
    refused_pixel_size: PixelSize | None = None
    """What the file says instead, where no microscope gives that."""
    frame: Frame = Frame.FULL
    origin: Point = _CORNER
    """Where (0, 0) of this frame is on the whole slide, in slide pixels."""
    remarks: tuple[str, ...] = ()
    """What the user is to know of how the file is read, each a clause."""


class Slide(Protocol):
    """A slide that is open. Several threads may read at the same time; one closes it when all are done."""

    @property
    def info(self) -> SlideInfo:
        """What is known without reading pixels."""

    def read(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        """Read a rectangle of one level; what lies outside the slide is white.

        Parameters
        ----------
        level
            Index into `info.levels`.
        x, y
            Left column and top row in that level's own pixels; may be negative or beyond the end.
        size
            Columns and rows to read, in that level's own pixels.

        Returns
        -------
        array of shape (height, width, 3), uint8
            Red, green, blue.

        Raises
        ------
        SlideError
            If the file cannot be read there. Other places can be read after that.
        """

    def close(self) -> None:
        """Close the file."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def require_size(info: SlideInfo, expected: Size | None, drawn_on: str, advice: str) -> None:
    """Refuse a slide that is not the one that was annotated: outlines in wrong places are worse than none.

    Parameters
    ----------
    expected
        Size of level 0 of the slide that was annotated; None where it is not known, which accepts any slide.
    drawn_on, advice
        For the message: what has the expected size, as the beginning of a clause, and what the user can do.

    Raises
    ------
    SlideError
        The sizes differ.
    """
    if expected is not None and expected != info.size:
        raise SlideError(
            f"{info.path} has {info.size.width} x {info.size.height} px as {info.reader} reads it; {drawn_on} "
            f"{expected.width} x {expected.height} px. {advice}"
        )
