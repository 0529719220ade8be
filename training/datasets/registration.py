"""How far an instance map lies beside its picture, told by the picture alone, and the map moved back onto it.

`python -m nuclick_training.datasets.registration FOLDER` prints it for every picture of a folder. A picture and its
map go in; a displacement of less than a few pixels, or the map without it, comes out. No model takes part, so that what
is moved is never moved towards what some model says.
"""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nuclick_training.datasets.data import Labels, Rgb, objects_of, picture_names, read_picture

_REACH = 3
"""Displacements up to here are looked for, in pixels; one that is found at the end of it is none."""
_RIM = 2
"""Width in pixels of the strips on both sides of the outlines that are compared."""
_SMOOTHING = 0.7
_MARGIN = _REACH + 2


@dataclass(frozen=True, slots=True)
class Displacement:
    """How many pixels right of and below its place in the picture a map lies."""

    x: float
    y: float


def displacement(image: Rgb, labels: Labels) -> Displacement:
    """Return the displacement of an instance map of dark objects.

    Where outlines fit, the tissue just inside is darker than just outside by more than anywhere else. That difference
    of optical density (red light, which haematoxylin takes) is measured for every whole displacement in reach; a
    parabola through the highest and its neighbours gives the fraction.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    labels
        (H, W).
    """
    objects = labels > 0
    inside = np.argwhere(_inner(objects & ~ndimage.binary_erosion(objects, iterations=_RIM)))
    outside = np.argwhere(_inner(ndimage.binary_dilation(objects, iterations=_RIM) & ~objects))
    if not len(inside) or not len(outside):
        return Displacement(0.0, 0.0)
    density = _density(image)
    steps = range(2 * _REACH + 1)
    contrast = np.array([[_mean(density, inside, y, x) - _mean(density, outside, y, x) for x in steps] for y in steps])
    y, x = np.unravel_index(contrast.argmax(), contrast.shape)
    if {0, 2 * _REACH} & {int(x), int(y)}:
        return Displacement(0.0, 0.0)
    return Displacement(_REACH - x - _peak(contrast[y, x - 1 : x + 2]), _REACH - y - _peak(contrast[y - 1 : y + 2, x]))


def excess(image: Rgb, labels: Labels) -> float:
    """Return by how many pixels outlines are drawn outside the edges of dark objects; below 0 where inside.

    An edge is where the mean optical density, as a function of the distance to the nearest outline, falls steepest;
    it is looked for up to `_REACH` pixels to both sides. Move the map onto its picture first. NaN without objects.
    """
    objects = labels > 0
    if not objects.any() or objects.all():
        return math.nan
    rings = np.floor(_signed_distance(objects)).astype(np.int64)
    near = np.abs(rings + 0.5) < _REACH + 2
    counts, sums = (np.bincount(rings[near] + _REACH + 2, weights) for weights in (None, _density(image)[near]))
    # From the ring that lies furthest outside inwards; falls lie between two rings, at whole distances.
    falls = np.diff(sums / np.maximum(counts, 1))[1:-1]
    steepest = int(falls[1:-1].argmax()) + 1
    return steepest - _REACH + _peak(falls[steepest - 1 : steepest + 2])


def registered(image: Rgb, labels: Labels) -> Labels:
    """Return an instance map moved onto its picture."""
    return moved(labels, displacement(image, labels))


def moved(labels: Labels, by: Displacement) -> Labels:
    """Return an instance map without a displacement, (H, W); an object that a border cuts goes on beyond it.

    Outlines move by fractions of a pixel: every object's signed distances are interpolated, and a pixel belongs to the
    object that it is deepest in.
    """
    # Around what goes on beyond the border is room for every object's margin.
    labels = np.pad(np.pad(labels, _MARGIN, mode="edge"), _MARGIN)
    result, deepest = np.zeros_like(labels), np.zeros(labels.shape, np.float32)
    for number, box, mask in objects_of(labels):
        depth = ndimage.shift(_signed_distance(np.pad(mask, _MARGIN)), (-by.y, -by.x), order=1, mode="nearest")
        here = tuple(slice(side.start - _MARGIN, side.stop + _MARGIN) for side in box)
        won = depth > deepest[here]
        deepest[here][won] = depth[won]
        result[here][won] = number
    inner: Labels = result[2 * _MARGIN : -2 * _MARGIN, 2 * _MARGIN : -2 * _MARGIN]
    return inner


def _density(image: Rgb) -> npt.NDArray[np.float64]:
    """Return the optical density of red light, smoothed a little."""
    density: npt.NDArray[np.float64] = ndimage.gaussian_filter(-np.log(np.maximum(image[..., 0], 1) / 255), _SMOOTHING)
    return density


def _mean(values: npt.NDArray[np.floating], pixels: npt.NDArray[np.int64], y: int, x: int) -> float:
    """Return the mean of the values so many rows and columns on from pixels."""
    return float(values[pixels[:, 0] + y, pixels[:, 1] + x].mean())


def _signed_distance(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Return the distances of pixel centres to the outline along pixel edges, about; above 0 inside."""
    inside, outside = (ndimage.distance_transform_edt(part) for part in (mask, ~mask))
    distances: npt.NDArray[np.float32] = np.where(mask, inside - 0.5, 0.5 - outside).astype(np.float32)
    return distances


def _inner(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return a mask without the strip along the border that displaced pixels would leave."""
    return mask[_REACH:-_REACH, _REACH:-_REACH]


def _peak(three: npt.NDArray[np.floating]) -> float:
    """Return where the parabola through three values, the middle one highest, has its top: -0.5 to 0.5."""
    bend = three[0] - 2 * three[1] + three[2]
    return float(0.5 * (three[0] - three[2]) / bend) if bend < 0 else 0.0


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m nuclick_training.datasets.registration", description=__doc__)
    parser.add_argument("folder", type=Path, help="that holds images/ and labels/ of dark objects")
    folder = parser.parse_args(arguments).folder
    print("pixels right of the image, below it, and outside the edges once it is moved back")
    for name in picture_names(folder):
        picture = read_picture(folder, name, 1.0)
        found = displacement(picture.image, picture.labels)
        wide = excess(picture.image, moved(picture.labels, found))
        print(f"{found.x:+.2f} {found.y:+.2f} {wide:+.2f}  {name}", flush=True)


if __name__ == "__main__":
    main()
