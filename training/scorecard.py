"""`python -m nuclick_training.scorecard MODEL --data DIR`: measure a model on its test images and fill in its card.

The weights stay as they are, bit by bit.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console

from nuclick_wsi.card import Card, Score
from nuclick_wsi.weights import load_model, save_model

from .evaluate import Evaluation, evaluate
from .intervals import mean_estimates
from .splits import SPLITS
from .tables import print_findings


def main(arguments: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m nuclick_training.scorecard", description=__doc__)
    parser.add_argument("model", type=Path, help="a model file that `nuclick_training finish` made")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the data sets' folders")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    score_model(options.model, options.data, Console())


def score_model(path: Path, data: Path, console: Console) -> Card:
    """Measure a model on the test images of its own data sets, and replace the test scores in its card."""
    model = load_model(path)
    kept = tuple(score for score in model.card.scores if " test" not in score.data)
    measured = [score for source in model.card.data for score in _test_scores(path, data / source.name, console)]
    card = replace(model.card, scores=(*measured, *kept))
    save_model(path, model.network, card, half=True)
    return card


def _test_scores(path: Path, folder: Path, console: Console) -> list[Score]:
    """Return the mean scores of a data set's test images; none where all of it trains."""
    if not SPLITS[folder.name].has_test:
        return []
    asked = Evaluation(path, folder, split="test")
    findings = evaluate(asked)
    print_findings(findings, asked, console)
    (trial,) = findings.trials
    command = f"nuclick-wsi evaluate {path.stem} {folder.name} --split test"
    data = f"{folder.name} test, {len(trial.images)} images"
    means = mean_estimates(trial.tallies)
    return [Score(data, metric, round(mean.value, 4), command) for metric, mean in means.items()]


if __name__ == "__main__":
    main()
