"""A recipe on a user's own data: a store of `nuclick-wsi dataset extract`, or a folder of images/ and labels/."""

import dataclasses
from pathlib import Path

from nuclick_training.datasets.folders import is_store
from nuclick_training.datasets.store import read_store
from nuclick_training.fitting.pixel_sizes import Mpp
from nuclick_training.fitting.recipe import Recipe, TrainingSource
from nuclick_training.fitting.recipes import known_pixel_size
from nuclick_wsi.errors import SettingsError

NOT_STATED = "not stated by who trained"


def on_data(recipe: Recipe, data: Path, mpp: Mpp, terms: str | None) -> tuple[Recipe, Path]:
    """Return the recipe for what `--data` names, and the folder that holds its sources.

    A folder that is neither a store nor holds images/ is taken for the folder of the recipe's own data sets. What a
    user says of the terms of other data is a text that is kept: no model of it counts as one for any use.

    Parameters
    ----------
    mpp
        Pixel size of a folder's images.
    terms
        The terms of use of the data.
    """
    if not data.is_dir():
        raise SettingsError(
            f"--data {data} is no folder. Accepted are a store of `nuclick-wsi dataset extract`, a folder that holds "
            "images/ and labels/, and for a recipe's own data the folder of its data sets."
        )
    data = data.resolve()
    if is_store(data):
        _check_store(recipe, data, mpp)
        return _own(recipe, data, None, terms)
    if (data / "images").is_dir() or (data / "labels").is_dir():
        return _own(recipe, data, _pixel_size(data, mpp), terms)
    if missing := [source.folder for source in recipe.sources if not (data / source.folder).is_dir()]:
        raise SettingsError(
            f"--data {data} holds neither a store, nor images/ and labels/, nor {' and '.join(missing)}, which the "
            f"recipe {recipe.name} is for."
        )
    if mpp is not None or terms is not None:
        raise SettingsError("--mpp and --terms are for data of your own; the recipe's data sets have theirs.")
    return recipe, data


def _own(recipe: Recipe, data: Path, mpp: float | None, terms: str | None) -> tuple[Recipe, Path]:
    source = TrainingSource(data.name, terms or NOT_STATED, mpp)
    split = f"{data.name}: by patient, as its store says or a fifth for validation (the threshold) and a fifth for test"
    text = f"those of {data.name}: {source.licence}"
    return dataclasses.replace(recipe, sources=(source,), terms=text, open_terms=False, split=split), data.parent


def _check_store(recipe: Recipe, data: Path, mpp: Mpp) -> None:
    if mpp is not None:
        raise SettingsError("--mpp is for a folder of images: a store knows its pixel size.")
    kind = read_store(data).terms.kind
    if kind is not recipe.kind:
        raise SettingsError(f"{data} is a store for models of a {kind}, and {recipe.name} is one of a {recipe.kind}.")


def _pixel_size(data: Path, mpp: Mpp) -> float | None:
    """Return the pixel size of a folder; None where each image is to be scaled by its objects."""
    if mpp == "auto":
        return None
    settled = mpp or known_pixel_size(data.name)
    if settled is None:
        raise SettingsError(
            f"The pixel size of {data} is not known. Give it in um with --mpp, or --mpp auto to scale each image until "
            "its median object is as large as those of the recipe's data."
        )
    return settled
