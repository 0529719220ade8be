"""Training examples of glands: crops around squiggles, cut as inference does (paper, section III-C 2).

`SquiggleSampler` draws an `Example` from pictures with a random generator.
"""

import numpy as np
from PIL import Image

from nuclick_training.datasets.data import Picture, objects_of
from nuclick_training.sampling.nothing import NOWHERE, empty_places, with_glass_beside
from nuclick_training.sampling.sampling import (
    CropWindow,
    Example,
    PaddedPicture,
    Points,
    kept_others,
    require_objects,
    target_of,
    turned,
)
from nuclick_training.sampling.squiggles import Mask, Stroke, Strokes, hasty_stroke, random_squiggle, walked_skeleton
from nuclick_wsi.segmentation.arrays import Pixels
from nuclick_wsi.segmentation.signals import REACH, guiding_signals, rasterize

_SPARE_SQUIGGLES = 3
_SECOND_LOOKS = 0.6
"""Share of the examples of glands larger than a crop that are seen at a scale at which they fit, as inference sees them
when it has found that they do not."""
_ASTRAY = 0.08
"""Share of the squiggles that are drawn on glass or on the palest ground, where there is no gland."""
_AT_THE_BORDER = 0.25
"""Share of the examples beside whose gland the tissue ends."""
_FILTERS = (Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS)


class _Gland:
    """One gland of a picture: its mask in model pixels, and squiggles for when it is another's neighbour."""

    def __init__(self, number: int, corner: Points, step: float, mask: Mask) -> None:
        self.number, self.mask = number, mask
        self._corner, self._step = corner, step
        self._plain = [self._in_picture(stroke) for stroke in walked_skeleton(mask)]
        self._hasty = [self._in_picture(stroke) for stroke in hasty_stroke(mask)]
        self._spare: dict[int, Strokes] = {}

    def squiggle(self, rng: np.random.Generator, plain: bool) -> Strokes:
        """Return strokes in picture pixels; half of the plain ones are whole, and half are hasty."""
        if plain:
            return self._plain if rng.random() < 0.5 else self._hasty
        return [self._in_picture(s) for s in random_squiggle(self.mask, rng)]

    def corners(self) -> Points:
        """Return two corners of the gland's bounding box in picture pixels."""
        return self._in_picture(np.array([(0, 0), self.mask.shape[::-1]], np.float64))

    def neighbour_squiggle(self, rng: np.random.Generator, plain: bool) -> Strokes:
        """Return strokes in picture pixels: one of a few that are drawn once, the same in every run."""
        if plain:
            return self._plain
        which = int(rng.integers(_SPARE_SQUIGGLES))
        if which not in self._spare:
            self._spare[which] = self.squiggle(np.random.default_rng([self.number, which]), plain=False)
        return self._spare[which]

    def _in_picture(self, stroke: Stroke) -> Stroke:
        return stroke * self._step + self._corner


class SquiggleSampler:
    """Examples of objects that are marked by squiggles."""

    def __init__(self, pictures: list[Picture], size: int, smallest: int = 60) -> None:
        self._size = size
        self._pictures, self._padded, self._glands, self._targets, self._empty = [], [], [], [], []
        for picture in pictures:
            glands = _glands_of(picture)
            targets = [gland for gland in glands if gland.mask.sum() >= smallest]
            if targets:
                self._pictures.append(picture)
                self._padded.append(PaddedPicture(picture))
                self._glands.append(glands)
                self._targets.append(targets)
                self._empty.append(empty_places(picture))
        require_objects(self.objects, smallest)

    @property
    def objects(self) -> int:
        """How many objects are large enough to draw."""
        return sum(map(len, self._targets))

    def draw(self, rng: np.random.Generator, plain: bool = False) -> Example:
        """Return an example of a random gland of a random picture."""
        which = int(rng.integers(len(self._pictures)))
        gland = self._targets[which][int(rng.integers(len(self._targets[which])))]
        step = self._pictures[which].step
        number, strokes, corners = gland.number, gland.squiggle(rng, plain), gland.corners()
        astray = None if plain or rng.random() >= _ASTRAY else _line_on(self._empty[which], step, rng)
        if astray is not None:
            number, strokes, corners = NOWHERE, [astray], astray
        window = self._window(np.concatenate(strokes), corners, step, rng, plain)
        resample = _FILTERS[0] if plain else _FILTERS[int(rng.integers(len(_FILTERS)))]
        image, labels = self._padded[which].cut(window, resample)
        if not plain and rng.random() < _AT_THE_BORDER:
            image = with_glass_beside(image, labels == number, rng)
        others = [other for other in self._glands[which] if other.number != number]
        keep = np.ones(len(others), bool) if plain else kept_others(len(others), rng)
        drawn = [o.neighbour_squiggle(rng, plain) for o, kept in zip(others, keep, strict=True) if kept]
        signals = guiding_signals(_drawn(strokes, window), [_drawn(other, window) for other in drawn], self._size)
        example = Example(image, signals, target_of(labels, number))
        return example if plain else turned(example, int(rng.integers(8)))

    def _window(
        self, squiggle: Points, gland: Points, step: float, rng: np.random.Generator, plain: bool
    ) -> CropWindow:
        """Return the window about a squiggle, or about the whole gland where it leaves that one."""
        window = self._about(squiggle, step, rng, plain)
        reached = window.crop_points(gland)
        fits = (reached >= 0).all() and (reached <= self._size).all()
        if fits or not (plain or rng.random() < _SECOND_LOOKS):
            return window
        return self._about(np.concatenate([squiggle, gland]), step, rng, plain)

    def _about(self, points: Points, step: float, rng: np.random.Generator, plain: bool) -> CropWindow:
        """Return the window about the bounding box of points, widened where the box is larger than the crop."""
        low, high = points.min(axis=0), points.max(axis=0)
        zoom = 1.0 if plain else float(np.exp(rng.uniform(-0.2, 0.2)))
        reach = REACH if plain else rng.uniform(0.65, 1)
        needed = float((high - low).max()) / (reach * self._size)
        step = max(step * zoom, needed)
        middle = (low + high) / 2 + (0 if plain else rng.normal(0, 3, 2))
        corner = middle - self._size * step / 2
        return CropWindow(float(corner[0]), float(corner[1]), step, self._size)


def _line_on(places: Mask, step: float, rng: np.random.Generator) -> Stroke | None:
    """Return a straight line on places of a picture, as two points in its pixels; None where there is no room."""
    starts = np.argwhere(places)
    if not len(starts):
        return None
    start = starts[int(rng.integers(len(starts))), ::-1] + 0.5
    angle, length = rng.uniform(0, 2 * np.pi), rng.uniform(5, 50) * step
    for part in (1, 0.5, 0.25):
        line = np.stack([start, start + part * length * np.array([np.cos(angle), np.sin(angle)])])
        pixels = rasterize([line])
        if (pixels >= 0).all() and (pixels < places.shape).all() and places[tuple(pixels.T)].all():
            return line
    return None


def _glands_of(picture: Picture) -> list[_Gland]:
    """Return the glands of a picture, their masks at the model's pixel size."""
    height, width = (max(1, round(side / picture.step)) for side in picture.labels.shape)
    small = Image.fromarray(picture.labels).resize((width, height), Image.Resampling.NEAREST)
    step = np.array([picture.labels.shape[1] / width, picture.labels.shape[0] / height])
    return [
        _Gland(number, np.array([box[1].start, box[0].start]) * step, float(step.mean()), mask)
        for number, box, mask in objects_of(np.asarray(small))
    ]


def _drawn(strokes: Strokes, window: CropWindow) -> Pixels:
    """Return the pixels of strokes in the crop's frame."""
    return rasterize([window.crop_points(stroke) for stroke in strokes])
