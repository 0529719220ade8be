"""From views to masks: look up earlier results, read tiles, run the network, blend, decode.

Every prompt of the views becomes a patch, cropped to its mask, or a rejection. Overlaps are settled later.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import chain

from nuclick_wsi.choices import GlandMode
from nuclick_wsi.errors import SlideError
from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Probabilities
from nuclick_wsi.segmentation.blend import blend, resample_probabilities
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, View, plan_views
from nuclick_wsi.segmentation.decoding import Decoder, Merged
from nuclick_wsi.segmentation.masks import MaskRule
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.pipeline import ordered_map
from nuclick_wsi.segmentation.result_cache import CacheLookup, Decoded, Result, ResultCache
from nuclick_wsi.segmentation.segmenter import Segmenter, TileImage
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.segmentation.tiles import Tile, halves, plan_tiles
from nuclick_wsi.slides.resample import read_window
from nuclick_wsi.slides.slide import Slide

_LOOKED_AT_AGAIN_AT_ONCE = 32
"""Glands that wait for a wider look at most: what waits is lost where a run is killed."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """A patch or a rejection of every prompt."""

    patches: list[Patch]
    rejections: list[Rejection]


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
    def _decoder(self) -> Decoder:
        extent = self.grid.extent(self.slide.info.size)
        return Decoder(self.signals, self.grid, extent, self.rule, self.settings.workers, self.looks_again)

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
            for result in self._decoder.decoded(merged):
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
    ) -> Generator[Merged, None, None]:
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
                yield Merged(view, *blend(waiting.pop(view.prompt)))

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
