"""From views to masks: look up earlier results, read tiles, run the network, blend, decode.

Every prompt of the views becomes a patch, cropped to its mask, or a rejection. Overlaps are settled later.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, compress
from operator import not_

import numpy as np

from nuclick_wsi.choices import GlandMode
from nuclick_wsi.errors import SlideError
from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Mask, Pixels, Probabilities
from nuclick_wsi.segmentation.blend import blend, resample_probabilities
from nuclick_wsi.segmentation.clicked_parts import decode_clicks
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, View, plan_views, wider_view
from nuclick_wsi.segmentation.masks import MaskRule, decode_mask, on_object, without_excluded
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.pipeline import gathered, ordered_map
from nuclick_wsi.segmentation.result_cache import CacheLookup, Decoded, Result, ResultCache
from nuclick_wsi.segmentation.segmenter import Segmenter, TileImage
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.segmentation.tiles import Tile, halves, plan_tiles
from nuclick_wsi.slides.resample import read_window
from nuclick_wsi.slides.slide import Slide

_DECODED_AT_ONCE = 32
_DECODED_AFTER = 0.05
"""Seconds in which objects come that are decoded together."""

_LOOKED_AT_AGAIN_AT_ONCE = 32
"""Glands that wait for a wider look at most: what waits is lost where a run is killed."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """A patch or a rejection of every prompt."""

    patches: list[Patch]
    rejections: list[Rejection]


@dataclass(frozen=True, slots=True)
class _Merged:
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
class _UnreadTile:
    """A tile whose pixels cannot be read."""

    tile: Tile
    error: SlideError


@dataclass(frozen=True, slots=True)
class MaskPredictor:
    """Predicts the masks of prompts of one kind on one slide, before overlaps are settled."""

    slide: Slide
    segmenter: Segmenter
    settings: Settings
    signals: SignalField
    grid: Grid
    rule: MaskRule
    cache: ResultCache

    @property
    def spec(self) -> CropSpec:
        """The crop that the network takes."""
        return CropSpec(self.segmenter.card.crop_size, self.segmenter.card.mpp)

    @property
    def looks_again(self) -> bool:
        """Whether objects that reach the border of their crop are looked at again in a wider one."""
        return self.segmenter.card.kind is ObjectKind.GLAND and self.settings.gland_mode is GlandMode.CROP

    def views(self, prompts: Sequence[int]) -> list[View]:
        """Return the views of prompts with these indices."""
        return plan_views(self.signals, self.grid, self.spec, self.settings.gland_mode, prompts)

    def predict(self, views: Sequence[View], on_done: Callable[[], None]) -> Predictions:
        """Return a patch or a rejection of every prompt that the views are of.

        Parameters
        ----------
        views
            All views of each of these prompts.
        on_done
            Called with every prompt whose pixels could be read; what it raises ends the work.
        """
        lookup = CacheLookup.of(self.cache, self.signals, views, self.grid, self.rule)
        unread: list[_UnreadTile] = []
        found: list[Decoded] = []
        # Closed, and with it all that feeds it, where the work is stopped in the middle.
        with closing(self._results(lookup.missing, unread)) as new:
            for decoded in chain(lookup.found, lookup.storing(new)):
                found.append(decoded)
                on_done()
        rejections = [one for one in found if isinstance(one, Rejection)]
        return Predictions([one for one in found if isinstance(one, Patch)], [*rejections, *self._unread(unread)])

    def _results(self, views: Sequence[View], unread: list[_UnreadTile]) -> Generator[Result, None, None]:
        """Yield the result of every prompt of some views; glands that reach their border are looked at again."""
        planned = plan_tiles(views, self.settings.tile_size, self.segmenter.around)
        tiles = chain.from_iterable(ordered_map(self._read, planned, self.settings.workers))
        probabilities = self.segmenter.predict(_readable(tiles, unread), self.signals)
        wider: list[View] = []
        with closing(self._merged(probabilities, views)) as merged:
            for result in self._decoded(merged):
                if isinstance(result, View):
                    wider.append(result)
                else:
                    yield result
                if len(wider) == _LOOKED_AT_AGAIN_AT_ONCE:
                    yield from self._results(wider, unread)
                    wider = []
        if wider:
            yield from self._results(wider, unread)

    def _read(self, tile: Tile) -> list[TileImage | _UnreadTile]:
        """Read a tile; one that cannot be read as a whole in parts, down to the pixels that one view needs."""
        try:
            return [TileImage(tile, read_window(self.slide, tile.grid, tile.window))]
        except SlideError as error:
            parts = halves(tile, self.segmenter.around)
            return [_UnreadTile(tile, error)] if parts is None else [*self._read(parts[0]), *self._read(parts[1])]

    def _merged(
        self, predictions: Iterable[tuple[View, Probabilities]], views: Sequence[View]
    ) -> Generator[_Merged, None, None]:
        """Yield each prompt once the probabilities of all of its views are there, on the kind's own grid."""
        expected = Counter(view.prompt for view in views)
        waiting: dict[int, list[tuple[Window, Probabilities]]] = {}
        for view, probabilities in predictions:
            window, fine = view.window, probabilities
            if view.grid != self.grid:
                extent = self.grid.extent(self.slide.info.size)
                window, fine = resample_probabilities(probabilities, view.grid, view.window, self.grid, extent)
            parts = waiting.setdefault(view.prompt, [])
            parts.append((window, fine))
            if len(parts) == expected[view.prompt]:
                yield _Merged(view, *blend(waiting.pop(view.prompt)))

    def _decoded(self, merged: Iterable[_Merged]) -> Iterator[Result | View]:
        """Yield what becomes of each prompt; a gland that goes on beyond its crop gets a wider view, if there is one.

        Glands are large, and each is worked on by a thread; other objects take less than what threads cost.
        """
        if self.looks_again:
            yield from ordered_map(lambda one: self._decode(*self._seen([one])), merged, self.settings.workers)
            return
        for some in gathered(merged, _DECODED_AT_ONCE, _DECODED_AFTER):
            yield from self._decode_together(self._seen(some))

    def _seen(self, merged: Sequence[_Merged]) -> list[_Seen]:
        """Return what is seen of prompts, cut off where the slide ends, without what the user excludes."""
        extent = self.grid.extent(self.slide.info.size)
        prompts = [one.view.prompt for one in merged]
        spots, is_click = self.signals.spots(prompts, self.grid), self.signals.are_clicks(prompts).tolist()
        found = []
        for number, one in enumerate(merged):
            window = one.window.intersection(extent)
            assert window is not None, "a prompt that has a point on the slide has a crop there"
            corner = window.y, window.x
            pixels = spots[number : number + 1] if is_click[number] else self.signals.pixels(prompts[number], self.grid)
            drawn = _inside(pixels, window) - corner
            probabilities = one.probabilities[window.slices_in(one.window)]
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
        ends = self.grid.extent(self.slide.info.size).edges
        goes_on = (own == cut != end for own, cut, end in zip(window.edges, seen.edges, ends, strict=True))
        if not any(touches and more for touches, more in zip(touched, goes_on, strict=True)):
            return None
        drawn = self.signals.pixels(view.prompt, self.grid)
        box = np.array([np.minimum(low, drawn.min(axis=0)), np.maximum(high, drawn.max(axis=0))])
        return wider_view(view, (box + 0.5) * self.grid.downsample)

    def _unread(self, unread: Iterable[_UnreadTile]) -> Iterator[Rejection]:
        """Yield a rejection for every prompt with a view in a tile that could not be read."""
        errors = {view.prompt: one.error for one in unread for view in one.tile.views}
        for index in sorted(errors):
            yield Rejection.of(self.signals.prompts[index], Reason.UNREADABLE, str(errors[index]))


def _readable(tiles: Iterable[TileImage | _UnreadTile], unread: list[_UnreadTile]) -> Iterator[TileImage]:
    """Yield the tiles that could be read, and put the others into a list."""
    for tile in tiles:
        if isinstance(tile, TileImage):
            yield tile
        else:
            unread.append(tile)


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
