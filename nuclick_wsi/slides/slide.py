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
from nuclick_wsi.errors import PixelSizeError, SlideError
from nuclick_wsi.geometry import Point, Size
from nuclick_wsi.scale import PixelSize

SMALLEST_MPP = 0.05
LARGEST_MPP = 20.0
"""Microns per pixel that a microscope gives; the 72, 96 and 300 dpi that programs write unasked are above."""

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


def is_plausible(size: PixelSize) -> bool:
    """Whether a microscope gives pixels of this size."""
    return all(SMALLEST_MPP <= side <= LARGEST_MPP for side in (size.x_um, size.y_um))


def resolve_pixel_size(
    info: SlideInfo, from_project: PixelSize | None = None, from_user: PixelSize | None = None
) -> PixelSize:
    """Return the pixel size to go by: the project's, else the slide's, else the user's.

    The project comes first because its user may have set it there. A size of the project that no microscope gives
    counts as none: QuPath takes over the 72 dpi of a plain TIFF as 352.78 um.

    Raises
    ------
    PixelSizeError
        If none of the three has one, the pixels are not square to 10 %, or the user's is not of a microscope.
    """
    if from_project is not None and is_plausible(from_project):
        return _square(info, from_project, "its project")
    if info.pixel_size is not None:
        return _square(info, info.pixel_size, "its file")
    if from_user is None:
        raise PixelSizeError(_no_pixel_size(info, from_project))
    if not is_plausible(from_user):
        raise PixelSizeError(
            f"a pixel size of {in_microns(from_user)} is not a microscope's: --mpp takes microns per pixel from "
            f"{SMALLEST_MPP} to {LARGEST_MPP:g}, such as 0.25 for 40x and 0.5 for 20x"
        )
    return _square(info, from_user, "--mpp")


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


def _square(info: SlideInfo, size: PixelSize, source: str) -> PixelSize:
    if not 1 / 1.1 <= size.x_um / size.y_um <= 1.1:
        raise PixelSizeError(
            f"{info.path}: {source} says that a pixel is {in_microns(size)}; pixels must be square to 10 %. "
            "Correct the pixel size in the QuPath project, or resample the slide."
        )
    return size


def _no_pixel_size(info: SlideInfo, from_project: PixelSize | None) -> str:
    refused = from_project or info.refused_pixel_size
    seen = f" (it says {in_microns(refused)}, which no microscope gives)" if refused else ""
    return (
        f"{info.path}: no pixel size is known{seen}. Give it in one of three ways: set it in the QuPath project "
        "(Image tab, double-click on the pixel width); use a file that has it in its metadata; or pass --mpp, "
        "microns per pixel, such as 0.25 for 40x and 0.5 for 20x."
    )


def in_microns(size: PixelSize) -> str:
    """Return a pixel size in words."""
    return f"{size.x_um:.5g} x {size.y_um:.5g} um"


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
