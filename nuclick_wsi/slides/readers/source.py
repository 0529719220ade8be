"""What one library says of a file, before frames and white margins: the border that every adapter keeps.

An adapter opens a file or raises a `SlideError` with the library's own reason; it then reads inside its levels only.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Region, Size
from nuclick_wsi.scale import PixelSize


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What the library says of the whole file."""

    reader: ReaderChoice
    sizes: tuple[Size, ...]
    """Of all levels, finest first."""
    pixel_size: PixelSize | None = None
    """Of level 0, as the library says."""
    bounds: Region | None = None
    """The part that was scanned, whole slide pixels; None where that is everything."""
    is_as_stored: bool = False
    """Whether each level is one picture of a TIFF as it stands there, of which nothing is moved, joined or made up."""
    remarks: tuple[str, ...] = ()
    """What the user is to know of how it is read, each a clause."""


class Source(Protocol):
    """An open file. Several threads may read at the same time."""

    @property
    def about(self) -> SourceInfo:
        """What the library says of the file."""

    def read_inside(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        """Read a rectangle that lies inside a level, in that level's pixels: shape (height, width, 3).

        Raises
        ------
        SlideError
            With the library's own reason.
        """

    def close(self) -> None:
        """Let go of the file."""


def pixel_size_of(x_um: object, y_um: object) -> PixelSize | None:
    """Return a pixel size from two numbers or texts, None where they are no positive numbers."""
    try:
        return PixelSize(float(str(x_um)), float(str(y_um)))
    except ValueError:
        return None


def bounds_of(properties: Mapping[str, object], prefix: str) -> Region | None:
    """Return the part that was scanned, by the properties `<prefix>.bounds-x` and so on; None without such a part."""
    try:
        sides = [int(str(properties[f"{prefix}.bounds-{name}"])) for name in ("x", "y", "width", "height")]
    except (KeyError, ValueError):
        return None
    return Region(*sides) if min(sides[2:]) >= 1 else None


def is_as_stored(vendor: object) -> bool:
    """Whether a library shows the pictures of a vendor's TIFF files as they stand there.

    Of other vendors it joins parts that overlap or lie apart.
    """
    return vendor in ("aperio", "generic-tiff")


def number_of(value: object) -> float | None:
    """Return a positive number that a file gives as text or number, else None."""
    size = pixel_size_of(value, 1)
    return size.x_um if size else None


@contextmanager
def in_our_words() -> Iterator[None]:
    """Make a `SlideError` of whatever a damaged header or one of a dozen codecs leads to in a library."""
    try:
        yield
    except SlideError:
        raise
    except Exception as error:
        raise SlideError(f"{type(error).__name__}: {error}") from error
