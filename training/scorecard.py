"""`python -m nuclick_training.scorecard MODEL --data DIR`: measure a model on its test images and fill in its card.

The weights stay as they are, bit by bit.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from nuclick_training.datasets.splits import SPLITS
from nuclick_training.evaluation.evaluate import Evaluation, evaluate
from nuclick_training.evaluation.intervals import mean_estimates
from nuclick_training.evaluation.tables import print_findings
from nuclick_training.fitting.pixel_sizes import Mpp
from nuclick_training.fitting.recipes import known_pixel_size
from nuclick_training.synthesis.cell_library import read_library
from nuclick_training.synthesis.compose import PIXEL_SIZE, compose_pool
from nuclick_training.synthesis.composing import COMPOSED, LIBRARY, write_pictures
from nuclick_wsi.errors import NuclickError
from nuclick_wsi.models.card import ModelCard, Score
from nuclick_wsi.models.manifest import renew_manifest
from nuclick_wsi.models.weights import load_model, save_model
from nuclick_wsi.shared_files import Stamp


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m nuclick_training.scorecard", description=__doc__)
    parser.add_argument("model", type=Path, help="a model file that `nuclick_training finish` made")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets' folders")
    parser.add_argument("--on", action="append", default=[], help="a data set that it did not learn from; repeatable")
    parser.add_argument("--choice", help="text for the card: what it was measured against, and why it is this network")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    try:
        score_model(options.model, options.data, Console(), options.on, options.choice)
    except NuclickError as error:
        parser.error(str(error))


def score_model(
    path: Path, data: Path, console: Console, others: Sequence[str] = (), choice: str | None = None
) -> ModelCard:
    """Measure a model on the test images of its own data sets and of others, and replace its card's test scores.

    Raises
    ------
    FileChangedError
        The model is another one by now.
    """
    path = path.resolve()  # a link stays one
    model = load_model(path)
    seen = Stamp(path.stat().st_size, bytes.fromhex(model.sha256))
    kept = tuple(score for score in model.card.scores if " test" not in score.data)
    names = [*(source.name for source in model.card.data), *others]
    measured = [score for name in names for score in _test_scores(path, data / name, console)]
    chosen = model.card.choice if choice is None else choice
    card = replace(model.card, scores=(*measured, *kept), choice=chosen)
    save_model(path, model.network, card, half=True, seen=seen)
    renew_manifest(path)
    return card


def _test_scores(path: Path, folder: Path, console: Console) -> list[Score]:
    """Return the mean scores of a data set's test images; none where all of it trains, as of an encoder's pictures."""
    if folder.name == LIBRARY:
        return _composed_scores(path, folder, console)
    if folder.name not in SPLITS or not SPLITS[folder.name].has_test:
        return []
    command = f"nuclick-wsi evaluate {path.stem} {folder.name} --split test"
    mpp: Mpp = None if known_pixel_size(folder.name) else "auto"
    command += "" if mpp is None else " --mpp auto"
    return _measured(Evaluation(path, folder, mpp, "test"), f"{folder.name} test", command, console)


def _composed_scores(path: Path, library: Path, console: Console) -> list[Score]:
    """Return the mean scores of pictures composed of the test cells, as `compose` writes them by default."""
    command = f"nuclick-wsi evaluate {path.stem} cells --mpp {PIXEL_SIZE} (cells: python -m nuclick_training compose)"
    with tempfile.TemporaryDirectory() as folder:
        pictures = compose_pool(read_library(library, "test"), COMPOSED, 0)
        for _ in write_pictures(pictures, Path(folder)):
            pass
        asked = Evaluation(path, Path(folder), mpp=PIXEL_SIZE)
        return _measured(asked, f"composed of {library.name} test", command, console)


def _measured(asked: Evaluation, data: str, command: str, console: Console) -> list[Score]:
    findings = evaluate(asked)
    print_findings(findings, asked, console)
    (trial,) = findings.trials
    data = f"{data}, {len(trial.images)} images"
    means = mean_estimates(trial.tallies)
    return [Score(data, metric, round(mean.value, 4), command) for metric, mean in means.items()]


if __name__ == "__main__":
    main()
