"""`nuclick-wsi compare paper --table N`: a table of the paper again, its figures beside ours.

Networks are trained where a table needs them, each for the same time; a run that was begun goes on, and what is
trained already is not trained again.
"""

import argparse
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

from rich.console import Console

from nuclick_training.comparison.paper.budget import Budget
from nuclick_training.comparison.paper.masks import learning_from_masks
from nuclick_training.comparison.paper.rows import PaperRow, csv_of, figure_of, table_of
from nuclick_training.comparison.paper.shipped import moved, smears
from nuclick_training.comparison.paper.trained import across, networks, systems, without_exclusion
from nuclick_training.comparison.training_budget import add_training_options, training_budget
from nuclick_wsi.files import write_atomically
from nuclick_wsi.prompts import ObjectKind

TABLES: Mapping[int, Callable[[Budget], Iterator[PaperRow]]] = {
    1: networks,
    2: partial(systems, ObjectKind.NUCLEUS),
    3: partial(systems, ObjectKind.CELL),
    4: partial(systems, ObjectKind.GLAND),
    5: across,
    6: smears,
    7: learning_from_masks,
    8: partial(moved, ObjectKind.NUCLEUS),
    9: partial(moved, ObjectKind.CELL),
    10: without_exclusion,
}
"""By the paper's number."""


def add_paper(command: argparse.ArgumentParser) -> None:
    """Give a command the options of the paper's tables."""
    command.add_argument("--table", type=int, required=True, choices=sorted(TABLES), help="of the paper")
    command.add_argument("--data", type=Path, required=True, help="folder that holds the data sets")
    command.add_argument("--out", type=Path, required=True, help="folder of runs and tables; runs in it go on")
    command.add_argument("--objects", type=int, help="so many test objects at most; default: all")
    command.add_argument("--own-networks", action="store_true", help="tables 2 to 4: also with those networks")
    add_training_options(command)
    command.set_defaults(run=_paper)


def _paper(options: argparse.Namespace) -> None:
    budget = Budget(options.data, options.out, training_budget(options), options.objects, options.own_networks)
    rows = []
    for row in TABLES[options.table](budget):
        print(row.name, flush=True)
        rows.append(row)
    Console().print(table_of(options.table, rows))
    write_atomically(options.out / f"table-{options.table}.csv", csv_of(rows))
    write_atomically(options.out / f"table-{options.table}.png", figure_of(rows))
