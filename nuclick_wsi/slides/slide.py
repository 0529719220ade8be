"""The `Slide` protocol: sizes, levels, a pixel size, and pixels on request.

`nuclick_wsi.slides.readers.open_slide` opens a path as a `Slide`. No slide library is imported here.
"""

import hashlib
import os
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

_ENDS = 1 << 20
"""Bytes at either end of a file that its fingerprint reads."""

_WITH_FOLDER = ".mrxs"
"""A slide whose pixels are in a folder of the same name beside it."""


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


def fingerprint(path: Path) -> str:
    """Return a cheap name for the content of a slide file, for run records: 64 hexadecimal digits.

    It is the SHA-256 of the file's length and its first and last MiB: a change of a few pixels in the middle goes
    unseen. A folder, and the folder that a MIRAX slide keeps beside it, count by names and lengths of their files.

    Raises
    ------
    SlideError
        If the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if not path.is_dir():
            digest.update(_ends(path))
        if path.is_dir() or path.suffix.lower() == _WITH_FOLDER:
            digest.update(_listing(path if path.is_dir() else path.with_suffix("")))
    except OSError as error:
        raise SlideError(f"{path}: cannot be read ({error.strerror or error}).") from error
    return digest.hexdigest()


def _ends(path: Path) -> bytes:
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        first = file.read(_ENDS)
        file.seek(max(len(first), length - _ENDS))
        return f"{length}\n".encode() + first + file.read()


def _listing(folder: Path) -> bytes:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return "".join(f"{file.relative_to(folder).as_posix()}\0{file.stat().st_size}\n" for file in files).encode()
