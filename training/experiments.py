"""`python -m nuclick_training.experiments`: what was tried to make models better, and what limits them.

See docs/scores.md. Each experiment but the last three trains several runs into a folder, by the same commands that
users have. All print a table of scores.
"""

import argparse
import csv
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.stats import spearmanr

from nuclick_training.__main__ import main as train
from nuclick_training.datasets.data import Labels, Rgb, image_path, picture_names, read_image, read_labels
from nuclick_training.datasets.folders import names_of
from nuclick_training.datasets.splits import SPLITS, WBC_COPIES
from nuclick_training.evaluation.correcting import correct
from nuclick_training.evaluation.evaluate import Evaluation, evaluate
from nuclick_training.evaluation.sureness_ways import SURENESS_WAYS
from nuclick_training.evaluation.widths import widths
from nuclick_training.fitting.calibrate import JUDGED
from nuclick_training.fitting.finetune import tuning_recipe
from nuclick_training.fitting.pixel_sizes import Mpp
from nuclick_training.fitting.settings import PRESETS
from nuclick_training.fitting.sureness import decoded
from nuclick_training.fitting.training_log import LOG
from nuclick_wsi.models.card import read_card
from nuclick_wsi.models.weights import load_model

ENCODERS = ("lite0", "lite1", "lite2")
NETWORKS = ("nuclick", "glance")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m nuclick_training.experiments", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("encoders")
    command.add_argument("--recipe", default="glands")
    command.set_defaults(run=_encoders)
    _add_common(command)
    for name, run in {"presets": _presets, "networks": _networks}.items():
        command = commands.add_parser(name)
        command.add_argument("--recipe", default="nuclei-crops")
        command.add_argument("--width", type=float, default=0.25, help="of the networks, as a share of the paper's")
        command.set_defaults(run=run)
        _add_common(command)
    command = commands.add_parser("corrected")
    command.add_argument("model", help="name of a shipped model, or a file")
    command.add_argument("--objects", type=int, default=50, help="how many corrected objects train, at most")
    command.add_argument("--from-each", type=int, default=10, help="how many of one image at most")
    command.add_argument("--only", type=int, help="keep this value of each label map, counted from 1 (wbc_jtsc: 2)")
    command.set_defaults(run=_corrected)
    _add_common(command)
    command = commands.add_parser("corrections")
    command.add_argument("model", help="name of a shipped model, or a file")
    command.add_argument("--data", type=Path, required=True, help="folder of one data set: images/ and labels/")
    command.add_argument("--split", default="validation")
    command.add_argument("--mpp", type=_mpp, default=None, help="microns per pixel, or auto")
    command.add_argument(
        "--least-depth", type=float, default=1, help="errors less deep are left, in pixels (default: 1)"
    )
    command.set_defaults(run=_corrections)
    command = commands.add_parser("widths")
    command.add_argument("model", help="name of a shipped model, or a file")
    command.add_argument("--data", type=Path, required=True, help="folder of one data set: images/ and labels/")
    command.add_argument("--split", default="validation")
    command.set_defaults(run=_widths)
    command = commands.add_parser("sureness")
    command.add_argument("model", help="name of a shipped model, or a file")
    command.add_argument("--data", type=Path, required=True, help="folder of the recipe's data sets")
    command.add_argument("--part", default="validation", choices=("validation", "test"))
    command.add_argument("--objects", type=int, default=JUDGED)
    command.set_defaults(run=_sureness)
    options, passed_on = parser.parse_known_args(arguments)
    options.run(options, passed_on)


def _add_common(command: argparse.ArgumentParser) -> None:
    command.add_argument("--data", type=Path, required=True)
    command.add_argument("--out", type=Path, required=True)
    command.epilog = "All other options are those of `python -m nuclick_training fit`, such as --minutes 30 --batch 12."


def _presets(options: argparse.Namespace, passed_on: Sequence[str]) -> None:
    """Train the same network on the same data with each preset."""
    for name in PRESETS:
        _fit(options, name, ["--preset", name, "--config", json.dumps({"width": options.width})], passed_on)
    _print_best(options.out, PRESETS)


def _encoders(options: argparse.Namespace, passed_on: Sequence[str]) -> None:
    """Train the recipe's network with each encoder."""
    for name in ENCODERS:
        _fit(options, name, ["--config", json.dumps({"encoder": name})], passed_on)
    _print_best(options.out, ENCODERS)


def _networks(options: argparse.Namespace, passed_on: Sequence[str]) -> None:
    """Train two networks alike."""
    for name in NETWORKS:
        # A draw of glance is a block of several prompts.
        config, batch = ({}, "6") if name == "glance" else ({"width": options.width}, "12")
        _fit(options, name, ["--architecture", name, "--config", json.dumps(config), "--batch", batch], passed_on)
    _print_best(options.out, NETWORKS)


def _fit(options: argparse.Namespace, name: str, how: Sequence[str], passed_on: Sequence[str]) -> None:
    print(f"\n{name}", flush=True)
    where = ["--data", str(options.data), "--out", str(options.out / name)]
    train(["fit", options.recipe, *where, *how, *passed_on])


def _print_best(out: Path, names: Sequence[str]) -> None:
    """Print the best check of every run."""
    print(f"\n{'':24}{'validation Dice':>16}{'threshold':>11}{'at step':>9}{'of':>7}")
    for name in names:
        with (out / name / LOG).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        best = max(rows, key=lambda row: float(row["dice"]))
        figures = f"{float(best['dice']):16.3f}{float(best['threshold']):11.2f}{best['step']:>9}{rows[-1]['step']:>7}"
        print(f"{name:24}{figures}")


# ------------------------------------------------------------------------------------------------ corrective marks


def _mpp(text: str) -> Mpp:
    return "auto" if text == "auto" else float(text)


def _corrections(options: argparse.Namespace, _: Sequence[str]) -> None:
    """Print the Dice of the worst fifth of the objects before and after corrective marks."""
    asked = Evaluation(options.model, options.data, mpp=options.mpp, split=options.split)
    done = correct(asked, least_depth=options.least_depth)
    print(f"{done.dice.shape[1]} of {done.objects} objects, those with the lowest Dice")
    print(f"{'marks':>5}{'Dice':>8}{'gained':>8}{'now marked':>12}{'their Dice':>12}{'before it':>11}")
    for number, dice in enumerate(done.dice):
        line = f"{number:5}{dice.mean():8.3f}{dice.mean() - done.dice[0].mean():8.3f}"
        if number:
            marked = done.marked[number - 1]
            line += f"{marked.sum():12}{dice[marked].mean():12.3f}{done.dice[number - 1][marked].mean():11.3f}"
        print(line, flush=True)


def _widths(options: argparse.Namespace, _: Sequence[str]) -> None:
    """Print by how much outlines are wider than the true objects, per image, and what that costs."""
    found = widths(Evaluation(options.model, options.data, split=options.split))
    print(f"{'image':34}{'wider, px':>10}{'AJI':>8}{'best offset':>13}{'AJI with it':>13}")
    for one in found:
        print(f"{one.name[:32]:34}{one.wider:10.2f}{one.aji:8.3f}{one.best_offset:13.1f}{one.best_aji:13.3f}")
    aji, best = (np.mean([getattr(one, name) for one in found]) for name in ("aji", "best_aji"))
    print(f"{'mean':34}{'':10}{aji:8.3f}{'':13}{best:13.3f}", flush=True)


# ---------------------------------------------------------------------------------------------------------- sureness


def _sureness(options: argparse.Namespace, _: Sequence[str]) -> None:
    """Print how well each way to tell how sure an outline is orders outlines by the Dice that they reach."""
    model = load_model(options.model)
    recipe = tuning_recipe(model, model.card.name)
    batches = recipe.validation(options.data, options.objects, options.part)
    outlines = list(decoded(model.network, batches, model.card))
    reached = [one.dice for one in outlines]
    print(f"{len(outlines)} outlines of {options.part} objects; rank correlation with their Dice")
    for name, tell in SURENESS_WAYS.items():
        print(f"{spearmanr([tell(one, model.card.threshold) for one in outlines], reached).statistic:6.3f}  {name}")


# ------------------------------------------------------------------------------------------------ corrected objects


def _corrected(options: argparse.Namespace, passed_on: Sequence[str]) -> None:
    """Fine-tune on few objects of some images, and let the engine outline all objects of the other images.

    The parent is also tried at the new threshold, to tell what was learned from what was merely calibrated.
    """
    corrected, held_out = options.out / "corrected", options.out / "held-out"
    giving, judging = _divided(options.data, options.objects // options.from_each)
    read = partial(_read, options.data, options.only)
    counts = [_write(corrected, name, *_corner(*read(name), options.from_each)) for name in giving]
    for name in judging:
        _write(held_out, name, *read(name))
    trained = len(names_of(corrected, "train"))
    print(f"{sum(counts)} corrected objects in {len(giving)} images: {trained} images train, the others validate")
    print(f"and test. {len(judging)} other images are held out.", flush=True)
    run = options.out / "tuned"
    train(["fine-tune", options.model, "--data", str(corrected), "--mpp", "auto", "--out", str(run), *passed_on])
    tuned = run / f"{run.name}.safetensors"
    print(f"\n{'held-out images':28}{'Dice per object':>16}{'AJI':>8}{'objects':>9}")
    threshold = read_card(tuned).threshold
    trials = (
        ("before", options.model, None),
        (f"before, at {threshold}", options.model, threshold),
        ("after", tuned, None),
    )
    for name, model, asked in trials:
        trial = evaluate(Evaluation(model, held_out, mpp="auto", threshold=asked)).trials[0]
        dice = np.mean([found.dice for found in trial.objects])
        aji = np.mean([tally.scores["AJI"] for tally in trial.tallies])
        print(f"{name:28}{dice:16.3f}{aji:8.3f}{len(trial.objects):9}", flush=True)


def _divided(data: Path, wanted: int) -> tuple[list[str], list[str]]:
    """Return images to correct, of which so many train, and images to judge by; fixed splits are kept to."""
    names = [name for name in picture_names(data) if name not in WBC_COPIES]
    names = [names[index] for index in np.random.default_rng(0).permutation(len(names))]
    giving = next(n for n in range(3, len(names)) if n - 2 * max(1, round(n / 5)) >= wanted)
    if data.name not in SPLITS:
        return names[:giving], names[giving:]
    part = {name: SPLITS[data.name].part_of(name) for name in names}
    return [name for name in names if part[name] == "train"][:giving], [name for name in names if part[name] == "test"]


def _read(folder: Path, only: int | None, name: str) -> tuple[Rgb, Labels]:
    labels = read_labels(folder, name)
    return read_image(image_path(folder, name)), labels if only is None else (labels == only).astype(np.int32)


def _corner(image: Rgb, labels: Labels, most: int) -> tuple[Rgb, Labels]:
    """Return the largest square about a random object that has few enough of them."""
    rows, columns = np.nonzero(labels)
    chosen = int(np.random.default_rng(len(rows)).integers(len(rows)))
    square = np.s_[:0, :0]
    for reach in range(16, max(labels.shape), 4):
        low = np.maximum([rows[chosen] - reach, columns[chosen] - reach], 0)
        wider = np.s_[low[0] : rows[chosen] + reach, low[1] : columns[chosen] + reach]
        if _count(labels[wider]) > most:
            break
        square = wider
    return image[square], labels[square]


def _count(labels: Labels) -> int:
    return len(np.unique(labels[labels > 0]))


def _write(target: Path, name: str, image: Rgb, labels: Labels) -> int:
    """Write a picture with its labels; return how many objects it has."""
    for part, pixels in (("images", image), ("labels", labels.astype(np.uint16))):
        (target / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(target / part / f"{name}.png")
    return _count(labels)


if __name__ == "__main__":
    main()
