"""Trains the systems that learn, and has all outline the same objects: a table, and pictures."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rich.console import Console

from nuclick_training.comparison.bench import Scene, scenes_of, score
from nuclick_training.comparison.effort import effort_plot
from nuclick_training.comparison.learned.designs import Design
from nuclick_training.comparison.learned.training import file_of, train
from nuclick_training.comparison.material import Material
from nuclick_training.comparison.pictures import sheet
from nuclick_training.comparison.system import System
from nuclick_training.comparison.tables import Row, csv_of, table_of
from nuclick_training.comparison.training_budget import TrainingBudget
from nuclick_training.datasets.data import read_picture
from nuclick_training.evaluation.evaluate import Evaluation, images_of
from nuclick_wsi.files import write_atomically
from nuclick_wsi.prompts import ObjectKind


def train_each(
    designs: Iterable[Design], kind: ObjectKind, material: Material, models: Path, budget: TrainingBudget
) -> None:
    """Train designs that have not learned yet, one after the other; a run that was begun goes on."""
    for design in designs:
        if not file_of(design, models).exists():
            print(f"{design.name}: {budget.told}", flush=True)
            print(train(design, kind, material.learning, material.mpp, models, budget), flush=True)


def tested_scenes(material: Material, objects: int | None) -> Iterator[Scene]:
    """Yield the images to test on, with so many of their objects at most."""
    names = images_of(Evaluation("", material.testing, split=material.split))
    return scenes_of([read_picture(material.testing, name, 1.0) for name in names], material.mpp, objects)


def compare(systems: Iterable[System], kind: ObjectKind, scenes: Sequence[Scene], out: Path) -> None:
    """Outline the same objects by every system; print the table, and write it and the pictures to a folder."""
    rows, drawn = [], []
    for system in systems:
        print(system.name, flush=True)
        results = [score(system, scene) for scene in scenes]
        rows.append(Row(system, [result for result, _ in results]))
        drawn.append((system.name, [pieces for _, pieces in results]))
    console = Console()
    console.print(table_of(rows, kind))
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / "comparison.csv", csv_of(rows, kind))
    write_atomically(out / "comparison.png", sheet(scenes, drawn))
    write_atomically(out / "effort.png", effort_plot(rows))
    console.print(f"Table and pictures are in {out}.", highlight=False)
