"""Memory of one run over many slides: a QuPath project, clicks by the thousand on each, everything but a network.

    python -m benchmarks.many_slides [--slides 100] [--clicks 10000] [--folder DIR] [--curve CSV] [--plot PNG]

The slides are one made picture of dark discs under many names, and each disc is clicked. `nuclick-wsi run` works
through the project in a process of its own, in which dark pixels stand in for what a network would say; meanwhile its
memory is noted every second. In a folder that is given, a run that was stopped goes on. Linux.
"""

import argparse
import csv
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path

import numpy as np

import nuclick_wsi as nw
from benchmarks.scale import STEP, DarkSegmenter
from nuclick_wsi.slides.pyramid import PyramidCompression, PyramidLayout, write_pyramid

ROOT = Path(__file__).resolve().parents[1]
SLIDES, CLICKS = 10, 1000
TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass(frozen=True)
class Moment:
    """What is seen of the run at one moment.

    Attributes
    ----------
    processor
        Seconds of it that the run has used.
    slides
        Slides whose results are written.
    """

    seconds: float
    processor: float
    megabytes: float
    slides: int


def main() -> None:
    if sys.argv[1:2] == ["--run"]:
        run(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slides", type=int, default=SLIDES)
    parser.add_argument("--clicks", type=int, default=CLICKS, help="on each slide")
    parser.add_argument("--folder", type=Path, help="where the project is made, or was")
    parser.add_argument("--curve", type=Path, help="a table of all moments")
    parser.add_argument("--plot", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = asked.folder or Path(scratch) / "project"
        if not (folder / "project.qpproj").exists():
            make_project(folder, asked.slides, asked.clicks)
        moments = list(watched(folder))
    if asked.curve is not None:
        with asked.curve.open("w", newline="") as file:
            csv.writer(file).writerows([[one.name for one in fields(Moment)], *map(astuple, moments)])
    if asked.plot is not None:
        plot(moments, asked.clicks, asked.plot)
    print(summary(moments, asked.clicks))


def make_project(folder: Path, slides: int, clicks: int) -> None:
    """Write a project whose slides are one file under many names."""
    sys.path.insert(0, str(ROOT / "tests"))
    from projects import Image, write_project
    from qpdata_writer import Drawn, points

    across = int(np.ceil(np.sqrt(clicks)))
    places = [(number % across * STEP + STEP / 2, number // across * STEP + STEP / 2) for number in range(clicks)]
    names = [f"slide-{number:04d}.svs" for number in range(slides)]
    described = {"metadata": {"width": across * STEP, "height": across * STEP}}
    clicked = [Drawn(points(*places))]
    write_project(folder, *(Image(name, clicked, builder=described, has_slide=False) for name in names))
    first = folder / "slides" / names[0]
    rows, columns = np.mgrid[: across * STEP, : across * STEP] % STEP - STEP / 2
    shade = np.clip(np.hypot(rows, columns) * 9, 0, 255).astype(np.uint8)
    layout = PyramidLayout((1,), PyramidCompression.LOSSLESS)
    write_pyramid(first, np.repeat(shade[..., None], 3, axis=2), nw.PixelSize(0.25, 0.25), layout)
    for name in names[1:]:
        try:
            os.link(first, first.with_name(name))
        except OSError:
            shutil.copyfile(first, first.with_name(name))


def watched(folder: Path) -> Iterator[Moment]:
    """Run over a project, and yield what is seen of it every second."""
    command = [sys.executable, "-m", "benchmarks.many_slides", "--run", "run", str(folder / "project.qpproj")]
    options = ["--object", "nucleus", "--device", "cpu", "--project-access", "files", "--mpp", "0.25"]
    begun = time.monotonic()
    with subprocess.Popen([*command, *options], cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        status, times = (Path(f"/proc/{process.pid}/{name}") for name in ("status", "stat"))
        while process.poll() is None:
            text = status.read_text()
            if "VmRSS:" in text:
                used = sum(map(int, times.read_text().rpartition(")")[2].split()[11:13])) / TICKS
                done = sum(1 for _ in (folder / "nuclick").glob("*.geojson"))
                yield Moment(time.monotonic() - begun, used, int(text.split("VmRSS:")[1].split()[0]) / 1024, done)
            time.sleep(1)
    if process.returncode:
        sys.exit(f"the run ended with {process.returncode}")


def run(arguments: list[str]) -> None:
    """Run the command line, with dark pixels in place of what a network says."""
    from nuclick_wsi.cli.app import main as command_line
    from nuclick_wsi.segmentation.model_registry import ModelRegistry

    load = ModelRegistry.segmenter

    def dark(registry: ModelRegistry, kind: nw.ObjectKind) -> DarkSegmenter:
        load(registry, kind)
        return DarkSegmenter(replace(registry.card(kind), threshold=0.5))

    ModelRegistry.segmenter = dark  # type: ignore[method-assign, assignment]
    sys.argv = ["nuclick-wsi", *arguments]
    command_line()


def summary(moments: list[Moment], clicks: int) -> str:
    """Return in words what was seen."""
    last = moments[-1]
    halves = [
        max(one.megabytes for one in part) for part in (moments[: len(moments) // 2], moments[len(moments) // 2 :])
    ]
    return (
        f"{last.slides} slides, {last.slides * clicks:,} clicks: {last.processor / 60:.1f} minutes of the processor "
        f"({1000 * last.processor / max(1, last.slides * clicks):.2f} ms a click), {last.seconds / 60:.1f} minutes; "
        f"memory at most {halves[0]:.0f} MB in the first half of that time and {halves[1]:.0f} MB in the second"
    )


def plot(moments: list[Moment], clicks: int, path: Path) -> None:
    """Draw memory, and clicks that are done, by the processor's time."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
    minutes = [one.processor / 60 for one in moments]
    axes.plot(minutes, [one.megabytes for one in moments], linewidth=1)
    axes.set(xlabel="minutes of the processor", ylabel="memory, MB", xlim=(0, None), ylim=(0, None))
    axes.grid(alpha=0.3)
    beside = axes.twinx()
    beside.plot(minutes, [one.slides * clicks / 1000 for one in moments], color="0.6", linewidth=1)
    beside.set(ylabel="thousand clicks written (grey)", ylim=(0, None))
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
