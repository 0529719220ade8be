"""`python -m nuclick_training.comparison paper --table N`: a table of the paper again, its figures beside ours.

Networks are trained where a table needs them, each for the same minutes; a run that was begun goes on, and what is
trained already is not trained again.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console

from nuclick_training.comparison.bench import scenes_of, score
from nuclick_training.comparison.learned.designs import DESIGNS, Design
from nuclick_training.comparison.learned.learned_system import LearnedSystem
from nuclick_training.comparison.learned.looks import GuidingSignals
from nuclick_training.comparison.learned.training import SETTINGS, file_of, train, trained
from nuclick_training.comparison.length import add_length, told_length, with_length
from nuclick_training.comparison.nuclick import NuClick
from nuclick_training.comparison.paper_rows import PaperRow, csv_of, figure_of, table_of
from nuclick_training.comparison.system import System
from nuclick_training.comparison.systems import SYSTEMS
from nuclick_training.comparison.tables import SHOWN, papers_figures
from nuclick_training.datasets.data import read_picture
from nuclick_training.evaluation.evaluate import Evaluation, evaluate, images_of
from nuclick_training.evaluation.intervals import Estimates, mean_estimates
from nuclick_training.fitting.settings import FitSettings
from nuclick_training.synthesis.cell_library import read_library
from nuclick_training.synthesis.compose import PIXEL_SIZE, compose_pool
from nuclick_training.synthesis.composing import COMPOSED, LIBRARY, write_pictures
from nuclick_wsi.files import write_atomically
from nuclick_wsi.models.network import MULTI_SCALE, build
from nuclick_wsi.prompts import ObjectKind

_WIDTH = 0.25
_CELLS_TO_LEARN = 60


@dataclass(frozen=True, slots=True)
class Budget:
    """Where the data sets are, where runs are kept, and how each network is trained.

    Attributes
    ----------
    objects
        So many of the test images' objects at most, where systems are compared side by side; None for all.
    """

    data: Path
    out: Path
    training: FitSettings
    objects: int | None = None


def add_paper(command: argparse.ArgumentParser) -> None:
    """Give a command the options of the paper's tables."""
    command.add_argument("--table", type=int, required=True, choices=sorted(TABLES), help="of the paper")
    command.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    command.add_argument("--out", type=Path, required=True, help="folder of runs and tables; runs in it go on")
    command.add_argument("--objects", type=int, help="so many test objects at most; default: all")
    add_length(command)
    command.set_defaults(run=_paper)


def _paper(options: argparse.Namespace) -> None:
    budget = Budget(options.data, options.out, with_length(SETTINGS, options), options.objects)
    rows = []
    for row in TABLES[options.table](budget):
        print(row.name, flush=True)
        rows.append(row)
    Console().print(table_of(options.table, rows))
    write_atomically(options.out / f"table-{options.table}.csv", csv_of(rows))
    write_atomically(options.out / f"table-{options.table}.png", figure_of(rows))


# ---------------------------------------------------------------------- tables of systems that are trained alike


def _systems(kind: ObjectKind, budget: Budget) -> Iterator[PaperRow]:
    """Yield tables II, III and IV: every interactive system on the same objects."""
    learning, testing, split, mpp = _data_of(kind, budget)
    names = SHOWN[kind]
    for entry in SYSTEMS[kind]:
        ours = _side_by_side(entry.system, testing, split, mpp, budget)
        differs = "the shipped model" if isinstance(entry.system, NuClick) else "parameters chosen on validation images"
        yield PaperRow(entry.system.name, _theirs(kind, entry.system.name), _only(ours, names), differs)
    for design in DESIGNS[kind]:
        system = _learned(design, kind, learning, mpp, budget)
        ours = _side_by_side(system, testing, split, mpp, budget)
        yield PaperRow(design.name, _theirs(kind, design.name), _only(ours, names), _differs(system))


def _networks(budget: Budget) -> Iterator[PaperRow]:
    """Yield table I: networks that see the same signals."""
    learning, testing, split, mpp = _data_of(ObjectKind.NUCLEUS, budget)
    for name, (network, figures) in _TABLE_I.items():
        design = Design(name, GuidingSignals(), network)
        system = _learned(design, ObjectKind.NUCLEUS, learning, mpp, budget)
        ours = _side_by_side(system, testing, split, mpp, budget)
        paper = dict(zip(("AJI", "Dice", "PQ", "Hausdorff"), figures, strict=True))
        yield PaperRow(name, paper, _only(ours, tuple(paper)), f"{_WIDTH:g} of its width; {_differs(system)}")


def _across(budget: Budget) -> Iterator[PaperRow]:
    """Yield table V: trained on one laboratory's nuclei, tested on another's."""
    design = DESIGNS[ObjectKind.NUCLEUS][-1]
    for learning, testing, figures in (("monuseg", "gbm40", (0.908, 0.821)), ("gbm40", "monuseg", (0.892, 0.811))):
        system = _learned(design, ObjectKind.NUCLEUS, budget.data / learning, _NUCLEI_MPP, budget)
        ours = _side_by_side(system, budget.data / testing, "test", _NUCLEI_MPP, budget)
        paper = dict(zip(("Dice", "SQ"), figures, strict=True))
        differs = f"gbm40 is here what CPM is there; {_differs(system)}"
        yield PaperRow(f"{learning} to {testing}", paper, _only(ours, tuple(paper)), differs)


def _learned(design: Design, kind: ObjectKind, data: Path, mpp: float, budget: Budget) -> LearnedSystem:
    runs = budget.out / str(kind) / data.name
    if not file_of(design, runs).exists():
        print(f"{design.name}: {told_length(budget.training)}", flush=True)
        train(design, kind, data, mpp, runs, budget.training)
    return trained(design, kind, runs)


def _side_by_side(system: System, data: Path, split: str, mpp: float, budget: Budget) -> Estimates:
    names = images_of(Evaluation("", data, split=split))
    pictures = [read_picture(data, name, 1.0) for name in names]
    return mean_estimates([score(system, scene)[0].tally for scene in scenes_of(pictures, mpp, budget.objects)])


def _data_of(kind: ObjectKind, budget: Budget) -> tuple[Path, Path, str, float]:
    """Return where to learn, where to test, the part to test on, and the pixel size."""
    if kind is ObjectKind.NUCLEUS:
        return budget.data / "monuseg", budget.data / "monuseg", "test", _NUCLEI_MPP
    if kind is ObjectKind.GLAND:
        return budget.data / "glas_train", budget.data / "glas_train", "test", 0.62
    folders = {"train": _CELLS_TO_LEARN, "test": COMPOSED}
    for part, count in folders.items():
        if not (budget.out / f"cells-{part}").exists():
            cells = read_library(budget.data / LIBRARY, part)
            list(write_pictures(compose_pool(cells, count, 0), budget.out / f"cells-{part}"))
    return budget.out / "cells-train", budget.out / "cells-test", "all", PIXEL_SIZE


def _theirs(kind: ObjectKind, name: str) -> Mapping[str, float]:
    """Return the paper's figures of a system; a row of ours without any names the scores all the same."""
    figures = papers_figures(kind, name)
    return dict(zip(SHOWN[kind], figures, strict=True)) if figures else {}


def _only(ours: Estimates, names: Sequence[str]) -> Estimates:
    return {name: ours[name] for name in names}


def _differs(system: LearnedSystem) -> str:
    return f"trained for {system.steps} steps"


# ------------------------------------------------------------------------------------- tables of the shipped models


def _smears(budget: Budget) -> Iterator[PaperRow]:
    """Yield table VI: cytology."""
    (trial,) = evaluate(Evaluation("nuclei", budget.data / "dsb2018_papsmear", mpp="auto")).trials
    paper = {"AJI": 0.934, "Dice": 0.965, "SQ": 0.933, "DQ": 0.997, "PQ": 0.931}
    differs = "grey cytology of DSB 2018, scaled by its objects; the shipped model"
    yield PaperRow("cytology", paper, _only(mean_estimates(trial.tallies), tuple(paper)), differs)


def _moved(budget: Budget) -> Iterator[PaperRow]:
    """Yield tables VIII and IX: clicks that are moved."""
    for kind, figures in _MOVED.items():
        _, testing, split, mpp = _data_of(kind, budget)
        model = "nuclei" if kind is ObjectKind.NUCLEUS else "cells"
        asked = Evaluation(model, testing, mpp=mpp, split=split, jitter=tuple(figures))
        for trial in evaluate(asked).trials[1:]:
            paper = dict(zip(("AJI", "Dice", "PQ"), figures[trial.jitter], strict=True))
            ours = _only(mean_estimates(trial.tallies), tuple(paper))
            yield PaperRow(f"{kind} {trial.jitter:g} px", paper, ours, "each moved by just so much; the shipped model")


def _alone(budget: Budget) -> Iterator[PaperRow]:
    """Yield table X: with and without exclusion maps."""
    for exclusion, figures in (
        (True, (0.834, 0.912, 0.839, 0.999, 0.838)),
        (False, (0.815, 0.894, 0.801, 0.972, 0.778)),
    ):
        asked = Evaluation("nuclei", budget.data / "monuseg", split="test", exclusion=exclusion)
        (trial,) = evaluate(asked).trials
        paper = dict(zip(("AJI", "Dice", "SQ", "DQ", "PQ"), figures, strict=True))
        differs = "the shipped model" if exclusion else "the shipped model, not trained anew"
        name = "with exclusion maps" if exclusion else "without"
        yield PaperRow(name, paper, _only(mean_estimates(trial.tallies), tuple(paper)), differs)


_NUCLEI_MPP = 0.25
_TABLE_I: Mapping[str, tuple[Callable[[], torch.nn.Module], Sequence[float]]] = {
    "U-Net": (partial(build, "unet", {"width": _WIDTH}), (0.762, 0.821, 0.774, 8.73)),
    "FCN-8s": (partial(build, "fcn", {"width": _WIDTH}), (0.741, 0.798, 0.756, 9.5)),
    "SegNet": (partial(build, "segnet", {"width": _WIDTH}), (0.785, 0.846, 0.794, 8.33)),
    **{
        f"NuClick {blocks} multi-scale": (
            partial(build, "nuclick", {"width": _WIDTH, "multi_scale": MULTI_SCALE[:blocks]}),
            figures,
        )
        for blocks, figures in enumerate(
            (
                (0.798, 0.860, 0.808, 6.11),
                (0.817, 0.889, 0.820, 5.51),
                (0.830, 0.905, 0.829, 4.93),
                (0.834, 0.912, 0.838, 4.05),
                (0.835, 0.914, 0.838, 4.05),
            )
        )
    },
}
_MOVED: Mapping[ObjectKind, Mapping[float, Sequence[float]]] = {
    ObjectKind.NUCLEUS: {
        1.0: (0.834, 0.912, 0.838),
        3.0: (0.834, 0.911, 0.837),
        5.0: (0.832, 0.911, 0.835),
        10.0: (0.821, 0.903, 0.822),
    },
    ObjectKind.CELL: {
        1.0: (0.954, 0.983, 0.958),
        3.0: (0.954, 0.983, 0.958),
        5.0: (0.953, 0.983, 0.957),
        10.0: (0.953, 0.982, 0.957),
        20.0: (0.950, 0.979, 0.955),
        50.0: (0.935, 0.961, 0.943),
    },
}
_ALONE: Mapping[bool, Sequence[float]] = {
    True: (0.834, 0.912, 0.839, 0.999, 0.838),
    False: (0.815, 0.894, 0.801, 0.972, 0.778),
}
TABLES: Mapping[int, Callable[[Budget], Iterator[PaperRow]]] = {
    1: _networks,
    2: partial(_systems, ObjectKind.NUCLEUS),
    3: partial(_systems, ObjectKind.CELL),
    4: partial(_systems, ObjectKind.GLAND),
    5: _across,
    6: _smears,
    8: _moved,
    9: _moved,
    10: _alone,
}
"""All but VII, which `masks` prints."""
