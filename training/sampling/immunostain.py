"""H&E tissue as immunohistochemistry would show it: pale blue nuclei in cytoplasm that an antibody has stained brown.

No data set of clicked nuclei has tissue with DAB. A network that has seen none takes a pale nucleus in dark cytoplasm
for a gap, as every nucleus that it learned from was darker than what lies around it.
"""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nuclick_training.datasets.data import Rgb
from nuclick_training.sampling.augment import DAB, DENSITY_OF_BYTE, HAEMATOXYLIN

_AREAS = 24.0
"""Width of the areas in which the staining is about the same, in pixels."""


def immunostained(image: Rgb, nuclei: npt.NDArray[np.bool_], rng: np.random.Generator) -> Rgb:
    """Return a picture whose cytoplasm is brown, more in some areas than in others, and whose nuclei are pale.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    nuclei
        (H, W) bool: all that is labelled.
    """
    density = DENSITY_OF_BYTE[image]
    tissue = density.mean(axis=2)
    # The truth may lie a pixel beside the nucleus, so it must not be told by a sharp edge of ours.
    inside = ndimage.gaussian_filter(nuclei.astype(np.float32), rng.uniform(0.7, 1.6))
    areas = ndimage.gaussian_filter(rng.standard_normal(tissue.shape, np.float32), _AREAS, mode="wrap")
    amount = np.clip(rng.uniform(0.6, 1.6) + rng.uniform(0, 0.8) * areas / max(float(areas.std()), 1e-6), 0, 2.2)
    around = ndimage.gaussian_filter(tissue * (1 - inside), 4) / np.maximum(ndimage.gaussian_filter(1 - inside, 4), 0.1)
    brown = amount * (tissue * (1 - inside) + around * inside * rng.uniform(0, 0.8))
    blue = tissue * (inside * rng.uniform(0.2, 0.8) + (1 - inside) * rng.uniform(0, 0.15))
    light = np.exp(-(brown[..., None] * _tinted(DAB, rng) + blue[..., None] * _tinted(HAEMATOXYLIN, rng)))
    return np.asarray(np.clip(np.rint(255 * light), 0, 255), np.uint8)


def _tinted(stain: npt.NDArray[np.float64], rng: np.random.Generator) -> npt.NDArray[np.float32]:
    """Return the (3,) optical density of a stain of a mean of 1, as one of many laboratories has it."""
    tinted = stain * rng.uniform(0.85, 1.15, 3)
    return np.asarray(tinted / tinted.mean(), np.float32)
