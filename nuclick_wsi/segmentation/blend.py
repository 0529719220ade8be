"""The predictions of one object's crops become one probability map on the network's grid.

A large gland is seen either in overlapping crops, which are blended, or scaled down into one crop, which is
resampled back. A map comes with the window that it fills.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Probabilities

_ROWS = 64
"""Rows that are interpolated at once."""


def blend(crops: Sequence[tuple[Window, Probabilities]]) -> tuple[Window, Probabilities]:
    """Return one probability map from overlapping crops of one object.

    Each crop counts most in its middle and fades towards its edges, where the network saw least of the surroundings:
    weights are a raised cosine along each axis, never zero, so a pixel that one crop alone covers keeps its
    probability. The order of the crops decides nothing, not even the last bit.

    Parameters
    ----------
    crops
        Windows of one grid, and float32 arrays that fill them, with values in [0, 1].

    Returns
    -------
    window, probabilities
        The smallest window around all crops, and a float32 array that fills it; 0 where no crop reaches.
    """
    if len(crops) == 1:
        return crops[0]
    union = Window.union(window for window, _ in crops)
    weighted, weights = np.zeros(union.shape), np.zeros(union.shape)
    # Sums of floats depend on their order, so it is fixed: by place, and by content in the same place.
    for window, probabilities in sorted(crops, key=lambda crop: (*_corner(crop[0]), crop[1].tobytes())):
        weight = np.outer(_fading(window.height), _fading(window.width))
        place = window.slices_in(union)
        weighted[place] += weight * probabilities
        weights[place] += weight
    blended = np.divide(weighted, weights, out=weighted, where=weights > 0)
    return union, blended.astype(np.float32)


def resample_probabilities(
    probabilities: Probabilities, source: Grid, window: Window, target: Grid, extent: Window
) -> tuple[Window, Probabilities]:
    """Return a probability map of one grid on another, usually finer one, by bilinear interpolation.

    Values belong to the centres of pixels. Beyond the outermost centres the outermost values hold on. From a fine
    grid to a coarse one nothing is averaged: that is not what this is for.

    Parameters
    ----------
    probabilities
        Shape (H, W), float32.
    source, window
        The grid of the map, and the window of it that the map fills.
    target
        The grid wanted; its origin is the source's.
    extent
        The slide on the target grid: nothing else is made.

    Returns
    -------
    window, probabilities
        The target's pixels in the extent whose centres lie in the window, so that windows that tile one grid tile the
        other; and a float32 array that fills it.
    """
    if source.downsample == target.downsample:
        return window, probabilities
    ratio = source.downsample / target.downsample
    first_x, columns = _centres(window.x, window.width, ratio, (extent.x, extent.right))
    first_y, rows = _centres(window.y, window.height, ratio, (extent.y, extent.bottom))
    stretched = np.empty((rows.size, columns.size), np.float32)
    # A few rows at a time: a large gland has millions of pixels, and sums in double precision take several maps.
    for start in range(0, rows.size, _ROWS):
        some = _interpolated(probabilities.astype(np.float64), rows[start : start + _ROWS])
        stretched[start : start + _ROWS] = _interpolated(some.T, columns).T
    return Window(first_x, first_y, columns.size, rows.size), stretched


def _corner(window: Window) -> tuple[int, int, int, int]:
    """Return what windows are sorted by."""
    return window.y, window.x, window.height, window.width


def _fading(length: int) -> NDArray[np.float64]:
    """Return a raised cosine over the centres of so many pixels: 1 in the middle, above 0 at the ends."""
    return np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2


def _centres(start: int, length: int, ratio: float, ends: tuple[int, int]) -> tuple[int, NDArray[np.float64]]:
    """Return the first target pixel along an axis, and where the target's pixel centres lie among the source's.

    `start` and `length` are the source's pixels, `ratio` target pixels per source pixel; the target's pixels lie
    between `ends`. Positions count from the centre of the first source pixel.
    """
    first = min(max(math.ceil(start * ratio - 0.5), ends[0]), ends[1] - 1)
    after = max(min(math.ceil((start + length) * ratio - 0.5), ends[1]), first + 1)
    centres = np.arange(first, after, dtype=np.float64) + 0.5
    return first, centres / ratio - (start + 0.5)


def _interpolated(values: NDArray[np.float64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return rows of an array at positions between them, the outermost rows holding on beyond the ends."""
    inside = np.clip(positions, 0, len(values) - 1)
    lower = np.floor(inside).astype(np.intp)
    upper = np.minimum(lower + 1, len(values) - 1)
    share = (inside - lower)[:, np.newaxis]
    between: NDArray[np.float64] = values[lower] + share * (values[upper] - values[lower])
    return between
