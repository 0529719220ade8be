"""The adapter of zarr: OME-Zarr pictures, 0.4 and 0.5, in a folder or in one zip file."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.slides.readers.ome_zarr_content import ZarrPicture
from nuclick_wsi.slides.readers.source import SourceInfo, in_our_words

_MARKS = ("zarr.json", ".zattrs", ".zgroup")
"""What the folder of a group has, in zarr 3 or 2."""


def is_zarr_folder(path: Path) -> bool:
    """Whether a folder is a group of zarr, as far as its files show."""
    return path.is_dir() and any((path / mark).is_file() for mark in _MARKS)


class OmeZarrSource:
    """A pyramid of arrays."""

    def __init__(self, path: Path) -> None:
        if not is_zarr_folder(path) and not (path.is_file() and zipfile.is_zipfile(path)):
            raise SlideError("not an OME-Zarr folder or zip file")
        with in_our_words():
            self._store, group = _open(path)
            try:
                group, more = _picture_in(group)
                self._picture = ZarrPicture.of(dict(group.attrs))
                self._levels = [group[name] for name in self._picture.paths]
                self.about = self._described(more)
            except BaseException:
                self.close()
                raise

    def _described(self, remarks: tuple[str, ...]) -> SourceInfo:
        finest = self._levels[0]
        if finest.dtype != np.uint8:
            raise SlideError(
                f"holds {finest.dtype} pixels, and pictures of 8 bits are read: convert it to 8 bits, with the range "
                "of brightness that matters"
            )
        return SourceInfo(
            reader=ReaderChoice.OME_ZARR,
            sizes=tuple(Size(level.shape[-1], level.shape[-2]) for level in self._levels),
            pixel_size=self._picture.pixel_size,
            remarks=(*remarks, *self._picture.planes(finest.shape)),
        )

    def read_inside(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        """Read a rectangle that lies inside a level; see `Source.read_inside`."""
        axes = self._picture.axes
        place = {"y": slice(y, y + size.height), "x": slice(x, x + size.width), "c": slice(None)}
        with in_our_words():
            pixels = np.asarray(self._levels[level][tuple(place.get(axis, 0) for axis in axes)])
        if "c" not in axes:
            pixels = pixels[None]
        # Of the first z-slice and time point, what is left is channel, y, x.
        return np.ascontiguousarray(np.broadcast_to(np.moveaxis(pixels, 0, -1), (size.height, size.width, 3)))

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()


def _open(path: Path) -> tuple[Any, Any]:
    """Return the store and its first group."""
    import zarr  # noqa: PLC0415  (a second, which other slides can do without)
    from zarr.storage import LocalStore, ZipStore  # noqa: PLC0415

    store = LocalStore(path, read_only=True) if path.is_dir() else ZipStore(path, mode="r")
    return store, zarr.open_group(store, mode="r")


def _picture_in(group: Any) -> tuple[Any, tuple[str, ...]]:
    """Return the group of the picture, which is the first of several where bioformats2raw made the store."""
    attributes = dict(group.attrs)
    if "bioformats2raw.layout" not in attributes.get("ome", attributes):
        return group, ()
    more = ("the file holds several pictures, of which the first is read",) if "1" in group else ()
    return group["0"], more
