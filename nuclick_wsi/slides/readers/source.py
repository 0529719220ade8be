"""What one library says of a file, before frames and white margins: the border that every adapter keeps.

An adapter opens a file or raises a `SlideError` with the library's own reason; it then reads inside its levels only.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.geometry import Region, Size
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.slide import is_plausible


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """What the library says of the whole file."""

    reader: ReaderChoice
    sizes: tuple[Size, ...]
    """Of all levels, finest first."""
    pixel_sizes: tuple[PixelSize, ...] = ()
    """Of level 0, all that the file says, the most reliable first."""
    bounds: Region | None = None
    """The part that was scanned, whole slide pixels; None where that is everything."""

    @property
    def pixel_size(self) -> PixelSize | None:
        """The first pixel size that a microscope gives."""
        return next((size for size in self.pixel_sizes if is_plausible(size)), None)


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


_IN_MICRONS = {"": 1.0, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "nm": 1e-3, "mm": 1e3, "cm": 1e4}


def ome_pixel_size(description: str) -> PixelSize | None:
    """Return the pixel size in the OME-XML of a TIFF's description; None where it has none.

    Only the first image counts, which is the one that is read. Two attributes need no XML parser, and thus none of
    the attacks on one.
    """
    found = re.search(r"<(?:\w+:)?Pixels\b[^>]*>", description)
    attributes = dict(re.findall(r'(\w+)\s*=\s*"([^"]*)"', found.group())) if found else {}
    sides = []
    for axis in "XY":
        unit = _IN_MICRONS.get(attributes.get(f"PhysicalSize{axis}Unit", "").replace("&#181;", "µ"))
        value = pixel_size_of(attributes.get(f"PhysicalSize{axis}"), 1)
        if unit is None or value is None:
            return None
        sides.append(value.x_um * unit)
    return PixelSize(*sides)


def bounds_of(properties: Mapping[str, object], prefix: str) -> Region | None:
    """Return the part that was scanned, by the properties `<prefix>.bounds-x` and so on; None without them."""
    try:
        sides = [int(str(properties[f"{prefix}.bounds-{name}"])) for name in ("x", "y", "width", "height")]
    except (KeyError, ValueError):
        return None
    return Region(*sides)


def number_of(value: object) -> float | None:
    """Return a positive number that a file gives as text or number, else None."""
    size = pixel_size_of(value, 1)
    return size.x_um if size else None
