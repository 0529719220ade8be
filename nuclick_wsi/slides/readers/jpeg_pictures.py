"""The pictures of a TIFF that consist of JPEG tiles, by its directories, and each tile as a JPEG file of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Window
from nuclick_wsi.slides.readers.tiff_directories import (
    BITS,
    COMPRESSION,
    HAMAMATSU,
    JPEG_TABLES,
    PHOTOMETRIC,
    PLANES,
    SAMPLES,
    TILE_HEIGHT,
    TILE_LENGTHS,
    TILE_OFFSETS,
    TILE_WIDTH,
    Directory,
    MissingDataError,
    directories,
    is_tiff,
)

_JPEG = 7
_RGB, _YCBCR = 2, 6
_EIGHT_BITS, _TOGETHER = 8, 1
_IS_RGB = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"
"""A segment that tells libjpeg that its three colours are no YCbCr, which it takes them for without one."""
_SMALL = 1 << 20
"""Bytes of a tile that are asked for whatever the length of the file."""
_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG", "JPEG datastream")
"""How libjpeg's warnings of damage begin; it has others, of unusual but whole files."""


@dataclass(frozen=True, slots=True)
class JpegPicture:
    """The JPEG tiles of one picture of a file.

    Attributes
    ----------
    is_plain
        Whether its pixels are three colours of 8 bits side by side, RGB or YCbCr, as nearly all slides have them.
    """

    path: Path
    tile: Size
    columns: int
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    tables: bytes
    is_rgb: bool
    is_plain: bool

    @classmethod
    def of(cls, path: Path, one: Directory) -> "JpegPicture | None":
        """Return the picture of a directory; None where it has no JPEG tiles."""
        if HAMAMATSU in one or one.size is None or one.number(COMPRESSION, 1) != _JPEG or TILE_OFFSETS not in one:
            return None
        sides = one.number(TILE_WIDTH, 0), one.number(TILE_HEIGHT, 0)
        if min(sides) < 1:
            return None
        tile = Size(*sides)
        columns = -(-one.size.width // tile.width)
        tables = one.content(JPEG_TABLES) if JPEG_TABLES in one else b""
        colours = one.number(PHOTOMETRIC, 1)
        of_three = one.number(SAMPLES, 1) == 3 and one.number(PLANES, _TOGETHER) == _TOGETHER
        of_bytes = set(one.numbers(BITS).tolist()) == {_EIGHT_BITS}
        is_plain = of_three and of_bytes and colours in (_RGB, _YCBCR) and not one.has_repeats
        offsets, lengths = one.numbers(TILE_OFFSETS), one.numbers(TILE_LENGTHS)
        return cls(path, tile, columns, offsets, lengths, tables, colours == _RGB, is_plain)

    def tiles_in(self, window: Window) -> Iterator[tuple[int, Window]]:
        """Yield the numbers and places of the tiles that share a pixel with a window of the picture."""
        width, height = self.tile.width, self.tile.height
        for row in range(window.y // height, (window.bottom - 1) // height + 1):
            for column in range(window.x // width, (window.right - 1) // width + 1):
                yield row * self.columns + column, Window(column * width, row * height, width, height)

    def jpeg(self, number: int) -> bytes | None:
        """Return a tile as a JPEG file; None where its place is in no file, or the scanner left it out."""
        if number >= min(self.offsets.size, self.lengths.size):
            return None
        try:
            length = max(0, int(self.lengths[number]))
            with self.path.open("rb", buffering=0) as file:
                file.seek(int(self.offsets[number]))
                content = file.read(length if length < _SMALL else min(length, self.path.stat().st_size))
        except (OSError, ValueError, OverflowError):
            return None
        if len(content) < 2:
            return None
        return self.tables[:-2] + content[2:] if self.tables else content

    def pixels(self, jpeg: bytes, decoder: ModuleType) -> NDArray[np.uint8] | None:
        """Return a tile's red, green and blue, shape (height, width, 3); None where it is not as its directory says.

        Raises
        ------
        ValueError
            With what libjpeg says of it.
        """
        if self.is_rgb:
            jpeg = jpeg[:2] + _IS_RGB + jpeg[2:]
        height, width, colours, _ = decoder.decode_jpeg_header(jpeg)
        if (height, width) != (self.tile.height, self.tile.width) or colours != ("RGB" if self.is_rgb else "YCbCr"):
            return None
        pixels: NDArray[np.uint8] = decoder.decode_jpeg(jpeg, strict=True)
        return pixels


def jpeg_decoder() -> ModuleType | None:
    """Return the module `simplejpeg`; None where it is not installed."""
    try:
        return import_module("simplejpeg")
    except (ImportError, OSError):
        return None


def damage_in(error: ValueError) -> str | None:
    """Return what libjpeg says of a damaged tile; None where it says something else."""
    return str(error) if str(error).startswith(_DAMAGE) else None


def damaged(place: Window, fault: str) -> str:
    """Return what a user reads of a damaged tile, at a place in pixels of its picture."""
    return f"the JPEG tile at x {place.x}, y {place.y} is damaged ({fault})"


def jpeg_pictures(path: Path) -> dict[Size, JpegPicture]:
    """Return the pictures of a TIFF that have JPEG tiles, by size, as far as its directories can be read."""
    found: dict[Size, JpegPicture] = {}
    if not path.is_file() or not is_tiff(path):
        return found
    with path.open("rb") as file:
        try:
            for directory in directories(file):
                picture, size = JpegPicture.of(path, directory), directory.size
                if picture is not None and size is not None:
                    found.setdefault(size, picture)
        except MissingDataError:
            return found  # the readers say what is wrong with it
    return found
