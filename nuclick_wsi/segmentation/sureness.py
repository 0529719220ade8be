"""How sure an outline is: an estimate of the Dice that it reaches, from the probabilities in and around its mask.

What the network itself expects comes first. It is too sure of itself, so a model's card says which Dice validation
objects really reached where so much was expected, and the estimate is read off there.
"""

import numpy as np

from nuclick_wsi.models.card import Calibration
from nuclick_wsi.segmentation.arrays import Mask, Probabilities
from nuclick_wsi.segmentation.masks import dilated


def expected_dice(mask: Mask, probabilities: Probabilities) -> float:
    """Return the Dice of a mask with its object that its probabilities promise, in [0, 1].

    Each pixel is taken to be the object's with its own probability, and the object to end at most one pixel outside
    the mask: what is probable further away is often another object. A patch has these probabilities and no others, so
    that one which is recalled is as sure as it was.

    Parameters
    ----------
    mask
        (H, W), with at least one pixel.
    probabilities
        (H, W) float32.
    """
    inside = probabilities[mask].sum(dtype=np.float64)
    around = probabilities[dilated(mask)].sum(dtype=np.float64)
    return float(2 * inside / (np.count_nonzero(mask) + around))


def sureness(expected: float, calibration: Calibration) -> float | None:
    """Return the Dice that outlines reach of which so much is expected; None where the model's card does not say."""
    if not calibration:
        return None
    expectations, reached = zip(*calibration, strict=True)
    return float(np.interp(expected, expectations, reached))
