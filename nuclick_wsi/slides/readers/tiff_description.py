"""What programs write into a TIFF's description: planes and pixel size, as OME-XML or as ImageJ's lines.

A few attributes need no XML parser, and thus none of the attacks on one.
"""

import html
import re
from dataclasses import dataclass

from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.readers.source import pixel_size_of

_IN_MICRONS = {
    "": 1.0,
    **dict.fromkeys(("µm", "μm", "um", "micron", "microns", "micrometer", "micrometers", "micrometre"), 1.0),
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre"), 1e-3),
    **dict.fromkeys(("mm", "millimeter", "millimeters", "millimetre"), 1e3),
    **dict.fromkeys(("cm", "centimeter", "centimeters", "centimetre"), 1e4),
    **dict.fromkeys(("m", "meter", "meters", "metre"), 1e6),
    **dict.fromkeys(("in", "inch", "inches"), 25_400.0),
    **dict.fromkeys(("Å", "angstrom"), 1e-4),
}
"""Of units as they are spelled; OME's own is the micron, which it need not name."""

_ATTRIBUTE = re.compile(r"""(?<![\w:])([\w:]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_MOST_DIGITS = 9
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")


@dataclass(frozen=True, slots=True)
class Described:
    """The picture that a description is of.

    Attributes
    ----------
    components
        Numbers for each place in a plane, as a whole: 3 of an RGB picture, 4 of four channels.
    slices, frames
        Number of z-slices and of time points.
    """

    components: int
    slices: int
    frames: int
    pixel_size: PixelSize | None


def described(description: str, resolution: tuple[float | None, float | None] = (None, None)) -> Described | None:
    """Return what a description says; None where it is of another kind.

    Parameters
    ----------
    resolution
        The file's numbers of pixels per unit; what the unit is, ImageJ says in its description.
    """
    if description.startswith("ImageJ="):
        return _imagej(description, resolution)
    attributes = _pixels(description)
    if attributes is None:
        return None
    components, slices, frames = (_count(attributes.get(name)) for name in ("SizeC", "SizeZ", "SizeT"))
    return Described(components, slices, frames, ome_pixel_size(description))


def ome_pixel_size(description: str) -> PixelSize | None:
    """Return the pixel size in OME-XML; None where it has none. Only the first image counts, which is the one read."""
    attributes = _pixels(description) or {}
    sides = []
    for axis in "XY":
        unit = microns_of(attributes.get(f"PhysicalSize{axis}Unit", ""))
        value = pixel_size_of(attributes.get(f"PhysicalSize{axis}"), 1)
        if unit is None or value is None:
            return None
        sides.append(value.x_um * unit)
    return pixel_size_of(*sides)


def _pixels(description: str) -> dict[str, str] | None:
    # Both patterns begin where nothing that they match can go on from before, so that time grows with the text alone.
    found = re.search(r"<(?:\w+:)?Pixels\b[^<>]*>", description)
    if found is None:
        return None
    return {name: html.unescape(double or single) for name, double, single in _ATTRIBUTE.findall(found.group())}


def _imagej(description: str, resolution: tuple[float | None, float | None]) -> Described:
    lines = (line.partition("=") for line in description.splitlines())
    entries = {key.strip(): value.strip() for key, _, value in lines}
    channels, slices, frames = (_count(entries.get(name)) for name in ("channels", "slices", "frames"))
    planes = _count(entries.get("images"))
    if planes > channels * slices * frames:
        slices = planes  # a plain stack says no more than how many pictures it has
    return Described(channels, slices, frames, _imagej_pixel_size(entries, resolution))


def _imagej_pixel_size(entries: dict[str, str], resolution: tuple[float | None, float | None]) -> PixelSize | None:
    x_unit = entries.get("unit", "pixel")
    units = microns_of(x_unit), microns_of(entries.get("yunit", x_unit))
    sides = [unit / per for unit, per in zip(units, resolution, strict=True) if unit and per]
    return pixel_size_of(*sides) if len(sides) == len(resolution) else None


def microns_of(unit: str) -> float | None:
    """Return the microns of a unit, None where it is none of length; ImageJ may write its sign as a Java escape."""
    plain = _ESCAPED.sub(lambda code: chr(int(code[1], 16)), unit).strip()
    return _IN_MICRONS.get(plain, _IN_MICRONS.get(plain.lower()))


def _count(text: str | None) -> int:
    return max(1, int(text)) if text is not None and text.isdecimal() and len(text) <= _MOST_DIGITS else 1
