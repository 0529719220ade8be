"""`nuclick-wsi compare train|score|choose|paper`: systems on the same objects."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from nuclick_training.comparison.bench import Scene, scenes_of, score
from nuclick_training.comparison.effort import effort_plot
from nuclick_training.comparison.learned.designs import DESIGNS, ON_OWN_NETWORKS
from nuclick_training.comparison.learned.training import SETTINGS, file_of, train, trained_systems
from nuclick_training.comparison.length import add_length, told_length, with_length
from nuclick_training.comparison.paper.command import add_paper
from nuclick_training.comparison.pictures import sheet
from nuclick_training.comparison.systems import SYSTEMS
from nuclick_training.comparison.tables import Row, csv_of, table_of
from nuclick_training.datasets.data import read_picture
from nuclick_training.evaluation.evaluate import Evaluation, images_of
from nuclick_wsi.errors import NuclickError
from nuclick_wsi.files import write_atomically
from nuclick_wsi.prompts import ObjectKind


def main(arguments: Sequence[str] | None = None, program: str = "python -m nuclick_training.comparison") -> None:
    """Run the command line; a user's mistake is a `NuclickError`."""
    options = _parser(program).parse_args(arguments)
    options.run(options)


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=program, description="Outline the same objects by many systems, and make the paper's tables again."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    scoring = commands.add_parser("score", help="outline the same objects by every system, and print the scores")
    scoring.add_argument("--out", type=Path, required=True, help="folder of the table and the pictures")
    scoring.set_defaults(run=_score, split="test")
    scoring.add_argument("--models", type=Path, help="folder of trained systems, as `train` wrote it")
    train = commands.add_parser("train", help="train the systems that learn, one after the other")
    train.add_argument("--models", type=Path, required=True, help="folder for what they learn; a run in it goes on")
    add_length(train)
    train.add_argument(
        "--own-networks", action="store_true", help="each on the network of its paper, at a quarter of the width"
    )
    train.set_defaults(run=_train)
    choose = commands.add_parser("choose", help="find each system's best parameters")
    choose.set_defaults(run=_choose, split="validation")
    add_paper(commands.add_parser("paper", help="a table of the paper again, its figures beside ours"))
    for command in (train, scoring, choose):
        command.add_argument("kind", type=ObjectKind, choices=list(ObjectKind), metavar="{nucleus,cell,gland}")
        command.add_argument("--data", type=Path, required=True, help="folder of one data set: images/ and labels/")
        command.add_argument("--mpp", type=float, required=True, help="microns per pixel of its images")
        command.add_argument("--system", action="append", help="only the systems whose names begin so")
    for command in (scoring, choose):
        command.add_argument("--split", default=command.get_default("split"), help="part of it, or all")
        command.add_argument("--objects", type=int, help="so many of its objects at most; default: all")
    return parser


def _train(options: argparse.Namespace) -> None:
    settings = with_length(SETTINGS, options)
    for design in (ON_OWN_NETWORKS if options.own_networks else DESIGNS)[options.kind]:
        if _asked(design.name, options.system) and not file_of(design, options.models).exists():
            print(f"{design.name}: {told_length(settings)}", flush=True)
            print(train(design, options.kind, options.data, options.mpp, options.models, settings), flush=True)


def _score(options: argparse.Namespace) -> None:
    scenes = _scenes(options)
    rows, drawn = [], []
    learned = trained_systems(options.kind, options.models) if options.models else ()
    for system in (*(entry.system for entry in SYSTEMS[options.kind]), *learned):
        if _asked(system.name, options.system):
            results = [score(system, scene) for scene in scenes]
            rows.append(Row(system, [result for result, _ in results]))
            drawn.append((system.name, [pieces for _, pieces in results]))
    console = Console()
    console.print(table_of(rows, options.kind))
    options.out.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out / "comparison.csv", csv_of(rows, options.kind))
    write_atomically(options.out / "comparison.png", sheet(scenes, drawn))
    write_atomically(options.out / "effort.png", effort_plot(rows))
    console.print(f"Table and pictures are in {options.out}.", highlight=False)


def _choose(options: argparse.Namespace) -> None:
    scenes = _scenes(options)
    for entry in SYSTEMS[options.kind]:
        if entry.grid and _asked(entry.system.name, options.system):
            rows = [Row(system, [score(system, scene)[0] for scene in scenes]) for system in entry.choices()]
            best = max(rows, key=lambda row: row.dice)
            chosen = ", ".join(f"{name} = {getattr(best.system, name):g}" for name in entry.grid)
            print(f"{entry.system.name:16} Dice per object {best.dice:.3f} with {chosen}", flush=True)


def _scenes(options: argparse.Namespace) -> list[Scene]:
    names = images_of(Evaluation("", options.data, split=options.split))
    return list(scenes_of([read_picture(options.data, name, 1.0) for name in names], options.mpp, options.objects))


def _asked(name: str, beginnings: Sequence[str] | None) -> bool:
    return beginnings is None or name.lower().startswith(tuple(text.lower() for text in beginnings))


if __name__ == "__main__":
    try:
        main()
    except NuclickError as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        sys.exit(mistake.exit_code)
