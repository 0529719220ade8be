"""The paper's tables again: its figures beside ours, whatever is missing on one side."""

import csv
import io

from rich.console import Console

from nuclick_training.comparison.learned.designs import DESIGNS
from nuclick_training.comparison.paper.command import TABLES
from nuclick_training.comparison.paper.rows import PaperRow, csv_of, figure_of, table_of
from nuclick_training.comparison.tables import PAPER
from nuclick_training.evaluation.intervals import Estimate
from nuclick_wsi.prompts import ObjectKind

ROWS = [
    PaperRow(
        "one", {"AJI": 0.834, "Dice": 0.912}, {"AJI": Estimate(0.7561, (0.72, 0.79)), "Dice": Estimate(0.9, None)}, "x"
    ),
    PaperRow("another", {}, {"AJI": Estimate(0.5, (0.4, 0.6))}, "nobody else has it"),
]


def test_a_table_shows_both_figures_and_a_dash_for_what_is_missing() -> None:
    console = Console(file=io.StringIO(), width=160)
    console.print(table_of(2, ROWS))
    shown = console.file.getvalue()
    assert "0.756 (0.72 to 0.79)" in shown
    assert "0.834" in shown
    assert "nobody else has it" in shown
    one, another = csv.DictReader(io.StringIO(csv_of(ROWS).decode()))
    assert (one["AJI in paper"], one["AJI ours"], one["AJI from"], one["Dice from"]) == ("0.834", "0.7561", "0.72", "")
    assert (another["AJI in paper"], another["Dice ours"]) == ("", "")
    assert figure_of(ROWS).startswith(b"\x89PNG")


def test_every_table_has_a_way_to_be_made_again() -> None:
    assert list(TABLES) == list(range(1, 11))


def test_what_the_paper_compares_with_has_a_design_or_needs_none() -> None:
    learned = {kind: {design.name for design in DESIGNS[kind]} for kind in ObjectKind}
    classic = {"watershed", "region growing", "active contour", "GrabCut", "NuClick"}
    for kind in ObjectKind:
        assert set(PAPER[kind]) <= learned[kind] | classic
