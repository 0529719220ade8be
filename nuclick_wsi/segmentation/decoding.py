"""From probabilities to masks before overlaps are settled: threshold, cut off where the slide ends, look again.

`prediction` feeds it with the probabilities of prompts as they come from the network.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from operator import not_

import numpy as np

from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Mask, Pixels, Probabilities
from nuclick_wsi.segmentation.clicked_parts import decode_clicks
from nuclick_wsi.segmentation.crops import SignalField, View, wider_view
from nuclick_wsi.segmentation.masks import MaskRule, decode_mask, on_object, with_added, without_excluded
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.pipeline import gathered, ordered_map
from nuclick_wsi.segmentation.result_cache import Result

_DECODED_AT_ONCE = 32
_DECODED_AFTER = 0.05
"""Seconds in which objects come that are decoded together."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The probabilities of one prompt from all of its views, in a window of the kind's own grid; `view` is the last."""

    view: View
    window: Window
    probabilities: Probabilities


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is on the slide of a prompt's window, and its signal there, moved onto an object beside it.

    Attributes
    ----------
    whole, window
        The prompt's window, and what the slide has of it, which the probabilities fill.
    signal
        Rows and columns in the window.
    """

    view: View
    whole: Window
    window: Window
    probabilities: Probabilities
    signal: Pixels

    def is_click_on_object(self, threshold: float) -> bool:
        """Whether the signal is one pixel, as probable as that."""
        return len(self.signal) == 1 and bool(self.probabilities[tuple(self.signal[0])] >= threshold)


@dataclass(frozen=True, slots=True)
class Decoder:
    """Decodes the prompts of one kind on one slide.

    Attributes
    ----------
    extent
        The slide on the grid.
    workers
        Threads for large objects.
    looks_again
        Whether objects that reach the border of their crop are looked at again in a wider one.
    """

    signals: SignalField
    grid: Grid
    extent: Window
    rule: MaskRule
    workers: int
    looks_again: bool

    def decoded(self, merged: Iterable[Merged]) -> Iterator[Result | View]:
        """Yield what becomes of each prompt; a gland that goes on beyond its crop gets a wider view, if there is one.

        Glands are large, and each is worked on by a thread; other objects take less than what threads cost.
        """
        if self.looks_again:
            yield from ordered_map(lambda one: self._decode(*self._seen([one])), merged, self.workers)
            return
        for some in gathered(merged, _DECODED_AT_ONCE, _DECODED_AFTER):
            yield from self._decode_together(self._seen(some))

    def _seen(self, merged: Sequence[Merged]) -> list[_Seen]:
        """Return what is seen of prompts, cut off where the slide ends, without what the user excludes."""
        prompts = [one.view.prompt for one in merged]
        spots, is_click = self.signals.spots(prompts, self.grid), self.signals.are_clicks(prompts).tolist()
        found = []
        for number, one in enumerate(merged):
            window = one.window.intersection(self.extent)
            assert window is not None, "a prompt that has a point on the slide has a crop there"
            corner = window.y, window.x
            pixels = spots[number : number + 1] if is_click[number] else self.signals.pixels(prompts[number], self.grid)
            drawn = _inside(pixels, window) - corner
            probabilities = with_added(one.probabilities[window.slices_in(one.window)], drawn, self.rule)
            if self.signals.has_excluding:
                excluded = _inside(self.signals.excluded(one.view, self.grid), window) - corner
                probabilities = without_excluded(probabilities, excluded, drawn, self.rule)
            signal = on_object(probabilities, drawn, self.rule)
            found.append(_Seen(one.view, one.window, window, probabilities, signal))
        return found

    def _decode_together(self, seen: Sequence[_Seen]) -> Iterator[Result | View]:
        """Yield what `_decode` makes of each, clicks that lie on something first."""
        hit = [one.is_click_on_object(self.rule.threshold) for one in seen]
        if clicked := list(compress(seen, hit)):
            clicks = np.concatenate([one.signal for one in clicked])
            parts = decode_clicks([one.probabilities for one in clicked], clicks, self.rule)
            for one, part in zip(clicked, parts, strict=True):
                prompt, place = self.signals.prompts[one.view.prompt], one.window
                if part is None:
                    yield self._rejected(one, Reason.TOO_SMALL)
                    continue
                window = Window(place.x + part.column, place.y + part.row, *part.mask.shape[::-1])
                patch = Patch(prompt, window, part.mask, part.probabilities, np.add(one.signal, (place.y, place.x)))
                yield Result(prompt, patch, looked_again=False)
        for one in compress(seen, map(not_, hit)):
            yield self._decode(one)

    def _decode(self, seen: _Seen) -> Result | View:
        """Turn probabilities into a mask cropped to its bounding box."""
        prompt, window = self.signals.prompts[seen.view.prompt], seen.window
        mask = decode_mask(seen.probabilities, seen.signal, self.rule)
        if isinstance(mask, Reason):
            return self._rejected(seen, mask)
        if wider := self._wider(seen.view, mask, seen.whole, window):
            return wider
        patch = Patch.cropped(prompt, window, mask, seen.probabilities, np.add(seen.signal, (window.y, window.x)))
        return Result(prompt, patch, looked_again=seen.view.look > 0)

    def _rejected(self, seen: _Seen, reason: Reason) -> Result:
        prompt = self.signals.prompts[seen.view.prompt]
        rejection = Rejection.of(prompt, reason, _why_not(reason, seen.probabilities, self.rule))
        return Result(prompt, rejection, looked_again=seen.view.look > 0)

    def _wider(self, view: View, mask: Mask, seen: Window, window: Window) -> View | None:
        """Return a wider view of a gland whose mask reaches the border of what was seen of the slide.

        Parameters
        ----------
        mask
            Fills `window`, which is what the slide has of `seen`.
        """
        if not self.looks_again:
            return None
        pixels = np.add(np.argwhere(mask), (window.y, window.x))
        low, high = pixels.min(axis=0), pixels.max(axis=0)
        touched = (low[1] == window.x, low[0] == window.y, high[1] + 1 == window.right, high[0] + 1 == window.bottom)
        ends = self.extent.edges
        goes_on = (own == cut != end for own, cut, end in zip(window.edges, seen.edges, ends, strict=True))
        if not any(touches and more for touches, more in zip(touched, goes_on, strict=True)):
            return None
        drawn = self.signals.pixels(view.prompt, self.grid)
        box = np.array([np.minimum(low, drawn.min(axis=0)), np.maximum(high, drawn.max(axis=0))])
        return wider_view(view, (box + 0.5) * self.grid.downsample)


def _why_not(reason: Reason, probabilities: Probabilities, rule: MaskRule) -> str:
    if reason is Reason.TOO_SMALL:
        return f"fewer than {rule.smallest_px} px of the network's grid"
    highest = probabilities.max()
    beside = f" or {rule.reach_px} px beside it" if rule.reach_px else ""
    sought = f"no probability of {rule.threshold:.2f} under the prompt{beside}"
    return f"{sought}; the highest in its crop is {highest:.2f}"


def _inside(pixels: Pixels, window: Window) -> Pixels:
    """Return the pixels, row and column on the grid, that lie in a window."""
    low, high = (window.y, window.x), (window.bottom, window.right)
    return pixels[((pixels >= low) & (pixels < high)).all(axis=1)]
