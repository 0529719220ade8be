"""JPEG tiles of a TIFF that are damaged inside: libjpeg decodes them to wrong pixels and warns, and readers drop that.

Each tile is looked at once, when something that touches it is read. Tiles of other compressions are not: Deflate, LZW
and WebP fail by themselves where they are damaged, and JPEG 2000 does not notice.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Window
from nuclick_wsi.slides.readers.tiff_directories import (
    COMPRESSION,
    HAMAMATSU,
    JPEG_TABLES,
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
_COARSEST = 8
"""libjpeg may compute an eighth of each side: it reads all of a tile's bytes all the same."""
_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG", "JPEG datastream")
"""How libjpeg's warnings of damage begin; it has others, of unusual but whole files."""

Decode = Callable[..., object]


@dataclass(frozen=True, slots=True)
class _Picture:
    """The JPEG tiles of one picture of a file."""

    tile: Size
    columns: int
    offsets: NDArray[np.int64]
    lengths: NDArray[np.int64]
    tables: bytes

    @classmethod
    def of(cls, one: Directory) -> "_Picture | None":
        if HAMAMATSU in one or one.size is None or one.number(COMPRESSION, 1) != _JPEG or TILE_OFFSETS not in one:
            return None
        sides = one.number(TILE_WIDTH, 0), one.number(TILE_HEIGHT, 0)
        if min(sides) < 1:
            return None
        tile = Size(*sides)
        columns = -(-one.size.width // tile.width)
        tables = one.content(JPEG_TABLES) if JPEG_TABLES in one else b""
        return cls(tile, columns, one.numbers(TILE_OFFSETS), one.numbers(TILE_LENGTHS), tables)

    def tiles_in(self, window: Window) -> Iterator[int]:
        """Yield the numbers of the tiles that share a pixel with a window of the picture."""
        for row in range(window.y // self.tile.height, (window.bottom - 1) // self.tile.height + 1):
            for column in range(window.x // self.tile.width, (window.right - 1) // self.tile.width + 1):
                number = row * self.columns + column
                if number < min(self.offsets.size, self.lengths.size):
                    yield number

    def place_of(self, number: int) -> str:
        """Return where a tile is, in pixels of the picture."""
        row, column = divmod(number, self.columns)
        return f"x {column * self.tile.width}, y {row * self.tile.height}"


class TileCheck:
    """Looks at the JPEG tiles of one file; several threads may ask at the same time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._decode = _decoder()
        self._pictures = _jpeg_pictures(path) if self._decode is not None else {}
        self._faults: dict[tuple[Size, int], str | None] = {}

    def require_whole(self, size: Size, window: Window) -> None:
        """Refuse a window of the level of a size where a tile under it is damaged.

        Raises
        ------
        SlideError
            With what libjpeg says of it.
        """
        picture = self._pictures.get(size)
        if picture is None:
            return
        for number in picture.tiles_in(window):
            if (size, number) not in self._faults:
                self._faults[size, number] = self._fault_of(picture, number)
            if (fault := self._faults[size, number]) is not None:
                raise SlideError(f"the JPEG tile at {picture.place_of(number)} is damaged ({fault})")

    def _fault_of(self, picture: _Picture, number: int) -> str | None:
        """Return what libjpeg says of a damaged tile; None of others, some of which readers refuse by themselves."""
        assert self._decode is not None, "without a decoder there are no pictures"
        try:
            with self._path.open("rb") as file:
                file.seek(int(picture.offsets[number]))
                content = file.read(min(int(picture.lengths[number]), self._path.stat().st_size))
        except (OSError, ValueError, OverflowError):
            return None  # gone, or a place that no file has
        if len(content) < 2:
            return None  # a tile that the scanner left out
        whole = picture.tables[:-2] + content[2:] if picture.tables else content
        try:
            self._decode(whole, min_height=1, min_width=1, min_factor=_COARSEST, strict=True)
        except ValueError as error:
            return str(error) if str(error).startswith(_DAMAGE) else None
        return None


def _decoder() -> Decode | None:
    try:
        decode: Decode = import_module("simplejpeg").decode_jpeg
    except (ImportError, OSError):
        return None
    return decode


def _jpeg_pictures(path: Path) -> dict[Size, _Picture]:
    """Return the pictures of a TIFF that have JPEG tiles, by size, as far as its directories can be read."""
    found: dict[Size, _Picture] = {}
    if not path.is_file() or not is_tiff(path):
        return found
    with path.open("rb") as file:
        try:
            for directory in directories(file):
                picture, size = _Picture.of(directory), directory.size
                if picture is not None and size is not None:
                    found.setdefault(size, picture)
        except MissingDataError:
            return found  # the readers say what is wrong with it
    return found
