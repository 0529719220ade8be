"""What a user marks of an object: a click in it, one beside it, a box, its four extreme points, a squiggle.

All are taken from the true mask, as the paper takes them (section IV-E); nothing else of the truth reaches a system.
"""

from dataclasses import dataclass

import numpy as np

from nuclick_training.datasets.data import Labels, objects_of
from nuclick_training.evaluation.metrics import Floats
from nuclick_training.sampling.squiggles import Mask, Strokes, walked_skeleton

_BESIDE = 3
"""How far beside its object a click is that says what does not belong to it, at least, in pixels."""


@dataclass(frozen=True, slots=True)
class Mark:
    """All marks of one object, in pixels of its image, x before y, counted from pixel corners.

    Attributes
    ----------
    number
        Of the object in the instance map.
    click
        (2,): the middle of the pixel of the object that is nearest to its centroid.
    beside
        (2,): the middle of a pixel beside the object, random by the object's number.
    box
        (4,): left, top, right, bottom; half-open.
    extremes
        (4, 2): its left-most, top, right-most and bottom pixels' middles.
    strokes
        Each (M, 2) with M of at least 1: the walked skeleton of its deeper part.
    """

    number: int
    click: Floats
    beside: Floats
    box: Floats
    extremes: Floats
    strokes: Strokes


def marks_of(labels: Labels) -> list[Mark]:
    """Return the marks of all objects of an instance map."""
    return [
        _mark(number, np.array([box[1].start, box[0].start], np.float64), mask, labels)
        for number, box, mask in objects_of(labels)
    ]


def _mark(number: int, corner: Floats, mask: Mask, labels: Labels) -> Mark:
    rows, columns = np.nonzero(mask)
    pixels = np.stack([columns, rows], axis=1) + 0.5
    click = pixels[((pixels - pixels.mean(axis=0)) ** 2).sum(axis=1).argmin()]
    chosen = [columns.argmin(), rows.argmin(), columns.argmax(), rows.argmax()]
    size = np.array(mask.shape[::-1], np.float64)
    return Mark(
        number,
        corner + click,
        beside(number, corner, size, labels, np.random.default_rng(number)),
        np.concatenate([corner, corner + size]),
        corner + pixels[chosen],
        [stroke + corner for stroke in walked_skeleton(mask)],
    )


def beside(number: int, corner: Floats, size: Floats, labels: Labels, rng: np.random.Generator) -> Floats:
    """Return the middle of a random pixel outside of an object, within its box and as far again around it.

    Parameters
    ----------
    corner, size
        (2,): of the object's box, x before y.
    """
    reach = np.maximum(size / 2, _BESIDE)
    low = np.maximum(corner - reach, 0)
    high = np.minimum(corner + size + reach, labels.shape[::-1])
    left, top, right, bottom = (int(value) for value in (*low, *high))
    outside = np.argwhere(labels[top:bottom, left:right] != number)
    if not len(outside):  # an object that fills its image
        return low
    row, column = outside[int(rng.integers(len(outside)))]
    return np.array([left + column + 0.5, top + row + 0.5])
