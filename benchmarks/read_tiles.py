"""Tiles of 512 px and crops of 128 px per second and core, by reader, and what resampling adds: ratios within one run.

A made slide of JPEG tiles, read at scattered places: on a level as it is, between levels, and enlarged. Then the crops
of clicks, as a run reads them: spread as 5,000 are on a slide of 20,000 px, and in dense clusters. Seconds are of the
processor, best of three rounds; trust the ratios and not the figures. Run it as `python -m benchmarks read_tiles`.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from skimage.data import immunohistochemistry

import nuclick_wsi as nw
from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.scale import Grid, PixelSize, Window
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, plan_views
from nuclick_wsi.segmentation.tiles import plan_tiles
from nuclick_wsi.slides.pyramid import write_pyramid
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.resample import read_window
from nuclick_wsi.slides.slide import Slide

SIDE = 4096
TILE = 512
TILES = 40
ROUNDS = 3
CROP = 128
SPREAD = 20_000**2 // 5_000
"""Square pixels of the slide for each click that is spread."""
CLUSTER = 200
DOWNSAMPLES = {"a level as it is": 1.0, "another level": 2.0, "1.5 times shrunk": 1.5, "twice enlarged": 0.5}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.svs"
        picture = immunohistochemistry()
        repeats = SIDE // picture.shape[0]
        write_pyramid(path, np.tile(picture, (repeats, repeats, 1)), PixelSize(0.25, 0.25))
        print(f"{'tiles of ' + str(TILE) + ' px per second':28}", *(f"{name:>18}" for name in DOWNSAMPLES))
        rates = {}
        for reader in (ReaderChoice.OPENSLIDE, ReaderChoice.TIFFSLIDE, ReaderChoice.IMAGE):
            with open_slide(path, reader=reader) as slide:
                rates[reader] = [tiles_per_second(slide, downsample) for downsample in DOWNSAMPLES.values()]
            print(f"{reader:28}", *(f"{rate:18.1f}" for rate in rates[reader]))
        print(f"{'crops of ' + str(CROP) + ' px per second':28}", f"{'spread':>18}", f"{'clustered':>18}")
        for reader in rates:
            with open_slide(path, reader=reader) as slide:
                print(f"{reader:28}", *(f"{crops_per_second(slide, place()):18.0f}" for place in (spread, clustered)))
    base = rates[ReaderChoice.OPENSLIDE][0]
    print("as a multiple of openslide's first figure:")
    for reader, own in rates.items():
        print(f"{reader:28}", *(f"{rate / base:18.2f}" for rate in own))


def tiles_per_second(slide: Slide, downsample: float) -> float:
    """Return how many windows of the grid are read per second of the processor, on one thread."""
    last = int(SIDE / downsample) - TILE
    # Off the tiles' corners, as prompts are; the same places for all readers.
    corners = np.random.default_rng(0).integers(0, last, (TILES, 2)).tolist()
    windows = [Window(x, y, TILE, TILE) for x, y in corners]
    grid = Grid(downsample, 0.0625 * downsample**2)

    def read_all() -> None:
        for window in windows:
            read_window(slide, grid, window)

    return TILES / min(seconds(read_all) for _ in range(ROUNDS))


def crops_per_second(slide: Slide, positions: NDArray[np.float64]) -> float:
    """Return how many crops of clicks are read per second of the processor, on one thread."""
    clicks = [nw.Click(nw.Point(x, y)) for x, y in positions.tolist()]
    field = SignalField([nw.Prompt(str(n), nw.ObjectKind.NUCLEUS, click) for n, click in enumerate(clicks)])
    grid = Grid(1.0, 0.0625)
    views = plan_views(field, grid, CropSpec(CROP, 0.25), nw.GlandMode.CROP)
    tiles = plan_tiles(views, nw.Settings().tile_size)

    def read_all() -> None:
        for tile in tiles:
            read_window(slide, grid, tile.window)

    return len(positions) / min(seconds(read_all) for _ in range(ROUNDS))


def spread() -> NDArray[np.float64]:
    """Return clicks at random all over the slide."""
    return np.random.default_rng(1).uniform(CROP, SIDE - CROP, (SIDE**2 // SPREAD, 2))


def clustered() -> NDArray[np.float64]:
    """Return clicks in ten dense clusters."""
    rng = np.random.default_rng(2)
    middles = np.repeat(rng.uniform(600, SIDE - 600, (10, 2)), CLUSTER, axis=0)
    return middles + rng.uniform(-250, 250, middles.shape)


def seconds(work: Callable[[], None]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
