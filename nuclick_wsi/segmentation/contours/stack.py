"""Patches one below the other in one array, so that one pass of NumPy traces them all.

The masks and the probabilities of settled patches are in one array each, which knows the way back to the grid.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.segmentation.arrays import Mask, Probabilities
from nuclick_wsi.segmentation.patch import Patch

Positions = NDArray[np.int64]
"""Whole pixels or corners as x, y, shape (N, 2)."""


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """Patches without a common pixel, each below the one before it, with a free row and column around each.

    Attributes
    ----------
    masks, probabilities
        Shape (H, W); the probabilities are NaN outside the patches' windows.
    origins
        Where the array's pixel (0, 0) lies on the grid for each patch, as x, y.
    tops
        The array's row in which each patch begins.
    ranks
        The place of each patch among all, sorted by prompt id.
    """

    patches: Sequence[Patch]
    masks: Mask
    probabilities: Probabilities
    origins: Positions
    tops: NDArray[np.int64]
    ranks: NDArray[np.int64]

    @classmethod
    def of(cls, patches: Sequence[Patch]) -> "Stack":
        """Return the stack of at least one patch."""
        heights = np.array([patch.window.height + 1 for patch in patches])
        tops = np.cumsum(heights) - heights + 1
        shape = int(heights.sum()) + 1, max(patch.window.width for patch in patches) + 2
        masks, probabilities = np.zeros(shape, np.bool_), np.full(shape, np.nan, np.float32)
        for patch, top in zip(patches, tops.tolist(), strict=True):
            place = slice(top, top + patch.window.height), slice(1, 1 + patch.window.width)
            masks[place], probabilities[place] = patch.mask, patch.probabilities
        corners = np.array([(patch.window.x - 1, patch.window.y) for patch in patches])
        corners[:, 1] -= tops
        ranks = np.empty(len(patches), np.int64)
        ranks[sorted(range(len(patches)), key=lambda index: patches[index].prompt.id)] = np.arange(len(patches))
        return cls(patches, masks, probabilities, corners, tops, ranks)

    def owners(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the patch that each row of the array, or the corner at its top, belongs to."""
        found: NDArray[np.int64] = np.searchsorted(self.tops, rows, side="right") - 1
        return found

    def probability(self, owners: NDArray[np.int64], pixels: Positions) -> NDArray[np.float64]:
        """Return patches' probabilities of pixels of the grid in or just beside their windows; NaN beside them."""
        columns, rows = (pixels - self.origins[owners]).T
        said: NDArray[np.float64] = self.probabilities[rows, columns].astype(np.float64)
        return said
