"""GrabCut (C. Rother et al., 2004), by OpenCV: a box about the object, and a squiggle in it that is surely object."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nuclick_training.comparison.marks import Mark
from nuclick_training.comparison.system import Piece
from nuclick_training.datasets.data import Rgb
from nuclick_training.evaluation.metrics import Floats
from nuclick_training.sampling.squiggles import Mask, Strokes
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.segmentation.signals import rasterize


@dataclass(frozen=True, slots=True)
class GrabCut:
    """Cuts each box into object and background by their colours."""

    margin: float = 0.2
    """How much of the surroundings is looked at, as a share of the box's larger side."""
    iterations: int = 5
    name: str = "GrabCut"
    action: str = "a box and a squiggle"

    def outline(self, image: Rgb, mpp: float, marks: Sequence[Mark]) -> list[Piece | None]:
        """Return what is object in each mark's box."""
        return [self._cut(image, mark) for mark in marks]

    def _cut(self, image: Rgb, mark: Mark) -> Piece | None:
        left, top, right, bottom = (int(value) for value in mark.box)
        margin = int(self.margin * max(right - left, bottom - top)) + 2
        row, column = max(0, top - margin), max(0, left - margin)
        part = image[row : bottom + margin, column : right + margin]
        strokes = [stroke - (column, row) for stroke in mark.strokes]
        mask = _segmented(part, mark.box - (column, row, column, row), strokes, self)
        return Piece(row, column, mask) if mask.any() else None


def _segmented(part: Rgb, box: Floats, strokes: Strokes, asked: GrabCut) -> Mask:
    try:
        import cv2  # noqa: PLC0415 - an extra that nothing else needs
    except ImportError as error:
        raise SettingsError('GrabCut needs OpenCV: pip install "nuclick-wsi[compare]".') from error
    left, top, right, bottom = (int(value) for value in box)
    state = np.full(part.shape[:2], cv2.GC_BGD, np.uint8)
    state[top:bottom, left:right] = cv2.GC_PR_FGD
    pixels = rasterize(strokes)
    pixels = pixels[((pixels >= 0) & (pixels < part.shape[:2])).all(axis=1)]
    state[tuple(pixels.T)] = cv2.GC_FGD
    cv2.setRNGSeed(0)
    inside, outside = np.zeros((1, 65)), np.zeros((1, 65))
    image, no_box = np.ascontiguousarray(part[..., ::-1]), (0, 0, 0, 0)
    cv2.grabCut(image, state, no_box, inside, outside, asked.iterations, cv2.GC_INIT_WITH_MASK)
    return np.isin(state, (cv2.GC_FGD, cv2.GC_PR_FGD))
