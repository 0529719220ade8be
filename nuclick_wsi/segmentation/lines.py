"""The strokes of prompts as arrays, and their pixels on a grid: all of them, or those in a window.

What is drawn in many views is rasterized once. A line that goes on far beyond a window is never drawn as a whole there.
"""

import hashlib
import threading
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.prompts import Click, Prompt
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Pixels
from nuclick_wsi.segmentation.signals import most_central, rasterize

_FURTHEST = 1e8
"""Slide pixels at which positions far outside every slide are cut off, so that whole numbers hold them."""

_WHOLE_PX = 4096
"""The longest side of a signal that is drawn as a whole, in grid pixels."""

_KEPT = 4_000_000
"""Pixels of drawn signals that are kept: 64 MB."""

_DIGEST = 16
"""Bytes of a prompt's digest."""

_UNKNOWN = np.iinfo(np.int64).min


class Lines:
    """The strokes of some prompts, each by its prompt's number."""

    def __init__(self, prompts: Sequence[Prompt]) -> None:
        self._prompts = prompts
        self._strokes: dict[int, list[NDArray[np.float64]]] = {}
        self._spans: dict[int, float] = {}
        self._digests = np.zeros((len(prompts), _DIGEST), np.uint8)
        self._has_digest = np.zeros(len(prompts), bool)
        self._centres: dict[float, NDArray[np.int64]] = {}
        self._drawn: dict[tuple[int, float], Pixels] = {}
        self._drawn_pixels = 0
        self._guard = threading.Lock()

    def corners(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the upper left and the lower right corner of every prompt's box, as x and y, shape (n, 2) each."""
        low, high = np.empty((2, len(self._prompts), 2))
        for index, prompt in enumerate(self._prompts):
            if isinstance(prompt.signal, Click):
                low[index] = high[index] = prompt.signal.point.x, prompt.signal.point.y
            else:
                points = np.concatenate(self._of(index))
                low[index], high[index] = points.min(axis=0), points.max(axis=0)
        return low, high

    def pixels(self, index: int, grid: Grid) -> Pixels:
        """Return a prompt's pixels on a grid: int (N, 2), row and column, each once."""
        key = index, grid.downsample
        found = self._drawn.get(key)
        if found is None:
            found = rasterize([stroke / grid.downsample for stroke in self._of(index)])
            self._keep(key, found)
        return found

    def pixels_near(self, index: int, grid: Grid, window: Window) -> Pixels:
        """Return a prompt's pixels as `pixels` does, at least those that lie in a window of the grid."""
        if self._span(index) <= _WHOLE_PX * grid.downsample:
            return self.pixels(index, grid)
        return rasterize([stroke / grid.downsample for stroke in self._of(index)], window)

    def centres(self, indices: NDArray[np.intp], grid: Grid) -> Pixels:
        """Return for each of some prompts the pixel on a grid that is nearest the middle of its pixels.

        Of a prompt that lies in a crop as a whole, that is the pixel that it leaves there.
        """
        known = self._centres.get(grid.downsample)
        if known is None:
            known = self._centres.setdefault(grid.downsample, np.full((len(self._prompts), 2), _UNKNOWN, np.int64))
        for index in indices[known[indices, 0] == _UNKNOWN].tolist():
            pixels = self.pixels(index, grid)
            known[index] = most_central(pixels, np.zeros(len(pixels), np.int64))[0]
        centres: Pixels = known[indices]
        return centres

    def digest(self, indices: NDArray[np.intp]) -> bytes:
        """Return the digests of the role and strokes of some prompts, one after the other."""
        for index in indices[~self._has_digest[indices]].tolist():
            self._digests[index] = np.frombuffer(self._digest_of(index), np.uint8)
            self._has_digest[index] = True
        return self._digests[indices].tobytes()

    def _digest_of(self, index: int) -> bytes:
        digest = hashlib.blake2b(self._prompts[index].role.value.encode(), digest_size=_DIGEST)
        for stroke in self._of(index):
            digest.update(f"{len(stroke)};".encode() + stroke.tobytes())
        return digest.digest()

    def _span(self, index: int) -> float:
        """Return the longest side of the box around any stroke of a prompt, in slide pixels."""
        if index not in self._spans:
            self._spans[index] = max(float(np.ptp(stroke, axis=0).max()) for stroke in self._of(index))
        return self._spans[index]

    def _of(self, index: int) -> list[NDArray[np.float64]]:
        """Return a prompt's strokes, each (M, 2), x and y in slide pixels."""
        if index not in self._strokes:
            strokes = self._prompts[index].signal.strokes
            drawn = [np.array([(point.x, point.y) for point in stroke], np.float64) for stroke in strokes]
            self._strokes[index] = [np.clip(stroke, -_FURTHEST, _FURTHEST) for stroke in drawn]
        return self._strokes[index]

    def _keep(self, key: tuple[int, float], pixels: Pixels) -> None:
        with self._guard:
            self._drawn_pixels += len(pixels) - len(self._drawn.pop(key, ()))
            self._drawn[key] = pixels
            while self._drawn_pixels > _KEPT:
                self._drawn_pixels -= len(self._drawn.pop(next(iter(self._drawn))))
