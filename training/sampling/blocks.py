"""Training examples of the network that encodes a block once for several clicks (glance).

`BlockSampler` draws a `BlockExample` from pictures with a random generator; colour is left to `augment`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from nuclick_training.datasets.data import Labels, Picture, Rgb
from nuclick_training.sampling.click_sampler import ClickableObjects, Clicks
from nuclick_training.sampling.immunostain import immunostained
from nuclick_training.sampling.nothing import NOWHERE, empty_places
from nuclick_training.sampling.sampling import (
    LARGEST_ZOOM,
    CropWindow,
    PaddedPicture,
    Target,
    kept_others,
    require_objects,
    target_of,
)
from nuclick_training.sampling.squiggles import random_squiggle
from nuclick_wsi.models.network import STRIDE
from nuclick_wsi.segmentation.arrays import Map, Pixels
from nuclick_wsi.segmentation.blocks import distance_maps
from nuclick_wsi.segmentation.signals import REACH, guiding_signals, middle_of, rasterize

_CLICKED = 160
"""Side of the middle of a block, in which clicks have their whole crop in the block."""
MOST_CLICKS = 16
_STROKED = 0.12
"""Share of the clicks in whose place the user draws a line through the object."""
_ON_NOTHING = 2
"""Clicks on glass or pale ground in a block, at most."""
_PLACES = 2000
"""Places of a picture that such clicks may have, at most."""


@dataclass(frozen=True, slots=True)
class BlockExample:
    """One block for the encoder, and the target of every click in it.

    Attributes
    ----------
    image
        (H, W, 3) uint8.
    corners
        (N, 2) int64: row and column of each click's crop in the image, even numbers.
    distances
        (N, 2, S/2, S/2) float32, as `nuclick_wsi.segmentation.blocks.distance_maps` makes them.
    targets
        (N, S, S) uint8: BACKGROUND, OBJECT, OTHERS or UNKNOWN.
    """

    image: Rgb
    corners: Pixels
    distances: Map
    targets: Target


class BlockSampler:
    """Draws blocks of pictures whose objects are clicked once.

    Parameters
    ----------
    brown
        Share of the blocks that are shown as if their cytoplasm were stained with DAB; for nuclei.
    """

    def __init__(self, pictures: list[Picture], crop: int, smallest: int = 20, brown: float = 0) -> None:
        self._crop = crop
        self._brown = brown
        self._side = crop + _CLICKED
        self._smallest = smallest
        self._count = 0
        self._pictures, self._padded, self._objects, self._empty = [], [], [], []
        for picture in pictures:
            objects = ClickableObjects(picture.labels)
            if (objects.areas >= smallest * picture.step**2).any():
                self._pictures.append(picture)
                self._padded.append(PaddedPicture(picture))
                self._objects.append(objects)
                self._empty.append(_some(np.argwhere(empty_places(picture))))
                self._count += int((objects.areas >= smallest * picture.step**2).sum())
        require_objects(self._count, smallest)

    @property
    def objects(self) -> int:
        """How many objects are large enough to click."""
        return self._count

    def draw(self, rng: np.random.Generator, plain: bool = False) -> BlockExample:
        """Return a block about a random object of a random picture."""
        while True:
            example = self._try(rng, plain)
            if len(example.corners):
                return example

    def _try(self, rng: np.random.Generator, plain: bool) -> BlockExample:
        which = int(rng.integers(len(self._pictures)))
        objects, step = self._objects[which], self._pictures[which].step
        if not plain and rng.random() < 0.7:
            step *= float(LARGEST_ZOOM ** rng.uniform(-1, 1))
        # About a random object, so that no time is spent on empty tissue.
        middle = objects.centres[int(rng.integers(len(objects.centres))), ::-1]
        corner = np.round(middle - (0.5 + rng.uniform(-0.3, 0.3, 2)) * self._side * step)
        window = CropWindow(float(corner[0]), float(corner[1]), step, self._side)
        resample = Image.Resampling.BICUBIC if rng.random() < 0.5 else Image.Resampling.BILINEAR
        image, labels = self._padded[which].cut(window, resample)
        if not plain and rng.random() < self._brown:
            image = immunostained(image, labels > 0, rng)
        clicks = objects.clicks(rng, step, plain)
        pixels = np.floor(window.crop_points(clicks.pixels[:, ::-1] + 0.5)[:, ::-1]).astype(np.int64)
        large = objects.areas >= self._smallest * step**2
        numbers = np.where(large, objects.numbers, 0)
        if not plain:
            astray = self._on_nothing(self._empty[which], window, rng)
            pixels, numbers = np.concatenate([pixels, astray]), np.append(numbers, np.full(len(astray), NOWHERE))
        block = _ClickedBlock(image, labels, pixels, numbers)
        return self._example(block if plain else block.turned(int(rng.integers(8))), clicks, rng, plain)

    def _on_nothing(self, places: Pixels, window: CropWindow, rng: np.random.Generator) -> Pixels:
        """Return a few clicks on places of a picture where there is nothing, as pixels of a block."""
        pixels = np.floor(window.crop_points(places[:, ::-1] + 0.5)[:, ::-1]).astype(np.int64)
        return rng.permutation(pixels[self._fits(pixels)])[: int(rng.integers(_ON_NOTHING + 1))]

    def _example(self, block: "_ClickedBlock", clicks: Clicks, rng: np.random.Generator, plain: bool) -> BlockExample:
        """Choose clicks in a block and draw what belongs to each."""
        side = self._crop + STRIDE
        count = len(clicks.pixels)
        inside = np.flatnonzero(self._fits(block.pixels) & (block.numbers > 0))
        chosen = rng.permutation(inside)[:MOST_CLICKS]
        corners = np.empty((len(chosen), 2), np.int64)
        distances = np.empty((len(chosen), 2, side // STRIDE, side // STRIDE), np.float32)
        targets = np.empty((len(chosen), side, side), np.uint8)
        for row, index in enumerate(chosen):
            own = block.pixels[[index]]
            if not plain and index < count and rng.random() < _STROKED:
                own = self._stroke(block, index, rng)
            view = middle_of(own) - self._crop // 2
            corners[row] = corner = view // STRIDE * STRIDE
            keep = clicks.kept(index, rng, plain) if index < count else kept_others(count, rng)
            others = list((block.pixels[:count][keep] - view)[:, None])
            signals = guiding_signals(own - view, others, self._crop)
            distances[row] = distance_maps(signals, view - corner)
            part = block.labels[corner[0] : corner[0] + side, corner[1] : corner[1] + side]
            targets[row] = target_of(part, int(block.numbers[index]))
        return BlockExample(block.image, corners, distances, targets)

    def _fits(self, middles: Pixels) -> npt.NDArray[np.bool_]:
        """Return which crops about these pixels lie in a block."""
        corners = (middles - self._crop // 2) // STRIDE * STRIDE
        return np.asarray(((corners >= 0) & (corners <= self._side - self._crop - STRIDE)).all(axis=1))

    def _stroke(self, block: "_ClickedBlock", index: int, rng: np.random.Generator) -> Pixels:
        """Return the pixels of a squiggle on a clicked object; the click where it does not fit."""
        click = block.pixels[[index]]
        corner = click[0] - self._crop // 2
        rows, columns = (slice(max(begin, 0), begin + self._crop) for begin in corner)
        mask = block.labels[rows, columns] == block.numbers[index]
        if not mask.any():
            return click
        drawn = rasterize(random_squiggle(mask, rng)) + np.maximum(corner, 0)
        fits = np.ptp(drawn, axis=0).max() < REACH * self._crop and self._fits(middle_of(drawn)[None])[0]
        return drawn if fits else click


def _some(places: Pixels) -> Pixels:
    """Return so many of some places, evenly, that there are not too many."""
    return places[:: max(1, len(places) // _PLACES)]


@dataclass(frozen=True, slots=True)
class _ClickedBlock:
    """A piece of a picture; its clicks as (N, 2) pixels, row and column, with their (N,) objects, 0 for small ones.

    Clicks on nothing come last, with the number `NOWHERE`.
    """

    image: Rgb
    labels: Labels
    pixels: Pixels
    numbers: npt.NDArray[np.int64]

    def turned(self, turn: int) -> "_ClickedBlock":
        """Return one of the eight mirror images and quarter turns."""
        image, labels = np.rot90(self.image, turn % 4), np.rot90(self.labels, turn % 4)
        rows, columns = self.pixels.T
        for _ in range(turn % 4):
            rows, columns = len(image) - 1 - columns, rows
        if turn >= 4:
            image, labels, columns = image[:, ::-1], labels[:, ::-1], len(image) - 1 - columns
        return _ClickedBlock(image, labels, np.stack([rows, columns], axis=1), self.numbers)
