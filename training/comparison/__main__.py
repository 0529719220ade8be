"""`nuclick-wsi compare train|score|choose|all|paper`: systems on the same objects."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from nuclick_training.comparison.bench import score
from nuclick_training.comparison.learned.designs import DESIGNS, ON_OWN_NETWORKS
from nuclick_training.comparison.learned.training import trained_systems
from nuclick_training.comparison.material import Material, material_of
from nuclick_training.comparison.paper.command import add_paper
from nuclick_training.comparison.side_by_side import compare, tested_scenes, train_each
from nuclick_training.comparison.systems import SYSTEMS
from nuclick_training.comparison.tables import Row
from nuclick_training.comparison.training_budget import add_training_options, training_budget
from nuclick_wsi.errors import NuclickError
from nuclick_wsi.prompts import ObjectKind

_OBJECTS: Mapping[ObjectKind, int] = {ObjectKind.NUCLEUS: 200, ObjectKind.CELL: 60, ObjectKind.GLAND: 30}
"""How many of each kind `all` has outlined."""


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
    add_training_options(train)
    train.add_argument("--own-networks", action="store_true", help="each on the network of its paper")
    train.set_defaults(run=_train)
    choose = commands.add_parser("choose", help="find each system's best parameters")
    choose.set_defaults(run=_choose, split="validation")
    everything = commands.add_parser("all", help="train and score every system, on 200 nuclei, 60 cells and 30 glands")
    everything.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    everything.add_argument("--out", type=Path, required=True, help="folder of runs and tables; runs in it go on")
    add_training_options(everything)
    everything.set_defaults(run=_all)
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
    designs = (ON_OWN_NETWORKS if options.own_networks else DESIGNS)[options.kind]
    chosen = [design for design in designs if _asked(design.name, options.system)]
    train_each(chosen, options.kind, _material(options), options.models, training_budget(options))


def _score(options: argparse.Namespace) -> None:
    learned = trained_systems(options.kind, options.models) if options.models else ()
    systems = (*(entry.system for entry in SYSTEMS[options.kind]), *learned)
    chosen = [system for system in systems if _asked(system.name, options.system)]
    compare(chosen, options.kind, list(tested_scenes(_material(options), options.objects)), options.out)


def _all(options: argparse.Namespace) -> None:
    budget = training_budget(options)
    for kind, objects in _OBJECTS.items():
        material = material_of(kind, options.data, options.out)
        models = options.out / str(kind) / material.learning.name
        train_each(DESIGNS[kind], kind, material, models, budget)
        systems = (*(entry.system for entry in SYSTEMS[kind]), *trained_systems(kind, models))
        compare(systems, kind, list(tested_scenes(material, objects)), options.out / f"{kind}-compared")


def _choose(options: argparse.Namespace) -> None:
    scenes = list(tested_scenes(_material(options), options.objects))
    for entry in SYSTEMS[options.kind]:
        if entry.grid and _asked(entry.system.name, options.system):
            rows = [Row(system, [score(system, scene)[0] for scene in scenes]) for system in entry.choices()]
            best = max(rows, key=lambda row: row.dice)
            chosen = ", ".join(f"{name} = {getattr(best.system, name):g}" for name in entry.grid)
            print(f"{entry.system.name:16} Dice per object {best.dice:.3f} with {chosen}", flush=True)


def _material(options: argparse.Namespace) -> Material:
    return Material(options.data, options.data, getattr(options, "split", "train"), options.mpp)


def _asked(name: str, beginnings: Sequence[str] | None) -> bool:
    return beginnings is None or name.lower().startswith(tuple(text.lower() for text in beginnings))


if __name__ == "__main__":
    try:
        main()
    except NuclickError as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        sys.exit(mistake.exit_code)
