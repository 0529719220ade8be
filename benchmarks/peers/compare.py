"""Ours beside TIAToolbox's, MONAI's and the published NuClick: clicks per second, memory, ratios; `make bench-peers`.

    python -m benchmarks.peers.compare [--clicks 100 2000 10000] [--slide FILE] [--part N] [--rounds 2] [--plot FILE]

All work on the same slide and clicks, one after the other in turns, each in a process of its own on the same one
core. Processor time is what is compared, so that other programs matter less. A peer computes every crop alike, so of
many clicks it works on the first few (`part`) with all others as what excludes, and its time for all is worked out
from that: such figures have a ~. Ours works on all of them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import openslide
from rich.console import Console
from rich.table import Table
from skimage.data import immunohistochemistry

from benchmarks._record import RESULTS, machine
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import write_pyramid

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT.parent / "shared" / "data" / "wsi" / "CMU-1-Small-Region.svs"
PEERS = Path(os.environ.get("NUCLICK_PEERS_PYTHON", ROOT / ".venv-peers" / "bin" / "python"))
BASE = "TIAToolbox, full width"


@dataclass(frozen=True)
class Peer:
    """A script, the Python that runs it, and whether it works on all clicks."""

    script: str
    python: Path = PEERS
    options: Sequence[str] = ()
    whole: bool = False


OURS = Path(sys.executable)
NAMES = {
    "ours, shipped model": Peer("ours.py", OURS, whole=True),
    "ours, full width": Peer("ours.py", OURS, ("--model", "nuclick")),
    BASE: Peer("tiatoolbox_nuclick.py"),
    "MONAI, BasicUNet": Peer("monai_nuclick.py"),
    "the way of nuclick_torch, full width": Peer("whole_image.py", OURS),
}


@dataclass(frozen=True)
class Asked:
    """Where the same clicks are for everybody."""

    slide: Path
    folder: Path
    part: int

    def clicks(self, count: int) -> Path:
        path = self.folder / f"{count}.npy"
        if not path.exists():
            with openslide.OpenSlide(str(self.slide)) as slide:
                np.save(path, np.random.default_rng(0).uniform(64, np.array(slide.dimensions) - 64, (count, 2)))
        return path

    def run(self, peer: Peer, count: int) -> dict[str, float | str]:
        """Run a peer once."""
        part = count if peer.whole else min(count, self.part)
        script = str(Path(__file__).with_name(peer.script))
        command = [str(peer.python), script, str(self.slide), str(self.clicks(count)), "--part", str(part)]
        alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        done = subprocess.run(
            [*command, *peer.options],
            env=alone,
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            preexec_fn=stay_on_a_core if hasattr(os, "sched_setaffinity") else None,
        )
        found: dict[str, float | str] = json.loads(done.stdout.splitlines()[-1])
        return found


def stay_on_a_core() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def made_slide(folder: Path) -> Path:
    path = folder / "tissue.svs"
    write_pyramid(path, np.tile(immunohistochemistry(), (8, 8, 1)), PixelSize(0.25, 0.25))
    return path


def measured(asked: Asked, counts: Sequence[int], rounds: int) -> list[dict[str, object]]:
    """Return the best round of each peer for each number of clicks; the peers take turns."""
    best: dict[tuple[str, int], dict[str, float | str]] = {}
    for count in counts:
        for _ in range(rounds):
            for name, peer in NAMES.items():
                found = asked.run(peer, count)
                print(f"{name}, {count} clicks: {found}", file=sys.stderr, flush=True)
                before = best.get((name, count), found)
                best[name, count] = min(before, found, key=lambda one: float(one["processor"]))
    return [{"name": name, "of": count, **found} for (name, count), found in best.items()]


def shown(rows: Sequence[dict[str, object]]) -> Table:
    """Return the table; ratios are of processor time per click, against TIAToolbox's for the same clicks."""
    table = Table("clicks", "", "ms a click", "clicks/s of a core", "minutes for all", "peak MiB", "times TIAToolbox's")
    per_click = {(row["name"], row["of"]): float(row["processor"]) / float(row["clicks"]) for row in rows}
    for row in rows:
        cost = per_click[row["name"], row["of"]]
        about = "" if row["clicks"] == row["of"] else "~"
        table.add_row(
            str(row["of"]),
            str(row["name"]),
            f"{1000 * cost:.1f}",
            f"{1 / cost:.1f}",
            f"{about}{cost * int(row['of']) / 60:.1f}",
            f"{float(row['peak_mib']):.0f}",
            f"{per_click[BASE, row['of']] / cost:.1f}",
        )
    return table


def plot(rows: Sequence[dict[str, object]], path: Path) -> None:
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
    for name in dict.fromkeys(row["name"] for row in rows):
        own = [row for row in rows if row["name"] == name]
        speeds = [float(row["clicks"]) / float(row["processor"]) for row in own]
        axes.plot([row["of"] for row in own], speeds, "o-", label=name)
    axes.set(xscale="log", yscale="log", xlabel="clicks on the slide", ylabel="clicks per second of one core")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clicks", type=int, nargs="+", default=[100, 2000, 10_000])
    parser.add_argument("--part", type=int, default=24, help="clicks that a peer computes at most")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--slide", type=Path, help="else a real one beside the project, else made tissue")
    parser.add_argument("--plot", type=Path, help="a .png to write")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        slide = given.slide or (REAL if REAL.exists() else made_slide(folder))
        rows = measured(Asked(slide, folder, given.part), given.clicks, given.rounds)
    record = {"machine": machine(), "slide": slide.name, "rows": rows}
    (RESULTS / "peers.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    Console(width=130).print(shown(rows))
    if given.plot is not None:
        plot(rows, given.plot)


if __name__ == "__main__":
    main()
