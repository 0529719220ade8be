"""Fine-tuning: training a model further on a user's own corrected objects.

The new model's card names its parent, and joins the data and the terms of both. It may be used for anything only
where the parent and the data may.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nuclick_training.fitting.calibrate import JUDGED, Evidence, card_of, judged, trained
from nuclick_training.fitting.recipe import Recipe
from nuclick_training.fitting.recipes import RECIPES
from nuclick_training.fitting.run_folder import model_settings, require_own_or_free
from nuclick_training.fitting.settings import FitSettings
from nuclick_training.fitting.sureness import calibrated
from nuclick_training.sampling.batches import Batch
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.models.card import ModelCard, Score
from nuclick_wsi.models.weights import Model, save_model

_METRIC = "mean Dice of a crop's object"
TUNING: Mapping[str, Any] = {"steps": 200, "rate": 5e-4, "warm_up": 0.1, "averaging": 0.98}
"""The settings that differ from those of a run from the start, whatever the model."""
_PIXELS_PER_STEP = 8 * 128 * 128


@dataclass(frozen=True, slots=True)
class Tuned:
    """The result of fine-tuning: mean Dice of held-out objects before and after, each model at its own threshold.

    Attributes
    ----------
    part
        The part that these objects are from: test, or validation, which may have chosen the threshold; empty where none
        is held out.
    """

    card: ModelCard
    part: str
    before: float
    after: float
    evidence: Evidence
    """What there was to choose a threshold on; where it is not enough, the card has the parent's."""
    parent: str
    """The parent's name."""

    @property
    def threshold_from(self) -> str:
        """Where the threshold comes from, in words."""
        if self.evidence.is_enough:
            return f"chosen on {self.evidence}"
        return f"that of {self.parent}: {self.evidence} are too few to choose another"

    @property
    def verdict(self) -> list[str]:
        """What the scores say, in sentences."""
        if not self.part:
            return ["No object was held out to tell whether it is better. Add a slide or image of another patient."]
        chose = ", which chose the threshold" if self.part != "test" and self.evidence.is_enough else ""
        said = [f"mean Dice of {self.part} objects{chose}: {self.before:.3f} before, {self.after:.3f} after"]
        if self.after <= self.before:
            said.append(f"It is no better there: keep {self.parent}, or give it more objects.")
        return said


def tuning_recipe(parent: Model, name: str, sources_of: str | None = None) -> Recipe:
    """Return the recipe to fine-tune a model.

    Parameters
    ----------
    sources_of
        The recipe whose data sets it has; None takes the model's own, or one for its kind of object.
    """
    card = parent.card
    of_kind = {recipe.name: recipe for recipe in RECIPES.values() if recipe.kind is card.kind}
    if sources_of is not None and sources_of not in of_kind:
        raise SettingsError(f"--recipe {sources_of} is not one for a {card.kind}: these are {', '.join(of_kind)}.")
    model_of_kind = of_kind.get(sources_of or card.name) or next(iter(of_kind.values()))
    blocks = card.architecture == "glance"
    return dataclasses.replace(
        model_of_kind,
        name=name,
        architecture=card.architecture,
        config=card.config,
        crop=card.crop_size,
        mpp=card.mpp,
        typical=model_of_kind.typical * model_of_kind.mpp / card.mpp,
        smallest_um2=card.smallest_um2,
        fill_holes_um2=card.fill_holes_um2,
        limits=card.limits,
        fit=FitSettings(
            **TUNING,
            batch=2 if blocks else max(1, _PIXELS_PER_STEP // card.crop_size**2),
            keep=model_of_kind.fit.keep,
        ),
    )


def finish_tuning(recipe: Recipe, parent: Model, run: Path, data: Path, target: Path) -> Tuned:
    """Choose the threshold on validation objects, compare with the parent on held-out ones, and write the model.

    Where there are too few of them, the parent's threshold stays.

    Parameters
    ----------
    recipe
        As `tuning_recipe` returns it, on the user's data.

    Raises
    ------
    SettingsError
        Something is there under the target's name that is no model of this run.
    """
    seen = require_own_or_free(target, run)
    network, step = trained(recipe, run)
    validation = recipe.validation(data, JUDGED)
    evidence = Evidence.of(recipe, data)
    threshold = judged(network, validation)[0] if evidence.is_enough else parent.card.threshold
    part, held_out = _held_out(recipe, data, validation)
    before = judged(parent.network, held_out, parent.card.threshold)[1]
    after = judged(network, held_out, threshold)[1]
    card = _card(recipe, parent, model_settings(run, step))
    card = dataclasses.replace(card, threshold=threshold, calibration=parent.card.calibration)
    if validation:
        card = dataclasses.replace(card, calibration=calibrated(network, validation, card)[0])
    if held_out:
        where, command = f"{part} objects of {recipe.sources[0].folder}", "python -m nuclick_training fine-tune"
        scores = (
            Score(f"{where}, by the parent", _METRIC, round(before, 4), command),
            Score(where, _METRIC, round(after, 4), command),
        )
        card = dataclasses.replace(card, scores=scores)
    save_model(target, network, card, half=True, seen=seen)
    return Tuned(card, part, before, after, evidence, parent.card.name)


def _held_out(recipe: Recipe, data: Path, validation: Sequence[Batch]) -> tuple[str, Sequence[Batch]]:
    test = recipe.validation(data, JUDGED, "test")
    return ("test", test) if test else ("validation" if validation else "", validation)


def _card(recipe: Recipe, parent: Model, settings: dict[str, object]) -> ModelCard:
    """Return the card without scores; the parent's terms stay in force, alone if the data is the parent's own."""
    card = card_of(recipe, settings)
    inherited = parent.card
    lineage = {
        "name": inherited.name,
        "sha256": parent.sha256,
        "created": inherited.created.isoformat(),
        "scores": [dataclasses.asdict(score) for score in inherited.scores],
    }
    card = dataclasses.replace(
        card, settings=settings | {"parent": lineage}, open_terms=inherited.open_terms and recipe.open_terms
    )
    if set(card.data) <= set(inherited.data):
        return dataclasses.replace(card, data=inherited.data, terms=inherited.terms, split=inherited.split)
    return dataclasses.replace(
        card,
        data=(*inherited.data, *(source for source in card.data if source not in inherited.data)),
        terms=f"{inherited.terms}; and {recipe.terms}",
        split=f"{inherited.split}; then {recipe.split}",
    )
