"""The one table: stages, cores, quiet and busy, spread and clustered clicks, a lone click; kept and compared.

A ratio says how a figure stands to another one of the same run, so it holds on other machines and beside other
programs better than milliseconds do. It is compared with the run that the repository keeps. Written to
benchmarks/results/last.json; `--keep` keeps it for later runs.
"""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from skimage.data import immunohistochemistry

import nuclick_wsi as nw
from benchmarks._load import BUSY, busy_programs, cost_of
from benchmarks._record import KEPT, LAST, Row, kept_ratios, write
from benchmarks.engine import Recorder
from nuclick_wsi.formats.geojson import write_results
from nuclick_wsi.geometry import Size
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.models.devices import usable_cores
from nuclick_wsi.prompts import prompt_id
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.crops import View
from nuclick_wsi.segmentation.segmenter import FixedSegmenters, Signals, TileImage
from nuclick_wsi.slides.pyramid import write_pyramid
from nuclick_wsi.slides.slide import Slide

TILES, SIDE = 8, 4096
CLICKS, FEW, ROUNDS = 1000, 40, 5
PIXEL_SIZE = nw.PixelSize(0.25, 0.25)
DENSITY = 1500
"""Square pixels a click, where there are many."""
SIZES = (1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Tissue:
    """A made slide, and where its results may be written."""

    slide: Slide
    path: Path

    def segment(self, prompts: nw.PromptSet, threads: int = 1) -> nw.Outcome:
        models = nw.ModelRegistry(device="cpu", threads=threads)
        return nw.segment(self.slide, prompts, models, PIXEL_SIZE, nw.Settings(workers=0 if threads == 1 else 2))


class TimedSlide:
    """A slide that adds up what reading takes of the processor."""

    def __init__(self, slide: Slide) -> None:
        self.info = slide.info
        self.seconds = 0.0
        self._slide = slide

    def read(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        begun = time.process_time()
        pixels = self._slide.read(level, x, y, size)
        self.seconds += time.process_time() - begun
        return pixels


class Discs:
    """Answers every click with a disc: what a slide of many clicks costs beside the network."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card
        rows, columns = np.mgrid[: card.crop_size, : card.crop_size] - card.crop_size / 2
        self._disc: NDArray[np.float32] = (1 / (1 + np.exp(np.hypot(rows, columns) - 14))).astype(np.float32)

    def around(self, view: View) -> Window:
        return view.window

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, NDArray[np.float32]]]:
        for tile in tiles:
            for view in tile.tile.views:
                field.signals(view)
                yield view, self._disc


def made_tissue() -> NDArray[np.uint8]:
    """Return a picture that repeats with no block of a shared encoder: blocks that were seen cost nothing."""
    picture = immunohistochemistry()
    beside = np.concatenate([picture, picture[:, ::-1]], axis=1)
    return np.tile(np.concatenate([beside, beside[::-1]]), (TILES // 2, TILES // 2, 1))


def prompts_at(positions: NDArray[np.float64]) -> nw.PromptSet:
    signals = [nw.Click(nw.Point(x, y)) for x, y in positions.tolist()]
    return nw.PromptSet(tuple(nw.Prompt(prompt_id("table", s), nw.ObjectKind.NUCLEUS, s) for s in signals))


def clicks_within(side: float, count: int) -> nw.PromptSet:
    """Return clicks at random within a square in the middle of the slide."""
    return prompts_at(np.random.default_rng(0).uniform(0, side, (count, 2)) + (SIDE - side) / 2)


def scattered(count: int) -> nw.PromptSet:
    """Return clicks that are far from each other."""
    steps = np.linspace(100, SIDE - 100, int(np.ceil(count**0.5)))
    return prompts_at(np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)[:count])


def stages(tissue: Tissue) -> list[Row]:
    """What each stage takes of the processor, one thread; ratios are shares of the whole."""
    prompts = clicks_within(SIDE, CLICKS)
    recorder = Recorder(nw.ModelRegistry(device="cpu", threads=1).segmenter(nw.ObjectKind.NUCLEUS))
    slide = TimedSlide(tissue.slide)
    begun = time.process_time()
    found = nw.segment(
        slide,
        prompts,
        FixedSegmenters({nw.ObjectKind.NUCLEUS: recorder}),
        PIXEL_SIZE,
        nw.Settings(workers=0),
    )
    segmented = time.process_time() - begun
    write_results(tissue.path.with_suffix(".geojson"), found.instances, nw.ObjectType.DETECTION, {})
    whole = time.process_time() - begun
    parts = {
        "read": slide.seconds,
        "signals and network": recorder.seconds,
        "plan, masks, overlaps, outlines": segmented - slide.seconds - recorder.seconds,
        "GeoJSON": whole - segmented,
    }
    return [Row("stages", name, 1000 * took / CLICKS, took / whole, "all stages") for name, took in parts.items()]


def cores(tissue: Tissue) -> list[Row]:
    """How much faster all cores are than one, alone and beside busy programs."""
    prompts, every = clicks_within(SIDE, CLICKS), usable_cores()

    def clock(threads: int) -> float:
        return 1000 * cost_of(lambda: tissue.segment(prompts, threads)).clock / CLICKS

    one, quiet = clock(1), clock(every)
    apart = 1000 * clock_of_programs(tissue.path, every) / CLICKS / every
    with busy_programs():
        one_beside, beside = clock(1), clock(every)
    fair = every / (every + BUSY)
    programs = f"{BUSY} busy programs beside"
    return [
        Row("cores", "one, quiet", one, 1.0, "speed of one, quiet"),
        Row("cores", f"all {every}, quiet", quiet, one / quiet, "speed of one, quiet"),
        Row("cores", f"{every} programs of one core each", apart, one / apart, "speed of one, quiet"),
        Row("cores", f"one, {programs}", one_beside, one / one_beside, "speed of one, quiet"),
        Row("cores", f"all {every}, {programs}", beside, quiet / beside / fair, f"{fair:.2f} of all {every}, quiet"),
    ]


def clock_of_programs(path: Path, count: int) -> float:
    """Return the mean seconds that programs take side by side, each for all clicks on one core: the machine's limit."""
    code = "import sys; from benchmarks.table import one_program; print(one_program(sys.argv[1]))"
    command = [sys.executable, "-c", code, str(path)]
    programs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    return sum(float(program.communicate()[0]) for program in programs) / count


def one_program(path: str) -> float:
    with nw.open_slide(Path(path)) as slide:
        tissue = Tissue(slide, Path(path))
        tissue.segment(scattered(FEW))  # what is loaded at first use
        return cost_of(lambda: tissue.segment(clicks_within(SIDE, CLICKS))).clock


def places(tissue: Tissue) -> list[Row]:
    """What a click takes of the processor by what lies near it."""
    asked = {
        "spread": clicks_within(SIDE, CLICKS),
        "clustered": clicks_within((CLICKS * DENSITY) ** 0.5 / 2, CLICKS),
        "scattered": scattered(FEW),
    }
    costs = {
        name: 1000 * cost_of(lambda prompts=prompts: tissue.segment(prompts)).processor / len(prompts.prompts)
        for name, prompts in asked.items()
    }
    return [Row("clicks", name, cost, cost / costs["spread"], "spread") for name, cost in costs.items()]


def lone_click(tissue: Tissue) -> list[Row]:
    """What one click takes: a command of its own, and where everything is loaded."""
    models = nw.ModelRegistry(device="cpu")
    again, new = clicks_within(300, 1), iter(scattered(ROUNDS).prompts)
    nw.segment(tissue.slide, again, models, PIXEL_SIZE)
    known = 1000 * cost_of(lambda: nw.segment(tissue.slide, again, models, PIXEL_SIZE), ROUNDS).clock
    other = 1000 * cost_of(lambda: nw.segment(tissue.slide, [next(new)], models, PIXEL_SIZE), ROUNDS).clock
    table = tissue.path.with_suffix(".csv")
    table.write_text("x,y\n1000,1000\n", encoding="utf-8")
    commands = {
        "cold, nuclick-wsi --help": ["--help"],
        "cold, nuclick-wsi run": ["run", str(table), "--slide", str(tissue.path), "--fresh"],
    }
    rows = [
        Row("a lone click", "warm, a new place", other, 1.0, "warm, a new place"),
        Row("a lone click", "warm, seen before", known, known / other, "warm, a new place"),
    ]
    work = {name: partial(nuclick, arguments) for name, arguments in commands.items()}
    work["cold, nuclick-wsi serve, until it is ready"] = partial(start_server, tissue.path.parent)
    for name, one in work.items():
        took = 1000 * cost_of(one).clock
        rows.append(Row("a lone click", name, took, took / other, "warm, a new place"))
    return rows


def command_of(arguments: list[str]) -> list[str]:
    return [sys.executable, "-c", "from nuclick_wsi.cli.app import main; main()", *arguments]


def nuclick(arguments: list[str]) -> None:
    subprocess.run(command_of(arguments), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def start_server(folder: Path) -> None:
    """Start the server, and stop it once it says where it listens."""
    command = command_of(["serve", "--port", "0", "--allow", str(folder)])
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        assert "http://" in server.stdout.readline()
        server.terminate()


def sizes(tissue: Tissue) -> list[Row]:
    """What a click takes of the processor beside the network, by how many there are on the slide."""
    card = nw.ModelRegistry(device="cpu").card(nw.ObjectKind.NUCLEUS)
    source = FixedSegmenters({nw.ObjectKind.NUCLEUS: Discs(card)})
    costs = {}
    for count in SIZES:
        prompts = clicks_within(SIDE, count)
        took = cost_of(lambda prompts=prompts: nw.segment(tissue.slide, prompts, source, PIXEL_SIZE), 1).processor
        costs[count] = 1000 * took / count
    return [Row("size", f"{count} clicks", cost, cost / costs[SIZES[0]], "1000") for count, cost in costs.items()]


def shown(rows: list[Row]) -> Table:
    kept = kept_ratios()
    table = Table("", "", "ms", "ratio", "to", "kept", "change")
    for row in rows:
        before = kept.get(row.key)
        change = "" if before is None else f"{row.ratio / before - 1:+.0%}"
        was = "" if before is None else f"{before:.3g}"
        table.add_row(row.group, row.name, f"{row.milliseconds:.3g}", f"{row.ratio:.3g}", row.to, was, change)
    return table


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tissue.svs"
        write_pyramid(path, made_tissue(), PIXEL_SIZE)
        with nw.open_slide(path) as slide:
            tissue = Tissue(slide, path)
            groups = [stages, cores, places, lone_click, *([sizes] if "--sizes" in sys.argv else [])]
            rows = [row for group in groups for row in group(tissue)]
    Console(width=140).print(shown(rows))
    LAST.parent.mkdir(exist_ok=True)
    write(rows, KEPT if "--keep" in sys.argv else LAST)


if __name__ == "__main__":
    main()
