"""What all samplers share: an example, the window that it is cut from, its target, and its mirror images.

`click_sampler`, `glands` and `blocks` draw examples; colour is left to `augment`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from nuclick_training.datasets.data import DataError, Labels, Picture, Rgb
from nuclick_wsi.segmentation.arrays import Map

Points = npt.NDArray[np.floating]
Target = npt.NDArray[np.uint8]

BACKGROUND, OBJECT, OTHERS, UNKNOWN = 0, 1, 2, 3
LARGEST_ZOOM = 1.2
_UNLABELLED = -1
"""Marks unknown pixels in labels."""


@dataclass(frozen=True, slots=True)
class Example:
    """One input of the network, and its target.

    Attributes
    ----------
    image
        (S, S, 3) uint8.
    signals
        (2, S, S) float32: inclusion, exclusion.
    target
        (S, S) uint8: BACKGROUND, OBJECT, OTHERS or UNKNOWN.
    """

    image: Rgb
    signals: Map
    target: Target


Drawn_co = TypeVar("Drawn_co", covariant=True)


class Sampler(Protocol[Drawn_co]):
    """Draws examples; `plain` ones have no random zoom, flips or missing neighbours."""

    @property
    def objects(self) -> int:
        """How many objects there are to draw."""
        ...

    def draw(self, rng: np.random.Generator, plain: bool = False) -> Drawn_co:
        """Return one example."""
        ...


@dataclass(frozen=True, slots=True)
class CropWindow:
    """A square of a picture that becomes a crop: its upper left corner and its pixel, in picture pixels."""

    x: float
    y: float
    step: float
    size: int

    def crop_points(self, points: Points) -> Points:
        """Map (N, 2) x, y from picture pixels to crop pixels."""
        mapped: Points = (points - (self.x, self.y)) / self.step
        return mapped


class PaddedPicture:
    """A picture with white around it, so that windows may leave it.

    The white is background; around a part of a slide with unknown pixels it is unknown too.
    """

    def __init__(self, picture: Picture) -> None:
        self._image, self._labels = picture.image, picture.labels
        self._beyond = BACKGROUND
        if picture.known is not None:
            self._labels = np.where(picture.known, picture.labels, np.int32(_UNLABELLED))
            self._beyond = _UNLABELLED

    def cut(self, window: CropWindow, resample: Image.Resampling) -> tuple[Rgb, Labels]:
        """Return image (S, S, 3) uint8 and labels (S, S) int32, negative where unknown, under a window."""
        x, y, end = window.x, window.y, window.size * window.step
        if window.step == 1 and x.is_integer() and y.is_integer():
            return self._part(int(x), int(y), window.size)
        left, top = math.floor(x) - 8, math.floor(y) - 8
        part, marks = self._part(left, top, math.ceil(end) + 18)
        size, box = (window.size, window.size), (x - left, y - top, x - left + end, y - top + end)
        image = Image.fromarray(part).resize(size, resample, box)
        labels = Image.fromarray(marks).resize(size, Image.Resampling.NEAREST, box)
        return np.asarray(image), np.asarray(labels)

    def _part(self, left: int, top: int, side: int) -> tuple[Rgb, Labels]:
        """Return a square of whole pixels, with what lies beyond the picture around it."""
        height, width = self._labels.shape
        rows, columns = (np.clip((begin, begin + side), 0, end) for begin, end in ((top, height), (left, width)))
        inside = np.s_[rows[0] : rows[1], columns[0] : columns[1]]
        before = (min(max(-top, 0), side), min(max(-left, 0), side))
        around = [(gap, side - gap - (end - begin)) for gap, (begin, end) in zip(before, (rows, columns), strict=True)]
        image = np.pad(self._image[inside], (*around, (0, 0)), constant_values=255)
        return image, np.pad(self._labels[inside], around, constant_values=self._beyond)


def require_objects(count: int, smallest: int) -> None:
    """Refuse pictures in which there is nothing to learn."""
    if not count:
        raise DataError(
            f"There is no object of {smallest} pixels of the model or more in these pictures: is the pixel size right, "
            "and are the labels instance maps?"
        )


def turned(example: Example, turn: int) -> Example:
    """Return one of the eight mirror images and quarter turns of an example."""

    def turned_array(array: npt.NDArray[np.generic], rows: int, columns: int) -> npt.NDArray[np.generic]:
        array = np.rot90(array, turn % 4, (rows, columns))
        return np.flip(array, columns) if turn >= 4 else array

    return Example(
        turned_array(example.image, 0, 1),  # type: ignore[arg-type]
        turned_array(example.signals, 1, 2),  # type: ignore[arg-type]
        turned_array(example.target, 0, 1),  # type: ignore[arg-type]
    )


def target_of(labels: Labels, number: int) -> Target:
    """Return the target for one object of a crop's labels."""
    target = np.where(labels == number, OBJECT, np.where(labels > 0, OTHERS, BACKGROUND)).astype(np.uint8)
    target[labels < 0] = UNKNOWN
    return target


def kept_others(count: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Choose which neighbours are clicked too: mostly all, at times some, at times none."""
    how = rng.random()
    rate = 1.0 if how < 0.6 else 0.0 if how > 0.9 else rng.random()
    return rng.random(count) < rate


class MixedSampler(Generic[Drawn_co]):
    """Examples from several samplers, each with its share."""

    def __init__(self, samplers: Sequence[Sampler[Drawn_co]], shares: Sequence[float]) -> None:
        self._samplers, self._shares = samplers, np.array(shares) / sum(shares)

    @property
    def objects(self) -> int:
        """How many objects there are in all."""
        return sum(sampler.objects for sampler in self._samplers)

    def draw(self, rng: np.random.Generator, plain: bool = False) -> Drawn_co:
        """Return an example of a random sampler."""
        return self._samplers[int(rng.choice(len(self._samplers), p=self._shares))].draw(rng, plain)
