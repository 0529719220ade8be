"""Random colour, stain, sharpness and noise, so that a model generalises to slides of other laboratories.

Images are (S, S, 3) uint8 before and float32 in [0, 1] after; geometry is left to the samplers.
"""

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from nuclick_training.datasets.data import Rgb

Image01 = npt.NDArray[np.float32]
_Matrix = npt.NDArray[np.float64]

# Optical density of pure stains, rows haematoxylin, eosin, DAB (Ruifrok and Johnston 2001).
HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
_EOSIN = np.array([0.07, 0.99, 0.11])
DAB = np.array([0.27, 0.57, 0.78])
_HED_TO_DENSITY = np.stack([HAEMATOXYLIN, _EOSIN, DAB])
_DENSITY_TO_HED = np.linalg.inv(_HED_TO_DENSITY)
DENSITY_OF_BYTE = -np.log(np.maximum(np.arange(256), 1) / 255).astype(np.float32)
_GREY = np.array([0.299, 0.587, 0.114])


def augmented(image: Rgb, rng: np.random.Generator) -> Image01:
    """Return a randomly stained, lit, blurred and noisy version of an image."""
    if rng.random() < 0.2:
        image = _coarsened(image, rng)
    picture = unchanged(image)
    if rng.random() < 0.8:
        picture = _restained(image, rng)
    if rng.random() < 0.5:
        picture = np.asarray(picture @ _hue_and_saturation(rng), np.float32)
    if rng.random() < 0.04:
        picture = picture[..., rng.permutation(3)]
    if rng.random() < 0.6:
        picture = picture * np.float32(rng.uniform(0.8, 1.2)) + np.float32(rng.uniform(-0.1, 0.1))
    if rng.random() < 0.3:
        picture = np.asarray(np.clip(picture, 0, 1) ** np.exp(rng.uniform(-0.4, 0.4)), np.float32)
    if rng.random() < 0.25:
        picture = _sharpness(picture, rng)
    if rng.random() < 0.25:
        noise = rng.standard_normal(picture.shape, np.float32)
        picture = picture + noise * np.float32(rng.uniform(0.005, 0.04))
    return np.clip(picture, 0, 1).astype(np.float32, copy=False)


def augmented_as_in_paper(image: Rgb, rng: np.random.Generator) -> Image01:
    """Return an image varied in what section IV-B of the paper names, each in half of the cases.

    Brightness, contrast, sharpness, hue and saturation, the order of the channels, Gaussian noise. The paper gives no
    amounts; they are those of `augmented`.
    """
    picture = unchanged(image)
    if rng.random() < 0.5:
        picture = np.asarray(picture @ _hue_and_saturation(rng), np.float32)
    if rng.random() < 0.5:
        picture = picture * np.float32(rng.uniform(0.8, 1.2)) + np.float32(rng.uniform(-0.1, 0.1))
    if rng.random() < 0.5:
        picture = _sharpness(picture, rng)
    if rng.random() < 0.5:
        picture = picture[..., rng.permutation(3)]
    if rng.random() < 0.5:
        picture = picture + rng.standard_normal(picture.shape, np.float32) * np.float32(rng.uniform(0.005, 0.04))
    return np.clip(picture, 0, 1).astype(np.float32, copy=False)


def unchanged(image: Rgb) -> Image01:
    """Return an image as float32 in [0, 1]."""
    return image.astype(np.float32) / np.float32(255)


def _coarsened(image: Rgb, rng: np.random.Generator) -> Rgb:
    """Lose the fine detail that a slide scanned at a lower power never had."""
    height, width = image.shape[:2]
    factor = rng.uniform(1.4, 2.5)
    small = Image.fromarray(image).resize((round(width / factor), round(height / factor)), Image.Resampling.BOX)
    return np.asarray(small.resize((width, height), Image.Resampling.BICUBIC))


def _restained(image: Rgb, rng: np.random.Generator) -> Image01:
    """Separate the stains, change their strength and tint, and join them again."""
    stains = _HED_TO_DENSITY * rng.uniform(0.85, 1.15, (3, 3))
    strength = np.exp(rng.normal(0, 0.2, 3))
    if rng.random() < 0.35:
        # Haematoxylin with DAB instead of eosin: what was pink turns any shade of brown, at times grey.
        brown = rng.uniform(0.3, 1)
        stains[1] = brown * DAB + (1 - brown) * rng.choice([_EOSIN, np.full(3, 0.58)])
        strength[1] *= np.exp(rng.uniform(-1, 1.1))
    mixing = (_DENSITY_TO_HED * strength) @ stains
    density = DENSITY_OF_BYTE[image] @ mixing.astype(np.float32) + np.float32(rng.uniform(-0.03, 0.05))
    restained: Image01 = np.exp(-np.maximum(density, 0))
    return restained


def _hue_and_saturation(rng: np.random.Generator) -> _Matrix:
    """Return a 3 x 3 matrix (applied from the right) that turns the hue about grey and scales the saturation."""
    angle = rng.normal(0, 0.15)
    saturation = 0.0 if rng.random() < 0.08 else rng.uniform(0.6, 1.4)
    axis = np.full((3, 3), 1 / 3)
    skew = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
    turn = np.cos(angle) * np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * axis
    grey = np.tile(_GREY[:, None], (1, 3))
    matrix: _Matrix = turn @ (saturation * np.eye(3) + (1 - saturation) * grey)
    return matrix


def _sharpness(picture: Image01, rng: np.random.Generator) -> Image01:
    """Blur, or sharpen by taking blur away."""
    blurred = ndimage.gaussian_filter(picture, (rng.uniform(0.5, 1.3),) * 2 + (0,))
    if rng.random() < 0.6:
        return np.asarray(blurred, np.float32)
    sharpened: Image01 = picture + (picture - blurred) * np.float32(rng.uniform(0.3, 1.0))
    return sharpened


AUGMENTATIONS: Mapping[str, Callable[[Rgb, np.random.Generator], Image01]] = {
    "modern": augmented,
    "paper": augmented_as_in_paper,
}
