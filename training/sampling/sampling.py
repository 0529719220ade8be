"""Training examples of nuclei and cells: crops cut and clicks drawn exactly as inference does (paper, III-C 1).

A picture and a random generator go in, an `Example` comes out; colour is left to `augment`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from nuclick_training.datasets.data import DataError, Labels, Picture, Rgb, objects_of
from nuclick_wsi.segmentation.arrays import Map, Pixels
from nuclick_wsi.segmentation.signals import guiding_signals

Points = npt.NDArray[np.floating]
Target = npt.NDArray[np.uint8]

BACKGROUND, OBJECT, OTHERS, UNKNOWN = 0, 1, 2, 3
LARGEST_ZOOM = 1.2
SLIP = 4.0
"""How far beside its object a click may fall, in pixels of the picture."""
_SLIPS = 0.12
"""How many of the random clicks do."""
ASTRAY = 10.0
"""How far from its object's middle a click goes astray at most, in pixels of the model; the paper tries as much."""
_ASTRAY_WITH, _ASTRAY_OF = 0.25, 0.25
"""How many draws have such clicks, and how many of these draws' clicks are some."""
_UNLABELLED = -1
"""Stands in labels for what nobody has said anything about."""


@dataclass(frozen=True, slots=True)
class Example:
    """What the network sees once, and what it should say.

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
class Window:
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

    White is background, but around a part of a slide, where it hides what nobody has labelled.
    """

    def __init__(self, picture: Picture) -> None:
        self._image, self._labels = picture.image, picture.labels
        self._beyond = BACKGROUND
        if picture.known is not None:
            self._labels = np.where(picture.known, picture.labels, np.int32(_UNLABELLED))
            self._beyond = _UNLABELLED

    def cut(self, window: Window, resample: Image.Resampling) -> tuple[Rgb, Labels]:
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


@dataclass(frozen=True, slots=True)
class Clicks:
    """One click for every object of a picture.

    Attributes
    ----------
    pixels
        (N, 2) int64, row and column in the picture.
    astray
        (N,) bool: moved away from the middle wherever it then fell, be it on a neighbour. Whose it is can only be told
        by where all others are clicked.
    """

    pixels: Pixels
    astray: npt.NDArray[np.bool_]

    def kept(self, index: int, rng: np.random.Generator, plain: bool) -> npt.NDArray[np.bool_]:
        """Choose which clicks one object's click is seen with: (N,), False for itself."""
        all_others = plain or self.astray[index]
        keep = np.ones(len(self.pixels), bool) if all_others else kept_others(len(self.pixels), rng)
        keep[index] = False
        return keep


class ClickableObjects:
    """Where the objects of one picture may be clicked."""

    def __init__(self, labels: Labels) -> None:
        numbers, inner, core, centres = [], [], [], []
        for number, box, mask in objects_of(labels):
            depth = ndimage.distance_transform_edt(np.pad(mask, 1))[1:-1, 1:-1]
            corner = (box[0].start, box[1].start)
            numbers.append(number)
            # The paper clicks at least two pixels inside; a thinner object is clicked where it is thickest.
            inner.append(np.argwhere(depth >= min(2.0, depth.max())) + corner)
            core.append(np.argwhere(depth >= 0.6 * depth.max()) + corner)
            middle = np.argwhere(mask).mean(axis=0) + corner
            centres.append(inner[-1][((inner[-1] - middle) ** 2).sum(axis=1).argmin()])
        self.numbers = np.array(numbers, np.int64)
        self.areas = np.bincount(labels.ravel())[self.numbers]
        self.centres = np.array(centres, np.int64).reshape(-1, 2)
        self._pools = [_Pool(inner), _Pool(core), _Pool(_beside(labels, self.numbers, inner))] if numbers else []

    def clicks(self, rng: np.random.Generator, step: float, plain: bool) -> Clicks:
        """Click every object once; plain clicks are in the middle.

        Parameters
        ----------
        step
            Picture pixels per model pixel.
        """
        nowhere = np.zeros(len(self.numbers), bool)
        if plain or rng.random() < 0.25:
            return Clicks(self.centres, nowhere)
        points = self.random_points(rng)
        if rng.random() >= _ASTRAY_WITH:
            return Clicks(points, nowhere)
        astray = rng.random(len(points)) < _ASTRAY_OF
        angles, reach = rng.uniform(0, 2 * np.pi, len(points)), ASTRAY * step * rng.random(len(points))
        moved = self.centres + np.rint(np.stack([np.sin(angles), np.cos(angles)], 1) * reach[:, None]).astype(np.int64)
        return Clicks(np.where(astray[:, None], moved, points), astray)

    def random_points(self, rng: np.random.Generator) -> Pixels:
        """Return one random pixel (row, column) for every object; half the time central ones, some just beside it."""
        inner, core, beside = self._pools
        points = (core if rng.random() < 0.5 else inner).draw(rng)
        slipped = rng.random(len(points)) < _SLIPS
        return np.where(slipped[:, None], beside.draw(rng), points)


def _beside(labels: Labels, numbers: npt.NDArray[np.int64], inner: Sequence[Pixels]) -> list[Pixels]:
    """Return per object the background that a slip reaches and that is nearest to it, or its inner pixels instead."""
    distance, nearest = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    rim = np.argwhere((distance > 0) & (distance <= SLIP))
    owners = labels[tuple(nearest[:, rim[:, 0], rim[:, 1]])]
    order = np.argsort(owners, kind="stable")
    ends = np.searchsorted(owners[order], numbers, side="right")
    begins = np.searchsorted(owners[order], numbers, side="left")
    found = (rim[order[begin:end]] for begin, end in zip(begins, ends, strict=True))
    return [beside if len(beside) else within for beside, within in zip(found, inner, strict=True)]


class _Pool:
    """Lists of pixels, one list per object."""

    def __init__(self, lists: list[Pixels]) -> None:
        self._pixels = np.concatenate(lists)
        self._counts = np.array([len(pixels) for pixels in lists])
        self._starts = np.cumsum(self._counts) - self._counts

    def draw(self, rng: np.random.Generator) -> Pixels:
        """Return one pixel of every list."""
        chosen = self._starts + (rng.random(len(self._counts)) * self._counts).astype(np.int64)
        pixels: Pixels = self._pixels[chosen]
        return pixels


class ClickSampler:
    """Examples of objects that are clicked once: nuclei and cells."""

    def __init__(self, pictures: list[Picture], size: int, smallest: int = 20) -> None:
        self._size = size
        self._pictures, self._padded, self._objects, self._targets = [], [], [], []
        for picture in pictures:
            objects = ClickableObjects(picture.labels)
            targets = np.flatnonzero(objects.areas >= smallest * picture.step**2)
            if len(targets):
                self._pictures.append(picture)
                self._padded.append(PaddedPicture(picture))
                self._objects.append(objects)
                self._targets.append(targets)
        require_objects(self.objects, smallest)

    @property
    def objects(self) -> int:
        """How many objects are large enough to draw."""
        return sum(map(len, self._targets))

    def draw(self, rng: np.random.Generator, plain: bool = False) -> Example:
        """Return an example of a random object of a random picture."""
        which = int(rng.integers(len(self._pictures)))
        chosen = int(rng.choice(self._targets[which]))
        objects = self._objects[which]
        zoom = 1.0 if plain or rng.random() < 0.3 else float(np.exp(rng.uniform(-0.16, 0.16)))
        # One pixel more than the crop, centred on the click: it stays the crop's middle when turned.
        odd = self._size // 2 * 2 + 1
        step = self._pictures[which].step * zoom
        clicks = objects.clicks(rng, step, plain)
        points = clicks.pixels
        corner = points[chosen, ::-1] + 0.5 - odd * step / 2
        window = Window(float(corner[0]), float(corner[1]), step, odd)
        resample = Image.Resampling.BICUBIC if rng.random() < 0.5 else Image.Resampling.BILINEAR
        image, labels = self._padded[which].cut(window, resample)
        pixels = np.floor(window.crop_points(points[:, ::-1] + 0.5)[:, ::-1]).astype(np.int64)
        keep = clicks.kept(chosen, rng, plain)
        signals = guiding_signals(pixels[[chosen]], list(pixels[keep][:, None]), odd)
        example = Example(image, signals, target_of(labels, int(objects.numbers[chosen])))
        example = example if plain else turned(example, int(rng.integers(8)))
        n = self._size
        return Example(example.image[:n, :n], example.signals[:, :n, :n], example.target[:n, :n])


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
