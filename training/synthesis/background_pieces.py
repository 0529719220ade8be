"""Red cells (here mostly pale rings) and platelets around a library's white cells, cut out as patches of transmittance.

A patch is 1 at its border, so that multiplying a background with it adds the red cell or platelet.
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Mask = npt.NDArray[np.bool_]
Transmittance = npt.NDArray[np.float32]

# No publication gives these values: they were set by hand for the pictures of `wbc_jtsc`, of about 120 x 120 pixels of
# 0.19 um, whose red cells are pale inside with a dark rim. Another library needs values of its own. Lengths are pixels.
_RADII = range(14, 24)
"""Radii of the dark rims that are searched for; red cells are 34 to 49 pixels wide, with the rim inside."""
_GAP = 3
"""Distance of the rings inside and outside of a rim that it is compared with."""
_LEAST_CONTRAST = 0.45
"""How much darker a rim is than these two rings, on the scale of `_darker_than_around`, 0 to 1."""
_LEAST_SEEN = 0.45
"""Share of a rim that must be visible; the rest is hidden by the picture's border or a white cell."""
_MOST_RINGS = 3
"""Red cells that are taken of one picture, the clearest first."""
_BAND = 4
"""Half the width of the band about a rim: in it the rim's kernel, and what must be visible, lie."""
_MARGIN = 6
"""What a red cell's patch has outside of the rim, to fade to 1 in."""
_DARKEST_RIM = 0.5
"""Least green transmittance of a red cell's rim: the edge of a white cell, or dirt, is darker."""
_SECTORS, _MOST_UNEVEN = 12, 0.05
"""Sectors in which a rim's mean transmittance is compared, and its largest standard deviation over them."""
_STEPS = 180
_STEP = 2 * np.pi / _STEPS
"""Angles at which a rim is sampled: every 2 degrees."""
_LEAST_ARC = 72
"""Steps of the longest visible arc, at least: 144 degrees, which are mirrored to complete the cell."""
_PLATELET_LIGHT = 0.75
"""Green transmittance below which a spot is dark."""
_PLATELET_AREA = (12, 120)
"""Pixels of a platelet: what is larger may be a white cell."""
_Angles = npt.NDArray[np.float64]
_Plane = npt.NDArray[np.float32]


def background_pieces(transmittance: Transmittance, usable: Mask) -> tuple[Transmittance, ...]:
    """Return the red cells and the platelets of a picture, each (n, n, 3) float32.

    Parameters
    ----------
    transmittance
        (H, W, 3).
    usable
        (H, W), True on background.
    """
    rings = [_whole(transmittance, usable, ring) for ring in _rings(transmittance[..., 1], usable)]
    return (*(ring for ring in rings if ring is not None), *_platelets(transmittance, usable))


def _rings(light: _Plane, usable: Mask) -> list[tuple[int, int, int]]:
    """Return row, column and radius of the rings that show at least for `_LEAST_SEEN` of their way round."""
    pad, reach = _RADII[-1], _RADII[-1] + _GAP + _BAND
    seen = np.pad(usable, pad).astype(np.float32)
    dark = np.pad(_darker_than_around(light, usable), pad)
    shape = tuple(fft.next_fast_len(length + 2 * reach, real=True) for length in seen.shape)
    transforms = [fft.rfft2(plane, shape) for plane in (dark, seen)]
    found = {}
    for radius in range(_RADII[0] - _GAP, _RADII[-1] + _GAP + 1):
        kernel, total = _ring(radius, shape)
        half = radius + _BAND
        darkness, share = (
            fft.irfft2(transform * kernel, shape)[half : half + seen.shape[0], half : half + seen.shape[1]]
            for transform in transforms
        )
        known = share >= _LEAST_SEEN * total
        found[radius] = known, np.where(known, darkness / np.maximum(share, 1e-3), 0)
    # A ring is darker than what lies inside and outside of it.
    scores = np.stack(
        [found[r][1] - (found[r - _GAP][1] + found[r + _GAP][1]) / 2 - 9.0 * ~found[r][0] for r in _RADII]
    )
    rings = []
    rows, columns = np.ogrid[: scores.shape[1], : scores.shape[2]]
    for _ in range(_MOST_RINGS):
        index, row, column = (int(i) for i in np.unravel_index(scores.argmax(), scores.shape))
        if scores[index, row, column] < _LEAST_CONTRAST:
            break
        rings.append((row - pad, column - pad, _RADII[index]))
        scores[:, np.hypot(rows - row, columns - column) < 1.5 * _RADII[index]] = -1
    return rings


def _darker_than_around(light: _Plane, usable: Mask) -> _Plane:
    """Return 0 to 1: how much darker than its surroundings the background is."""
    share = ndimage.gaussian_filter(usable.astype(np.float32), 5)
    level = ndimage.gaussian_filter(np.where(usable, light, 0), 5) / np.maximum(share, 1e-3)
    fine = ndimage.gaussian_filter(np.where(usable, light, 1), 0.8)
    return np.asarray(np.clip((level - fine) / 0.06, 0, 1) * usable, np.float32)


@lru_cache(maxsize=256)
def _ring(radius: int, shape: tuple[int, int]) -> tuple[npt.NDArray[np.complex64], float]:
    """Return the transform of a soft ring and the sum of its pixels."""
    half = radius + _BAND
    rows, columns = np.ogrid[-half : half + 1, -half : half + 1]
    ring = np.exp(-(((np.hypot(rows, columns) - radius) / 1.5) ** 2)).astype(np.float32)
    return fft.rfft2(ring, shape), float(ring.sum())


def _whole(transmittance: Transmittance, usable: Mask, ring: tuple[int, int, int]) -> Transmittance | None:
    """Return a red cell as a patch, or None where the ring turns out to be something else."""
    row, column, radius = ring
    half = radius + _MARGIN
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
    inner = known & (distance < radius - _BAND)
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
    across = np.arange(radius - _BAND, radius + _BAND + 1.0)[:, None]
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
    spots, _ = ndimage.label((transmittance[..., 1] < _PLATELET_LIGHT) & usable)
    patches = []
    for number, box in enumerate(ndimage.find_objects(spots), start=1):
        spot = spots[box] == number
        half = max(spot.shape) // 2 + 5
        row, column = ((side.start + side.stop) // 2 for side in box)
        square = np.s_[max(row - half, 0) : row + half + 1, max(column - half, 0) : column + half + 1]
        whole = usable[square].shape == (2 * half + 1, 2 * half + 1) and usable[square].all()
        if whole and _PLATELET_AREA[0] <= spot.sum() <= _PLATELET_AREA[1] and max(spot.shape) <= 1.5 * min(spot.shape):
            near = ndimage.binary_dilation(spots[square] == number, iterations=3).astype(np.float32)
            patches.append(1 + ndimage.gaussian_filter(near, 1)[..., None] * (transmittance[square] - 1))
    return patches
