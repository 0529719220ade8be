"""Tables VI, VIII and IX of the paper: what the shipped models do on cytology and with moved clicks; and alone."""

from collections.abc import Iterator, Mapping, Sequence

from nuclick_training.comparison.material import material_of
from nuclick_training.comparison.paper.budget import Budget
from nuclick_training.comparison.paper.rows import PaperRow, only
from nuclick_training.evaluation.evaluate import Evaluation, evaluate
from nuclick_training.evaluation.intervals import mean_estimates
from nuclick_wsi.prompts import ObjectKind

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

SCORES_X = ("AJI", "Dice", "SQ", "DQ", "PQ")
"""Of table X."""


def smears(budget: Budget) -> Iterator[PaperRow]:
    """Yield table VI: cytology."""
    (trial,) = evaluate(Evaluation("nuclei", budget.data / "dsb2018_papsmear", mpp="auto")).trials
    paper = {"AJI": 0.934, "Dice": 0.965, "SQ": 0.933, "DQ": 0.997, "PQ": 0.931}
    differs = "grey cytology of DSB 2018, scaled by its objects; the shipped model"
    yield PaperRow("cytology", paper, only(mean_estimates(trial.tallies), tuple(paper)), differs)


def moved(kind: ObjectKind, budget: Budget) -> Iterator[PaperRow]:
    """Yield table VIII (nuclei) or IX (cells): clicks that are moved."""
    material, figures = material_of(kind, budget.data, budget.out), _MOVED[kind]
    model = "nuclei" if kind is ObjectKind.NUCLEUS else "cells"
    asked = Evaluation(model, material.testing, mpp=material.mpp, split=material.split, jitter=tuple(figures))
    for trial in evaluate(asked).trials[1:]:
        paper = dict(zip(("AJI", "Dice", "PQ"), figures[trial.jitter], strict=True))
        ours = only(mean_estimates(trial.tallies), tuple(paper))
        yield PaperRow(f"{trial.jitter:g} px", paper, ours, "each moved by just so much; the shipped model")


def alone(budget: Budget) -> Iterator[PaperRow]:
    """Yield what the shipped model does with and without exclusion maps, which goes below table X."""
    for exclusion, name in ((True, "shipped, with exclusion maps"), (False, "shipped, without")):
        (trial,) = evaluate(Evaluation("nuclei", budget.data / "monuseg", split="test", exclusion=exclusion)).trials
        differs = "the shipped model" if exclusion else "the shipped model, not trained anew"
        yield PaperRow(name, {}, only(mean_estimates(trial.tallies), SCORES_X), differs)
