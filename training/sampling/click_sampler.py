"""Training examples of nuclei and cells: crops cut and clicks drawn exactly as inference does (paper, III-C 1).

`ClickSampler` draws an `Example` from pictures with a random generator; colour is left to `augment`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from nuclick_training.datasets.data import Labels, Picture, objects_of
from nuclick_training.sampling.sampling import (
    CropWindow,
    Example,
    PaddedPicture,
    kept_others,
    require_objects,
    target_of,
    turned,
)
from nuclick_wsi.segmentation.arrays import Pixels
from nuclick_wsi.segmentation.signals import guiding_signals

SLIP = 4.0
"""How far outside its object a slipped click may fall, in pixels of the picture."""
_SLIPS = 0.12
"""Share of the random clicks that slip."""
MISPLACED_BY = 10.0
"""Largest distance of a misplaced click from its object's centre, in model pixels; the paper tests as far."""
_MISPLACED_DRAWS, _MISPLACED_SHARE = 0.25, 0.25
"""Share of the draws that have misplaced clicks, and share of the clicks in them."""


@dataclass(frozen=True, slots=True)
class Clicks:
    """One click for every object of a picture.

    Attributes
    ----------
    pixels
        (N, 2) int64, row and column in the picture.
    misplaced
        (N,) bool: moved away from the centre, whatever it then lies on, be it a neighbour. Only all other clicks
        tell which object it is meant for.
    """

    pixels: Pixels
    misplaced: npt.NDArray[np.bool_]

    def kept(self, index: int, rng: np.random.Generator, plain: bool) -> npt.NDArray[np.bool_]:
        """Choose which clicks one object's click is seen with: (N,), False for itself."""
        all_others = plain or self.misplaced[index]
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
        if rng.random() >= _MISPLACED_DRAWS:
            return Clicks(points, nowhere)
        misplaced = rng.random(len(points)) < _MISPLACED_SHARE
        angles, reach = rng.uniform(0, 2 * np.pi, len(points)), MISPLACED_BY * step * rng.random(len(points))
        moved = self.centres + np.rint(np.stack([np.sin(angles), np.cos(angles)], 1) * reach[:, None]).astype(np.int64)
        return Clicks(np.where(misplaced[:, None], moved, points), misplaced)

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
        window = CropWindow(float(corner[0]), float(corner[1]), step, odd)
        resample = Image.Resampling.BICUBIC if rng.random() < 0.5 else Image.Resampling.BILINEAR
        image, labels = self._padded[which].cut(window, resample)
        pixels = np.floor(window.crop_points(points[:, ::-1] + 0.5)[:, ::-1]).astype(np.int64)
        keep = clicks.kept(chosen, rng, plain)
        signals = guiding_signals(pixels[[chosen]], list(pixels[keep][:, None]), odd)
        example = Example(image, signals, target_of(labels, int(objects.numbers[chosen])))
        example = example if plain else turned(example, int(rng.integers(8)))
        n = self._size
        return Example(example.image[:n, :n], example.signals[:, :n, :n], example.target[:n, :n])
