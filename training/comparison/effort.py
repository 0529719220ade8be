"""What a user does for one object, counted and timed, and how much each system makes of it.

Seconds are medians that others published for photographs. A click, another one, and a squiggle: A. Bearman et al.,
"What's the Point", 2016. Four extreme points, and a box drawn by its corners: D. Papadopoulos et al., "Extreme
clicking", 2017, the latter after H. Su et al., 2012.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from nuclick_training.comparison.tables import Row
from nuclick_training.evaluation.plots import as_png, new_figure

_OURS, _OTHERS = "#d55e00", "#0072b2"
_LINE = 0.018
"""Height of a line of text, in Dice."""
_CLICK, _NEXT_CLICK, _SQUIGGLE, _EXTREMES, _BOX = 2.4, 0.9, 10.9, 7.0, 35.0


@dataclass(frozen=True, slots=True)
class Effort:
    """How many things a user does for one object, and how long they take."""

    actions: int
    seconds: float


EFFORTS: Mapping[str, Effort] = {
    "one click": Effort(1, _CLICK),
    "two clicks": Effort(2, _CLICK + _NEXT_CLICK),
    "one squiggle": Effort(1, _SQUIGGLE),
    "four extreme points": Effort(4, _EXTREMES),
    "a box": Effort(1, _BOX),
    "a box and a squiggle": Effort(2, _BOX + _SQUIGGLE),
}
"""By what a system says that its user does."""


def effort_plot(rows: Sequence[Row]) -> bytes:
    """Return the PNG file's content: each system's Dice per object against actions, and against seconds."""
    figure = new_figure(11, 5)
    by_actions, by_seconds = figure.subplots(1, 2, sharey=True)
    for axes, name in ((by_actions, "actions"), (by_seconds, "seconds")):
        free: dict[float, float] = {}
        for row in sorted(rows, key=lambda row: -row.dice):
            spent = getattr(EFFORTS[row.system.action], name)
            axes.plot(spent, row.dice, marker="o", color=_OURS if row.system.name.startswith("NuClick") else _OTHERS)
            free[spent] = min(row.dice, free.get(spent, 1.0) - _LINE)  # below the name of the one above
            axes.annotate(row.system.name, (spent, row.dice), (spent * 1.06, free[spent]), fontsize=7)
        axes.set(xlabel=f"{name} per object", xscale="log" if name == "seconds" else "linear")
        axes.grid(alpha=0.3)
    by_actions.set(ylabel="Dice per object", xlim=(0.5, 5))
    by_seconds.set(xlim=(2, 120))
    return as_png(figure)
