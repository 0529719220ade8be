"""How a comparison trains each of its networks: options that its commands share."""

import argparse
from dataclasses import dataclass, replace

import torch

from nuclick_training.fitting.settings import FitSettings
from nuclick_wsi.models.devices import choose_device

_SETTINGS = FitSettings(batch=12, rate=1.5e-3, averaging=0.99, corrections=0.0, check_minutes=2.0, keep="last")
"""One for all, but for the length."""


@dataclass(frozen=True, slots=True)
class TrainingBudget:
    """What each network gets.

    Attributes
    ----------
    settings
        Alike for all; their end and device are the user's choice.
    width
        Factor on the channels of networks of other papers, where 1 is theirs.
    judged
        Objects that choose a learned system's threshold, a multiple of 10.
    """

    settings: FitSettings = _SETTINGS
    width: float = 0.25
    judged: int = 200

    @property
    def told(self) -> str:
        """The length of a training in words."""
        return f"{self.settings.steps} steps" if self.settings.steps else f"{self.settings.minutes:g} minutes"

    @property
    def device(self) -> torch.device:
        """Where networks are trained."""
        return choose_device(self.settings.device)


def add_training_options(command: argparse.ArgumentParser) -> None:
    """Give a command the options."""
    command.add_argument("--minutes", type=float, default=60.0, help="for each network (default: %(default)g)")
    command.add_argument("--steps", type=int, default=0, help="for each network, instead of minutes")
    command.add_argument("--threads", type=int, default=1, help="of the CPU (default: %(default)s)")
    command.add_argument("--device", default="auto", help="to train on: auto, cpu, cuda or mps (default: %(default)s)")
    command.add_argument(
        "--width",
        type=float,
        default=TrainingBudget().width,
        help="of networks of other papers; 1 is their own (default: %(default)g)",
    )


def training_budget(options: argparse.Namespace) -> TrainingBudget:
    """Return what the options say; torch keeps to their threads from here on."""
    torch.set_num_threads(options.threads)
    settings = replace(_SETTINGS, minutes=options.minutes, steps=options.steps, device=options.device)
    return TrainingBudget(settings, options.width)
