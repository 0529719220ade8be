"""Active contours without edges (T. Chan and L. Vese, 2001).

They begin as a circle of 3 pixels about the click, as in the paper, and move by the morphological form of scikit-image
(P. Marquez-Neila et al., 2014), in a crop about the click.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skimage.segmentation import morphological_chan_vese

from nuclick_training.comparison.marks import Mark
from nuclick_training.comparison.staining import hematoxylin
from nuclick_training.comparison.system import Crop, Piece
from nuclick_training.datasets.data import Rgb

FIRST_RADIUS = 3


@dataclass(frozen=True, slots=True)
class ActiveContour:
    """Moves a circle about each click until inside and outside are most alike within themselves."""

    smoothing_um: float = 0.25
    reach_um: float = 8.0
    iterations: int = 30
    smooth: int = 1
    """How often the contour is smoothed in each iteration."""
    name: str = "active contour"
    action: str = "one click"

    def outline(self, image: Rgb, mpp: float, marks: Sequence[Mark]) -> list[Piece | None]:
        """Return what is inside of the contour of each mark."""
        stain = hematoxylin(image, self.smoothing_um / mpp)
        reach = int(self.reach_um / mpp)
        return [self._inside(Crop.about(stain, mark.click, reach), mark) for mark in marks]

    def _inside(self, crop: Crop, mark: Mark) -> Piece | None:
        rows, columns = np.indices(crop.image.shape)
        row, column = crop.pixel(mark.click)
        circle = (rows - row) ** 2 + (columns - column) ** 2 <= FIRST_RADIUS**2
        level = morphological_chan_vese(crop.image, self.iterations, circle, self.smooth)
        return crop.piece(level > 0, mark.click)
