"""A table of the paper with our figures beside its own: on the console, as CSV, and as a figure."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.table import Table

from nuclick_training.evaluation.intervals import Estimates
from nuclick_training.evaluation.plots import as_png, new_figure


@dataclass(frozen=True, slots=True)
class PaperRow:
    """One line of a table.

    Attributes
    ----------
    paper
        The paper's figures by the names of scores: what the table shows.
    ours
        Means over images, with 95 % intervals.
    differs
        What is not as in the paper: data, network, budget.
    """

    name: str
    paper: Mapping[str, float]
    ours: Estimates
    differs: str


def only(estimates: Estimates, names: Sequence[str]) -> Estimates:
    """Return the estimates of some scores."""
    return {name: estimates[name] for name in names}


def table_of(number: int, rows: Sequence[PaperRow]) -> Table:
    """Return the table for the console: ours with its interval, the paper's figure below it."""
    scores = _scores(rows)
    table = Table(title=f"Table {number} of the paper: ours (95 % interval) / the paper's", show_lines=True)
    table.add_column("")
    for score in scores:
        table.add_column(score, justify="right")
    table.add_column("what differs")
    for row in rows:
        table.add_row(row.name, *(_cell(row, score) for score in scores), row.differs)
    return table


def csv_of(rows: Sequence[PaperRow]) -> bytes:
    """Return the table as CSV: per score the paper's figure, ours, and the ends of its interval."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    scores = _scores(rows)
    headings = [f"{score} {what}" for score in scores for what in ("in paper", "ours", "from", "to")]
    writer.writerow(["name", *headings, "what differs"])
    for row in rows:
        cells: list[object] = []
        for score in scores:
            estimate = row.ours.get(score)
            low, high = (estimate and estimate.interval) or ("", "")
            cells += [row.paper.get(score, ""), estimate.value if estimate else "", low, high]
        writer.writerow([row.name, *cells, row.differs])
    return text.getvalue().encode()


def figure_of(rows: Sequence[PaperRow]) -> bytes:
    """Return the PNG file's content: the table's first score, ours with its interval and the paper's, line by line."""
    score = _scores(rows)[0]
    figure = new_figure(8, 1.2 + 0.4 * len(rows))
    axes = figure.add_subplot()
    for line, row in enumerate(rows):
        if estimate := row.ours.get(score):
            low, high = estimate.interval or (estimate.value, estimate.value)
            axes.plot([low, high], [line, line], color="#0072b2")
            axes.plot(estimate.value, line, marker="o", color="#0072b2", label=None if line else "ours")
        if score in row.paper:
            axes.plot(row.paper[score], line, marker="D", color="#d55e00", linewidth=0, label=None if line else "paper")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set(xlabel=score)
    axes.invert_yaxis()
    axes.grid(alpha=0.3, axis="x")
    axes.legend()
    return as_png(figure)


def _scores(rows: Sequence[PaperRow]) -> list[str]:
    return list(dict.fromkeys(score for row in rows for score in (*row.paper, *row.ours)))


def _cell(row: PaperRow, score: str) -> str:
    estimate, theirs = row.ours.get(score), row.paper.get(score)
    interval = " ({:.3g} to {:.3g})".format(*estimate.interval) if estimate and estimate.interval else ""
    return f"{f'{estimate.value:.3g}{interval}' if estimate else '-'}\n{'-' if theirs is None else f'{theirs:g}'}"
