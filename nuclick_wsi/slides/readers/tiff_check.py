"""Whether a TIFF file is all there: its directories and everything that they point to.

Libraries that look no further than the first directory read a half-copied slide as a small one, or as a black one.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.errors import SlideError

_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 13: 4, 16: 8, 18: 8}
"""Bytes of one value, by the TIFF type's number; only whole numbers matter here."""
_OFFSETS, _LENGTHS, _SUB_DIRECTORIES = (273, 324), (279, 325), 330
_HAMAMATSU = 65420
"""A tag of Hamamatsu's files: beyond 4 GB their offsets are cut to 32 bits, and look like damage."""
_MOST_DIRECTORIES = 100_000


class _MissingError(Exception):
    """Something that a directory points to is not in the file."""


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


def is_tiff(path: Path) -> bool:
    """Whether a file starts as a TIFF or BigTIFF does."""
    with path.open("rb") as file:
        return file.read(4) in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def require_complete(path: Path) -> None:
    """Raise a `SlideError` where a TIFF points beyond its own end."""
    length = path.stat().st_size
    with path.open("rb") as file:
        try:
            for directory in _directories(file):
                if directory.end > length:
                    raise SlideError(
                        f"the file is cut short: it has {length:,} bytes, and its data go on to {directory.end:,}"
                    )
        except _MissingError as error:
            raise SlideError(f"the file is cut short or damaged: it has {length:,} bytes, and {error}") from error


@dataclass(frozen=True, slots=True)
class _Directory:
    """One image of a TIFF: where its data end, and what comes after it."""

    end: int
    followers: list[int]


def _directories(file: BinaryIO) -> Iterator[_Directory]:
    layout = _layout(_bytes_at(file, 0, 4))
    waiting = [layout.number_at(file, layout.first)]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_DIRECTORIES:
        offset = waiting.pop()
        if offset in seen or offset == 0:
            continue
        seen.add(offset)
        directory = _directory(file, layout, offset)
        waiting += directory.followers
        yield directory


def _layout(head: bytes) -> _Layout:
    order = "<" if head.startswith(b"II") else ">"
    is_big = head[2:4] in (b"+\0", b"\0+")
    return _Layout(order, 8, "Q", "Q", 20) if is_big else _Layout(order, 4, "H", "I", 12)


def _directory(file: BinaryIO, layout: _Layout, offset: int) -> _Directory:
    start = offset + struct.calcsize(layout.count)
    count = layout.unpack(layout.count, _bytes_at(file, offset, start - offset))
    table = _bytes_at(file, start, count * layout.entry)
    following = layout.number_at(file, start + len(table))
    entries = [table[start : start + layout.entry] for start in range(0, len(table), layout.entry)]
    tags = {layout.unpack("H", entry[:2]): entry for entry in entries}
    if _HAMAMATSU in tags:
        return _Directory(0, [])
    ends = [0]
    for offsets_tag, lengths_tag in zip(_OFFSETS, _LENGTHS, strict=True):
        if offsets_tag in tags and lengths_tag in tags:
            offsets, lengths = (_values(file, layout, tags[tag]) for tag in (offsets_tag, lengths_tag))
            # Numbers beyond 2^63, from a damaged file, come out negative and count for nothing.
            used = min(offsets.size, lengths.size)
            ends.append(int((offsets[:used] + lengths[:used]).max(initial=0)))
    subs = _values(file, layout, tags[_SUB_DIRECTORIES]).tolist() if _SUB_DIRECTORIES in tags else []
    return _Directory(max(ends), [following, *subs])


def _values(file: BinaryIO, layout: _Layout, entry: bytes) -> NDArray[np.int64]:
    """Return the whole numbers of one tag, which stand in its entry where they fit, else elsewhere in the file."""
    kind, count = layout.unpack("H", entry[2:4]), layout.unpack(layout.number, entry[4 : 4 + layout.width])
    size = _BYTES.get(kind, 0)
    if size == 0:
        raise _MissingError(f"says of what type its offsets are with {kind}")
    data = entry[4 + layout.width :]
    if size * count > layout.width:
        data = _bytes_at(file, layout.unpack(layout.number, data), size * count)
    return np.frombuffer(data[: size * count], np.dtype(f"{layout.order}u{size}")).astype(np.int64)


def _bytes_at(file: BinaryIO, offset: int, count: int) -> bytes:
    if offset < 0 or offset + count > file.seek(0, os.SEEK_END):
        raise _MissingError(f"goes on to byte {offset + count:,}")
    file.seek(offset)
    return file.read(count)
