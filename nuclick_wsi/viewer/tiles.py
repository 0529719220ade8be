"""JPEG tiles of a slide for deep zoom, level by level, each half as wide as the one below; recent ones are kept.

The levels and their sizes are those of Deep Zoom images, which OpenSeadragon knows: the last is the slide itself.
"""

import io
import math
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from PIL import Image

from nuclick_wsi.errors import RequestError
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.server.slide_cache import SlideCache
from nuclick_wsi.slides.resample import read_window
from nuclick_wsi.slides.slide import Frame

SIDE = 510
"""Pixels of a tile without its overlap, so that one has 512 at most."""
OVERLAP = 1
"""Pixels that a tile shows of each neighbour: no seams where the browser enlarges it."""
LARGEST_CACHE = 128 << 20
"""Bytes: some 4000 tiles."""
_QUALITY = 85

Place: TypeAlias = tuple[int, int, int]
"""Level, column and row of a tile."""


@dataclass(frozen=True, slots=True)
class TileLevels:
    """The levels of a slide of some size: level 0 is one pixel, and each next one twice as wide."""

    size: Size

    @property
    def last(self) -> int:
        """The level of the slide itself."""
        return math.ceil(math.log2(max(self.size.width, self.size.height)))

    def downsample(self, level: int) -> int:
        """Return slide pixels per pixel of a level."""
        return 1 << (self.last - level)

    def window(self, place: Place) -> Window:
        """Return the pixels of its level that a tile shows.

        Raises
        ------
        RequestError
            If there is no such tile.
        """
        level, column, row = place
        if not (0 <= level <= self.last and column >= 0 and row >= 0):
            raise RequestError(f"There is no tile {place}: levels are 0 to {self.last}.")
        width, height = (-(-side // self.downsample(level)) for side in (self.size.width, self.size.height))
        left, top = (max(0, number * SIDE - OVERLAP) for number in (column, row))
        right, bottom = min(width, (column + 1) * SIDE + OVERLAP), min(height, (row + 1) * SIDE + OVERLAP)
        if column * SIDE >= width or row * SIDE >= height:
            raise RequestError(f"There is no tile {place}: level {level} has {width} x {height} px.")
        return Window(left, top, right - left, bottom - top)


class Tiles:
    """The tiles of one slide, which several threads may ask for."""

    def __init__(self, slides: SlideCache, path: Path, frame: Frame, largest_cache: int = LARGEST_CACHE) -> None:
        self._slides, self._path, self._frame = slides, path, frame
        self._recent = _RecentTiles(largest_cache)

    def tile(self, place: Place) -> bytes:
        """Return a tile as JPEG.

        Raises
        ------
        RequestError
            If there is no such tile.
        SlideError
            If the slide cannot be read there.
        """
        return self._recent.get(place, self._made)

    def _made(self, place: Place) -> bytes:
        with self._slides.lease(self._path, self._frame) as opened:
            levels = TileLevels(opened.slide.info.size)
            window = levels.window(place)
            pixels = read_window(opened.slide, Grid(levels.downsample(place[0]), 1.0), window)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "JPEG", quality=_QUALITY)
        return file.getvalue()


class _RecentTiles:
    """An LRU cache of encoded tiles, bounded in bytes."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._guard = threading.Lock()
        self._kept: OrderedDict[Place, bytes] = OrderedDict()
        self._bytes = 0

    def get(self, place: Place, make: Callable[[Place], bytes]) -> bytes:
        with self._guard:
            if (tile := self._kept.get(place)) is not None:
                self._kept.move_to_end(place)
                return tile
        tile = make(place)  # slow, so outside the lock
        with self._guard:
            self._bytes += len(tile) - len(self._kept.pop(place, b""))
            self._kept[place] = tile
            while self._bytes > self._largest:
                self._bytes -= len(self._kept.popitem(last=False)[1])
        return tile
