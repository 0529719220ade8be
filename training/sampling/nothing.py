"""Places where there is surely no object: glass, and the palest ground, well away from all that is labelled.

A network that is never shown them finds a nucleus on bare glass too, if it is asked for one.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nuclick_training.datasets.data import Picture

NOWHERE = 1 << 30
"""The number of an object that no picture has."""

_DISTANCE = 10.0
"""Least distance from an object or from unknown pixels, in model pixels."""
_PALENESS = 0.93
"""How bright a place is at least, in all three channels, as a share of nearly the brightest of its picture."""


def empty_places(picture: Picture) -> npt.NDArray[np.bool_]:
    """Return where a picture has nothing to outline: (H, W) bool."""
    occupied = picture.labels > 0 if picture.known is None else (picture.labels > 0) | ~picture.known
    darkest = ndimage.uniform_filter(picture.image.min(axis=2).astype(np.float32), 5)
    pale = darkest >= _PALENESS * np.quantile(darkest, 0.995)
    if not occupied.any():
        return np.asarray(pale)
    far: npt.NDArray[np.bool_] = ndimage.distance_transform_edt(~occupied) >= _DISTANCE * picture.step
    return np.asarray(pale & far)
