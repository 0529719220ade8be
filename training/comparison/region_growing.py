"""Seeded region growing (R. Adams and L. Bischof, 1994), as the paper runs it: 30 rounds from the click.

In each round the pixels that touch the region join it whose value differs from its mean by less than a tolerance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from nuclick_training.comparison.marks import Mark
from nuclick_training.comparison.staining import hematoxylin
from nuclick_training.comparison.system import Crop, Piece
from nuclick_training.datasets.data import Rgb
from nuclick_training.evaluation.metrics import Floats
from nuclick_training.sampling.squiggles import Mask

ROUNDS = 30


@dataclass(frozen=True, slots=True)
class RegionGrowing:
    """Grows each click's region by the haematoxylin."""

    smoothing_um: float = 0.5
    tolerance: float = 0.2
    rounds: int = ROUNDS
    name: str = "region growing"
    action: str = "one click"

    def outline(self, image: Rgb, mpp: float, marks: Sequence[Mark]) -> list[Piece | None]:
        """Return the region of each mark."""
        stain = hematoxylin(image, self.smoothing_um / mpp)
        return [self._region(Crop.about(stain, mark.click, self.rounds + 1), mark) for mark in marks]

    def _region(self, crop: Crop, mark: Mark) -> Piece | None:
        seed = np.zeros(crop.image.shape, bool)
        seed[crop.pixel(mark.click)] = True
        return crop.piece(self._grown(crop.image, ndimage.binary_dilation(seed)), mark.click)

    def _grown(self, stain: Floats, region: Mask) -> Mask:
        for _ in range(self.rounds):
            edge = ndimage.binary_dilation(region) & ~region
            joining = edge & (np.abs(stain - stain[region].mean()) < self.tolerance)
            if not joining.any():
                break
            region = region | joining
        return region
