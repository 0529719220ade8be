"""One value per pixel for systems that know no colours: how much haematoxylin, in 0 to 1."""

import numpy as np
from scipy import ndimage
from skimage.color import rgb2hed

from nuclick_training.datasets.data import Rgb
from nuclick_training.evaluation.metrics import Floats


def hematoxylin(image: Rgb, sigma: float) -> Floats:
    """Return the haematoxylin of an image, smoothed by `sigma` pixels: (H, W), its 1st to 99th percentile as 0 to 1."""
    values = ndimage.gaussian_filter(rgb2hed(image)[..., 0], sigma)
    low, high = np.percentile(values, (1, 99))
    return np.asarray(np.clip((values - low) / max(high - low, 1e-9), 0, 1), np.float64)
