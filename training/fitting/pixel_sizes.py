"""The pixel size of labelled pictures: given by the user, known of the data set, or from the objects' size."""

from typing import Literal

from nuclick_training.datasets.data import Labels, typical_step
from nuclick_training.fitting.recipes import RECIPES, known_pixel_size
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.scale import PixelSize

Mpp = float | Literal["auto"] | None
"""Microns per pixel; auto scales each picture until its median object has the usual size, None takes the known one."""


def parse_mpp(text: str | None) -> Mpp:
    """Return what a user wrote; SettingsError where it is neither a pixel size nor auto."""
    if text is None or text == "auto":
        return "auto" if text else None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0.01 <= value <= 100:
        raise SettingsError(f"--mpp is the width of a pixel in um, between 0.01 and 100, or auto, not {text}.")
    return value


def settled_mpp(asked: Mpp, folder: str, card: ModelCard) -> float | Literal["auto"]:
    """Return the pixel size of a data set's folder, or `auto`.

    Raises
    ------
    SettingsError
        The pixel size is not known, or the usual size of the model's objects is not.
    """
    settled = known_pixel_size(folder) if asked is None else asked
    if settled is None:
        raise SettingsError(
            f"The pixel size of {folder} is not known. Give it with --mpp, or --mpp auto to scale each image until "
            "its median object is as large as those the model was trained on."
        )
    if settled == "auto":
        _typical_um(card)
    return settled


def pixel_size_of(labels: Labels, mpp: float | Literal["auto"], card: ModelCard) -> PixelSize:
    """Return the pixel size of one picture."""
    if mpp == "auto":
        mpp = card.mpp / typical_step(labels, _typical_um(card) / card.mpp)
    return PixelSize(mpp, mpp)


def _typical_um(card: ModelCard) -> float:
    """Return the square root of the usual median area of a model's objects, in um."""
    for recipe in RECIPES.values():
        if recipe.kind is card.kind:
            return recipe.typical * recipe.mpp
    raise SettingsError(f"The usual size of a {card.kind} is not known, so --mpp auto cannot be: give a pixel size.")
