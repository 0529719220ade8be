"""The command `evaluate`: score a model on labelled images, print the scores and save them."""

from pathlib import Path

from nuclick_training.evaluation.evaluate import Evaluation, evaluate, images_of
from nuclick_training.evaluation.evaluation_report import earlier_files, record_of, save_findings
from nuclick_training.evaluation.tables import print_findings
from nuclick_wsi.cli.console import say
from nuclick_wsi.cli.screen import Screen, print_json


def evaluate_model(asked: Evaluation, save: Path | None, command: str, screen: Screen = Screen()) -> None:
    """Score a model on labelled images, print the tables, and save them with their figures where a folder is named.

    Parameters
    ----------
    command
        The command line, for the record.
    """
    if save is not None:
        earlier_files(save, asked)  # a file in the way is found now, not after an hour
    images = len(images_of(asked)) * (1 + len(asked.jitter))
    with screen.watcher(images) as watcher:
        findings = evaluate(asked, watcher)
    if screen.as_json:
        print_json(record_of(findings, asked, {"command": command}))
    elif not screen.quiet:
        print_findings(findings, asked, screen.out)
    if save is not None:
        for fault in save_findings(save, findings, asked, command):
            screen.warn(fault, "yellow")
        if screen.shows_text:
            say(screen.out, f"Scores and figures: {save}")
