"""JPEG tiles of plain TIFF slides, decoded here: one decoding gives the pixels and shows whether a tile is damaged.

The libraries take several times as long as libjpeg for a tile. A level is read here once that has given exactly what
the library gives, in a window that is not of one colour; what is not plain is left to the library.
"""

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Window
from nuclick_wsi.slides.readers.jpeg_pictures import JpegPicture, damage_in, damaged, jpeg_decoder, jpeg_pictures
from nuclick_wsi.slides.readers.source import Source
from nuclick_wsi.slides.readers.torn_tiles import TileCheck

_COMPARED = 512
"""Pixels of the side of what is compared with the library's."""

_KEPT = 16 << 20
"""Bytes of decoded tiles that are kept: crops that lie apart share some of them with the next ones."""


class OwnTiles:
    """A library's file of which plain JPEG tiles are decoded here; keeps the `Source` protocol."""

    def __init__(self, path: Path, source: Source) -> None:
        self.about = source.about
        self._source = source
        self._check = TileCheck(path)
        self._decoder = jpeg_decoder()
        self._pictures = _plain_pictures(path, source) if self._decoder is not None else {}
        self._is_alike: dict[int, bool] = {}
        """Of each level, whether its pixels came out as the library's, as far as that has been seen."""
        self._decoded: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._bytes = 0
        self._guard = threading.Lock()

    def read_inside(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        """Read a rectangle that lies inside a level; see `Source.read_inside`."""
        window = Window(x, y, size.width, size.height)
        is_alike = self._is_alike.get(level)
        own = self._read(level, window) if is_alike is not False else None
        if own is None:
            self._check.require_whole(self.about.sizes[level], window)
        elif is_alike or self._comes_out_alike(level, own, window, _middle_of(window)):
            return own
        pixels = self._source.read_inside(level, x, y, size)
        if own is not None and pixels.min() < pixels.max():
            self._is_alike[level] = np.array_equal(own, pixels)
        return pixels

    def _comes_out_alike(self, level: int, own: NDArray[np.uint8], window: Window, part: Window) -> bool:
        """Compare a part of a large window with the library's pixels; return whether that shows them to be the same.

        The library takes several times as long for all of it, which nobody needs once a part has come out the same.
        """
        if part == window:
            return False
        pixels = self._source.read_inside(level, part.x, part.y, Size(part.width, part.height))
        if pixels.min() < pixels.max():
            self._is_alike[level] = np.array_equal(own[part.slices_in(window)], pixels)
        return self._is_alike.get(level, False)

    def close(self) -> None:
        """Let go of the file."""
        self._source.close()

    def _read(self, level: int, window: Window) -> NDArray[np.uint8] | None:
        """Return a window's pixels; None where they are the library's matter."""
        picture = self._pictures.get(level)
        if picture is None:
            return None
        pixels = np.empty((*window.shape, 3), np.uint8)
        for number, place in picture.tiles_in(window):
            tile = self._tile(level, picture, number, place)
            shared = window.intersection(place)
            if tile is None or shared is None:
                return None
            pixels[shared.slices_in(window)] = tile[shared.slices_in(place)]
        return pixels

    def _tile(self, level: int, picture: JpegPicture, number: int, place: Window) -> NDArray[np.uint8] | None:
        assert self._decoder is not None, "without a decoder there are no pictures"
        known = self._decoded.get((level, number))
        if known is not None:
            return known
        jpeg = picture.jpeg(number)
        if jpeg is None:
            return None
        try:
            pixels = picture.pixels(jpeg, self._decoder)
        except ValueError as error:
            if fault := damage_in(error):
                raise SlideError(damaged(place, fault)) from error
            return None
        if pixels is not None:
            self._keep((level, number), pixels)
        return pixels

    def _keep(self, key: tuple[int, int], pixels: NDArray[np.uint8]) -> None:
        with self._guard:
            self._bytes += pixels.nbytes - getattr(self._decoded.pop(key, None), "nbytes", 0)
            self._decoded[key] = pixels
            while self._bytes > _KEPT:
                self._bytes -= self._decoded.pop(next(iter(self._decoded))).nbytes


def _middle_of(window: Window) -> Window:
    """Return the middle of a window, as large as a few tiles, with the seams between them."""
    width, height = min(window.width, _COMPARED), min(window.height, _COMPARED)
    return Window(window.x + (window.width - width) // 2, window.y + (window.height - height) // 2, width, height)


def _plain_pictures(path: Path, source: Source) -> dict[int, JpegPicture]:
    """Return the pictures of levels that are read here, by the number of the level.

    Of other levels than the first, those that are shrunk by a whole number: a library may interpolate between pixels.
    """
    sizes = source.about.sizes
    full, by_size = sizes[0], jpeg_pictures(path) if source.about.is_as_stored else {}
    plain = {
        level: by_size[size]
        for level, size in enumerate(sizes)
        if size in by_size and full.width % size.width == 0 and full.height * size.width == full.width * size.height
    }
    return {level: picture for level, picture in plain.items() if picture.is_plain}
