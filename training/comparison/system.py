"""What a system is to the bench: it gets an image and the marks of all its objects, and returns a mask for each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import ndimage

from nuclick_training.comparison.marks import Mark
from nuclick_training.datasets.data import Labels, Rgb
from nuclick_training.evaluation.metrics import Floats
from nuclick_training.sampling.squiggles import Mask


@dataclass(frozen=True, slots=True)
class Piece:
    """The mask of one object, and the row and column of the image at which its array begins."""

    row: int
    column: int
    mask: Mask


class System(Protocol):
    """An interactive way to outline objects."""

    @property
    def name(self) -> str:
        """Its name in tables."""
        ...

    @property
    def action(self) -> str:
        """What the user does for one object."""
        ...

    def outline(self, image: Rgb, mpp: float, marks: Sequence[Mark]) -> list[Piece | None]:
        """Return a mask for each mark, or None where it finds nothing.

        Parameters
        ----------
        image
            (H, W, 3) uint8.
        mpp
            Microns per pixel.
        marks
            Of all objects in the image that are asked for.
        """
        ...


def painted(pieces: Sequence[Piece | None], marks: Sequence[Mark], shape: tuple[int, int]) -> Labels:
    """Return pieces as an instance map (H, W) int32 with the objects' numbers; the first of two has a shared pixel."""
    labels = np.zeros(shape, np.int32)
    for piece, mark in zip(pieces, marks, strict=True):
        if piece is None:
            continue
        rows, columns = piece.mask.shape
        place = labels[piece.row : piece.row + rows, piece.column : piece.column + columns]
        place[piece.mask & (place == 0)] = mark.number
    return labels


@dataclass(frozen=True, slots=True)
class Crop:
    """A square part of an image about a place, as far as the image reaches."""

    row: int
    column: int
    image: Floats

    @classmethod
    def about(cls, image: Floats, place: Floats, reach: int) -> "Crop":
        """Return the part of an image (H, W) or (H, W, C) within `reach` pixels of the pixel that a place is in."""
        column, row = (int(value) for value in place)
        top, left = max(0, row - reach), max(0, column - reach)
        return cls(top, left, image[top : row + reach + 1, left : column + reach + 1])

    def pixel(self, place: Floats) -> tuple[int, int]:
        """Return row and column in the crop of the pixel that a place is in."""
        return int(place[1]) - self.row, int(place[0]) - self.column

    def piece(self, mask: Mask, place: Floats) -> Piece | None:
        """Return the connected part of a mask of the crop that has the pixel of a place; None where it has none."""
        numbered, _ = ndimage.label(mask)
        own = numbered[self.pixel(place)]
        return Piece(self.row, self.column, ndimage.binary_fill_holes(numbered == own)) if own else None
