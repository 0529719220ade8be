"""Training examples for a learned system: an object as the system sees it, with marks that differ from draw to draw."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from nuclick_training.comparison.learned.looks import GuidingSignals, Look, Sight
from nuclick_training.comparison.marks import Mark, beside, marks_of
from nuclick_training.datasets.data import Labels, Picture
from nuclick_training.sampling.sampling import (
    Example,
    PaddedPicture,
    kept_others,
    require_objects,
    target_of,
    turned,
)
from nuclick_training.sampling.squiggles import random_squiggle

_LOOSE = 0.08
"""How far a side of a drawn box lies from the object's, at most, in shares of the box."""
_ZOOM = 0.16
_SMALLEST = 20
"""Pixels of the network that an object has at least."""


@dataclass(frozen=True, slots=True)
class _Marked:
    """A picture, and the marks of its objects."""

    padded: PaddedPicture
    labels: Labels
    step: float
    marks: Sequence[Mark]

    def varied(self, mark: Mark, look: Look, rng: np.random.Generator) -> Mark:
        """Return an object's marks as somebody else would draw them; squiggles only where the look shows them."""
        left, top, right, bottom = (int(value) for value in mark.box)
        mask = self.labels[top:bottom, left:right] == mark.number
        inside = np.argwhere(mask)
        corner, size = mark.box[:2], mark.box[2:] - mark.box[:2]
        shows_squiggles = isinstance(look, GuidingSignals) and look.squiggles
        return Mark(
            mark.number,
            corner + inside[int(rng.integers(len(inside)))][::-1] + 0.5,
            beside(mark.number, corner, size, self.labels, rng),
            mark.box + rng.uniform(-_LOOSE, _LOOSE, 4) * np.tile(size, 2),
            mark.extremes + rng.normal(0, _LOOSE / 4, (4, 2)) * size,
            [stroke + corner for stroke in random_squiggle(mask, rng)] if shows_squiggles else mark.strokes,
        )


class MarkedSampler:
    """Draws objects of pictures as a look shows them."""

    def __init__(self, pictures: Sequence[Picture], look: Look, size: int) -> None:
        self._look, self._size = look, size
        self._pictures: list[_Marked] = []
        for one in pictures:
            areas = np.bincount(one.labels.ravel())
            marks = [mark for mark in marks_of(one.labels) if areas[mark.number] >= _SMALLEST * one.step**2]
            if marks:
                self._pictures.append(_Marked(PaddedPicture(one), one.labels, one.step, marks))
        require_objects(self.objects, _SMALLEST)

    @property
    def objects(self) -> int:
        """How many objects there are to draw."""
        return sum(len(one.marks) for one in self._pictures)

    def draw(self, rng: np.random.Generator, plain: bool = False) -> Example:
        """Return an example of a random object of a random picture."""
        picture = self._pictures[int(rng.integers(len(self._pictures)))]
        own = picture.marks[int(rng.integers(len(picture.marks)))]
        others = [mark for mark in picture.marks if mark.number != own.number]
        mark, step = own, picture.step
        if not plain:
            mark, step = picture.varied(own, self._look, rng), step * float(np.exp(rng.uniform(-_ZOOM, _ZOOM)))
            kept = kept_others(len(others), rng)
            others = [other for other, keep in zip(others, kept, strict=True) if keep]
        window = self._look.window(mark, Sight(self._size, step))
        image, labels = picture.padded.cut(window, Image.Resampling.BILINEAR)
        example = Example(image, self._look.maps(mark, others, window), target_of(labels, own.number))
        return example if plain else turned(example, int(rng.integers(8)))
