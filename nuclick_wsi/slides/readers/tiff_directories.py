"""The directories of a TIFF file: one for each picture in it, with the tags that say what the picture is.

No library is asked, because each of them hides another part of what a file holds.
"""

import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.geometry import Size

WIDTH, HEIGHT, BITS, PHOTOMETRIC, DESCRIPTION = 256, 257, 258, 262, 270
ORIENTATION, SAMPLES, X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 274, 277, 282, 283, 296
ROWS_PER_STRIP, PLANES, TILE_WIDTH, SUB_DIRECTORIES, EXTRA_SAMPLES = 278, 284, 322, 330, 338
SOFTWARE, XML = 305, 700
COMPRESSION, TILE_HEIGHT, TILE_OFFSETS, TILE_LENGTHS, JPEG_TABLES = 259, 323, 324, 325, 347
OFFSETS, LENGTHS = (273, TILE_OFFSETS), (279, TILE_LENGTHS)
"""Of the strips, and of the tiles."""
HAMAMATSU = 65420
"""A tag of Hamamatsu's files: beyond 4 GB their offsets are cut to 32 bits, and look like damage."""

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 13: 4, 16: 8, 18: 8}
"""Bytes of one value, by the TIFF type's number; only whole numbers and text matter here."""
_RATIONAL = 5
_WHOLE = (3, 4, 16)
_MOST_DIRECTORIES, _MOST_TAGS = 100_000, 3_000_000
"""Of a file; a picture has some twenty tags, and directories of a forged one may lie on top of each other."""


class MissingDataError(Exception):
    """Something that a directory points to is not in the file."""


def is_tiff(path: Path) -> bool:
    """Whether a file starts as a TIFF or BigTIFF does."""
    with path.open("rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@dataclass(frozen=True, slots=True)
class _Layout:
    """What differs between TIFF and BigTIFF."""

    order: str
    first: int
    count: str
    number: str
    entry: int

    def unpack(self, kind: str, data: bytes) -> int:
        """Return one number of the file."""
        return int(struct.unpack(self.order + kind, data)[0])

    def number_at(self, file: BinaryIO, offset: int) -> int:
        """Return an offset or a count that stands somewhere in the file."""
        return self.unpack(self.number, _bytes_at(file, offset, self.width))

    @property
    def width(self) -> int:
        """Bytes of an offset."""
        return struct.calcsize(self.number)


@dataclass(frozen=True, slots=True)
class Directory:
    """One picture of a TIFF: its tags, which are read from the open file when they are asked for.

    The methods raise `MissingDataError` where a tag points beyond the end of the file, or is of no type that it can be.
    """

    file: BinaryIO
    layout: _Layout
    entries: Mapping[int, bytes]
    following: int
    """Offset of the next directory; 0 after the last one."""
    has_repeats: bool = False
    """Whether a tag is there twice: libraries differ in which one counts."""

    def __contains__(self, tag: int) -> bool:
        return tag in self.entries

    def numbers(self, tag: int) -> NDArray[np.int64]:
        """Return the whole numbers of a tag; none where it is absent."""
        if tag not in self.entries:
            return np.empty(0, np.int64)
        kind, data = self._data(tag)
        size = _BYTES.get(kind, 0)
        if size == 0:
            raise MissingDataError(f"says of what type its offsets are with {kind}")
        return np.frombuffer(data, np.dtype(f"{self.layout.order}u{size}")).astype(np.int64)

    def is_whole_numbers(self, tag: int) -> bool:
        """Whether a tag is of one of the types that writers give whole numbers: 16, 32 or 64 bits."""
        return self.layout.unpack("H", self.entries[tag][2:4]) in _WHOLE

    def number(self, tag: int, default: int) -> int:
        """Return the first whole number of a tag; the default where there is none."""
        return int(next(iter(self.numbers(tag)), default))

    def text(self, tag: int) -> str:
        """Return the text of a tag; empty where it is absent."""
        return self._data(tag)[1].rstrip(b"\0").decode(errors="replace") if tag in self.entries else ""

    def ratio(self, tag: int) -> float | None:
        """Return the value of a tag that holds a fraction; None where it holds none."""
        kind, data = self._data(tag) if tag in self.entries else (0, b"")
        if kind != _RATIONAL or len(data) < struct.calcsize("II"):
            return None
        above, below = struct.unpack(f"{self.layout.order}II", data[:8])
        return above / below if below else None

    def content(self, tag: int) -> bytes:
        """Return the bytes of a tag as they stand in the file, if it holds whole numbers or text."""
        return self._data(tag)[1]

    @property
    def size(self) -> Size | None:
        """Width and height in pixels; None where the tags say none that a picture can have."""
        width, height = self.number(WIDTH, 0), self.number(HEIGHT, 0)
        return Size(width, height) if width > 0 and height > 0 else None

    def _data(self, tag: int) -> tuple[int, bytes]:
        """Return a tag's type and bytes, which stand in its entry where they fit, else elsewhere in the file."""
        entry, layout = self.entries[tag], self.layout
        kind = layout.unpack("H", entry[2:4])
        count = layout.unpack(layout.number, entry[4 : 4 + layout.width])
        length = (8 if kind == _RATIONAL else _BYTES.get(kind, 0)) * count
        data = entry[4 + layout.width :]
        if length > layout.width:
            data = _bytes_at(self.file, layout.unpack(layout.number, data), length)
        return kind, data[:length]


def directories(file: BinaryIO) -> Iterator[Directory]:
    """Yield the directories of an open TIFF file, those of sub-directories too.

    Raises
    ------
    MissingDataError
        If a directory is not where the file says; those before it have been yielded.
    """
    layout = _layout(_bytes_at(file, 0, 4))
    waiting = [layout.number_at(file, layout.first)]
    seen: set[int] = set()
    tags = 0
    while waiting and len(seen) < _MOST_DIRECTORIES:
        offset = waiting.pop()
        if offset in seen or offset == 0:
            continue
        seen.add(offset)
        directory = _directory(file, layout, offset)
        tags += len(directory.entries)
        if tags > _MOST_TAGS:
            raise MissingDataError(f"its directories have more than {_MOST_TAGS:,} tags")
        if HAMAMATSU not in directory:
            waiting += [directory.following, *directory.numbers(SUB_DIRECTORIES).tolist()]
        yield directory


def _layout(head: bytes) -> _Layout:
    order = "<" if head.startswith(b"II") else ">"
    is_big = head[2:4] in (b"+\0", b"\0+")
    return _Layout(order, 8, "Q", "Q", 20) if is_big else _Layout(order, 4, "H", "I", 12)


def _directory(file: BinaryIO, layout: _Layout, offset: int) -> Directory:
    start = offset + struct.calcsize(layout.count)
    count = layout.unpack(layout.count, _bytes_at(file, offset, start - offset))
    table = _bytes_at(file, start, count * layout.entry)
    following = layout.number_at(file, start + len(table))
    entries = [table[place : place + layout.entry] for place in range(0, len(table), layout.entry)]
    by_tag = {layout.unpack("H", entry[:2]): entry for entry in entries}
    return Directory(file, layout, by_tag, following, len(by_tag) < len(entries))


def _bytes_at(file: BinaryIO, offset: int, count: int) -> bytes:
    if offset < 0 or offset + count > file.seek(0, os.SEEK_END):
        raise MissingDataError(f"goes on to byte {offset + count:,}")
    file.seek(offset)
    return file.read(count)
