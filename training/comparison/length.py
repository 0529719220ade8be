"""How long a comparison trains each of its networks: options that its commands share."""

import argparse
from dataclasses import replace

import torch

from nuclick_training.fitting.settings import FitSettings


def add_length(command: argparse.ArgumentParser) -> None:
    """Give a command the options."""
    command.add_argument("--minutes", type=float, default=60.0, help="for each network (default: %(default)g)")
    command.add_argument("--steps", type=int, default=0, help="for each network, instead of minutes")
    command.add_argument("--threads", type=int, default=1, help="of the CPU (default: %(default)s)")


def with_length(settings: FitSettings, options: argparse.Namespace) -> FitSettings:
    """Return settings that end as the options say; torch keeps to their threads from here on."""
    torch.set_num_threads(options.threads)
    return replace(settings, minutes=options.minutes, steps=options.steps)


def told_length(settings: FitSettings) -> str:
    """Return the length of a training in words."""
    return f"{settings.steps} steps" if settings.steps else f"{settings.minutes:g} minutes"
