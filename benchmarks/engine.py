"""What a click costs beside the network: one core, dense clicks on made tissue, as a share of the network's own time.

The engine runs twice over the same clicks: once with the real network, whose answers are kept, and once with these
answers played back. The second run is everything but the network: reading, crops, masks, overlaps, outlines.
"""

import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from skimage.data import immunohistochemistry

import nuclick_wsi as nw
from nuclick_wsi.formats.geojson import write_results
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import prompt_id
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.compute import batches_of
from nuclick_wsi.segmentation.crops import View
from nuclick_wsi.segmentation.segmenter import FixedSegmenters, Segmenter, Signals, TileImage
from nuclick_wsi.slides.pyramid import write_pyramid

TILES = 4
BATCH = 16
CLICKS = 1000
PIXEL_SIZE = nw.PixelSize(0.25, 0.25)
ONE_CORE = nw.Settings(workers=0)


class Recorder:
    """The real segmenter, its answers kept and its time taken."""

    def __init__(self, segmenter: Segmenter) -> None:
        self.card = segmenter.card
        self.seconds = 0.0
        self.answers: dict[int, NDArray[np.float32]] = {}
        self._segmenter = segmenter

    def around(self, view: View) -> Window:
        return self._segmenter.around(view)

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, NDArray[np.float32]]]:
        images = list(tiles)  # reading is no time of the network's
        begun = time.process_time()
        for view, probabilities in self._segmenter.predict(images, field):
            self.seconds += time.process_time() - begun
            self.answers[view.prompt] = probabilities
            yield view, probabilities
            begun = time.process_time()


class Playback:
    """A recorder's answers; pixels and signals of every crop are still found, as segmenters do."""

    def __init__(self, card: ModelCard, answers: dict[int, NDArray[np.float32]]) -> None:
        self.card = card
        self._answers = answers

    def around(self, view: View) -> Window:
        return view.window

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, NDArray[np.float32]]]:
        for tile in tiles:
            for views in batches_of(tile.tile.views, BATCH):
                field.marks(views)
                for view in views:
                    crop = tile.image[view.window.slices_in(tile.tile.window)].astype(np.float32) / 255
                    assert crop.shape[0] == view.window.height
                    yield view, self._answers[view.prompt]


def clicks(side: int) -> nw.PromptSet:
    """Return clicks spread at random over a square slide."""
    positions = np.random.default_rng(0).uniform(0, side, (CLICKS, 2))
    signals = [nw.Click(nw.Point(float(x), float(y))) for x, y in positions]
    return nw.PromptSet(tuple(nw.Prompt(prompt_id("benchmark", s), nw.ObjectKind.NUCLEUS, s) for s in signals))


def main() -> None:
    torch.set_num_threads(1)
    tissue = np.tile(immunohistochemistry(), (TILES, TILES, 1))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tissue.svs"
        write_pyramid(path, tissue, PIXEL_SIZE)
        prompts = clicks(tissue.shape[0])
        recorder = Recorder(nw.ModelRegistry(device="cpu").segmenter(nw.ObjectKind.NUCLEUS))
        with nw.open_slide(path) as slide:
            nw.segment(slide, prompts, FixedSegmenters({nw.ObjectKind.NUCLEUS: recorder}), PIXEL_SIZE, ONE_CORE)
            rest = Playback(recorder.card, recorder.answers)
            begun = time.process_time()
            outcome = nw.segment(slide, prompts, FixedSegmenters({nw.ObjectKind.NUCLEUS: rest}), PIXEL_SIZE, ONE_CORE)
            write_results(Path(folder) / "results.geojson", outcome.instances, nw.ObjectType.DETECTION, {})
            seconds = time.process_time() - begun
    print(f"{CLICKS} clicks, {len(outcome.instances)} instances, {len(outcome.rejections)} rejections, one core")
    print(f"network          {1000 * recorder.seconds / CLICKS:8.2f} ms per click")
    print(f"everything else  {1000 * seconds / CLICKS:8.2f} ms per click, {seconds / recorder.seconds:.1%} of it")


if __name__ == "__main__":
    main()
