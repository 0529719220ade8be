"""Smoothly bent examples: glands of shapes that the few pictures at hand do not have."""

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nuclick_training.sampling.sampling import Example

_Field = npt.NDArray[np.float32]

_BEND = 12.0
"""Largest shift of a pixel, about."""
_STRETCH = 0.2
"""How much longer or shorter one axis becomes, at most, as a logarithm."""


def bent(example: Example, rng: np.random.Generator) -> Example:
    """Return an example drawn on rubber that is pulled here and there, and along one axis.

    Signals are moved with the tissue, as whole pixels; beyond its border a crop is mirrored.
    """
    size = example.target.shape[0]
    width = rng.uniform(0.08, 0.2) * size
    grid = np.indices((size, size)).astype(np.float32)
    middle = (size - 1) / 2
    stretch = np.exp(rng.uniform(-_STRETCH, _STRETCH, 2)).astype(np.float32)[:, None, None]
    source = (grid - middle) * stretch + middle + np.stack([_waves(size, width, rng) for _ in range(2)])
    image = np.stack([_moved(example.image[..., channel], source, 1) for channel in range(3)], axis=2)
    signals = np.stack([_moved(signal, source, 0) for signal in example.signals])
    return Example(image, signals, np.asarray(_moved(example.target, source, 0), np.uint8))


def _waves(size: int, width: float, rng: np.random.Generator) -> _Field:
    """Return a smooth random field whose largest value is random too."""
    waves = ndimage.gaussian_filter(rng.standard_normal((size, size), np.float32), width, mode="reflect")
    return np.asarray(waves * (rng.uniform(0, _BEND) / max(float(np.abs(waves).max()), 1e-9)), np.float32)


def _moved(plane: npt.NDArray[np.generic], source: _Field, order: int) -> npt.NDArray[np.generic]:
    return np.asarray(ndimage.map_coordinates(plane, source, order=order, mode="mirror"))
