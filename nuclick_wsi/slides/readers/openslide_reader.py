"""OpenSlide's adapter: Aperio, Hamamatsu, Leica, MIRAX, DICOM, Philips, Ventana, Zeiss and tiled TIFF files."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Window
from nuclick_wsi.slides.readers.source import SourceInfo, bounds_of, in_our_words, is_as_stored, pixel_size_of

if TYPE_CHECKING:
    import openslide

_BLOCK = 512
"""Side in level pixels of the blocks that levels with a fractional downsample are read in."""


class OpenSlideSource:
    """A file that OpenSlide opens."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._handle = _open(path)
        # Asked now: after an error the handle answers nothing any more.
        self._downsamples = self._handle.level_downsamples
        properties = self._handle.properties
        if "FLUORESCENCE" in properties.get("mirax.GENERAL.SLIDE_TYPE", ""):
            self._handle.close()
            raise SlideError("holds fluorescence; brightfield pictures are read")
        with in_our_words():  # damaged files have levels without pixels
            sizes = tuple(Size(*size) for size in self._handle.level_dimensions)
        self.about = SourceInfo(
            reader=ReaderChoice.OPENSLIDE,
            sizes=sizes,
            pixel_size=pixel_size_of(properties.get("openslide.mpp-x"), properties.get("openslide.mpp-y")),
            bounds=bounds_of(properties, "openslide"),
            is_as_stored=is_as_stored(properties.get("openslide.vendor")),
        )

    def read_inside(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        """Read a rectangle that lies inside a level; see `Source.read_inside`."""
        wanted = Window(x, y, size.width, size.height)
        if float(self._downsamples[level]).is_integer():
            return self._read(level, wanted)
        # OpenSlide takes a position in whole slide pixels and interpolates where that falls between two pixels of the
        # level. Fixed blocks make sure that a pixel comes out the same, whichever rectangle it is read in.
        pixels = np.empty((size.height, size.width, 3), np.uint8)
        for block in _blocks(wanted):
            pixels[block.slices_in(wanted)] = self._read_from_block_corner(level, block)
        return pixels

    def _read_from_block_corner(self, level: int, part: Window) -> NDArray[np.uint8]:
        left, top = part.x // _BLOCK * _BLOCK, part.y // _BLOCK * _BLOCK
        block = Window(left, top, part.right - left, part.bottom - top)
        return self._read(level, block)[part.slices_in(block)]

    def _read(self, level: int, window: Window) -> NDArray[np.uint8]:
        import openslide  # noqa: PLC0415  (open already, so this costs nothing)

        handle = self._handle
        try:
            return self._pixels(handle, level, window)
        except openslide.OpenSlideError:
            # After one error OpenSlide refuses every further read, and other threads may share the handle.
            with self._lock:
                if self._handle is handle:
                    self._handle = _open(self._path)
        try:
            with _open(self._path) as private:
                return self._pixels(private, level, window)
        except openslide.OpenSlideError as error:
            raise SlideError(str(error)) from error

    def _pixels(self, handle: "openslide.OpenSlide", level: int, window: Window) -> NDArray[np.uint8]:
        downsample = self._downsamples[level]
        corner = round(window.x * downsample), round(window.y * downsample)
        return _over_white(handle.read_region(corner, level, (window.width, window.height)))

    def close(self) -> None:
        """Let go of the file."""
        self._handle.close()


def library_file() -> str | None:
    """Return OpenSlide's own file, as the system finds it; None where it is not installed."""
    try:
        from openslide import lowlevel  # noqa: PLC0415  (its binary may be missing: see below)
    except (ImportError, OSError):
        return None
    return str(lowlevel._lib._name)


def _open(path: Path) -> "openslide.OpenSlide":
    try:
        import openslide  # noqa: PLC0415  (its binary may be missing: the other readers must work without it)
    except (ImportError, OSError) as error:
        raise SlideError(f"is not installed ({error}): pip install openslide-python openslide-bin") from error
    try:
        return openslide.OpenSlide(path)
    except (openslide.OpenSlideError, OSError) as error:
        raise SlideError(str(error)) from error


def _over_white(image: Image.Image) -> NDArray[np.uint8]:
    alpha = image.getchannel("A")
    if alpha.getextrema() != (255, 255):
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=alpha)
        return np.array(white)
    return np.array(image.convert("RGB"))


def _blocks(window: Window) -> Iterator[Window]:
    for top in range(window.y // _BLOCK * _BLOCK, window.bottom, _BLOCK):
        for left in range(window.x // _BLOCK * _BLOCK, window.right, _BLOCK):
            part = Window(left, top, _BLOCK, _BLOCK).intersection(window)
            if part is not None:
                yield part
