"""From a finished run to a model file: threshold and sureness are fitted on validation objects, the card written.

Test pictures are not used. The weights are the running average: of the check with the best validation score, or of the
last check.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from torch import nn

from nuclick_training.datasets.folders import is_store
from nuclick_training.datasets.store import read_store
from nuclick_training.fitting.fit import mean_dice
from nuclick_training.fitting.pretrained import origins
from nuclick_training.fitting.recipe import Recipe
from nuclick_training.fitting.run import kept_weights
from nuclick_training.fitting.run_folder import model_settings, network_of, settings_of
from nuclick_training.fitting.settings import FitSettings
from nuclick_training.fitting.sureness import calibrated
from nuclick_training.sampling.batches import Batch
from nuclick_wsi.models.card import DataSource, ModelCard, Score
from nuclick_wsi.models.network import build, fused
from nuclick_wsi.models.weights import fill, save_model

_METRIC = "mean Dice of a crop's object"
JUDGED = 1500
"""Objects that the threshold is chosen on: Dice depends on it so little that a few hundred would be too few."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a threshold is chosen on: validation objects, and the images or slides that they lie in."""

    objects: int
    images: int

    @classmethod
    def of(cls, recipe: Recipe, data: Path) -> "Evidence":
        """Count a recipe's validation objects."""
        images, objects = 0, 0
        for source in recipe.sources:
            folder = data / source.folder
            pictures = recipe.pictures(data, source, "validation")
            objects += sum(len(np.unique(picture.labels[picture.labels > 0])) for picture in pictures)
            in_store = is_store(folder) and sum(slide.part == "validation" for slide in read_store(folder).slides)
            images += in_store or len(pictures)
        return cls(objects, images)

    @property
    def is_enough(self) -> bool:
        """Whether a threshold that is chosen on it can be trusted; that of one image fits its stain and no other."""
        return self.objects >= 100 and self.images >= 3

    def __str__(self) -> str:
        return f"{self.objects} objects of {self.images} validation image{'s' if self.images != 1 else ''}"


def finish(
    recipe: Recipe, run: Path, data: Path, target: Path, objects: int = JUDGED, threshold: float | None = None
) -> ModelCard:
    """Write the weights that a run keeps, with the best threshold on the validation objects, or with a given one.

    Without validation objects the threshold is the given one or a half.
    """
    recipe = network_of(run, recipe)
    network, step = trained(recipe, run)
    batches = recipe.validation(data, objects)
    chosen, dice = judged(network, batches, threshold)
    settings = settings_of(run)
    card = card_of(recipe, model_settings(run, step))
    if not settings.get("random_start"):
        card = replace(card, data=(*card.data, *origins(network)))
    if batches:
        command = f"python -m nuclick_training finish {recipe.name} --data DIR --out RUN --model FILE"
        card = replace(card, scores=(Score("validation objects", _METRIC, round(dice, 4), command),))
    card = replace(card, threshold=chosen)
    card = replace(card, calibration=calibrated(network, batches, card)[0])
    save_model(target, network, card, half=True)
    return card


def trained(recipe: Recipe, run: Path) -> tuple[nn.Module, int]:
    """Return the network with the weights that a run keeps, and the step that they are of."""
    weights, step = kept_weights(run, FitSettings(**settings_of(run)).keep)
    network = build(recipe.architecture, recipe.config)
    fill(network, weights, str(run))
    return network, step


def judged(network: nn.Module, batches: Sequence[Batch], threshold: float | None = None) -> tuple[float, float]:
    """Return the threshold of the best mean Dice, or the tried one nearest to a given one, and that Dice."""
    dice = mean_dice(fused(network), batches)
    if threshold is None and batches:
        threshold = max(dice, key=lambda tried: dice[tried])
    chosen = 0.5 if threshold is None else threshold
    return chosen, dice[min(dice, key=lambda tried: abs(tried - chosen))]


def card_of(recipe: Recipe, settings: Mapping[str, object]) -> ModelCard:
    """Return the card of a recipe's model, without scores and with a threshold of one half."""
    return ModelCard(
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
        open_terms=recipe.open_terms,
    )
