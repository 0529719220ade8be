"""From a checkpoint to a model file: the threshold is chosen on the validation objects, the card written.

A recipe and a finished run go in, a model file comes out; test pictures take no part.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import torch

from nuclick_wsi.card import Card, DataSource, Score
from nuclick_wsi.network import build, fused
from nuclick_wsi.weights import save_model

from .fit import CHECKPOINT, SETTINGS, mean_dice
from .recipes import Recipe


def finish(recipe: Recipe, run: Path, data: Path, target: Path, objects: int = 300) -> Card:
    """Write the averaged weights of a run, with the threshold that is best on the validation objects."""
    state = torch.load(run / CHECKPOINT, weights_only=True)
    settings = json.loads((run / SETTINGS).read_text())
    network = build(recipe.architecture, recipe.config).eval()
    network.load_state_dict(state["averaged"])
    dice = mean_dice(fused(network), recipe.validation(data, objects))
    threshold = max(dice, key=lambda tried: dice[tried])
    card = card_of(recipe, settings | {"steps": state["step"]})
    command = f"python -m nuclick_training finish {recipe.name} --data DIR --out RUN --model FILE"
    score = Score("validation objects", "mean Dice of a crop's object", round(dice[threshold], 4), command)
    card = replace(card, threshold=threshold, scores=(score,))
    save_model(target, network, card, half=True)
    return card


def card_of(recipe: Recipe, settings: Mapping[str, object]) -> Card:
    """Return the card of a recipe's model before anything is measured."""
    return Card(
        name=recipe.name,
        kind=recipe.kind,
        architecture=recipe.architecture,
        config=recipe.config,
        crop_size=recipe.crop,
        mpp=recipe.mpp,
        threshold=0.5,
        smallest_um2=recipe.smallest_um2,
        fill_holes_um2=recipe.fill_holes_um2,
        data=tuple(DataSource(source.folder, source.licence) for source in recipe.sources),
        terms=recipe.terms,
        split=recipe.split,
        limits=recipe.limits,
        created=datetime.now(UTC).date(),
        settings=settings,
    )
