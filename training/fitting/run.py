"""The state of a training run: the network, its running average and the optimizer, and the checkpoints that store it.

A checkpoint has all that a killed run needs to be resumed.
"""

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import nn

from nuclick_training.fitting.loss import Loss, nuclick_loss
from nuclick_training.fitting.settings import FitSettings
from nuclick_wsi.errors import SettingsError

CHECKPOINT, BEST = "checkpoint.pt", "best.pt"


class Averaged:
    """A running average of a network's weights and of its batch norms' statistics.

    Torch's `AveragedModel` is not used: its first update copies the network, where this one averages it with the start,
    so that runs would not end bit by bit as they do. Only setting its counter by hand would make it do the same.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay, self.updates = decay, 0

    def update(self, network: nn.Module) -> None:
        """Add one more state; early ones weigh more than the decay says, so that the random start is soon forgotten."""
        self.updates += 1
        keep = min(self._decay, self.updates / (self.updates + 10))
        mine, theirs = self.network.state_dict(), network.state_dict()
        for name, value in mine.items():
            if value.is_floating_point():
                value.lerp_(theirs[name], 1 - keep)
            else:
                value.copy_(theirs[name])


@dataclass(slots=True)
class Run:
    """Everything that a checkpoint stores, and the loss.

    Attributes
    ----------
    best
        The highest validation score so far, 0 before the first.
    stale
        Checks since then.
    loss
        What the network is trained by.
    """

    network: nn.Module
    averaged: Averaged
    optimizer: torch.optim.Optimizer
    step: int = 0
    seconds: float = 0.0
    best: float = 0.0
    stale: int = field(default=0)
    loss: Loss = nuclick_loss

    def save(self, path: Path) -> None:
        """Write a checkpoint in place of the last one."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.network.state_dict(),
            "updates": self.averaged.updates,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
            "best": self.best,
            "stale": self.stale,
        }
        _write(state, path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint that `save` wrote.

        Raises
        ------
        SettingsError
            There is none, or it is of another network.
        """
        state = _read(path)
        try:
            self.network.load_state_dict(state["network"])
            self.averaged.network.load_state_dict(state["averaged"])
            self.optimizer.load_state_dict(state["optimizer"])
        except (RuntimeError, ValueError) as error:
            raise SettingsError(
                f"{path} is a checkpoint of another network or optimizer: resume with the recipe and the network "
                "settings that it was begun with, or choose another --out."
            ) from error
        self.averaged.updates = state["updates"]
        self.step, self.seconds = state["step"], state["seconds"]
        self.best, self.stale = state.get("best", 0.0), state.get("stale", 0)

    def judged(self, dice: float, folder: Path) -> None:
        """Record a validation score, and write the averaged weights if it is the best so far."""
        if dice > self.best:
            self.best, self.stale = dice, 0
            _write({"averaged": self.averaged.network.state_dict(), "dice": dice, "step": self.step}, folder / BEST)
        else:
            self.stale += 1


def new_run(network: nn.Module, settings: FitSettings, device: torch.device | None = None) -> Run:
    """Return a run at its start."""
    network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW if settings.optimizer == "adamw" else torch.optim.Adam
    made = optimizer(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    return Run(network, Averaged(network, settings.averaging), made)


def kept_weights(folder: Path, keep: str) -> tuple[Mapping[str, torch.Tensor], int]:
    """Return a run's averaged weights, and their step: where validation was best, or the last ones.

    The last ones are kept too where nothing was validated.
    """
    state = _read(folder / BEST if keep == "best" and (folder / BEST).exists() else folder / CHECKPOINT)
    return state["averaged"], state["step"]


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise SettingsError(f"{path} does not exist: there is no run to continue. Begin one with `fit`.")
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, ValueError, LookupError, UnpicklingError) as error:
        raise SettingsError(f"{path} cannot be read as a checkpoint ({error}).") from error
    return state


def _write(state: Mapping[str, object], path: Path) -> None:
    temporary = path.with_suffix(".part")
    torch.save(state, temporary)
    temporary.replace(path)
