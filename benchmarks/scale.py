"""Memory and processor time by the number of clicks, from a table to GeoJSON, with everything but a network.

A made slide repeats one square of dark discs, 64 px apart, and each disc is clicked, so more clicks are on a larger
slide. Instead of a network, dark pixels are probable: what is measured is all else. Each size runs in a process of its
own: `python -m benchmarks scale [CLICKS ...]`. A million take some minutes on a core of its own.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import nuclick_wsi as nw
from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.formats.prompt_files import read_prompts
from nuclick_wsi.geometry import Size
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.runs.ended_prompts import EndedPrompts
from nuclick_wsi.runs.instance_spool import InstanceSpool
from nuclick_wsi.runs.jobs import GeoJsonSink, Results
from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.scale import PixelSize, Window
from nuclick_wsi.segmentation.crops import View
from nuclick_wsi.segmentation.segmenter import FixedSegmenters, Signals, TileImage
from nuclick_wsi.segmentation.slide_work import SlideWork
from nuclick_wsi.slides.slide import Level, SlideInfo

CLICKS = (1_000, 10_000, 100_000, 1_000_000)
STEP, SIDE = 64, 1024
PIXEL_SIZE = PixelSize(0.25, 0.25)


class RepeatedSlide:
    """A slide without a file: one square again and again."""

    def __init__(self, side: int) -> None:
        self.info = SlideInfo(
            Path("made"), ReaderChoice.IMAGE, Size(side, side), (Level(1.0, Size(side, side)),), PIXEL_SIZE
        )
        rows, columns = np.mgrid[:SIDE, :SIDE] % STEP - STEP / 2
        distance = np.hypot(rows, columns)
        self._square = np.repeat(np.clip(distance * 9, 0, 255).astype(np.uint8)[..., None], 3, axis=2)

    def read(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        rows, columns = (np.arange(start, start + side) % SIDE for start, side in ((y, size.height), (x, size.width)))
        return self._square[np.ix_(rows, columns)]


class DarkSegmenter:
    """Probability 1 for black, 0 for white; the signals of every view are made all the same."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def around(self, view: View) -> Window:
        return view.window

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, NDArray[np.float32]]]:
        for tile in tiles:
            darkness = (255 - tile.image[..., 0].astype(np.float32)) / 255
            for view in tile.tile.views:
                field.signals(view)
                yield view, darkness[view.window.slices_in(tile.tile.window)]


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(int(sys.argv[2]))))
        return
    print(
        f"{'clicks':>10}{'slide, px':>12}{'peak, MB':>10}{'ms per click':>14}{'of it writing':>15}{'GeoJSON, MB':>13}"
    )
    for clicks in map(int, sys.argv[1:] or CLICKS):
        command = [sys.executable, "-m", "benchmarks.scale", "--one", str(clicks)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        print(
            f"{clicks:10}{found['side']:12}{found['peak']:10.0f}{1000 * found['seconds'] / clicks:14.2f}"
            f"{1000 * found['writing'] / clicks:9.2f}{found['written']:13.1f}",
            flush=True,
        )


def measured(clicks: int) -> dict[str, Any]:
    """Return what one run takes: MB, seconds of the processor, and pixels of the slide's side."""
    across = int(np.ceil(np.sqrt(clicks)))
    side = max(SIDE, across * STEP)
    card = replace(nw.ModelRegistry(device="cpu").card(nw.ObjectKind.NUCLEUS), threshold=0.5)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "clicks.csv", clicks, across)
        begun = time.process_time()
        prompts = read_prompts(folder / "clicks.csv", ObjectChoice.NUCLEUS)
        with Journal(folder / "journal.sqlite") as journal, InstanceSpool(folder) as spool:
            cache = journal.image("made", {nw.ObjectKind.NUCLEUS: b"made"})
            segmenters = FixedSegmenters({nw.ObjectKind.NUCLEUS: DarkSegmenter(card)})
            work = SlideWork(RepeatedSlide(side), segmenters, PIXEL_SIZE, nw.Settings(), cache, lambda _: None)
            ended = EndedPrompts.of(work.ends_of(prompts), spool, 0.7)
            assert ended.instances == clicks
            writing = time.process_time()
            sink = GeoJsonSink(folder / "results.geojson", nw.ObjectType.DETECTION)
            sink.write(Results(spool, {}, [], {}))
            done = time.process_time()
        written = (folder / "results.geojson").stat().st_size / 1e6
    return {"side": side, "peak": peak_mb(), "seconds": done - begun, "writing": done - writing, "written": written}


def peak_mb() -> float:
    """Return the most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def write_table(path: Path, clicks: int, across: int) -> None:
    rng = np.random.default_rng(0)
    with path.open("w") as file:
        file.write("x,y,class\n")
        for number in rng.permutation(clicks).tolist():
            x, y = (place * STEP + STEP / 2 + rng.integers(-3, 4) for place in (number % across, number // across))
            file.write(f"{x},{y},Tumor\n")


if __name__ == "__main__":
    main()
