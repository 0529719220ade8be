"""A disc about each click, all of one size: what no system may be worse than."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuclick_training.comparison.marks import Mark
from nuclick_training.comparison.system import Crop, Piece
from nuclick_training.datasets.data import Rgb


@dataclass(frozen=True, slots=True)
class Disc:
    """Discs of the median size of the objects that are known."""

    radius_um: float
    name: str = "disc of median size"
    action: str = "one click"

    def outline(self, image: Rgb, mpp: float, marks: Sequence[Mark]) -> list[Piece | None]:
        """Return a disc for each mark."""
        radius = self.radius_um / mpp
        blank = np.zeros(image.shape[:2])
        return [self._disc(Crop.about(blank, mark.click, int(radius) + 1), mark, radius) for mark in marks]

    def _disc(self, crop: Crop, mark: Mark, radius: float) -> Piece | None:
        rows, columns = np.indices(crop.image.shape)
        x, y = mark.click - (crop.column, crop.row) - 0.5
        return crop.piece((rows - y) ** 2 + (columns - x) ** 2 <= radius**2, mark.click)
