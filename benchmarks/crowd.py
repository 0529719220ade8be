"""Squiggles that lie on each other by the thousand: memory and processor time by their number, on one small slide.

Squiggles lie at random on 4,096 x 4,096 px, so more of them lie more on each other: of 20,000, some ten on each pixel.
Instead of a network, a ragged disc about each squiggle is probable: what is measured is all else. Each number runs in
a process of its own: `python -m benchmarks.crowd [SQUIGGLES ...]`.

`python -m benchmarks.crowd --settle [SQUIGGLES]` settles so many alone, as dense as 20,000 are, and counts the pixels
that are given up in each round and the islands that they make.
"""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Iterator
from datetime import date
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.geometry import Point, Size
from nuclick_wsi.instances import Instance, PromptSet
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import Click, ObjectKind, Prompt, Squiggle, prompt_id
from nuclick_wsi.scale import PixelSize, Window
from nuclick_wsi.segmentation.claims import Claims, Numbers
from nuclick_wsi.segmentation.contest import Contest
from nuclick_wsi.segmentation.crops import View
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.result_cache import NoCache
from nuclick_wsi.segmentation.segmenter import FixedSegmenters, Signals, TileImage
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.segmentation.slide_work import SlideWork
from nuclick_wsi.slides.slide import Level, SlideInfo

SQUIGGLES = (500, 1_000, 2_000, 4_000, 8_000, 20_000)
SIDE = 4096
PIXEL_SIZE = PixelSize(0.5, 0.5)
RADIUS, LENGTH = (40, 70), 40
"""In pixels: of the discs, and of the squiggles."""


class WhiteSlide:
    """A slide without a file."""

    def __init__(self) -> None:
        size = Size(SIDE, SIDE)
        self.info = SlideInfo(Path("made"), ReaderChoice.IMAGE, size, (Level(1.0, size),), PIXEL_SIZE)

    def read(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        return np.full((size.height, size.width, 3), 255, np.uint8)


class DiscSegmenter:
    """A ragged disc about every squiggle is probable; the signals of every view are made all the same."""

    def __init__(self) -> None:
        self.card = ModelCard(
            name="discs",
            kind=ObjectKind.GLAND,
            architecture="none",
            config={},
            crop_size=512,
            mpp=0.5,
            threshold=0.5,
            smallest_um2=200.0,
            fill_holes_um2=50.0,
            data=(),
            terms="",
            split="",
            limits="",
            created=date(2026, 1, 1),
        )
        rng = np.random.default_rng(0)
        self.shapes = [_disc(self.card.crop_size, rng) for _ in range(64)]

    def around(self, view: View) -> Window:
        return view.window

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, NDArray[np.float32]]]:
        for tile in tiles:
            for view in tile.tile.views:
                field.signals(view)
                yield view, self.shapes[view.prompt % len(self.shapes)]


def _disc(side: int, rng: np.random.Generator) -> NDArray[np.float32]:
    rows, columns = np.mgrid[:side, :side] - side / 2
    angles = np.arctan2(rows, columns)
    waves = sum(rng.uniform(0, 0.1) * np.sin(count * angles + rng.uniform(0, 6)) for count in (2, 3, 5))
    radius = rng.uniform(*RADIUS) * (1 + waves)
    probabilities: NDArray[np.float32] = (1 / (1 + np.exp((np.hypot(rows, columns) - radius) / 6))).astype(np.float32)
    return probabilities


def squiggles(count: int) -> PromptSet:
    """Return lines of three points at random places."""
    rng = np.random.default_rng(0)
    middles = rng.uniform(0, SIDE, (count, 1, 2))
    lines = np.clip(middles + rng.uniform(-LENGTH / 2, LENGTH / 2, (count, 3, 2)), 0, SIDE - 1).round(2)
    signals = [Squiggle((tuple(Point(x, y) for x, y in line),)) for line in lines.tolist()]
    return PromptSet(tuple(Prompt(prompt_id("crowd", one), ObjectKind.GLAND, one) for one in signals))


def measured(count: int) -> dict[str, float]:
    """Return what one run takes: MB, and seconds of the processor."""
    prompts = squiggles(count)
    segmenters = FixedSegmenters({ObjectKind.GLAND: DiscSegmenter()})
    work = SlideWork(WhiteSlide(), segmenters, PIXEL_SIZE, Settings(workers=0), NoCache(), lambda _: None)
    begun = time.process_time()
    instances = sum(isinstance(end, Instance) for end in work.ends_of(prompts))
    seconds = time.process_time() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"instances": instances, "peak": peak, "seconds": seconds}


def settled(count: int) -> None:
    """Settle discs as dense as those of 20,000; print what it takes, and what is given up on the way."""
    side = int(SIDE * np.sqrt(count / SQUIGGLES[-1]))
    contest, given_up = _Watched([*_patches(count, side)], 800), np.zeros((side + 1024, side + 1024), np.bool_)
    begun = time.process_time()
    contest.settle()
    seconds = time.process_time() - begun
    print(f"{count} on {side} px: {seconds:.1f} s, {len(contest.in_motion)} rounds with so many masks in motion:")
    print(*contest.in_motion)
    for number, parts in enumerate(contest.given_up):
        for window, part in parts:
            given_up[window.y + 512 : window.bottom + 512, window.x + 512 : window.right + 512] |= part
        if number in (0, len(contest.given_up) - 1):
            sizes = np.bincount(ndimage.label(given_up)[0].ravel())[1:]
            print(
                f"given up by round {number + 1}: {sizes.sum() / side**2:.3f}, {len(sizes)} islands up to {sizes.max()}"
            )


def _patches(count: int, side: int) -> Iterator[Patch]:
    shapes = DiscSegmenter().shapes
    rows, columns = np.mgrid[-20:20, -1:2].reshape(2, -1) + 256
    for number, (x, y) in enumerate(np.random.default_rng(0).integers(0, side, (count, 2)).tolist()):
        prompt = Prompt(f"{number:06}", ObjectKind.GLAND, Click(Point(x, y)))
        window = Window(x - 256, y - 256, 512, 512)
        said, signal = shapes[number % len(shapes)], np.stack([rows, columns], axis=1)
        yield Patch.cropped(prompt, window, said >= 0.5, said, np.add(signal, (window.y, window.x)))


class _Watched(Contest):
    """A contest that keeps what is given up in each round."""

    def settle(self) -> None:
        self.in_motion: list[int] = []
        self.given_up: list[list[tuple[Window, NDArray[np.bool_]]]] = []
        super().settle()

    def _round(self, open_claims: Collection[int], smallest_px: int) -> set[int]:
        self.in_motion.append(len(open_claims))
        return super()._round(open_claims, smallest_px)

    def _freed(self, fallen: dict[int, NDArray[np.int32]]) -> dict[Claims, Numbers]:
        parts = []
        for index, places in fallen.items():
            part = np.zeros(self.patches[index].mask.shape, np.bool_)
            part.ravel()[places] = True
            parts.append((self.patches[index].window, part))
        self.given_up.append(parts)
        return super()._freed(fallen)


def main() -> None:
    if sys.argv[1:2] == ["--settle"]:
        settled(int((*sys.argv[2:], 1500)[0]))
        return
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measured(int(sys.argv[2]))))
        return
    print(f"{'squiggles':>10}{'instances':>11}{'peak, MB':>10}{'ms per squiggle':>17}")
    for count in map(int, sys.argv[1:] or SQUIGGLES):
        command = [sys.executable, "-m", "benchmarks.crowd", "--one", str(count)]
        found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        print(
            f"{count:10}{found['instances']:11}{found['peak']:10.0f}{1000 * found['seconds'] / count:17.2f}", flush=True
        )


if __name__ == "__main__":
    main()
