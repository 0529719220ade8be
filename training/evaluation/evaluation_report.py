"""An evaluation on disk: scores per image and in all, with what they were measured by, and figures."""

import csv
import hashlib
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from nuclick_training.evaluation.reliability import reliability, sureness_and_dice
from nuclick_training.evaluation.results import Findings, Trial
from nuclick_training.evaluation.tables import notes
from nuclick_wsi.errors import NuclickError, SettingsError
from nuclick_wsi.models.card import find_model
from nuclick_wsi.ownership import Origin, namesakes, origin_of_bytes, source_name
from nuclick_wsi.seals import blank_seal, sealed
from nuclick_wsi.shared_files import Stamp, replace_if_unchanged

RECORD, _SCORES = "scores.json", "scores.csv"
_FILES = (RECORD, _SCORES, "dice_against_size.png", "worst.png", "sureness.png", "aji_against_jitter.png")


def save_findings(folder: Path, findings: Findings, asked: Evaluation, command: str) -> Sequence[str]:
    """Write scores.csv, scores.json and figures into a folder, in the place of those of an earlier evaluation.

    Figures that cannot be drawn cost nothing else.

    Returns
    -------
    sentences
        Why figures were not drawn, such as for want of matplotlib.

    Raises
    ------
    SettingsError
        As `earlier_files` does.
    ResultError
        If the folder cannot be written to.
    """
    earlier = earlier_files(folder, asked)
    figures, faults = _figures(findings, asked)
    files = {_SCORES: _table(findings), **figures}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    head = {"seal": blank_seal(_source(folder, asked)), "command": command, "files": digests}
    files[RECORD] = sealed((json.dumps(record_of(findings, asked, head), indent=2) + "\n").encode())
    for name, content in files.items():
        replace_if_unchanged(folder / name, content, earlier.get(name))
    for name in earlier.keys() - files.keys():
        (folder / name).unlink()  # a figure of an earlier evaluation, which these scores have not
    return faults


def earlier_files(folder: Path, asked: Evaluation) -> Mapping[str, Stamp]:
    """Return what a folder has of an earlier evaluation of the same model on the same data, unchanged since.

    Raises
    ------
    SettingsError
        Anything else is there under a name that an evaluation writes.
    """
    record = folder / RECORD
    stamps = {name: Stamp.of_file(path) for name in _FILES if _is_plain(path := folder / name)}
    written = _written(record.read_bytes(), _source(folder, asked)) if RECORD in stamps else {}
    own = {name: stamp for name, stamp in stamps.items() if written.get(name) == stamp.sha256.hex()}
    for found in (found for name in _FILES for found in namesakes(folder / name)):
        if found.name not in own:
            raise SettingsError(
                f"--save {folder}: {found.name} is there already, and it is not of an earlier evaluation of "
                f"{asked.model} on {asked.data}, or was changed since. Name a new folder, or move that file away."
            )
    return own


def _written(record: bytes, source: str) -> dict[str, str]:
    """Return the digests of the files that a sealed record names, and its own."""
    if origin_of_bytes(record, source) is not Origin.OURS:
        return {}
    digests: dict[str, str] = json.loads(record)["files"]
    return {**digests, RECORD: hashlib.sha256(record).hexdigest()}


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _source(folder: Path, asked: Evaluation) -> str:
    return source_name(folder, find_model(asked.model), asked.data)


def _figures(findings: Findings, asked: Evaluation) -> tuple[dict[str, bytes], Sequence[str]]:
    """Return the figures' content by their files' names, and why others could not be drawn."""
    objects = findings.trials[0].objects
    wanted: dict[str, Callable[[], bytes]] = {}
    if objects:
        wanted["dice_against_size.png"] = partial(dice_against_size, objects)
        wanted["worst.png"] = lambda: gallery(worst_first(objects)[:WORST], partial(picture_of, asked))
    if len(sureness_and_dice(objects)):
        wanted["sureness.png"] = partial(reliability, objects)
    if len(findings.trials) > 1:
        wanted["aji_against_jitter.png"] = partial(aji_against_jitter, findings.trials)
    figures: dict[str, bytes] = {}
    faults: dict[str, None] = {}
    for name, draw in wanted.items():
        try:
            figures[name] = draw()
        except NuclickError as error:
            faults[str(error)] = None
    return figures, list(faults)


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


def record_of(findings: Findings, asked: Evaluation, head: Mapping[str, object]) -> dict[str, object]:
    """Return the scores in all, and all that they depend on, as JSON has it, after a head of other entries."""
    return {
        **head,
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
