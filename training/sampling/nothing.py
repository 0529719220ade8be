"""Places where there is surely no object: glass, and the palest ground, well away from all that is labelled.

A network that is never shown them finds a nucleus on bare glass too, if it is asked for one, and takes the glass beside
a gland at the border of the tissue for its lumen.
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


def with_glass_beside(
    image: npt.NDArray[np.uint8], target: npt.NDArray[np.bool_], rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """Return a crop whose object lies at the border of its tissue: (H, W, 3) uint8.

    What lies on one side of the object, and up to a few pixels away from it, becomes glass. Few glands of a data set
    lie so, and a network that has seen none takes the glass for a lumen.
    """
    if not target.any():
        return image
    rows, columns = np.indices(target.shape)
    angle = rng.uniform(0, 2 * np.pi)
    along = columns * np.cos(angle) + rows * np.sin(angle)
    begin = np.quantile(along[target], rng.uniform(0.3, 1.0))
    away = ndimage.distance_transform_edt(~target) - rng.uniform(0, 6)
    glass = ndimage.gaussian_filter((np.minimum(away, along - begin) > 0).astype(np.float32), rng.uniform(0.4, 1.2))
    glass[target] = 0
    color = rng.uniform(225, 250) + rng.normal(0, 2, 3) + rng.normal(0, 1.5, target.shape)[..., None]
    return np.asarray(np.clip(image + glass[..., None] * (color - image), 0, 255), np.uint8)
