"""Results as pictures of labels: tiles of the slide, and for each kind of object a 16-bit picture of its numbers.

Numbers count from 1 in each picture, which holds no more than 16 bits; `objects.csv` says whose they are.
"""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nuclick_wsi.exports.numbered import Layer
from nuclick_wsi.exports.table import NAMED, named
from nuclick_wsi.exports.tiles import ObjectTile, TileObject, tiles_with_objects, write_picture_of, write_png
from nuclick_wsi.slides.slide import Slide

MANIFEST, OBJECTS = "manifest.csv", "objects.csv"
MANIFEST_COLUMNS = ("image", "labels", "objects", "slide", "x_px", "y_px", "width_px", "height_px", "count")
OBJECT_COLUMNS = ("labels", "value", *NAMED)
"""docs/exports.md says what each holds."""

Row = tuple[str | int, ...]


def write_masks(folder: Path, slide: Slide, layers: Sequence[Layer]) -> int:
    """Write tiles, pictures of labels and their tables into an empty folder; return how many tiles were not read."""
    manifest: list[Row] = []
    objects: list[Row] = []
    unread = 0
    for tile in tiles_with_objects(slide.info.size, layers):
        if not write_picture_of(slide, tile, folder):
            unread += 1
            continue
        for layer in layers:
            own = [one for one in tile.objects if one.layer is layer]
            if own:
                labels = f"labels/{tile.name}_{layer.name}.png"
                _write_labels(folder / labels, tile, own)
                manifest.append(_manifest_row(tile, labels, layer, slide, len(own)))
                objects += [
                    (labels, value, one.object.number, *named(one.object.instance))
                    for value, one in enumerate(own, start=1)
                ]
    (folder / MANIFEST).write_bytes(_csv(MANIFEST_COLUMNS, manifest))
    (folder / OBJECTS).write_bytes(_csv(OBJECT_COLUMNS, objects))
    return unread


def _write_labels(path: Path, tile: ObjectTile, objects: Sequence[TileObject]) -> None:
    labels = np.zeros(tile.window.shape, np.uint16)
    for value, one in enumerate(objects, start=1):
        labels[one.place][one.mask] = value
    write_png(path, labels)


def _manifest_row(tile: ObjectTile, labels: str, layer: Layer, slide: Slide, count: int) -> Row:
    window = tile.window
    place = window.x, window.y, window.width, window.height
    return tile.picture, labels, layer.kind.value, slide.info.path.name, *place, count


def _csv(columns: Sequence[str], rows: Sequence[Row]) -> bytes:
    target = io.StringIO(newline="")
    writer = csv.writer(target)
    writer.writerow(columns)
    writer.writerows(rows)
    return target.getvalue().encode()
