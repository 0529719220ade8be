"""Ways to tell from probabilities how sure an outline is, which an experiment compares by how they order outlines.

Each takes a decoded object and the model's threshold; more is surer.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nuclick_training.fitting.sureness import Decoded
from nuclick_wsi.segmentation.sureness import expected_dice

_EIGHT = np.ones((3, 3), bool)


def _mean_inside(one: Decoded, _: float) -> float:
    return float(one.probabilities[one.mask].mean())


def _expected(one: Decoded, _: float) -> float:
    return expected_dice(one.mask, one.probabilities)


def _expected_in_crop(one: Decoded, _: float) -> float:
    inside, everywhere = one.probabilities[one.mask].sum(), one.probabilities.sum()
    return float(2 * inside / (one.mask.sum() + everywhere))


def _overlap(by: float, one: Decoded, threshold: float) -> float:
    """Return the IoU of what is above a higher threshold and above a lower one, near the mask."""
    higher = (one.probabilities >= min(threshold + by, 0.99)) & one.mask
    lower = (one.probabilities >= max(threshold - by, 0.02)) & _grown(one, 6)
    return float(higher.sum() / max(lower.sum(), 1))


def _margin(one: Decoded, threshold: float) -> float:
    """Return the mean distance from the threshold, two pixels to both sides of the outline."""
    rim = _grown(one, 2) & ~ndimage.binary_erosion(one.mask, _EIGHT, iterations=2)
    return float(np.abs(one.probabilities[rim] - threshold).mean())


def _undecided(one: Decoded, _: float) -> float:
    """Return how few pixels are neither clearly inside nor outside, as a share of the mask; below 0."""
    undecided = (one.probabilities > 0.2) & (one.probabilities < 0.8) & _grown(one, 6)
    return float(-undecided.sum() / one.mask.sum())


def _area(one: Decoded, _: float) -> float:
    return float(one.mask.sum())


def _grown(one: Decoded, pixels: int) -> npt.NDArray[np.bool_]:
    return np.asarray(ndimage.binary_dilation(one.mask, _EIGHT, iterations=pixels))


SURENESS_WAYS: Mapping[str, Callable[[Decoded, float], float]] = {
    "expected Dice, the mask and one pixel around it (shipped)": _expected,
    "expected Dice, whole crop": _expected_in_crop,
    "mean probability inside": _mean_inside,
    "overlap of masks at thresholds .2 higher and lower": partial(_overlap, 0.2),
    "overlap of masks at thresholds .3 higher and lower": partial(_overlap, 0.3),
    "share of undecided pixels": _undecided,
    "distance from the threshold near the outline": _margin,
    "area": _area,
}
