"""`python -m nuclick_training.comparison masks`: trains and tests the networks of Table VII, and prints them."""

import argparse
import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from nuclick_training.comparison.automatic import (
    PAPER,
    TRUE,
    designs,
    drawn_by,
    pictures_of,
    tested,
)
from nuclick_training.comparison.length import add_length, with_length
from nuclick_training.comparison.mask_rcnn import missing_torchvision
from nuclick_training.comparison.nuclick import NuClick
from nuclick_training.comparison.system import System
from nuclick_training.comparison.systems import NUCLEI
from nuclick_training.comparison.watershed import Watershed
from nuclick_training.evaluation.intervals import Estimate, mean_estimates
from nuclick_training.fitting.settings import FitSettings
from nuclick_wsi.files import write_atomically
from nuclick_wsi.prompts import ObjectKind

_SCORES = ("Dice", "SQ")
_SETTINGS = FitSettings(batch=8, rate=1.5e-3, averaging=0.99, corrections=0.0, check_minutes=3.0, keep="last")


def add_masks(command: argparse.ArgumentParser) -> None:
    """Give a command the options of Table VII."""
    command.add_argument("--data", type=Path, required=True, help="folder of one data set of nuclei: images/, labels/")
    command.add_argument("--mpp", type=float, default=0.25, help="microns per pixel (default: %(default)s)")
    command.add_argument("--out", type=Path, required=True, help="folder of the runs and the table; runs in it go on")
    command.add_argument("--model", default="nuclei-open", help="what draws masks from clicks (default: %(default)s)")
    command.add_argument("--width", type=float, default=0.25, help="of the networks, as a share of their papers'")
    add_length(command)
    command.set_defaults(run=_masks)


def _masks(options: argparse.Namespace) -> None:
    settings = with_length(_SETTINGS, options)
    true, judging, testing = (pictures_of(options.data, part) for part in ("train", "validation", "test"))
    if why := missing_torchvision():
        print(why, flush=True)
    rows = []
    for masks, system in _drawing(options.model):
        learning = true if system is None else drawn_by(system, true, options.mpp)
        for design, learn in designs(options.width, mask_rcnn=not why).items():
            place = options.out / f"{design}-{masks}".lower().replace(" ", "-")
            estimates = mean_estimates(tested(learn(learning, judging, place, settings), testing))
            rows.append((design, masks, [estimates[name] for name in _SCORES]))
            print(f"{design} on {masks}: Dice {estimates['Dice'].value:.3f}", flush=True)
    write_atomically(options.out / "masks.csv", _csv(rows))
    Console().print(_table(rows))


def _drawing(model: str) -> Iterator[tuple[str, System | None]]:
    yield TRUE, None
    yield "NuClick", NuClick(model, ObjectKind.NUCLEUS)
    yield "watershed", next(entry.system for entry in NUCLEI if isinstance(entry.system, Watershed))


def _table(rows: Sequence[tuple[str, str, Sequence[Estimate]]]) -> Table:
    table = Table("network", "learns from")
    for name in _SCORES:
        table.add_column(name, justify="right")
    for design, masks, estimates in rows:
        theirs = PAPER.get((design, masks), (None,) * len(_SCORES))
        table.add_row(design, masks, *(_cell(one, paper) for one, paper in zip(estimates, theirs, strict=True)))
    return table


def _cell(estimate: Estimate, paper: float | None) -> str:
    interval = " ({:.3f} to {:.3f})".format(*estimate.interval) if estimate.interval else ""
    return f"{estimate.value:.3f}{interval}" + ("" if paper is None else f"; paper {paper:.3f}")


def _csv(rows: Sequence[tuple[str, str, Sequence[Estimate]]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    headings = [f"{name}{end}" for name in _SCORES for end in ("", " from", " to", " in paper")]
    writer.writerow(["network", "learns from", *headings])
    for design, masks, estimates in rows:
        cells: list[object] = []
        for estimate, paper in zip(estimates, PAPER.get((design, masks), ("",) * len(_SCORES)), strict=True):
            low, high = estimate.interval or ("", "")
            cells += [estimate.value, low, high, paper]
        writer.writerow([design, masks, *cells])
    return text.getvalue().encode()
