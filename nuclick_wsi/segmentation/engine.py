"""The straight line: prompts on a slide go in, and every one comes out as an instance or a named rejection.

plan_views > recall > plan_tiles > read > segmenter.predict > merge > decode_mask > find_competing_neighbours
> settle_overlaps > draw_contours
"""

from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np

from nuclick_wsi.errors import SlideError
from nuclick_wsi.instances import Instance, PromptSet, Reason, Rejection
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import ObjectKind, Prompt, Role
from nuclick_wsi.scale import Grid, PixelSize, Window
from nuclick_wsi.segmentation.arrays import Pixels, Probabilities
from nuclick_wsi.segmentation.blend import blend, resample_probabilities
from nuclick_wsi.segmentation.competing_neighbours import Neighbours, find_competing_neighbours
from nuclick_wsi.segmentation.contours.draw import ContourRule, draw_contours, draw_pixel_edges
from nuclick_wsi.segmentation.contours.outlines import Outline
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, Tile, View, halves, plan_tiles, plan_views
from nuclick_wsi.segmentation.masks import MaskRule, decode_mask, on_object
from nuclick_wsi.segmentation.pipeline import ordered_map
from nuclick_wsi.segmentation.prompt_validation import refuse_duplicates, refuse_misplaced
from nuclick_wsi.segmentation.result_cache import CacheLookup, Decoded, NoCache, ResultCache
from nuclick_wsi.segmentation.segmenter import Segmenter, SegmenterSource, TileImage
from nuclick_wsi.segmentation.settings import Settings, mask_rule
from nuclick_wsi.segmentation.stitch import Patch, settle_overlaps
from nuclick_wsi.slides.resample import choose_level, grid_for, read_window
from nuclick_wsi.slides.slide import Slide, SlideInfo

Progress = Callable[[int], None]
"""Told how many more of the prompts that want an outline are through the network; what it raises ends the work."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How a slide was read for one kind of object."""

    kind: ObjectKind
    level: int
    downsample: float
    """Slide pixels per pixel of the network's grid; below 1 the slide is coarser than the model and was upsampled."""

    @classmethod
    def of(cls, info: SlideInfo, pixel_size: PixelSize, card: ModelCard) -> "Reading":
        """Return how a slide is read for a model."""
        downsample = grid_for(info, pixel_size, card.mpp).downsample
        return cls(card.kind, choose_level(info.levels, downsample), downsample)

    @property
    def upsampled(self) -> bool:
        """Whether the slide is coarser than the model's pixel size."""
        return self.downsample < 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """One instance or one rejection for every prompt that asked for an outline, each sorted by prompt id."""

    instances: tuple[Instance, ...]
    rejections: tuple[Rejection, ...]
    readings: tuple[Reading, ...]


def segment(  # noqa: PLR0913 - the last two have nothing in common with each other, nor with the settings
    slide: Slide,
    prompts: PromptSet,
    segmenters: SegmenterSource,
    pixel_size: PixelSize,
    settings: Settings = Settings(),
    *,
    on_progress: Progress = lambda _: None,
    memory: ResultCache = NoCache(),
) -> Outcome:
    """Segment every prompt on a slide.

    Parameters
    ----------
    slide
        In the frame in which the prompts are drawn.
    segmenters
        Provides one for every kind of object among the prompts, such as a `ModelRegistry`.
    pixel_size
        Of level 0.
    memory
        What is known of the prompts from earlier runs; it decides how fast this is, and no result.
    """
    kept, refused = refuse_misplaced(prompts.prompts, slide.info)
    rejections = list(refused)
    instances: list[Instance] = []
    readings: list[Reading] = []
    for kind in sorted({prompt.kind for prompt in kept if prompt.role is Role.SEGMENT}):
        group = [prompt for prompt in kept if prompt.kind is kind]
        job = _KindJob.plan(slide, pixel_size, segmenters.segmenter(kind), settings, group, memory)
        part, refused = job.run(on_progress)
        instances += part
        rejections += refused
        readings.append(Reading.of(slide.info, pixel_size, job.segmenter.card))
    return Outcome(
        tuple(sorted(instances, key=lambda instance: instance.prompt_id)),
        tuple(sorted([*prompts.rejections, *_findable(rejections, prompts.prompts)], key=lambda one: one.prompt_id)),
        tuple(readings),
    )


@dataclass(frozen=True, slots=True)
class _Look:
    """All that the network sees of one prompt: its probabilities in a window of the kind's own grid."""

    prompt: int
    window: Window
    probabilities: Probabilities


@dataclass(frozen=True, slots=True)
class _Unread:
    """A tile whose pixels could not be had."""

    tile: Tile
    error: SlideError


@dataclass(frozen=True, slots=True)
class _KindJob:
    """The work for one kind of object on one slide."""

    slide: Slide
    pixel_size: PixelSize
    segmenter: Segmenter
    settings: Settings
    grid: Grid
    rule: MaskRule
    signals: SignalField
    duplicates: Sequence[Rejection]
    memory: ResultCache
    failures: list[_Unread] = field(default_factory=list)

    @classmethod
    def plan(
        cls,
        slide: Slide,
        pixel_size: PixelSize,
        segmenter: Segmenter,
        settings: Settings,
        prompts: Sequence[Prompt],
        memory: ResultCache,
    ) -> "_KindJob":
        grid = grid_for(slide.info, pixel_size, segmenter.card.mpp)
        kept, duplicates = refuse_duplicates(prompts, grid)
        rule = mask_rule(segmenter.card, settings.masks, grid)
        return cls(slide, pixel_size, segmenter, settings, grid, rule, SignalField(kept), duplicates, memory)

    def run(self, on_progress: Progress) -> tuple[list[Instance], list[Rejection]]:
        """Take the prompts of this kind down the line."""
        patches, rejections = self._look(self._views(self._wanted), lambda: on_progress(1))
        neighbours = Neighbours.of(self.signals, self.grid, self._spec, self._views)
        competing = find_competing_neighbours(
            patches, neighbours, self.grid, lambda views: self._look(views, lambda: on_progress(0))[0]
        )
        settled, taken = settle_overlaps([*patches, *competing], self.rule.smallest_px)
        by_id = {self.signals.prompts[index].id: self.signals.prompts[index] for index in self._wanted}
        outlines = self._outlines(settled, by_id)
        instances = [
            self._instance(patch, by_id[patch.prompt_id], outlines[patch.prompt_id])
            for patch in settled
            if patch.prompt_id in by_id
        ]
        rejections += [*self.duplicates, *self._unread(), *(one for one in taken if one.prompt_id in by_id)]
        return instances, rejections

    @property
    def _wanted(self) -> list[int]:
        return self.signals.having(Role.SEGMENT)

    @property
    def _spec(self) -> CropSpec:
        return CropSpec(self.segmenter.card.crop_size, self.segmenter.card.mpp)

    def _views(self, prompts: Sequence[int]) -> list[View]:
        return plan_views(self.signals, self.grid, self._spec, self.settings.gland_mode, prompts)

    def _look(self, views: Sequence[View], on_look: Callable[[], None]) -> tuple[list[Patch], list[Rejection]]:
        """Return a mask or a rejection of every prompt that the views are of, unless a tile of it cannot be read."""
        known = CacheLookup.of(self.memory, self.signals, views, self.grid, self.rule)
        planned = plan_tiles(known.unknown, self.settings.tile_size, self.segmenter.around)
        tiles = ordered_map(self._read, planned, self.settings.workers)
        patches: list[Patch] = []
        rejections: list[Rejection] = []
        # Closed, and with it all that feeds it, where the work is stopped in the middle.
        images = self._readable(chain.from_iterable(tiles))
        with closing(self._merged(self.segmenter.predict(images, self.signals), known.unknown)) as looks:
            new = known.remembering(ordered_map(self._decode, looks, self.settings.workers))
            for decoded in chain(known.known, new):
                if isinstance(decoded, Patch):
                    patches.append(decoded)
                else:
                    rejections.append(decoded)
                on_look()
        return patches, rejections

    def _read(self, tile: Tile) -> list[TileImage | _Unread]:
        """Read a tile; one that cannot be read as a whole in parts, down to the pixels that one view needs."""
        try:
            return [TileImage(tile, read_window(self.slide, tile.grid, tile.window))]
        except SlideError as error:
            parts = halves(tile, self.segmenter.around)
            return [_Unread(tile, error)] if parts is None else [*self._read(parts[0]), *self._read(parts[1])]

    def _readable(self, tiles: Iterable[TileImage | _Unread]) -> Iterator[TileImage]:
        for tile in tiles:
            if isinstance(tile, TileImage):
                yield tile
            else:
                self.failures.append(tile)

    def _merged(
        self, looks: Iterable[tuple[View, Probabilities]], views: Sequence[View]
    ) -> Generator[_Look, None, None]:
        """Yield each prompt once all of its views are in, on the kind's own grid."""
        expected = Counter(view.prompt for view in views)
        waiting: dict[int, list[tuple[Window, Probabilities]]] = {}
        for view, probabilities in looks:
            window, fine = view.window, probabilities
            if view.grid != self.grid:
                window, fine = resample_probabilities(probabilities, view.grid, view.window, self.grid)
            seen = waiting.setdefault(view.prompt, [])
            seen.append((window, fine))
            if len(seen) == expected[view.prompt]:
                yield _Look(view.prompt, *blend(waiting.pop(view.prompt)))

    def _decode(self, look: _Look) -> Decoded:
        """Turn one look into a mask cropped to its bounding box, cut off where the slide ends."""
        prompt = self.signals.prompts[look.prompt]
        window = look.window.intersection(self.grid.extent(self.slide.info.size))
        assert window is not None, "a prompt that has a point on the slide has a crop there"
        probabilities = look.probabilities[window.slices_in(look.window)]
        drawn = _inside(self.signals.pixels(look.prompt, self.grid), window) - (window.y, window.x)
        signal = on_object(probabilities, drawn, self.rule)
        mask = decode_mask(probabilities, signal, self.rule)
        if isinstance(mask, Reason):
            return Rejection(prompt.id, mask, self._why_not(mask, probabilities))
        return Patch.cropped(prompt.id, window, mask, probabilities, np.add(signal, (window.y, window.x)))

    def _why_not(self, reason: Reason, probabilities: Probabilities) -> str:
        if reason is Reason.TOO_SMALL:
            return f"fewer than {self.rule.smallest_px} px of the network's grid"
        highest = probabilities.max()
        beside = f" or {self.rule.reach_px} px beside it" if self.rule.reach_px else ""
        sought = f"no probability of {self.rule.threshold:.2f} under the prompt{beside}"
        return f"{sought}; the highest in its crop is {highest:.2f}"

    def _unread(self) -> Iterator[Rejection]:
        """Yield a rejection for every prompt with a view in a tile that could not be read."""
        why = {view.prompt: failure.error for failure in self.failures for view in failure.tile.views}
        for index in sorted(why.keys() & set(self._wanted)):
            yield Rejection(self.signals.prompts[index].id, Reason.UNREADABLE, str(why[index]))

    def _outlines(self, settled: Sequence[Patch], wanted: Collection[str]) -> dict[str, Outline]:
        """Return the outlines of the wanted prompts by their ids."""
        size, chosen = self.slide.info.size, self.settings.outlines
        if not chosen.pixel_edges:
            return draw_contours(settled, wanted, self.grid, size, ContourRule(self.rule.threshold, chosen.tolerance))
        return {one.prompt_id: draw_pixel_edges(one, self.grid, size) for one in settled if one.prompt_id in wanted}

    def _instance(self, patch: Patch, prompt: Prompt, polygon: Outline) -> Instance:
        return Instance(
            prompt_id=prompt.id,
            kind=prompt.kind,
            polygon=polygon,
            class_name=prompt.class_name,
            plane=prompt.plane,
            area_um2=polygon.area * self.pixel_size.area_um2,
            mean_probability=float(patch.probabilities[patch.mask].mean(dtype=np.float64)),
        )


def _findable(rejections: Iterable[Rejection], prompts: Iterable[Prompt]) -> Iterator[Rejection]:
    """Yield rejections with the class, the place and the kind of their prompts."""
    by_id = {prompt.id: prompt for prompt in prompts}
    for rejection in rejections:
        prompt = by_id[rejection.prompt_id]
        yield replace(rejection, class_name=prompt.class_name, position=prompt.signal.strokes[0][0], kind=prompt.kind)


def _inside(pixels: Pixels, window: Window) -> Pixels:
    """Return the pixels, row and column on the grid, that lie in a window."""
    low, high = (window.y, window.x), (window.bottom, window.right)
    return pixels[((pixels >= low) & (pixels < high)).all(axis=1)]
