"""Tiles of a slide at full resolution that have objects in them, for other networks to train on.

An object that crosses the border of tiles is in each of them, cut off. What nobody marked is in the picture without
being labelled.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nuclick_wsi.errors import SlideError
from nuclick_wsi.exports.numbered import Layer, Numbered
from nuclick_wsi.exports.rasterize import Raster, pixels_of
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Window
from nuclick_wsi.slides.slide import Slide

TILE = 512
"""Side in slide pixels; the tiles at the right and lower end of a slide are smaller."""

IMAGES = "images"
"""The folder of the tiles' pictures."""


@dataclass(frozen=True, slots=True)
class TileObject:
    """An object in a tile: rows and columns of its bounding box there, and its pixels in that box."""

    layer: Layer
    object: Numbered
    place: tuple[slice, slice]
    mask: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ObjectTile:
    """A tile with its objects; `window` is in slide pixels."""

    window: Window
    objects: Sequence[TileObject]

    @property
    def name(self) -> str:
        """The name of its files, without the ending."""
        return f"x{self.window.x}_y{self.window.y}"

    @property
    def picture(self) -> str:
        """Where its picture is in the folder of the export."""
        return f"{IMAGES}/{self.name}.png"


def tiles_with_objects(size: Size, layers: Sequence[Layer]) -> Iterator[ObjectTile]:
    """Yield the tiles of a slide in which an object has a pixel, row by row."""
    full = Window(0, 0, size.width, size.height)
    for row, column in sorted({cell for layer in layers for one in layer.objects for cell in _cells(one)}):
        window = Window(column * TILE, row * TILE, TILE, TILE).intersection(full)
        if window is None:
            continue
        objects = [found for layer in layers for found in _objects_in(layer, Raster(window))]
        if objects:
            yield ObjectTile(window, objects)


def write_picture_of(slide: Slide, tile: ObjectTile, folder: Path) -> bool:
    """Write a tile's picture; return False where the slide cannot be read there."""
    window = tile.window
    try:
        pixels = slide.read(0, window.x, window.y, Size(window.width, window.height))
    except SlideError:
        return False
    write_png(folder / tile.picture, pixels)
    return True


def write_png(path: Path, pixels: NDArray[np.uint8] | NDArray[np.uint16]) -> None:
    """Write a picture of 8-bit RGB or 16-bit grey."""
    path.parent.mkdir(parents=True, exist_ok=True)
    target = io.BytesIO()
    Image.fromarray(pixels).save(target, "png")
    path.write_bytes(target.getvalue())


def _cells(one: Numbered) -> Iterator[tuple[int, int]]:
    """Yield row and column of the tiles that an object's bounding box meets."""
    left, top, right, bottom = (int(edge // TILE) for edge in one.instance.polygon.bounds)
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            yield row, column


def _objects_in(layer: Layer, raster: Raster) -> Iterator[TileObject]:
    for one in layer.near(raster):
        found = pixels_of(one.instance.polygon, raster)
        if found is not None:
            yield TileObject(layer, one, *found)
