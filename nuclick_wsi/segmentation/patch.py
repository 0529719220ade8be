"""A prompt with its mask, before and after overlaps are settled."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from nuclick_wsi.prompts import Prompt
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Mask, Pixels, Probabilities
from nuclick_wsi.segmentation.masks import bounding_box, dilated


@dataclass(frozen=True, slots=True, eq=False)
class Patch:
    """The mask of one prompt in its place on the grid, with its probabilities.

    `mask` and `probabilities`, float32 in [0, 1], fill `window`; probabilities have a meaning in the mask and
    in the eight neighbours of its pixels alone. `signal` holds the prompt's own pixels as row and column *on the
    grid*, shape (N, 2); some may lie outside the window.
    """

    prompt: Prompt
    window: Window
    mask: Mask
    probabilities: Probabilities
    signal: Pixels

    def __post_init__(self) -> None:
        if self.mask.shape != self.window.shape or self.probabilities.shape != self.window.shape:
            raise ValueError(
                f"a mask of shape {self.mask.shape} and probabilities of shape {self.probabilities.shape} "
                f"do not fill a window of shape {self.window.shape}"
            )

    @classmethod
    def cropped(
        cls, prompt: Prompt, window: Window, mask: Mask, probabilities: Probabilities, signal: Pixels
    ) -> "Patch":
        """Return the patch of a mask's bounding box and one pixel around it, as far as the window goes.

        It shares no memory with the crop that it is cut from. An outline runs between the mask's pixels and their
        neighbours, so these keep their probabilities; all others become 0, as they are when a patch is recalled.
        """
        box = bounding_box(mask)
        if box is None:
            raise ValueError(f"the mask of prompt {prompt.id} is empty")
        rows, columns = box
        tight = Window(
            window.x + columns.start, window.y + rows.start, columns.stop - columns.start, rows.stop - rows.start
        )
        kept = tight.widened.intersection(window)
        assert kept is not None, "the box of a mask lies in its window"
        place = kept.slices_in(window)
        own = mask[place].copy()
        return cls(prompt, kept, own, np.where(dilated(own), probabilities[place], np.float32(0)), signal)

    def shares_pixel_with(self, other: "Patch") -> bool:
        """Whether both masks have some pixel."""
        return _have_common(self.window, self.mask, other)

    def touches(self, other: "Patch") -> bool:
        """Whether both masks have some pixel, or pixels side by side or corner to corner."""
        return _have_common(self.window.widened, dilated(np.pad(self.mask, 1)), other)

    def signal_in(self, window: Window) -> Pixels:
        """Return the signal's pixels inside a window, as row and column of an array that fills it."""
        pixels = self.signal - (window.y, window.x)
        return pixels[((pixels >= 0) & (pixels < window.shape)).all(axis=1)]

    def distances_to_signal(self, positions: Pixels) -> NDArray[np.float64]:
        """Return how far pixels on the grid, shape (N, 2), are from the nearest of the signal, in pixels."""
        if len(self.signal) == 1:
            distances: NDArray[np.float64] = np.sqrt(((positions - self.signal) ** 2).sum(axis=1))
        else:
            distances = cKDTree(self.signal).query(positions)[0]
        return distances


def _have_common(window: Window, mask: Mask, other: Patch) -> bool:
    shared = window.intersection(other.window)
    if shared is None:
        return False
    return bool((mask[shared.slices_in(window)] & other.mask[shared.slices_in(other.window)]).any())
