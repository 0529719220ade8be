"""What the journal costs in processor time: for each prompt, and as a share of a run on one core.

Real tissue, repeated to a slide of 2,048 px, and a thousand clicks on it. `python benchmarks/journal.py [CLICKS]`.
"""

import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from skimage.data import immunohistochemistry

import nuclick_wsi as nw
from nuclick_wsi.prompts import Click, ObjectKind, Prompt
from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.result_cache import NoCache, ResultCache
from nuclick_wsi.slides.pyramid import write_pyramid

SIDE = 2048
PIXEL = PixelSize(0.25, 0.25)
KEYS = dict.fromkeys(ObjectKind, b"about")


class Timed:
    """A cache, and the processor time that is spent in it."""

    def __init__(self, cache: ResultCache) -> None:
        self.cache, self.seconds = cache, 0.0

    def recall(self, *given: object) -> object:
        return self._timed(self.cache.recall, *given)

    def remember(self, *given: object) -> object:
        return self._timed(self.cache.remember, *given)

    def _timed(self, work: Callable[..., object], *given: object) -> object:
        began = time.thread_time()
        result = work(*given)
        self.seconds += time.thread_time() - began
        return result


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    torch.set_num_threads(1)
    chance = random.Random(0)
    prompts = [
        Prompt(f"{number:06d}", ObjectKind.NUCLEUS, Click(nw.Point(chance.uniform(0, SIDE), chance.uniform(0, SIDE))))
        for number in range(count)
    ]
    tile = immunohistochemistry()[:512, :512]
    with tempfile.TemporaryDirectory() as folder:
        slide = Path(folder) / "a.svs"
        write_pyramid(slide, np.tile(tile, (SIDE // 512, SIDE // 512, 1)), PIXEL)
        registry = nw.ModelRegistry(device="cpu", threads=1)
        plain = run(slide, prompts, registry, NoCache())
        with Journal(Path(folder) / "journal.sqlite") as journal:
            cache = Timed(journal.image("a", KEYS))
            with_journal = run(slide, prompts, registry, cache)
            journal.save()
            again = Timed(journal.image("a", KEYS))
            run(slide, prompts, registry, again)
        size = (Path(folder) / "journal.sqlite").stat().st_size
    print(f"{count} clicks: {plain / count * 1e3:.2f} ms of processor time each without a journal")
    print(f"journal: {cache.seconds / count * 1e3:.3f} ms a prompt, {cache.seconds / with_journal:.1%} of the run")
    print(f"recalled: {again.seconds / count * 1e3:.3f} ms a prompt; {size / count:.0f} bytes of journal each")


def run(slide: Path, prompts: list[Prompt], registry: nw.ModelRegistry, cache: object) -> float:
    """Return the processor time of a run over the slide, in seconds."""
    with nw.open_slide(slide) as opened:
        began = time.process_time()
        nw.segment(opened, prompts, registry, PIXEL, cache=cache)  # type: ignore[arg-type]
        return time.process_time() - began


if __name__ == "__main__":
    main()
