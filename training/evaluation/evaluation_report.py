"""An evaluation on disk: scores per image and in all, with what they were measured by, and figures."""

import csv
import io
import json
import math
from collections.abc import Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path

from nuclick_training.evaluation.evaluate import Evaluation, picture_of
from nuclick_training.evaluation.gallery import WORST, gallery, worst_first
from nuclick_training.evaluation.intervals import (
    RESAMPLES,
    Estimates,
    mean_differences,
    mean_estimates,
    pooled_estimates,
)
from nuclick_training.evaluation.plots import aji_against_jitter, dice_against_size
from nuclick_training.evaluation.results import Findings, Trial
from nuclick_training.evaluation.tables import notes
from nuclick_wsi.files import write_atomically


def save_findings(folder: Path, findings: Findings, asked: Evaluation, command: str) -> None:
    """Write scores.csv, scores.json and figures into a folder, in the place of those of an earlier evaluation.

    Raises
    ------
    ResultError
        If the folder cannot be written to.
    PlotError
        If matplotlib is not installed.
    """
    objects = findings.trials[0].objects
    files = {"scores.csv": _table(findings), "scores.json": _record(findings, asked, command)}
    if objects:
        files["dice_against_size.png"] = dice_against_size(objects)
        files["worst.png"] = gallery(worst_first(objects)[:WORST], partial(picture_of, asked))
    if len(findings.trials) > 1:
        files["aji_against_jitter.png"] = aji_against_jitter(findings.trials)
    for name, content in files.items():
        write_atomically(folder / name, content)


def _table(findings: Findings) -> bytes:
    """Return a CSV file of one line per image and trial."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    names = list(findings.trials[0].images[0].tally.scores)
    writer.writerow(["jitter_px", "image", "um_per_px", "objects", "off_their_object", "outlines", *names])
    for trial in findings.trials:
        for image in trial.images:
            scores = image.tally.scores
            counts = f"{image.mpp:.5g}", len(image.objects), image.misplaced, image.outlines
            writer.writerow([f"{trial.jitter:g}", image.name, *counts, *(f"{scores[name]:.6g}" for name in names)])
    return text.getvalue().encode()


def _record(findings: Findings, asked: Evaluation, command: str) -> bytes:
    """Return a JSON file of the scores in all, and of all that they depend on."""
    record = {
        "command": command,
        "version": version("nuclick-wsi"),
        "model": {"name": findings.card.name, "kind": findings.card.kind, "sha256": findings.sha256},
        "data": {"folder": asked.data.name, "split": asked.split, "images": len(findings.trials[0].images)},
        "settings": {
            "click_at": asked.click_at,
            "threshold": asked.threshold or findings.card.threshold,
            "exclusion_maps": asked.exclusion,
            "eight_turns_and_flips": asked.tta,
            "registered": asked.registered,
            "um_per_px": "auto" if asked.mpp == "auto" else findings.trials[0].images[0].mpp,
        },
        "notes": list(notes(findings, asked)),
        "intervals": f"95 %, percentiles of {RESAMPLES} bootstrap samples of the images",
        "trials": list(_trials(findings)),
    }
    return (json.dumps(record, indent=2) + "\n").encode()


def _trials(findings: Findings) -> Iterator[dict[str, object]]:
    first: Trial = findings.trials[0]
    for trial in findings.trials:
        yield {
            "jitter_px": trial.jitter,
            "objects": len(trial.objects),
            "off_their_object": sum(image.misplaced for image in trial.images),
            "outlines": sum(image.outlines for image in trial.images),
            "mean_of_images": _plain(mean_estimates(trial.tallies)),
            "all_objects_pooled": _plain(pooled_estimates(trial.tallies)),
        } | ({} if trial is first else _against(trial, first))


def _against(trial: Trial, first: Trial) -> dict[str, object]:
    after, before = (None if math.isnan(dice) else round(dice, 6) for dice in trial.dice_where_on(first))
    return {
        "against_0": _plain(mean_differences(trial.tallies, first.tallies)),
        "dice_where_on_their_object": {"moved": after, "before": before},
    }


def _plain(estimates: Estimates) -> dict[str, dict[str, object]]:
    return {
        name: {
            "value": round(estimate.value, 6),
            "interval": estimate.interval and [round(bound, 6) for bound in estimate.interval],
        }
        for name, estimate in estimates.items()
    }
