"""The folder of a run records its recipe, network and settings, by which it is resumed and finished."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from nuclick_training.fitting.recipe import Recipe
from nuclick_training.fitting.run import CHECKPOINT
from nuclick_training.fitting.settings import FitSettings
from nuclick_wsi.errors import ResultError, SettingsError
from nuclick_wsi.files import write_atomically

SETTINGS = "settings.json"
_BEGUN_WITH = ("recipe", "architecture", "config")


def begin(folder: Path) -> None:
    """Make the folder of a new run.

    Raises
    ------
    SettingsError
        There is a run in it already.
    ResultError
        It cannot be made.
    """
    if (folder / CHECKPOINT).exists():
        raise SettingsError(f"--out {folder} holds a run already: continue it (--resume), or choose another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ResultError(f"--out {folder}: cannot be made ({error.strerror}).") from error


def note(folder: Path, recipe: Recipe, settings: FitSettings) -> None:
    """Record the recipe, the network and the settings of a run that begins or is resumed."""
    told = dataclasses.asdict(settings) | {
        "recipe": recipe.name,
        "architecture": recipe.architecture,
        "config": dict(recipe.config),
    }
    write_atomically(folder / SETTINGS, json.dumps(told, indent=2).encode())


def settings_of(folder: Path) -> dict[str, Any]:
    """Return the fit settings that a run was last begun or resumed with."""
    return {key: value for key, value in _told(folder).items() if key not in _BEGUN_WITH}


def network_of(folder: Path, recipe: Recipe) -> Recipe:
    """Return the recipe with the network that a run was begun with.

    Raises
    ------
    SettingsError
        The run was begun by another recipe.
    """
    told = _told(folder)
    if told.get("recipe", recipe.name) != recipe.name:
        raise SettingsError(f"The run in {folder} was begun as {told['recipe']}, not as {recipe.name}.")
    architecture, config = told.get("architecture", recipe.architecture), told.get("config", recipe.config)
    return dataclasses.replace(recipe, architecture=architecture, config=config)


def _told(folder: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{folder} is not the folder of a run: {SETTINGS} cannot be read ({error}).") from error
    return told
