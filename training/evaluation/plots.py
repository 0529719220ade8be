"""Figures, drawn with matplotlib, which nothing else needs, as the content of PNG files."""

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from nuclick_training.evaluation.intervals import mean_estimates
from nuclick_training.evaluation.results import ObjectResult, Trial
from nuclick_wsi.errors import NuclickError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_BLUE, _ORANGE = "#0072b2", "#d55e00"


class PlotError(NuclickError, ImportError):
    """What draws figures is not installed."""


def new_figure(width: float, height: float) -> "Figure":
    """Return an empty figure of so many inches.

    Raises
    ------
    PlotError
        If matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - needed for figures alone
    except ImportError as error:
        raise PlotError(
            "There are no figures: they need matplotlib, which is not installed. Install it with `pip install "
            "matplotlib` (or nuclick-wsi with its extra: `pip install '.[train]'`)."
        ) from error
    return Figure(figsize=(width, height), layout="constrained")


def as_png(figure: "Figure") -> bytes:
    """Return a figure as a PNG file's content."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=130)
    return target.getvalue()


def dice_against_size(objects: Sequence[ObjectResult]) -> bytes:
    """Draw the Dice of every object against its area, with the median and the middle 80 % of tenths of the objects."""
    areas, dice = (np.array([getattr(found, name) for found in objects]) for name in ("area_um2", "dice"))
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    axes.scatter(areas, dice, s=8, alpha=0.35, color=_BLUE, linewidths=0, label=f"{len(objects):,} objects")
    tenths = np.array_split(np.argsort(areas, kind="stable"), min(10, len(objects)))
    middles = [np.median(areas[tenth]) for tenth in tenths]
    low, median, high = np.transpose([np.percentile(dice[tenth], (10, 50, 90)) for tenth in tenths])
    axes.fill_between(middles, low, high, color=_ORANGE, alpha=0.2, linewidth=0, label="middle 80 % of each tenth")
    axes.plot(middles, median, color=_ORANGE, marker="o", markersize=4, label="median of each tenth")
    axes.set(xscale="log", xlabel="area of the object (um2)", ylabel="Dice of its own outline", ylim=(-0.02, 1.02))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return as_png(figure)


def aji_against_jitter(trials: Sequence[Trial]) -> bytes:
    """Draw the mean AJI over images against the distance by which clicks were moved, with its 95 % interval."""
    figure = new_figure(7, 4.5)
    axes = figure.add_subplot()
    ordered = sorted(trials, key=lambda trial: trial.jitter)
    distances = [trial.jitter for trial in ordered]
    estimates = [mean_estimates(trial.tallies)["AJI"] for trial in ordered]
    low, high = np.transpose([estimate.interval or (estimate.value, estimate.value) for estimate in estimates])
    axes.fill_between(distances, low, high, color=_BLUE, alpha=0.2, linewidth=0, label="95 % interval")
    axes.plot(distances, [estimate.value for estimate in estimates], color=_BLUE, marker="o", label="mean of images")
    axes.set(xlabel="clicks moved by (px)", ylabel="AJI", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    return as_png(figure)


def learning_curves(log: Mapping[str, Sequence[float]]) -> bytes:
    """Draw training loss and validation Dice against the minutes of training.

    Parameters
    ----------
    log
        The columns `minutes`, `loss` and, where objects were held out, `dice` of a run's log.
    """
    figure = new_figure(8, 6)
    wanted = [name for name in ("loss", "dice") if name in log]
    panels = figure.subplots(len(wanted), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, wanted, strict=True):
        axes.plot(log["minutes"], log[name], color=_BLUE if name == "loss" else _ORANGE, marker=".")
        axes.set(ylabel="training loss" if name == "loss" else "validation Dice")
        axes.grid(alpha=0.3)
    panels[-1].set(xlabel="minutes of training")
    return as_png(figure)
