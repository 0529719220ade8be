"""The command `average`: one model whose weights are the mean of several that come from each other by fine-tuning.

Such a mean often holds up better on images unlike the training images than any of them (Wortsman et al. 2022, model
soups).
"""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch

from nuclick_wsi.errors import SettingsError
from nuclick_wsi.models.weights import Model, load_model, save_model
from nuclick_wsi.ownership import require_free


def add_average(command: argparse.ArgumentParser) -> None:
    """Give a command the options of `average`."""
    command.add_argument("models", metavar="MODEL", nargs="+", help="names of shipped models, or files; two or more")
    command.add_argument("--model", type=Path, required=True, help="the .safetensors file to write")
    command.set_defaults(run=_average)


def averaged(models: Sequence[Model]) -> Model:
    """Return the last of the models with the mean of all weights.

    Its card is that of the last one, with the data and the terms of all, and without calibration and scores, which were
    others'; its threshold is kept.

    Raises
    ------
    SettingsError
        There is one model alone, or they are not of one network, kind, crop and pixel size.
    """
    last = models[-1]
    if len(models) < 2:
        raise SettingsError(f"{last.path}: one model alone has no average. Name two or more.")
    for one in models[:-1]:
        for what in ("kind", "architecture", "config", "crop_size", "mpp", "open_terms"):
            own, other = getattr(last.card, what), getattr(one.card, what)
            if own != other:
                raise SettingsError(
                    f"{one.path} and {last.path} cannot be averaged: {what} is {other} and {own}. Name models of which "
                    "one was fine-tuned from the other."
                )
    states = [model.network.state_dict() for model in models]
    mean = {
        name: torch.stack([state[name] for state in states]).mean(dim=0) if value.is_floating_point() else value
        for name, value in states[-1].items()
    }
    last.network.load_state_dict(mean)
    card = dataclasses.replace(
        last.card,
        data=tuple(dict.fromkeys(source for model in models for source in model.card.data)),
        terms="; and ".join(_not_contained([model.card.terms for model in models])),
        settings={**last.card.settings, "average of": [model.sha256 for model in models]},
        scores=(),
        calibration=(),
    )
    return dataclasses.replace(last, card=card)


def _not_contained(texts: Sequence[str]) -> list[str]:
    """Return texts, each once, without those that another repeats; terms of a tuned model repeat its parent's."""
    unlike = dict.fromkeys(texts)
    return [text for text in unlike if not any(text != other and text in other for other in unlike)]


def _average(options: argparse.Namespace) -> None:
    require_free(options.model)
    found = averaged([load_model(model) for model in options.models])
    save_model(options.model, found.network, found.card, half=True)
    print(
        f"{options.model}: the mean of {len(options.models)} models, with the threshold of the last. Score it on "
        f"validation images (nuclick-wsi evaluate), and fit its sureness: python -m nuclick_training calibrate "
        f"{options.model} --data DIR"
    )
