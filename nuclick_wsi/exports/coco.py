"""Results as COCO has them: tiles as its images, and the objects in each with run-length encoded masks."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from nuclick_wsi.exports.numbered import Layer, all_objects
from nuclick_wsi.exports.tiles import ObjectTile, TileObject, tiles_with_objects, write_picture_of
from nuclick_wsi.slides.slide import Slide

FILE = "coco.json"


def write_coco(folder: Path, slide: Slide, layers: Sequence[Layer]) -> int:
    """Write tiles with `coco.json` into an empty folder; return how many tiles could not be read and are left out.

    A category is a class of prompts with the kind of object, such as `Tumor nucleus`; without a class it is the kind.
    """
    names = sorted({_category(one.instance.class_name, one.instance.kind.value) for one in all_objects(layers)})
    numbers = {name: number for number, name in enumerate(names, start=1)}
    tiles = list(tiles_with_objects(slide.info.size, layers))
    written = [tile for tile in tiles if write_picture_of(slide, tile, folder)]
    content = {
        "info": {"description": f"Outlines of nuclick-wsi on {slide.info.path.name}"},
        "images": [_image(number, tile, slide) for number, tile in enumerate(written, start=1)],
        "categories": [{"id": number, "name": name} for name, number in numbers.items()],
        "annotations": list(_annotations(written, numbers)),
    }
    (folder / FILE).write_bytes(orjson.dumps(content))
    return len(tiles) - len(written)


def run_lengths(mask: NDArray[np.bool_]) -> list[int]:
    """Return how many pixels of a mask in a row are 0, then 1, then 0 again, ..., column by column, as COCO counts."""
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    ends = np.concatenate([[0] if not flat[0] else [0, 0], changes, [flat.size]])
    lengths: list[int] = np.diff(ends).tolist()
    return lengths


def _category(class_name: str | None, kind: str) -> str:
    return f"{class_name} {kind}" if class_name else kind


def _image(number: int, tile: ObjectTile, slide: Slide) -> dict[str, Any]:
    window = tile.window
    size = {"width": window.width, "height": window.height}
    place = {"slide": slide.info.path.name, "slide_x_px": window.x, "slide_y_px": window.y}
    return {"id": number, "file_name": tile.picture, **size, **place}


def _annotations(tiles: Iterable[ObjectTile], categories: dict[str, int]) -> Iterable[dict[str, Any]]:
    number = 0
    for image, tile in enumerate(tiles, start=1):
        for one in tile.objects:
            number += 1
            yield {"id": number, "image_id": image, **_annotation(one, tile, categories)}


def _annotation(one: TileObject, tile: ObjectTile, categories: dict[str, int]) -> dict[str, Any]:
    instance = one.object.instance
    whole = np.zeros(tile.window.shape, np.bool_)
    whole[one.place] = one.mask
    rows, columns = (np.flatnonzero(whole.any(axis=axis)) for axis in (1, 0))
    left, top = int(columns[0]), int(rows[0])
    return {
        "category_id": categories[_category(instance.class_name, instance.kind.value)],
        "segmentation": {"size": list(whole.shape), "counts": run_lengths(whole)},
        "area": int(one.mask.sum()),
        "bbox": [left, top, int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top],
        "iscrowd": 0,
        "label": one.object.number,
        "prompt": instance.prompt_id,
    }
