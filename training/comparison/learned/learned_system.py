"""A learned system as the bench uses it: from marks to windows, through the network, and back to masks of the image."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import nn

from nuclick_training.comparison.learned.designs import Design
from nuclick_training.comparison.learned.looks import Sight
from nuclick_training.comparison.learned.refining import refined
from nuclick_training.comparison.marks import Mark
from nuclick_training.comparison.system import Piece
from nuclick_training.datasets.data import Picture, Rgb
from nuclick_training.sampling.sampling import CropWindow, PaddedPicture, Points
from nuclick_training.sampling.squiggles import Mask
from nuclick_wsi.segmentation.arrays import Map
from nuclick_wsi.segmentation.signals import inclusion_map, rasterize


@dataclass(frozen=True, slots=True)
class LearnedSystem:
    """A design that has learned.

    Attributes
    ----------
    network
        Folded, in evaluation mode: (N, 5, S, S) to logits (N, 1, S, S).
    size, mpp
        Side of the window in pixels, and microns per pixel where the look does not scale it.
    threshold
        Of probabilities: the best one on validation objects.
    steps, width
        For which it was trained, and at which width, if the network is of another paper.
    """

    design: Design
    network: nn.Module
    size: int
    mpp: float
    threshold: float
    steps: int
    width: float

    @property
    def name(self) -> str:
        """Its name in tables."""
        return self.design.name

    @property
    def action(self) -> str:
        """What the user does for one object."""
        return self.design.look.action

    def outline(self, image: Rgb, mpp: float, marks: Sequence[Mark]) -> list[Piece | None]:
        """Return the mask of each mark."""
        padded = PaddedPicture(Picture("", image, np.zeros(image.shape[:2], np.int32), 1.0))
        return [self._mask(padded, self.mpp / mpp, mark, marks, image.shape) for mark in marks]

    def _mask(
        self, padded: PaddedPicture, step: float, mark: Mark, marks: Sequence[Mark], shape: tuple[int, ...]
    ) -> Piece | None:
        look = self.design.look
        window = look.window(mark, Sight(self.size, step))
        others = [other for other in marks if other.number != mark.number]
        crop = padded.cut(window, Image.Resampling.BILINEAR)[0].astype(np.float32) / 255
        planes = np.concatenate([np.moveaxis(crop, 2, 0), look.maps(mark, others, window)])
        seen = torch.from_numpy(planes)[None].contiguous(memory_format=torch.channels_last)
        return _piece(self._probabilities(seen, mark, window), window, self.threshold, shape, look.anchor(mark))

    def _probabilities(self, seen: torch.Tensor, mark: Mark, window: CropWindow) -> Map:
        if self.design.refined:
            pixels = rasterize([window.crop_points(stroke) for stroke in mark.strokes])
            scribble = torch.from_numpy(inclusion_map(pixels, window.size) > 0)[None, None]
            return refined(self.network, seen, scribble)[0, 0].numpy()
        with torch.inference_mode():
            return torch.sigmoid(self.network(seen))[0, 0].numpy()


def _piece(
    probabilities: Map, window: CropWindow, threshold: float, shape: tuple[int, ...], anchor: Points | None
) -> Piece | None:
    """Return the mask of a window's probabilities in pixels of the image: the part with most of the anchor's places.

    Without an anchor it is the largest part.
    """
    top, left = (max(0, int(np.ceil(value - 0.5))) for value in (window.y, window.x))
    side = window.size * window.step
    bottom, right = min(shape[0], int(window.y + side)), min(shape[1], int(window.x + side))
    if bottom <= top or right <= left:
        return None
    rows = (np.arange(top, bottom) + 0.5 - window.y) / window.step - 0.5
    columns = (np.arange(left, right) + 0.5 - window.x) / window.step - 0.5
    there = np.stack(np.meshgrid(rows, columns, indexing="ij"))
    mask = ndimage.map_coordinates(probabilities, there, order=1, mode="nearest") > threshold
    numbered, count = ndimage.label(mask)
    if not count:
        return None
    votes = np.bincount(numbered.ravel())
    if anchor is not None:
        at = np.floor(anchor[:, ::-1]).astype(int) - (top, left)
        inside = ((at >= 0) & (at < mask.shape)).all(axis=1)
        votes = np.bincount(numbered[tuple(at[inside].T)], minlength=count + 1)
    votes[0] = 0
    if not votes.any():
        return None
    own: Mask = ndimage.binary_fill_holes(numbered == votes.argmax())
    return Piece(top, left, own)
