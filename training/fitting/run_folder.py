"""The folder of a run records its recipe, network and settings, by which it is resumed and finished."""

import dataclasses
import json
import uuid
from pathlib import Path
from typing import Any

from nuclick_training.fitting.recipe import Recipe
from nuclick_training.fitting.run import BEST, CHECKPOINT
from nuclick_training.fitting.settings import FitSettings
from nuclick_training.fitting.training_log import LOG
from nuclick_wsi.errors import ModelError, ResultError, SettingsError
from nuclick_wsi.files import write_atomically
from nuclick_wsi.models.card import read_card
from nuclick_wsi.ownership import namesakes, require_free
from nuclick_wsi.shared_files import Stamp

SETTINGS = "settings.json"
RUN = "run"
"""The entry that tells a run from all others: models that are made of it have it in their cards too."""
_BEGUN_WITH = ("recipe", "architecture", "config", RUN)


def begin(folder: Path) -> None:
    """Make the folder of a new run.

    Raises
    ------
    SettingsError
        There is a run in it already, or another file of a name that a run writes.
    ResultError
        It cannot be made.
    """
    if (folder / CHECKPOINT).exists():
        raise SettingsError(f"--out {folder} holds a run already: continue it (--resume), or choose another folder.")
    # The settings of a run that ended before its first checkpoint are all that is left of it.
    names = (CHECKPOINT, BEST, LOG, *(() if _run_of(folder) else (SETTINGS,)))
    for found in (found for name in names for found in namesakes(folder / name)):
        raise SettingsError(
            f"--out {folder}: {found.name} is there already, of no run that can be continued, and a run writes a "
            "file of that name. Choose a new folder, or move that one away."
        )
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
        RUN: _run_of(folder) or uuid.uuid4().hex,
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


def model_settings(folder: Path, step: int) -> dict[str, Any]:
    """Return what the card of a model says of the run that it is made of."""
    run = _run_of(folder)
    return {**settings_of(folder), "steps": step} | ({RUN: run} if run is not None else {})


def require_own_or_free(target: Path, folder: Path) -> Stamp | None:
    """Return the stamp of a model of this run that may be replaced by a newer one; None where nothing is there.

    Raises
    ------
    SettingsError
        Anything else is there.
    """
    if target.is_file() and not target.is_symlink():
        seen = Stamp.of_file(target)
        if _is_made_of(target, folder):
            return seen
    require_free(target)
    return None


def _is_made_of(model: Path, folder: Path) -> bool:
    run = _run_of(folder)
    try:
        return run is not None and read_card(model).settings.get(RUN) == run
    except ModelError:
        return False


def _run_of(folder: Path) -> str | None:
    """Return what tells a folder's run from others; None where there is no run, or one of an older version."""
    try:
        run = _told(folder).get(RUN)
    except SettingsError:
        return None
    return run if isinstance(run, str) else None


def _told(folder: Path) -> dict[str, Any]:
    try:
        told = json.loads((folder / SETTINGS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{folder} is not the folder of a run: {SETTINGS} cannot be read ({error}).") from error
    if not isinstance(told, dict):
        raise SettingsError(f"{folder} is not the folder of a run: {SETTINGS} is no table of settings.")
    return told
