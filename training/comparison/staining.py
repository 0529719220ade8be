"""One value per pixel for systems that know no colours: how much haematoxylin, or how dark, in 0 to 1."""

import numpy as np
from scipy import ndimage
from skimage.color import rgb2gray, rgb2hed

from nuclick_training.datasets.data import Rgb
from nuclick_training.evaluation.metrics import Floats


def hematoxylin(image: Rgb, sigma: float) -> Floats:
    """Return the haematoxylin of an image, smoothed by `sigma` pixels: (H, W) in 0 to 1, by its 1st and 99th percentile."""
    return _stretched(ndimage.gaussian_filter(rgb2hed(image)[..., 0], sigma))


def darkness(image: Rgb, sigma: float) -> Floats:
    """Return how dark an image is, smoothed by `sigma` pixels: (H, W) in 0 to 1, by its 1st and 99th percentile."""
    return _stretched(ndimage.gaussian_filter(1 - rgb2gray(image), sigma))


def _stretched(values: Floats) -> Floats:
    low, high = np.percentile(values, (1, 99))
    return np.asarray(np.clip((values - low) / max(high - low, 1e-9), 0, 1), np.float64)
