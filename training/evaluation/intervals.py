"""Scores with 95 % confidence intervals over images, from the tallies of the images.

Intervals are percentiles of a bootstrap: images are drawn again and again with replacement, from a fixed seed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from nuclick_training.evaluation.metrics import Floats, Tally

RESAMPLES = 2000


@dataclass(frozen=True, slots=True)
class Estimate:
    """A score and its 95 % confidence interval; no interval (None) where there is one image alone."""

    value: float
    interval: tuple[float, float] | None


Estimates = Mapping[str, Estimate]


def mean_estimates(tallies: Sequence[Tally]) -> Estimates:
    """Return the mean over images of every score."""
    return _means(Tally.stacked(tallies).scores)


def pooled_estimates(tallies: Sequence[Tally]) -> Estimates:
    """Return every score of all objects of all images together, as if they lay in one image."""
    stacked = Tally.stacked(tallies)
    whole = stacked.pooled(np.ones(len(tallies))).scores
    drawn = stacked.pooled(_draws(len(tallies))).scores
    return {name: Estimate(float(whole[name]), _interval(drawn[name], len(tallies))) for name in whole}


def mean_differences(tallies: Sequence[Tally], others: Sequence[Tally]) -> Estimates:
    """Return the mean over images of every score minus that of the same image in another trial."""
    own, other = Tally.stacked(tallies).scores, Tally.stacked(others).scores
    return _means({name: own[name] - other[name] for name in own})


def _means(values: Mapping[str, Floats]) -> Estimates:
    """Return the means of (N,) values, one per image."""
    count = len(next(iter(values.values())))
    draws = _draws(count) / count
    return {name: Estimate(float(own.mean()), _interval(draws @ own, count)) for name, own in values.items()}


def _draws(images: int) -> Floats:
    """Return how often every image is drawn: (RESAMPLES, images)."""
    rng = np.random.default_rng(0)
    return rng.multinomial(images, np.full(images, 1 / images), RESAMPLES).astype(np.float64)


def _interval(drawn: Floats, images: int) -> tuple[float, float] | None:
    if images < 2:
        return None
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)
