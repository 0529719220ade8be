"""Whether a TIFF file is all there: its directories and everything that they point to.

Libraries that look no further than the first directory read a half-copied slide as a small one, or as a black one.
"""

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
_MOST_DIRECTORIES = 100_000


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
        except struct.error as error:
            raise SlideError(f"the file is cut short: its directory ends at byte {length:,}") from error


@dataclass(frozen=True, slots=True)
class _Directory:
    """One image of a TIFF: where its data end, and what comes after it."""

    end: int
    followers: list[int]


def _directories(file: BinaryIO) -> Iterator[_Directory]:
    layout = _layout(file.read(16))
    file.seek(layout.first)
    waiting = [layout.unpack(layout.number, file.read(struct.calcsize(layout.number)))]
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
    file.seek(offset)
    count = layout.unpack(layout.count, file.read(struct.calcsize(layout.count)))
    table = file.read(count * layout.entry)
    following = layout.unpack(layout.number, file.read(struct.calcsize(layout.number)))
    entries = [table[start : start + layout.entry] for start in range(0, len(table), layout.entry)]
    tags = {layout.unpack("H", entry[:2]): entry for entry in entries}
    offsets, lengths = (
        [_values(file, layout, tags[tag]) for tag in kinds if tag in tags] for kinds in (_OFFSETS, _LENGTHS)
    )
    ends = [int((a + b).max()) for a, b in zip(offsets, lengths, strict=True) if a.size and a.size == b.size]
    subs = _values(file, layout, tags[_SUB_DIRECTORIES]).tolist() if _SUB_DIRECTORIES in tags else []
    return _Directory(max(ends, default=0), [following, *subs])


def _values(file: BinaryIO, layout: _Layout, entry: bytes) -> NDArray[np.int64]:
    """Return the whole numbers of one tag, which stand in its entry where they fit, else elsewhere in the file."""
    width = struct.calcsize(layout.number)
    kind, count = layout.unpack("H", entry[2:4]), layout.unpack(layout.number, entry[4 : 4 + width])
    size = _BYTES.get(kind, 0)
    data = entry[4 + width :]
    if size * count > width:
        file.seek(layout.unpack(layout.number, data))
        data = file.read(size * count)
    if size == 0 or len(data) < size * count:
        raise struct.error("a tag's values are missing")
    return np.frombuffer(data[: size * count], np.dtype(f"{layout.order}u{size}")).astype(np.int64)
