"""The command `evaluate`: score a model on labelled images, print the scores and save them."""

from pathlib import Path

from nuclick_training.evaluation.evaluate import Evaluation, evaluate, images_of
from nuclick_training.evaluation.evaluation_report import earlier_files, save_findings
from nuclick_training.evaluation.plots import new_figure
from nuclick_training.evaluation.tables import print_findings
from nuclick_wsi.cli.console import ProgressWatcher, make_console


def evaluate_model(asked: Evaluation, save: Path | None, command: str) -> None:
    """Score a model on labelled images, print the tables, and save them with their figures where a folder is named.

    Parameters
    ----------
    command
        The command line, for the record.
    """
    if save is not None:
        # Found now, not after an hour: a missing matplotlib, and a file in the way.
        new_figure(1, 1)
        earlier_files(save, asked)
    images = len(images_of(asked)) * (1 + len(asked.jitter))
    with ProgressWatcher(make_console(stderr=True), images) as watcher:
        findings = evaluate(asked, watcher)
    print_findings(findings, asked, make_console())
    if save is not None:
        save_findings(save, findings, asked, command)
        make_console().print(f"Scores and figures: {save}", highlight=False, markup=False, soft_wrap=True)
