"""Whether outlines are as good as they are sure: the sureness of an evaluation's outlines against their Dice."""

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.stats import spearmanr

from nuclick_training.evaluation.plots import as_png, new_figure
from nuclick_training.evaluation.results import ObjectResult
from nuclick_wsi.choices import LOOK_AT_BELOW
from nuclick_wsi.instances import Instance

_FEWEST = 20
"""Outlines in a point of the figure, at least."""


def sureness_and_dice(objects: Sequence[ObjectResult]) -> npt.NDArray[np.float64]:
    """Return (N, 2): sureness and Dice of every outline whose model says how sure it is."""
    pairs = [
        (found.outcome.sureness, found.dice)
        for found in objects
        if isinstance(found.outcome, Instance) and found.outcome.sureness is not None
    ]
    return np.array(pairs, np.float64).reshape(-1, 2)


def reliability_notes(objects: Sequence[ObjectResult]) -> Iterator[str]:
    """Yield how well sureness tells good outlines from bad ones; nothing where it is not known or all are alike."""
    sure, dice = sureness_and_dice(objects).T
    if len(np.unique(sure)) < 2 or len(np.unique(dice)) < 2:
        return
    low = sure < LOOK_AT_BELOW
    text = (
        f"Sureness of {len(sure)} outlines: mean {sure.mean():.3f} where Dice is {dice.mean():.3f}; rank correlation "
        f"with Dice {spearmanr(sure, dice).statistic:.3f}. {low.sum()} are to be looked at (below {LOOK_AT_BELOW:g})"
    )
    if low.any() and not low.all():
        text += f": their Dice is {dice[low].mean():.3f}, that of the others {dice[~low].mean():.3f}"
    yield f"{text}."


def reliability(objects: Sequence[ObjectResult]) -> bytes:
    """Draw the mean Dice of outlines that are about equally sure, against how sure they are, as a PNG file.

    Outlines in the order of their sureness are divided into up to twenty parts of equal number.
    """
    pairs = sureness_and_dice(objects)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    parts = np.array_split(pairs, max(1, min(20, len(pairs) // _FEWEST)))
    middles = [part[:, 0].mean() for part in parts]
    low, high = np.transpose([np.percentile(part[:, 1], (10, 90)) for part in parts])
    figure = new_figure(6, 5)
    axes = figure.add_subplot()
    axes.plot((0, 1), (0, 1), color="grey", linewidth=1, label="as good as it is sure")
    axes.fill_between(middles, low, high, alpha=0.2, linewidth=0, label="middle 80 % of each part")
    means = [part[:, 1].mean() for part in parts]
    axes.plot(middles, means, marker="o", label=f"mean of each part; {len(pairs):,} outlines")
    start = min(0.5, float(low.min()))
    axes.set(xlabel="sureness", ylabel="Dice of the outline", xlim=(start, 1), ylim=(start, 1.01))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    return as_png(figure)
