"""The one rule for TIFF files, whatever library reads them: what is read is one upright brightfield picture.

Libraries differ in what they make of channels, planes and turned pictures, and none of them says so.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.readers.tiff_description import Described, described
from nuclick_wsi.slides.readers.tiff_directories import (
    BITS,
    DESCRIPTION,
    EXTRA_SAMPLES,
    HAMAMATSU,
    LENGTHS,
    ORIENTATION,
    PHOTOMETRIC,
    RESOLUTION_UNIT,
    ROWS_PER_STRIP,
    SAMPLES,
    TILE_HEIGHT,
    TILE_WIDTH,
    X_RESOLUTION,
    Y_RESOLUTION,
    Directory,
    MissingDataError,
    directories,
)
from nuclick_wsi.slides.readers.tiff_form import is_usual

_GREY, _COLOURS = (0, 1, 3), {2: "RGB", 6: "YCbCr"}
"""Photometric interpretations: grey from white or black and palettes, with one number for a place, and with three."""
_REFUSED_COLOURS = {4: "mask", 5: "CMYK", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32844: "LogL", 32845: "LogLuv"}
_ALPHA = (1, 2)
_UPRIGHT, _TURNED = 1, range(2, 9)
_MICRONS = {2: 25_400.0, 3: 10_000.0}
"""Of TIFF's resolution units: inch and centimetre. Without one, a resolution is a ratio and no length."""
_LARGEST_PART = 1 << 30
"""Bytes of a tile or strip in memory; tiles of scanners have less than a thousandth of it."""
_MUCH = 1.5
"""How much larger a picture is than another that is at least one step of a pyramid above it."""


@dataclass(frozen=True, slots=True)
class TiffContent:
    """What a file holds, as its directories say.

    Attributes
    ----------
    size
        Of the largest picture; None where that cannot be known.
    described_size, resolution
        Pixel sizes: in the description, and as the resolution for printing.
    remarks
        What of the file is left unread, each a clause.
    is_usual
        Whether it is formed as writers form them, and OpenSlide goes by nothing but the tags that were looked at.
    """

    size: Size | None = None
    described_size: PixelSize | None = None
    resolution: PixelSize | None = None
    remarks: tuple[str, ...] = ()
    is_usual: bool = False

    def require_whole(self, seen: Size) -> None:
        """Refuse a smaller picture of the file in place of the largest: every position would be wrong.

        Raises
        ------
        SlideError
            If what a library sees as level 0 is much smaller.
        """
        if self.size is not None and min(self.size.width / seen.width, self.size.height / seen.height) > _MUCH:
            raise SlideError(
                f"takes a picture of {seen.width} x {seen.height} px for the whole, and the file holds one of "
                f"{self.size.width} x {self.size.height} px: its levels are not in order, the largest first"
            )


NOTHING_KNOWN = TiffContent()
"""Of files of other formats."""


@dataclass(frozen=True, slots=True)
class _Picture:
    """One picture of a file, by its tags."""

    size: Size
    bits: int
    samples: int
    photometric: int
    extra: tuple[int, ...]
    orientation: int
    is_tiled: bool
    description: str
    resolution: tuple[float | None, float | None]
    unit: int

    @classmethod
    def of(cls, one: Directory) -> "_Picture | None":
        size = one.size
        if size is None:
            return None
        return cls(
            size=size,
            bits=int(one.numbers(BITS).max(initial=1)),
            samples=one.number(SAMPLES, 1),
            photometric=one.number(PHOTOMETRIC, 1),
            extra=tuple(one.numbers(EXTRA_SAMPLES).tolist()),
            orientation=one.number(ORIENTATION, _UPRIGHT),
            is_tiled=TILE_WIDTH in one,
            description="" if HAMAMATSU in one else one.text(DESCRIPTION),
            resolution=(one.ratio(X_RESOLUTION), one.ratio(Y_RESOLUTION)),
            unit=one.number(RESOLUTION_UNIT, 2),
        )

    @property
    def is_colour(self) -> bool:
        return self.photometric in _COLOURS


def examine_tiff(path: Path) -> TiffContent:
    """Return what a TIFF holds; a damaged one is judged by what can be read of it.

    Raises
    ------
    SlideError
        If it is no upright brightfield picture of 8 bits; with the reason alone.
    """
    pictures: list[_Picture] = []
    with path.open("rb") as file:
        usual = _add_pictures(file, pictures)
    if not pictures:
        return NOTHING_KNOWN
    # Beside a tiled slide, strips are a label or an overview.
    main = max([one for one in pictures if one.is_tiled] or pictures, key=lambda one: one.size.width * one.size.height)
    said = described(pictures[0].description, pictures[0].resolution)
    _require_eight_bits(main)
    _require_one_colour_picture(main, said)
    alike = sum((one.size, one.samples) == (main.size, main.samples) for one in pictures)
    remarks = _planes(main, alike, said)
    _require_upright(pictures if not main.is_tiled else [one for one in pictures if one.is_tiled])
    described_size = said.pixel_size if said is not None else None
    return TiffContent(main.size, described_size, _resolution(pictures[0]), remarks, usual)


def _add_pictures(file: BinaryIO, pictures: list[_Picture]) -> bool:
    """Append the pictures of a file; return whether all of it is formed as usual."""
    length, usual = os.fstat(file.fileno()).st_size, True
    try:
        for directory in directories(file):
            _require_possible_lengths(directory, length)
            picture = _Picture.of(directory)
            if picture is not None:
                _require_small_parts(directory, picture)
                pictures.append(picture)
            usual = usual and is_usual(directory, length)
    except MissingDataError:
        return False  # the libraries say what is wrong with it
    return usual


def _require_possible_lengths(one: Directory, length: int) -> None:
    """Refuse a tile or strip that is longer than its file: OpenSlide makes room for it before it reads, or ends."""
    for tag in LENGTHS if HAMAMATSU not in one else ():
        if (longest := int(one.numbers(tag).max(initial=0))) > length:
            raise SlideError(
                f"the file is cut short or damaged: it has {length:,} bytes, and one of its tiles or strips alone "
                f"{longest:,}. Copy it again from where it came"
            )


def _require_small_parts(one: Directory, picture: _Picture) -> None:
    """Refuse tiles and strips that no scanner writes and no memory holds: OpenSlide ends the process on them."""
    if HAMAMATSU in one:
        return  # a whole picture in one strip, which is read in parts
    if picture.is_tiled:
        what, width, height = "tiles", one.number(TILE_WIDTH, 0), one.number(TILE_HEIGHT, 0)
    else:
        what, width = "strips", picture.size.width
        height = min(one.number(ROWS_PER_STRIP, picture.size.height), picture.size.height)
    if min(width, height) < 1 or width * height * max(4, picture.samples) > _LARGEST_PART:
        raise SlideError(
            f"is damaged: it says that a picture is made of {what} of {width:,} x {height:,} px. Copy the file again "
            "from where it came"
        )


def _require_eight_bits(main: _Picture) -> None:
    """Refuse 16 bits rather than scale them: which range of them is visible is not in the file."""
    if main.bits > 8:
        raise SlideError(
            f"holds {main.bits} bits per channel, and pictures of 8 bits are read: convert it to an RGB picture of 8 "
            "bits, with the range of brightness that matters"
        )


def _require_one_colour_picture(main: _Picture, said: Described | None) -> None:
    components = max(main.samples, said.components if said is not None else 1)
    if components > main.samples:
        raise _no_brightfield(f"{components} channels, each in a plane of its own")
    own = 3 if main.is_colour else 1
    is_known = main.is_colour or main.photometric in _GREY
    has_alpha = main.samples == own + 1 and main.extra[:1] and main.extra[0] in _ALPHA
    if not is_known:
        name = _REFUSED_COLOURS.get(main.photometric, f"colours of kind {main.photometric}")
        raise SlideError(f"holds {name}; RGB, YCbCr, grey and palettes are read: convert it to RGB of 8 bits")
    if main.samples != own and not has_alpha:
        raise _no_brightfield(f"{main.samples} channels")


def _no_brightfield(seen: str) -> SlideError:
    return SlideError(
        f"holds {seen}, as fluorescence does; brightfield pictures are read, which are RGB. Where the channels are the "
        "red, green and blue of one picture, save it as RGB (in ImageJ: Image > Type > RGB Color)"
    )


def _planes(main: _Picture, alike: int, said: Described | None) -> tuple[str, ...]:
    """Return remarks on the planes that are not read; refuse those of which nothing says what they are."""
    slices, frames = (said.slices, said.frames) if said is not None else (1, 1)
    more = [f"{count} {what}" for count, what in ((slices, "z-slices"), (frames, "time points")) if count > 1]
    if not more and alike > 1 and not main.is_colour:
        raise _no_brightfield(f"{alike} channels or planes of grey")
    if not more and alike > 1 and "<scn" not in main.description:
        more = [f"{alike} pictures of one size"]
    if not more:
        return ()
    return (f"the file holds {' and '.join(more)}, of which the first is read; marks on others get no outline",)


def _require_upright(pictures: Sequence[_Picture]) -> None:
    turned = next((one.orientation for one in pictures if one.orientation in _TURNED), None)
    if turned is not None:
        raise SlideError(
            f"is marked as turned or mirrored (orientation {turned} in its tags). Programs differ in whether they turn "
            "it, so it is not known where a position on it is: save it upright, with orientation 1"
        )


def _resolution(first: _Picture) -> PixelSize | None:
    x, y = first.resolution
    unit = _MICRONS.get(first.unit)
    return PixelSize(unit / x, unit / y) if unit and x and y else None
