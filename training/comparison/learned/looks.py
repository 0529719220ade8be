"""How each learned system sees an object: the window that it is shown, and what two maps say of the user's marks.

All maps are 0 where there is nothing to say and at most 1, so that pooling them keeps a mark at every level.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import ndimage

from nuclick_training.comparison.marks import Mark
from nuclick_training.sampling.sampling import CropWindow, Points
from nuclick_training.sampling.squiggles import Strokes
from nuclick_wsi.segmentation.arrays import Map
from nuclick_wsi.segmentation.signals import REACH, guiding_signals, rasterize


@dataclass(frozen=True, slots=True)
class Sight:
    """What a network is shown: `size` pixels along each side, `step` pixels of the image to one of them."""

    size: int
    step: float


class Look(Protocol):
    """A way to show an object to a network."""

    @property
    def action(self) -> str:
        """What the user does for one object."""
        ...

    def window(self, mark: Mark, sight: Sight) -> CropWindow:
        """Return the window of the image in which an object is shown."""
        ...

    def maps(self, mark: Mark, others: Sequence[Mark], window: CropWindow) -> Map:
        """Return two maps (2, S, S) float32 of an object's marks, and of those of the others in the image."""
        ...

    def anchor(self, mark: Mark) -> Points | None:
        """Return the places (N, 2) of the image of which the object has one; None where any part may be it."""
        ...


@dataclass(frozen=True, slots=True)
class TwoClicks:
    """A click in the object and one beside it, as distances to them (iFCN, Latent Diversity)."""

    action: str = "two clicks"

    def window(self, mark: Mark, sight: Sight) -> CropWindow:
        """Return the window about the click."""
        return _about(mark.click, sight.size, sight.step)

    def maps(self, mark: Mark, others: Sequence[Mark], window: CropWindow) -> Map:
        """Return how near each pixel is to either click: 1 on it, 0 at the distance of a window's side."""
        clicks = window.crop_points(np.stack([mark.click, mark.beside]))
        return np.stack([_nearness(click, window.size) for click in clicks])

    def anchor(self, mark: Mark) -> Points:
        """Return the click."""
        return mark.click[None]


@dataclass(frozen=True, slots=True)
class BoxDistance:
    """A box about the object, as distances to its edge (Deep GrabCut)."""

    action: str = "a box"

    def window(self, mark: Mark, sight: Sight) -> CropWindow:
        """Return the window about the box, with surroundings, wide enough for all of it."""
        needed = float(np.max(mark.box[2:] - mark.box[:2])) / (REACH * sight.size)
        return _about((mark.box[:2] + mark.box[2:]) / 2, sight.size, max(sight.step, needed))

    def maps(self, mark: Mark, others: Sequence[Mark], window: CropWindow) -> Map:
        """Return how deep in the box each pixel lies, from a half at its edge, and the inside of the box."""
        left, top, right, bottom = window.crop_points(mark.box.reshape(2, 2)).reshape(4)
        middles = np.arange(window.size) + 0.5
        across, down = (np.minimum(middles - low, high - middles) for low, high in ((left, right), (top, bottom)))
        inward = np.minimum(down[:, None], across[None])
        outward = np.hypot(np.maximum(-down[:, None], 0), np.maximum(-across[None], 0))
        depth = np.where(inward > 0, inward, -outward)
        return np.stack([np.clip(0.5 + depth / window.size, 0, 1), inward > 0]).astype(np.float32)

    def anchor(self, mark: Mark) -> None:
        """Any part may be the object."""
        return


@dataclass(frozen=True, slots=True)
class ExtremePoints:
    """The four extreme points, as small hills, in a window about them that is scaled to one size (DEXTR)."""

    relaxed: float = 0.1
    """Share of the window left free beyond the points on each side: 50 of 512 pixels in the original."""
    sigma: float = 0.02
    """Of a hill, in shares of the window: 10 of 512 pixels in the original."""
    action: str = "four extreme points"

    def window(self, mark: Mark, sight: Sight) -> CropWindow:
        """Return the square about the points."""
        low, high = mark.extremes.min(axis=0), mark.extremes.max(axis=0)
        side = max(float(np.max(high - low)), 1.0) / (1 - 2 * self.relaxed)
        return _about((low + high) / 2, sight.size, side / sight.size)

    def maps(self, mark: Mark, others: Sequence[Mark], window: CropWindow) -> Map:
        """Return the hills: 1 at each point."""
        places = window.crop_points(mark.extremes)
        middles = np.arange(window.size) + 0.5
        squares = ((middles[None] - places[:, :1]) ** 2)[:, None] + ((middles[None] - places[:, 1:]) ** 2)[:, :, None]
        hills = np.exp(-squares / (2 * (self.sigma * window.size) ** 2)).max(axis=0)
        return np.stack([hills, np.zeros_like(hills)]).astype(np.float32)

    def anchor(self, mark: Mark) -> None:
        """Any part may be the object."""
        return


@dataclass(frozen=True, slots=True)
class BoxCrop:
    """What a box holds, scaled to one size, and nothing more (BIFSeg)."""

    action: str = "a box"

    def window(self, mark: Mark, sight: Sight) -> CropWindow:
        """Return the square about the box."""
        side = max(float(np.max(mark.box[2:] - mark.box[:2])), 1.0)
        return _about((mark.box[:2] + mark.box[2:]) / 2, sight.size, side / sight.size)

    def maps(self, mark: Mark, others: Sequence[Mark], window: CropWindow) -> Map:
        """Return the inside of the box, which need not be square, and nothing."""
        left, top, right, bottom = window.crop_points(mark.box.reshape(2, 2)).reshape(4)
        middles = np.arange(window.size) + 0.5
        inside = ((middles > top) & (middles < bottom))[:, None] & ((middles > left) & (middles < right))[None]
        return np.stack([inside, np.zeros_like(inside)]).astype(np.float32)

    def anchor(self, mark: Mark) -> None:
        """Any part may be the object."""
        return


@dataclass(frozen=True, slots=True)
class GuidingSignals:
    """NuClick's: a click or squiggle of the object, and one pixel of each other object's.

    Attributes
    ----------
    alone
        Whether the exclusion map stays empty.
    """

    squiggles: bool = False
    alone: bool = False

    @property
    def action(self) -> str:
        """One click, or one squiggle."""
        return "one squiggle" if self.squiggles else "one click"

    def window(self, mark: Mark, sight: Sight) -> CropWindow:
        """Return the window about the click, or about the squiggle, wide enough for it."""
        points = self.anchor(mark)
        low, high = points.min(axis=0), points.max(axis=0)
        needed = float(np.max(high - low)) / (REACH * sight.size)
        return _about((low + high) / 2, sight.size, max(sight.step, needed))

    def maps(self, mark: Mark, others: Sequence[Mark], window: CropWindow) -> Map:
        """Return the inclusion map and the exclusion map."""
        seen = () if self.alone else others
        pixels = [rasterize([window.crop_points(stroke) for stroke in self._strokes(one)]) for one in (mark, *seen)]
        return guiding_signals(pixels[0], pixels[1:], window.size)

    def anchor(self, mark: Mark) -> Points:
        """Return the points of the click or squiggle."""
        return np.concatenate(self._strokes(mark))

    def _strokes(self, mark: Mark) -> Strokes:
        return list(mark.strokes) if self.squiggles else [mark.click[None]]


def _about(middle: Points, size: int, step: float) -> CropWindow:
    corner = middle - size * step / 2
    return CropWindow(float(corner[0]), float(corner[1]), step, size)


def _nearness(place: Points, size: int) -> Map:
    """Return 1 at a place of a window and less with the distance from it, 0 from the window's side on."""
    column, row = np.clip(np.floor(place), 0, size - 1).astype(int)
    there = np.ones((size, size), bool)
    there[row, column] = False
    return np.asarray(np.clip(1 - ndimage.distance_transform_edt(there) / size, 0, 1), np.float32)
