"""What exports cost in processor time: label images and the table of measurements, without and with stains."""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import shapely
from skimage.data import immunohistochemistry

import nuclick_wsi as nw
from nuclick_wsi.choices import LabelsVersion
from nuclick_wsi.exports.label_store import LabelStore, downsamples_of
from nuclick_wsi.exports.numbered import all_objects, layers_of
from nuclick_wsi.exports.ome_metadata import Pyramid
from nuclick_wsi.exports.stains import stain_intensities
from nuclick_wsi.exports.table import objects_csv
from nuclick_wsi.geometry import Size
from nuclick_wsi.prompts import Plane
from nuclick_wsi.slides.pyramid import write_pyramid

SIDE = 10_000
OBJECTS = 5_000
TILES = 6
PIXEL_SIZE = nw.PixelSize(0.25, 0.25)


def discs(side: int, count: int) -> list[nw.Instance]:
    """Return discs of a nucleus' size, spread at random."""
    random = np.random.default_rng(0)
    found = []
    for number, place in enumerate(random.uniform(30, side - 30, (count, 2))):
        disc = shapely.Point(*place).buffer(random.uniform(8, 20))
        found.append(nw.Instance(f"{number:06}", nw.ObjectKind.NUCLEUS, disc, None, Plane(), disc.area, 0.9))
    return found


def seconds(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def main() -> None:
    layers, size = layers_of(discs(SIDE, OBJECTS)), Size(SIDE, SIDE)
    objects = all_objects(layers)
    none = layers_of([])
    with tempfile.TemporaryDirectory() as folder:
        for version in LabelsVersion:

            def write(name: str, what: list, version: LabelsVersion = version) -> None:
                place = Path(folder) / f"{version} {name}"
                place.mkdir()
                LabelStore(place, size, Pyramid(downsamples_of(size), PIXEL_SIZE), version).write(what, {}, b"")

            write("first", none)
            taken = seconds(lambda: write("all", layers))
            files = [path.stat().st_size for path in (Path(folder) / f"{version} all").rglob("*") if path.is_file()]
            each = f"{1000 * taken / OBJECTS:.2f} ms per object, {len(files)} files, {sum(files) / OBJECTS:.0f} bytes"
            print(f"labels {version}, {SIDE} x {SIDE} px, {OBJECTS} objects: {each} per object")
        print(f"shapes and table: {1000 * seconds(lambda: objects_csv(objects, PIXEL_SIZE, {})) / OBJECTS:.2f} ms")
        path = Path(folder) / "tissue.svs"
        tissue = np.tile(immunohistochemistry(), (TILES, TILES, 1))
        write_pyramid(path, tissue, PIXEL_SIZE)
        few = all_objects(layers_of(discs(tissue.shape[0], OBJECTS)))
        with nw.open_slide(path) as slide:
            print(f"stains: {1000 * seconds(lambda: stain_intensities(slide, PIXEL_SIZE, few)) / OBJECTS:.2f} ms")


if __name__ == "__main__":
    main()
