"""A cache of open slides between requests: opening a slide takes longer than outlining a click on it."""

import stat
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.slides.fingerprint import fingerprint
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.slide import Frame, Slide

_Key: TypeAlias = tuple[Path, Frame, int, int]


@dataclass(frozen=True, slots=True)
class CachedSlide:
    """An open slide, and a fingerprint of its content that changes when the file does."""

    slide: Slide
    fingerprint: str


@dataclass(slots=True)
class _Entry:
    opened: CachedSlide
    users: int = 0


class SlideCache:
    """An LRU cache of open slides; several threads may read one slide.

    A slide that is dropped is closed when the last request that reads it ends. A file that has changed since it was
    opened is opened again.

    Parameters
    ----------
    reader
        The library that opens them.
    most
        How many slides stay open while no request reads them.
    """

    def __init__(self, reader: ReaderChoice = ReaderChoice.AUTO, most: int = 8) -> None:
        self._reader = reader
        self._most = most
        self._guard = threading.Lock()
        self._entries: OrderedDict[_Key, _Entry] = OrderedDict()

    @contextmanager
    def lease(self, path: Path, frame: Frame) -> Iterator[CachedSlide]:
        """Yield a slide that stays open for the length of the block.

        Raises
        ------
        SlideError
            If it cannot be opened.
        """
        key = _key(path, frame)
        entry = self._taken(key) or self._opened(key)
        try:
            yield entry.opened
        finally:
            with self._guard:
                entry.users -= 1
            self._close_surplus(self._most)

    def close(self) -> None:
        """Close all slides that no request reads."""
        self._close_surplus(0)

    def __len__(self) -> int:
        return len(self._entries)

    def _taken(self, key: _Key) -> _Entry | None:
        with self._guard:
            entry = self._entries.get(key)
            if entry is not None:
                entry.users += 1
                self._entries.move_to_end(key)
            return entry

    def _opened(self, key: _Key) -> _Entry:
        path, frame, changed, _ = key
        content = f"{fingerprint(path)} {changed}"
        opened = CachedSlide(open_slide(path, reader=self._reader, frame=frame), content)  # slow, so outside the lock
        with self._guard:
            entry = self._entries.setdefault(key, _Entry(opened))
            entry.users += 1
        if entry.opened is not opened:  # another thread was faster
            opened.slide.close()
        return entry

    def _close_surplus(self, most: int) -> None:
        dropped = []
        with self._guard:
            unused = [key for key, entry in self._entries.items() if entry.users == 0]
            latest = {(path, frame): key for key in self._entries for path, frame in [key[:2]]}
            stale = [key for key in unused if latest[key[:2]] != key]
            surplus = [key for key in unused if key not in stale]
            for key in stale + surplus[: max(0, len(surplus) - most)]:
                dropped.append(self._entries.pop(key))
        for entry in dropped:
            entry.opened.slide.close()


def _key(path: Path, frame: Frame) -> _Key:
    try:
        status = path.stat()
    except OSError as error:
        raise SlideError(f"{path}: cannot be read ({error.strerror or error}).") from error
    if not stat.S_ISREG(status.st_mode):
        raise SlideError(f"{path}: is no regular file.")  # a pipe would keep its reader waiting for ever
    return path, frame, status.st_mtime_ns, status.st_size
