"""What lies around a library's white cells, cut out whole: red cells (here mostly pale rings) and platelets.

The transmittance of one picture and where it shows ground go in; patches come out that are 1 at their border, so that
multiplying a ground with one lays it down.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Mask = npt.NDArray[np.bool_]
Transmittance = npt.NDArray[np.float32]

_RADII = range(14, 24)
_ASIDE = 3
_LEAST_RING, _LEAST_SEEN = 0.45, 0.45
_AT_MOST = 3
_BESIDE = 4
_RIM = 6
_DARKEST_RIM, _MOST_UNEVEN, _SECTORS = 0.5, 0.05, 12
_STEPS = 180
_STEP = 2 * np.pi / _STEPS
_LEAST_ARC = 72
_Angles = npt.NDArray[np.float64]
_Plane = npt.NDArray[np.float32]


def background_pieces(transmittance: Transmittance, usable: Mask) -> tuple[Transmittance, ...]:
    """Return the red cells and the platelets of a picture, each (n, n, 3) float32.

    Parameters
    ----------
    transmittance
        (H, W, 3).
    usable
        (H, W), True on ground.
    """
    rings = [_whole(transmittance, usable, ring) for ring in _rings(transmittance[..., 1], usable)]
    return (*(ring for ring in rings if ring is not None), *_platelets(transmittance, usable))


def _rings(light: _Plane, usable: Mask) -> list[tuple[int, int, int]]:
    """Return row, column and radius of the rings that show at least for `_LEAST_SEEN` of their way round."""
    pad, reach = _RADII[-1], _RADII[-1] + _ASIDE + _BESIDE
    seen = np.pad(usable, pad).astype(np.float32)
    dark = np.pad(_darker_than_around(light, usable), pad)
    shape = tuple(fft.next_fast_len(length + 2 * reach, real=True) for length in seen.shape)
    transforms = [fft.rfft2(plane, shape) for plane in (dark, seen)]
    found = {}
    for radius in range(_RADII[0] - _ASIDE, _RADII[-1] + _ASIDE + 1):
        kernel, total = _ring(radius, shape)
        half = radius + _BESIDE
        darkness, share = (
            fft.irfft2(transform * kernel, shape)[half : half + seen.shape[0], half : half + seen.shape[1]]
            for transform in transforms
        )
        known = share >= _LEAST_SEEN * total
        found[radius] = known, np.where(known, darkness / np.maximum(share, 1e-3), 0)
    # A ring is darker than what lies inside and outside of it.
    scores = np.stack(
        [found[r][1] - (found[r - _ASIDE][1] + found[r + _ASIDE][1]) / 2 - 9.0 * ~found[r][0] for r in _RADII]
    )
    rings = []
    rows, columns = np.ogrid[: scores.shape[1], : scores.shape[2]]
    for _ in range(_AT_MOST):
        index, row, column = (int(i) for i in np.unravel_index(scores.argmax(), scores.shape))
        if scores[index, row, column] < _LEAST_RING:
            break
        rings.append((row - pad, column - pad, _RADII[index]))
        scores[:, np.hypot(rows - row, columns - column) < 1.5 * _RADII[index]] = -1
    return rings


def _darker_than_around(light: _Plane, usable: Mask) -> _Plane:
    """Return 0 to 1: how much darker than its surroundings the ground is."""
    share = ndimage.gaussian_filter(usable.astype(np.float32), 5)
    level = ndimage.gaussian_filter(np.where(usable, light, 0), 5) / np.maximum(share, 1e-3)
    fine = ndimage.gaussian_filter(np.where(usable, light, 1), 0.8)
    return np.asarray(np.clip((level - fine) / 0.06, 0, 1) * usable, np.float32)


@lru_cache(maxsize=256)
def _ring(radius: int, shape: tuple[int, int]) -> tuple[npt.NDArray[np.complex64], float]:
    """Return the transform of a soft ring and the sum of its pixels."""
    half = radius + _BESIDE
    rows, columns = np.ogrid[-half : half + 1, -half : half + 1]
    ring = np.exp(-(((np.hypot(rows, columns) - radius) / 1.5) ** 2)).astype(np.float32)
    return fft.rfft2(ring, shape), float(ring.sum())


def _whole(transmittance: Transmittance, usable: Mask, ring: tuple[int, int, int]) -> Transmittance | None:
    """Return a red cell as a patch, or None where the ring turns out to be something else."""
    row, column, radius = ring
    half = radius + _RIM
    rows, columns = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float64)
    distance = np.hypot(rows, columns)
    first, length = _seen_arc(usable, ring)
    if length < _LEAST_ARC:
        return None
    around = np.arctan2(rows, columns)
    angle = _seen_angle(around, first, length)
    places = np.stack([row + distance * np.sin(angle), column + distance * np.cos(angle)])
    colours = [ndimage.map_coordinates(transmittance[..., c], places, order=1, mode="nearest") for c in range(3)]
    patch: Transmittance = np.stack(colours, 2)
    known = _at(usable, places)
    inner = known & (distance < radius - _BESIDE)
    patch[~known] = patch[inner].mean(axis=0) if inner.any() else 1
    if _is_something_else(patch[..., 1], around, np.abs(distance - radius) < 3):
        return None
    fade = np.clip((half - distance) / 3, 0, 1)[..., None].astype(np.float32)
    return np.asarray(1 + fade * (np.minimum(patch, 1.05) - 1))


def _is_something_else(light: _Plane, around: _Angles, rim: Mask) -> bool:
    """Whether a rim is too dark or too uneven for a red cell's: a white cell's edge, or dirt."""
    sectors = (around[rim] / (2 * np.pi) * _SECTORS).astype(np.int64) % _SECTORS
    means = np.bincount(sectors, light[rim]) / np.bincount(sectors)
    return bool(light[rim].min() < _DARKEST_RIM or means.std() > _MOST_UNEVEN)


def _seen_arc(usable: Mask, ring: tuple[int, int, int]) -> tuple[int, int]:
    """Return the first step and the number of steps of the longest arc of a rim that shows."""
    row, column, radius = ring
    angles = np.arange(_STEPS) * _STEP
    across = np.arange(radius - _BESIDE, radius + _BESIDE + 1.0)[:, None]
    rim = _at(usable, np.stack([row + across * np.sin(angles), column + across * np.cos(angles)]))
    return _longest_run(np.asarray(rim.all(axis=0)))


def _seen_angle(angle: _Angles, first: int, length: int) -> _Angles:
    """Return where to look for what lies at an angle: what is hidden repeats the arc that shows, mirrored."""
    turn = (angle / _STEP - first) % _STEPS
    back = length * (1 - (turn - length) / max(_STEPS - length, 1))
    return np.asarray((np.where(turn <= length, turn, back) + first) * _STEP)


def _at(mask: Mask, places: npt.NDArray[np.float64]) -> Mask:
    return np.asarray(ndimage.map_coordinates(mask.astype(np.uint8), places, order=0) > 0)


def _longest_run(seen: Mask) -> tuple[int, int]:
    """Return start and length of the longest run of True on a circle."""
    if seen.all():
        return 0, len(seen)
    twice = np.concatenate([[False], seen, seen, [False]])
    edges = np.flatnonzero(np.diff(twice.astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    longest = int(lengths.argmax()) if len(lengths) else 0
    return (int(edges[::2][longest]) % len(seen), int(lengths[longest])) if len(lengths) else (0, 0)


def _platelets(transmittance: Transmittance, usable: Mask) -> list[Transmittance]:
    """Return small dark round spots with a soft border."""
    spots, _ = ndimage.label((transmittance[..., 1] < 0.75) & usable)
    patches = []
    for number, box in enumerate(ndimage.find_objects(spots), start=1):
        spot = spots[box] == number
        half = max(spot.shape) // 2 + 5
        row, column = ((side.start + side.stop) // 2 for side in box)
        square = np.s_[max(row - half, 0) : row + half + 1, max(column - half, 0) : column + half + 1]
        whole = usable[square].shape == (2 * half + 1, 2 * half + 1) and usable[square].all()
        if whole and 12 <= spot.sum() <= 120 and max(spot.shape) <= 1.5 * min(spot.shape):
            near = ndimage.binary_dilation(spots[square] == number, iterations=3).astype(np.float32)
            patches.append(1 + ndimage.gaussian_filter(near, 1)[..., None] * (transmittance[square] - 1))
    return patches
