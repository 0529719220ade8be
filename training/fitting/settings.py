"""The settings of a training run: a recipe's, changed by a preset, a TOML file and flags, in this order.

A setting that is misspelt, of the wrong type or out of range is refused, with what is accepted.
"""

import dataclasses
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nuclick_wsi.errors import SettingsError
from nuclick_wsi.prompts import ObjectKind

CHOICES: Mapping[str, tuple[str, ...]] = {
    "optimizer": ("adamw", "adam"),
    "schedule": ("cosine", "constant"),
    "augmentation": ("modern", "paper"),
    "precision": ("auto", "float32", "bfloat16"),
    "keep": ("best", "last"),
}
"""The settings that are one of a few words."""

_ENDS = ("minutes", "steps", "epochs")
_CHECKS = 20
_LEAST_BETWEEN_CHECKS = 10
"""Steps: a check scores hundreds of objects, which takes longer than a step."""


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How a network is trained.

    Attributes
    ----------
    minutes
        Wall time of the whole run, over all resumptions.
    steps, epochs
        Where not 0, what ends the run instead. An epoch is as many prompts as there are training objects.
    batch
        Crops per step and process, or blocks of a network that encodes them once (glance).
    optimizer
        adamw, or adam, whose decay is part of the gradient.
    rate, warm_up, schedule
        Highest learning rate; the share of the run in which it rises; what follows: half a cosine to zero, or constant.
    decay
        Weight decay.
    clip
        Largest norm of a gradient; 0 for no limit.
    averaging
        Decay per step of the running average of the weights, which is what is kept; 0 keeps the weights themselves.
    largest_alpha
        Cap of the loss's adaptive weight; 0 for the paper's, which has none.
    augmentation
        Of colours: modern, or what the paper lists.
    corrections
        Share of the steps in which most examples get one or two corrective marks, drawn from the present error.
    precision
        auto is bfloat16 (mixed) on CUDA and float32 elsewhere.
    check_minutes, check_steps
        Minutes between two checks, each of which scores the validation objects and writes a checkpoint; in a run by
        steps or epochs the steps between them, 0 for a twentieth of the run, but no fewer than ten. One is at the end.
    patience
        Checks without a better score after which the run stops; 0 for never.
    keep
        Which weights a model gets: those of the best check, or the last ones, where there are too few validation
        objects to tell checks apart.
    random_start
        Whether an encoder starts from random weights too, not from those that were learned on ImageNet.
    seed
        Of the first weights and of all that is drawn.
    device, workers, tensorboard
        Where to compute; how many processes draw the examples, 0 for none beside this one; whether to also log for
        tensorboard. No result depends on the last two.
    """

    minutes: float = 55.0
    steps: int = 0
    epochs: int = 0
    batch: int = 12
    optimizer: str = "adamw"
    rate: float = 2e-3
    warm_up: float = 0.04
    schedule: str = "cosine"
    decay: float = 1e-2
    clip: float = 5.0
    averaging: float = 0.998
    largest_alpha: float = 1.0
    augmentation: str = "modern"
    corrections: float = 0.3
    precision: str = "auto"
    check_minutes: float = 5.0
    check_steps: int = 0
    patience: int = 0
    keep: str = "best"
    random_start: bool = False
    seed: int = 0
    device: str = "auto"
    workers: int = 0
    tensorboard: bool = False

    def __post_init__(self) -> None:
        for name, accepted in CHOICES.items():
            if getattr(self, name) not in accepted:
                raise SettingsError(f"{name} is one of {', '.join(accepted)}, not {getattr(self, name)!r}.")
        for name, (lowest, highest) in _RANGES.items():
            if not lowest <= getattr(self, name) <= highest:
                raise SettingsError(f"{name} is a number from {lowest:g} to {highest:g}, not {getattr(self, name)}.")
        if not (self.minutes or self.steps or self.epochs):
            raise SettingsError("A run needs an end: minutes, steps or epochs above 0.")

    def progress(self, step: int, seconds: float) -> float:
        """Return the share of the run that is done, 1 at its end."""
        return step / self.steps if self.steps else seconds / (self.minutes * 60)

    def rate_at(self, progress: float) -> float:
        """Return the learning rate at a share of the run."""
        if progress < self.warm_up:
            return self.rate * max(progress / self.warm_up, 0.01)
        if self.schedule == "constant":
            return self.rate
        share = min((progress - self.warm_up) / (1 - self.warm_up), 1)
        return self.rate * 0.5 * (1 + math.cos(math.pi * share))

    def check_is_due(self, step: int, seconds: float) -> bool:
        """Return whether to score the validation objects, so many seconds after the last check."""
        if self.steps:
            return step % (self.check_steps or max(self.steps // _CHECKS, _LEAST_BETWEEN_CHECKS)) == 0
        return seconds >= self.check_minutes * 60

    def counted(self, objects: int, prompts_per_step: int) -> "FitSettings":
        """Return the settings with epochs turned into steps."""
        if not self.epochs:
            return self
        return dataclasses.replace(self, steps=math.ceil(self.epochs * objects / prompts_per_step), epochs=0)


_RANGES: Mapping[str, tuple[float, float]] = {
    "minutes": (0, 1e6),
    "steps": (0, 1e9),
    "epochs": (0, 1e6),
    "batch": (1, 65536),
    "rate": (1e-9, 10),
    "warm_up": (0, 0.9),
    "decay": (0, 10),
    "clip": (0, 1e6),
    "averaging": (0, 0.99999),
    "largest_alpha": (0, 1e6),
    "corrections": (0, 1),
    "check_minutes": (0, 1e6),
    "check_steps": (0, 1e9),
    "patience": (0, 1e6),
    "seed": (0, 2**32 - 1),
    "workers": (0, 256),
}
_TYPES: Mapping[str, type] = {item.name: type(item.default) for item in dataclasses.fields(FitSettings)}

_PAPER_BATCH = {ObjectKind.NUCLEUS: 256, ObjectKind.CELL: 64, ObjectKind.GLAND: 16}
PRESETS = ("modern", "paper")


def preset(name: str, kind: ObjectKind, prompts_per_draw: int = 1) -> Mapping[str, object]:
    """Return what a preset changes: `modern` nothing, `paper` all that section IV-B of the paper and equation 1 say.

    Parameters
    ----------
    prompts_per_draw
        Prompts per crop or block; a block of glance has several.
    """
    if name not in PRESETS:
        raise SettingsError(f"preset is one of {', '.join(PRESETS)}, not {name!r}.")
    if name == "modern":
        return {}
    return {
        "epochs": 200,
        "batch": max(1, _PAPER_BATCH[kind] // prompts_per_draw),
        "optimizer": "adam",
        "rate": 3e-3,
        "warm_up": 0.0,
        "schedule": "constant",
        "decay": 5e-5,
        "clip": 0.0,
        "averaging": 0.0,
        "largest_alpha": 0.0,
        "augmentation": "paper",
        "corrections": 0.0,
        "precision": "float32",
    }


def settled(base: FitSettings, layers: Sequence[Mapping[str, object]]) -> FitSettings:
    """Return settings with layers of changes on top; a layer that says when to end overrules the ends below it."""
    for layer in layers:
        ends = [name for name in _ENDS if layer.get(name)]
        if len(ends) > 1:
            raise SettingsError(f"A run has one end, not {' and '.join(ends)}: drop all but one.")
        cleared = dict.fromkeys(_ENDS, 0) if ends else {}
        checked = {name: _typed(name, value) for name, value in layer.items()}
        base = dataclasses.replace(base, **(cleared | checked))  # type: ignore[arg-type]
    return base


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What a TOML file says.

    Attributes
    ----------
    fit
        Settings of `FitSettings`.
    architecture, config
        The table [network]: another architecture than the recipe's, and its configuration.
    """

    preset: str | None
    fit: Mapping[str, object]
    architecture: str | None
    config: Mapping[str, object]


def read_settings(path: Path) -> SettingsFile:
    """Read settings from a TOML file.

    Raises
    ------
    SettingsError
        The file cannot be read, or has an unknown key.
    """
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: cannot be read as TOML ({error}).") from error
    chosen, network = told.pop("preset", None), told.pop("network", {})
    if not isinstance(network, dict):
        raise SettingsError(f"{path}: [network] is a table with architecture, width and so on, not {network!r}.")
    if unknown := [name for name in told if name not in _TYPES]:
        accepted = ", ".join(["preset", *_TYPES, "[network]"])
        raise SettingsError(f"{path}: {', '.join(unknown)} is no setting. Accepted are {accepted}.")
    return SettingsFile(chosen, told, network.pop("architecture", None), network)


def _typed(name: str, value: object) -> object:
    """Return a setting's value, a whole number as a float where that is wanted."""
    wanted = _TYPES[name]
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        kind = {int: "a whole number", float: "a number", str: "a word", bool: "true or false"}[wanted]
        raise SettingsError(f"{name} is {kind}, not {value!r}.")
    return value
