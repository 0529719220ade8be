"""The table of a comparison: a system per row, the paper's figures beside ours; on the console and as CSV."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table

from nuclick_training.comparison.bench import SceneScore
from nuclick_training.comparison.system import System
from nuclick_training.evaluation.intervals import Estimate, mean_estimates
from nuclick_wsi.prompts import ObjectKind

SHOWN: Mapping[ObjectKind, Sequence[str]] = {
    ObjectKind.NUCLEUS: ("AJI", "Dice", "SQ", "PQ", "Hausdorff"),
    ObjectKind.CELL: ("AJI", "Dice", "SQ", "PQ", "Hausdorff"),
    ObjectKind.GLAND: ("F1", "object Dice", "Hausdorff"),
}
"""The scores that the paper prints in Tables II, III and IV."""

PAPER: Mapping[ObjectKind, Mapping[str, Sequence[float]]] = {
    ObjectKind.NUCLEUS: {
        "watershed": (0.189, 0.402, 0.694, 0.280, 125),
        "region growing": (0.162, 0.373, 0.659, 0.241, 95),
        "active contour": (0.284, 0.581, 0.742, 0.394, 67),
        "iFCN": (0.806, 0.878, 0.798, 0.782, 7.6),
        "Latent Diversity": (0.821, 0.898, 0.815, 0.807, 5.8),
        "NuClick": (0.834, 0.912, 0.839, 0.838, 4.05),
    },
    ObjectKind.CELL: {
        "watershed": (0.153, 0.351, 0.431, 0.148, 86),
        "region growing": (0.145, 0.322, 0.414, 0.129, 71),
        "active contour": (0.219, 0.491, 0.522, 0.198, 50),
        "iFCN": (0.938, 0.971, 0.944, 0.944, 9.51),
        "Latent Diversity": (0.943, 0.978, 0.949, 0.949, 8.33),
        "NuClick": (0.954, 0.983, 0.958, 0.958, 7.45),
    },
    ObjectKind.GLAND: {
        "GrabCut": (0.462, 0.431, 290),
        "Deep GrabCut": (0.886, 0.827, 51),
        "DEXTR": (0.911, 0.841, 43),
        "Mask R-CNN": (0.944, 0.875, 35),
        "BIFSeg": (0.958, 0.889, 28),
        "NuClick": (1.000, 0.956, 15),
    },
}
"""Tables II, III and IV (test A) of the paper, on its own images and clicks; its BIFSeg has no refinement."""


def papers_figures(kind: ObjectKind, system: str) -> Sequence[float] | None:
    """Return what the paper prints of a system, by the scores of `SHOWN`; None where it has not tried it."""
    return PAPER[kind].get(system.split(" (", maxsplit=1)[0])


@dataclass(frozen=True, slots=True)
class Row:
    """A system and its scores on every scene."""

    system: System
    scores: Sequence[SceneScore]

    @property
    def dice(self) -> float:
        """Mean over objects of each one's own Dice."""
        return float(np.concatenate([one.dice for one in self.scores]).mean())

    @property
    def milliseconds(self) -> float:
        """Processor time per object."""
        return 1000 * sum(one.seconds for one in self.scores) / sum(len(one.dice) for one in self.scores)


def table_of(rows: Sequence[Row], kind: ObjectKind) -> Table:
    """Return the table for the console: each score, below it its 95 % interval over images, and the paper's figure."""
    table = Table()
    for heading in ("system", "user draws"):
        table.add_column(heading)
    for heading in (*SHOWN[kind], "Dice per object", "ms each"):
        table.add_column(heading, justify="right")
    for row in rows:
        estimates = mean_estimates([one.tally for one in row.scores])
        theirs = papers_figures(kind, row.system.name)
        cells = (_cell(estimates[name], theirs[at] if theirs else None) for at, name in enumerate(SHOWN[kind]))
        table.add_row(row.system.name, row.system.action, *cells, f"{row.dice:.3f}", f"{row.milliseconds:.1f}")
        table.add_section()
    return table


def csv_of(rows: Sequence[Row], kind: ObjectKind) -> bytes:
    """Return a line per system: its means over images and their 95 % intervals, beside the paper's figures."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    scores = [name for score in SHOWN[kind] for name in (score, f"{score} from", f"{score} to", f"{score} in paper")]
    writer.writerow(["system", "action", *scores, "Dice per object", "ms per object"])
    for row in rows:
        figures = (round(value, 4) if value is not None else "" for value in _figures(row, kind))
        writer.writerow([row.system.name, row.system.action, *figures, round(row.dice, 4), round(row.milliseconds, 2)])
    return text.getvalue().encode()


def _figures(row: Row, kind: ObjectKind) -> Iterator[float | None]:
    estimates = mean_estimates([one.tally for one in row.scores])
    theirs = papers_figures(kind, row.system.name)
    for at, name in enumerate(SHOWN[kind]):
        low, high = estimates[name].interval or (None, None)
        yield from (estimates[name].value, low, high, theirs[at] if theirs else None)


def _cell(estimate: Estimate, paper: float | None) -> str:
    interval = "{:.3g} to {:.3g}".format(*estimate.interval) if estimate.interval else ""
    theirs = "" if paper is None else f"paper {paper:g}"
    return "\n".join(line for line in (f"{estimate.value:.3g}", interval, theirs) if line)
