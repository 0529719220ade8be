"""The fitting loop: trains a network on batches, and writes a log, checkpoints and averaged weights.

It runs for a set time, with the learning rate following the clock, so that a run ends when it was asked to; or for a
set number of steps, and then a run that was killed and resumed ends as one that was not. Every step's batch has a seed
of its own, so it does not matter which process draws it or when.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

from nuclick_training.fitting.distributed import TrainingProcess
from nuclick_training.fitting.run import CHECKPOINT, Run
from nuclick_training.fitting.settings import FitSettings
from nuclick_training.fitting.training_log import NoLog, RunLog, TrainingLog
from nuclick_training.sampling.batches import Batch, BatchSource
from nuclick_training.sampling.corrections import corrected
from nuclick_training.sampling.sampling import OBJECT, UNKNOWN
from nuclick_wsi.errors import NuclickError
from nuclick_wsi.models.network import fused

THRESHOLDS = tuple(round(0.2 + 0.05 * i, 2) for i in range(15))
ALONE = TrainingProcess(torch.device("cpu"))
_LAST_STEP = 2**31
_CORRECTIONS = 1
"""Tells the random numbers of a step's corrections from those of its batch."""
_SECOND_MARKS = 0.3
"""Share of the corrected batches that are corrected twice."""


class DivergedError(NuclickError, ArithmeticError):
    """The loss or its gradient is not finite."""

    exit_code = 1


def fit(
    run: Run,
    batches: BatchSource,
    validation: Sequence[Batch],
    settings: FitSettings,
    folder: Path,
    process: TrainingProcess = ALONE,
) -> None:
    """Train until the run's end or until its patience is exhausted; a log and checkpoints are written into `folder`.

    Parameters
    ----------
    validation
        Fixed plain batches; the log shows the averaged network's mean Dice on them at its best threshold.

    Raises
    ------
    DivergedError
        The loss is not finite; the last checkpoint is from before.
    """
    log: TrainingLog = RunLog(folder, run.step, settings.tensorboard) if process.is_main else NoLog()
    network = process.parallel(run.network)
    drawn = _drawn(batches, settings, run.step, process)
    losses: list[float] = []
    checked = run.seconds
    started = time.monotonic() - run.seconds
    while (progress := settings.progress(run.step, run.seconds)) < 1:
        batch = _corrected_at_times(run, next(drawn), settings, process)
        losses.append(_step(run, network, batch, settings))
        (run.seconds,) = process.agreed(time.monotonic() - started)
        log.stepped(run.step, progress, losses[-1])
        over = settings.progress(run.step, run.seconds) >= 1
        if over or settings.check_is_due(run.step, run.seconds - checked):
            checked = run.seconds
            if process.is_main:
                _check(run, validation, folder, float(np.mean(losses)), log)
            losses = []
            (stale,) = process.agreed(run.stale)
            if settings.patience and stale >= settings.patience and not over:
                log.noted(f"Stopped at step {run.step}: {settings.patience} checks without a better score.")
                break


def _check(run: Run, validation: Sequence[Batch], folder: Path, loss: float, log: TrainingLog) -> None:
    """Score the validation objects if there are any, keep the best weights, and write a checkpoint."""
    figures = {"loss": loss}
    if validation:
        dice = mean_dice(fused(run.averaged.network), validation)
        threshold = max(dice, key=lambda tried: dice[tried])
        run.judged(dice[threshold], folder)
        figures |= {"dice": dice[threshold], "threshold": threshold}
    log.checked(run.step, run.seconds / 60, figures)
    run.save(folder / CHECKPOINT)


def _corrected_at_times(run: Run, batch: Batch, settings: FitSettings, process: TrainingProcess) -> Batch:
    """Return a batch as it is, or with corrective marks where the averaged network is wrong."""
    rng = np.random.default_rng([settings.seed, process.rank, run.step, _CORRECTIONS])
    if rng.random() >= settings.corrections:
        return batch
    network = run.averaged.network
    batch = batch.to(next(network.parameters()).device)
    for _ in range(1 + int(rng.random() < _SECOND_MARKS)):
        with torch.inference_mode():
            probabilities = torch.sigmoid(network(*batch.inputs))
        batch = corrected(batch, probabilities, rng)
    return batch


def _step(run: Run, network: nn.Module, batch: Batch, settings: FitSettings) -> float:
    """Take one step and return its loss."""
    rate = settings.rate_at(settings.progress(run.step, run.seconds))
    for group in run.optimizer.param_groups:
        group["lr"] = rate
    network.train()
    device = next(run.network.parameters()).device
    batch = batch.to(device)
    mixed = settings.precision == "bfloat16" or (settings.precision == "auto" and device.type == "cuda")
    with torch.autocast(device.type, torch.bfloat16, enabled=mixed):
        logits = network(*batch.inputs)
    loss = run.loss(logits.float(), batch.target, settings.largest_alpha)
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip or float("inf"))
    value = float(loss.detach())
    # The gradient is the same in all processes, so that all stop together.
    if not torch.isfinite(norm):
        raise DivergedError(
            f"The loss at step {run.step} is {value:.3g} and its gradient not finite: training has diverged. Continue "
            f"from the last checkpoint with --resume and a lower rate (it is {settings.rate:g}; try --rate "
            f"{settings.rate / 3:.1g}), limit gradients with --clip 5, or use --precision float32."
        )
    run.optimizer.step()
    run.averaged.update(run.network)
    run.step += 1
    return value


@dataclass(frozen=True, slots=True)
class _Steps(Dataset[Batch]):
    """The batch of every step, the same in any process that draws it."""

    batches: BatchSource
    count: int
    seeds: tuple[int, int]

    def __getitem__(self, step: int) -> Batch:
        """Draw the batch of a step."""
        return self.batches.batch(np.random.default_rng([*self.seeds, step]), self.count)


def _drawn(batches: BatchSource, settings: FitSettings, step: int, process: TrainingProcess) -> Iterator[Batch]:
    """Return the batches from a step on, drawn ahead by `workers` processes if there are any."""
    steps = _Steps(batches, settings.batch, (settings.seed, process.rank))
    order = range(step, settings.steps or _LAST_STEP)
    return iter(DataLoader(steps, None, sampler=order, num_workers=settings.workers, collate_fn=_as_it_is))


def _as_it_is(batch: Any) -> Any:
    return batch


def mean_dice(network: nn.Module, batches: Sequence[Batch]) -> dict[float, float]:
    """Return, per threshold, the mean Dice of the objects' masks as the network draws them; 0 where there are none.

    Unknown pixels do not count.
    """
    if not batches:
        return dict.fromkeys(THRESHOLDS, 0.0)
    areas, found = (1, 2, 3), []
    device = next(network.parameters()).device
    for batch in (each.to(device) for each in batches):
        with torch.inference_mode():
            probability = torch.sigmoid(network(*batch.inputs))
        wanted, known = batch.target == OBJECT, batch.target != UNKNOWN
        masks = [(probability > threshold) & known for threshold in THRESHOLDS]
        found.append(
            torch.stack([2 * (m & wanted).sum(areas) / (m.sum(areas) + wanted.sum(areas)).clamp(min=1) for m in masks])
        )
    means = torch.cat(found, dim=1).mean(dim=1)
    return dict(zip(THRESHOLDS, means.tolist(), strict=True))
