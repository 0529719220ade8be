"""The fitting loop: lessons and settings go in; a log, checkpoints and averaged weights come out.

It runs for a set time, with the learning rate following the clock, so that a run ends when it was asked to; or for a
set number of steps, and then a run that was killed and resumed ends as one that was not.
"""

import copy
import csv
import json
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from nuclick_wsi.network import fused

from .lessons import Batch, Lessons
from .loss import nuclick_loss
from .sampling import OBJECT

LOG, CHECKPOINT, SETTINGS = "log.csv", "checkpoint.pt", "settings.json"
THRESHOLDS = tuple(round(0.2 + 0.05 * i, 2) for i in range(15))


@dataclass(frozen=True, slots=True)
class FitSettings:
    """How long and how fast a network learns.

    Attributes
    ----------
    minutes
        Wall time of the whole run, over all resumptions.
    steps
        Number of steps instead; 0 leaves the end to the clock.
    batch
        Crops per step, or blocks of a one-look network.
    rate
        Highest learning rate of AdamW, after the warm-up; it falls to zero along half a cosine.
    warm_up
        Share of the time in which the rate rises.
    decay
        Weight decay of AdamW.
    averaging
        Decay per step of the running average of the weights, which is what is kept.
    largest_alpha
        Cap of the loss's adaptive weight.
    check_minutes
        Time between two looks at the validation examples, each with a checkpoint.
    """

    minutes: float = 55.0
    steps: int = 0
    batch: int = 12
    rate: float = 2e-3
    warm_up: float = 0.04
    decay: float = 1e-2
    averaging: float = 0.998
    largest_alpha: float = 1.0
    check_minutes: float = 5.0
    seed: int = 0

    def progress(self, step: int, seconds: float) -> float:
        """Return the share of the run that is done, 1 at its end."""
        return step / self.steps if self.steps else seconds / (self.minutes * 60)

    def rate_at(self, progress: float) -> float:
        """Return the learning rate at a share of the run."""
        if progress < self.warm_up:
            return self.rate * max(progress / self.warm_up, 0.01)
        share = min((progress - self.warm_up) / (1 - self.warm_up), 1)
        return self.rate * 0.5 * (1 + math.cos(math.pi * share))


class Averaged:
    """A running average of a network's weights and of its batch norms' statistics."""

    def __init__(self, network: nn.Module, decay: float) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self._decay, self.updates = decay, 0

    def update(self, network: nn.Module) -> None:
        """Take in one more state; the first ones count more, so that the start is soon forgotten."""
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
    """Everything that a checkpoint keeps."""

    network: nn.Module
    averaged: Averaged
    optimizer: torch.optim.Optimizer
    rng: np.random.Generator
    step: int = 0
    seconds: float = 0.0

    def save(self, path: Path) -> None:
        """Write a checkpoint in place of the last one."""
        state = {
            "network": self.network.state_dict(),
            "averaged": self.averaged.network.state_dict(),
            "updates": self.averaged.updates,
            "optimizer": self.optimizer.state_dict(),
            "rng": self.rng.bit_generator.state,
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of our own."""
        state = torch.load(path, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.averaged.network.load_state_dict(state["averaged"])
        self.averaged.updates = state["updates"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.rng.bit_generator.state = state["rng"]
        self.step, self.seconds = state["step"], state["seconds"]


def new_run(network: nn.Module, settings: FitSettings) -> Run:
    """Return a run at its start."""
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, weight_decay=settings.decay)
    return Run(network, Averaged(network, settings.averaging), optimizer, np.random.default_rng(settings.seed))


def fit(run: Run, lessons: Lessons, validation: Sequence[Batch], settings: FitSettings, folder: Path) -> None:
    """Train until the time is over; `folder` gets a log, the settings and checkpoints.

    Parameters
    ----------
    validation
        Fixed plain batches; the log shows the averaged network's mean Dice on them at its best threshold.
    """
    (folder / SETTINGS).write_text(json.dumps(asdict(settings), indent=2))
    losses: list[float] = []
    checked = run.seconds
    started = time.monotonic() - run.seconds
    while (progress := settings.progress(run.step, run.seconds)) < 1:
        batch = lessons.batch(run.rng, settings.batch)
        losses.append(_step(run, batch, settings.rate_at(progress), settings.largest_alpha))
        run.seconds = time.monotonic() - started
        over = settings.progress(run.step, run.seconds) >= 1
        if run.seconds - checked >= settings.check_minutes * 60 or over:
            checked = run.seconds
            dice = mean_dice(fused(run.averaged.network), validation)
            best = max(dice, key=lambda threshold: dice[threshold])
            _log(folder / LOG, run, {"loss": float(np.mean(losses)), "dice": dice[best], "threshold": best})
            losses = []
            run.save(folder / CHECKPOINT)


def _step(run: Run, batch: Batch, rate: float, largest_alpha: float) -> float:
    """Take one step and return its loss."""
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    run.network.train()
    loss = nuclick_loss(run.network(*batch.inputs), batch.target, largest_alpha)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(run.network.parameters(), 5.0)
    run.optimizer.step()
    run.averaged.update(run.network)
    run.step += 1
    return float(loss.detach())


def mean_dice(network: nn.Module, batches: Sequence[Batch]) -> dict[float, float]:
    """Return, per threshold, the mean Dice of the objects' masks as the network draws them; 0 where there are none."""
    if not batches:
        return dict.fromkeys(THRESHOLDS, 0.0)
    areas, found = (1, 2, 3), []
    for batch in batches:
        with torch.inference_mode():
            probability = torch.sigmoid(network(*batch.inputs))
        wanted = batch.target == OBJECT
        masks = [probability > threshold for threshold in THRESHOLDS]
        found.append(
            torch.stack([2 * (m & wanted).sum(areas) / (m.sum(areas) + wanted.sum(areas)).clamp(min=1) for m in masks])
        )
    means = torch.cat(found, dim=1).mean(dim=1)
    return dict(zip(THRESHOLDS, means.tolist(), strict=True))


def _log(path: Path, run: Run, figures: dict[str, float]) -> None:
    """Append one line to the log."""
    line = {"step": run.step, "minutes": run.seconds / 60, **figures}
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, line)
        if fresh:
            writer.writeheader()
        writer.writerow({key: f"{value:.4f}" if isinstance(value, float) else value for key, value in line.items()})
    print(" ".join(f"{key} {value:.4g}" for key, value in line.items()), flush=True)
