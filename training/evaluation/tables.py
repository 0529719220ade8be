"""The tables of an evaluation on the console: scores per image, mean and pooled, and scores per jitter."""

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from nuclick_training.evaluation.evaluate import Evaluation
from nuclick_training.evaluation.intervals import (
    Estimate,
    Estimates,
    mean_differences,
    mean_estimates,
    pooled_estimates,
)
from nuclick_training.evaluation.metrics import HAUSDORFF
from nuclick_training.evaluation.reliability import reliability_notes
from nuclick_training.evaluation.results import Findings, Trial


def print_findings(findings: Findings, asked: Evaluation, console: Console) -> None:
    """Print notes on the evaluation (training overlap, settings), and the tables."""
    for line in notes(findings, asked):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(_image_table(findings.trials[0]))
    for line in reliability_notes(findings.trials[0].objects):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    if len(findings.trials) > 1:
        console.print(_jitter_table(findings))


def notes(findings: Findings, asked: Evaluation) -> Iterator[str]:
    """Yield the notes that the scores have to be read with."""
    yield findings.training_overlap
    if asked.mpp == "auto":
        sizes = [image.mpp for image in findings.trials[0].images]
        yield (
            f"Each image was scaled by its own objects, until the median one had the usual size: "
            f"{min(sizes):.3f} to {max(sizes):.3f} um per pixel. A user would have to know this scale."
        )
    if not asked.exclusion:
        yield "Exclusion maps were empty: each prompt was segmented as if it were the only one."
    if asked.tta:
        yield "Probabilities are the mean of all eight turns and flips."
    if asked.registered:
        yield "Each instance map was first moved onto its picture, by the contrast at its outlines alone."


def _image_table(trial: Trial) -> Table:
    table = Table()
    names = list(trial.images[0].tally.scores)
    table.add_column("image", no_wrap=True)
    for heading in ("objects", "outlines", *names):
        table.add_column(heading, justify="right")
    for image in trial.images:
        scores = image.tally.scores
        figures = (_figure(name, float(scores[name])) for name in names)
        table.add_row(image.name, str(len(image.objects)), str(image.outlines), *figures)
    table.add_section()
    counts = str(len(trial.objects)), str(sum(image.outlines for image in trial.images))
    table.add_row(_heading(f"mean of {len(trial.images)}", trial), *counts, *_cells(mean_estimates(trial.tallies)))
    table.add_section()
    table.add_row(_heading("all objects pooled", trial), *counts, *_cells(pooled_estimates(trial.tallies)))
    return table


def _jitter_table(findings: Findings) -> Table:
    first = findings.trials[0]
    table = Table()
    table.add_column("clicks moved by", no_wrap=True)
    on_them = "Dice where still on it\n(before)"
    for heading in ("off their object", "outlines", *first.images[0].tally.scores, "AJI against 0", on_them):
        table.add_column(heading, justify="right")
    for trial in findings.trials:
        difference = mean_differences(trial.tallies, first.tallies)["AJI"]
        table.add_row(
            _heading(f"{trial.jitter:g} px", trial),
            f"{sum(image.misplaced for image in trial.images)} of {len(trial.objects)}",
            str(sum(image.outlines for image in trial.images)),
            *_cells(mean_estimates(trial.tallies)),
            "" if trial is first else _cell("AJI", difference, "+"),
            ""
            if trial is first
            else "{}\n({})".format(*(_figure("Dice", dice) for dice in trial.dice_where_on(first))),
        )
        table.add_section()
    return table


def _heading(text: str, trial: Trial) -> str:
    """Return the heading of a row of scores, and below it those of their intervals, where they have any."""
    return f"{text}\n  95 %: from\n  to" if len(trial.images) > 1 else text


def _cells(estimates: Estimates) -> Iterator[str]:
    return (_cell(name, estimate) for name, estimate in estimates.items())


def _cell(name: str, estimate: Estimate, sign: str = "") -> str:
    """Return a score, and below it the bounds of its interval."""
    return "\n".join(_figure(name, value, sign) for value in (estimate.value, *(estimate.interval or ())))


def _figure(name: str, value: float, sign: str = "") -> str:
    """Return a score with three decimals, a distance in pixels with two; the first nought is left away."""
    text = f"{value:{sign}.{2 if name == HAUSDORFF else 3}f}"
    return text if name == HAUSDORFF else text.replace("0.", ".", 1)
