"""Watershed from markers (K. Parvati et al., 2008): clicks are markers, and so is what is surely background.

The paper gives the centroids as markers of objects, and says nothing of the background. Here that is what lies farther
from every click than `reach_um`, and what has less stain than a share of the threshold of Otsu.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from skimage.filters import sobel, threshold_otsu
from skimage.segmentation import watershed

from nuclick_training.comparison.marks import Mark
from nuclick_training.comparison.staining import hematoxylin
from nuclick_training.comparison.system import Crop, Piece
from nuclick_training.datasets.data import Labels, Rgb
from nuclick_training.evaluation.metrics import Floats


@dataclass(frozen=True, slots=True)
class Watershed:
    """Floods the gradient of the haematoxylin from the clicks and from the background."""

    smoothing_um: float = 0.5
    reach_um: float = 8.0
    pale: float = 0.8
    """Share of Otsu's threshold below which a pixel is background."""
    name: str = "watershed"
    action: str = "one click"

    def outline(self, image: Rgb, mpp: float, marks: Sequence[Mark]) -> list[Piece | None]:
        """Return the basin of each mark."""
        stain = hematoxylin(image, self.smoothing_um / mpp)
        reach = int(self.reach_um / mpp) + 1
        basins = watershed(sobel(stain), self._markers(stain, marks, self.reach_um / mpp)).astype(np.float64)
        return [self._basin(basins, mark, index, reach) for index, mark in enumerate(marks, 2)]

    def _markers(self, stain: Floats, marks: Sequence[Mark], reach: float) -> Labels:
        """Return 1 for the background, and 2 and on for the marks."""
        places = np.array([mark.click for mark in marks]).astype(int)
        clicked = np.zeros(stain.shape, bool)
        clicked[places[:, 1], places[:, 0]] = True
        far = ndimage.distance_transform_edt(~clicked) > reach
        markers = np.asarray(far | (stain < self.pale * threshold_otsu(stain)), np.int32)
        markers[places[:, 1], places[:, 0]] = np.arange(2, len(marks) + 2)
        return markers

    def _basin(self, basins: Floats, mark: Mark, index: int, reach: int) -> Piece | None:
        crop = Crop.about(basins, mark.click, reach)
        return crop.piece(crop.image == index, mark.click)
