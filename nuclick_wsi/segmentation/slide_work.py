"""The work on one slide, as a stream: instances and rejections leave as soon as nothing can change them any more.

The prompts of one kind of object are taken region by region, so that memory holds a few regions and not the slide.
docs/architecture.md names the steps in order.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nuclick_wsi.geometry import Size
from nuclick_wsi.instances import Instance, PromptSet, Rejection
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import ObjectKind, Prompt, Role
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.competing_neighbours import Neighbours, find_competing_neighbours
from nuclick_wsi.segmentation.contours.draw import ContourRule, draw_contours, draw_pixel_edges
from nuclick_wsi.segmentation.contours.outlines import Outline
from nuclick_wsi.segmentation.crops import SignalField
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.prediction import MaskPredictor
from nuclick_wsi.segmentation.prompt_validation import refuse_duplicates, refuse_long_lines, refuse_misplaced
from nuclick_wsi.segmentation.result_cache import ResultCache
from nuclick_wsi.segmentation.route import AT_ONCE, Numbers, Route
from nuclick_wsi.segmentation.segmenter import Segmenter, SegmenterSource
from nuclick_wsi.segmentation.settings import Settings, mask_rule
from nuclick_wsi.segmentation.settling import Settled, Settler
from nuclick_wsi.segmentation.steps import OnStep, nobody
from nuclick_wsi.segmentation.sureness import expected_dice, sureness
from nuclick_wsi.slides.resample import grid_for
from nuclick_wsi.slides.slide import Slide

End = Instance | Rejection
"""What a prompt ends as."""

Progress = Callable[[int], None]
"""Called with how many more of the prompts that want an outline have their result; what it raises ends the work."""


@dataclass(frozen=True, slots=True)
class SlideWork:
    """What the kinds of object on one slide have in common.

    Attributes
    ----------
    on_step
        Is told how far the settling of many overlaps is, for which the last prompts that are done have to wait.
    at_once
        Prompts of a region: memory grows with it, and no result depends on it.
    """

    slide: Slide
    segmenters: SegmenterSource
    pixel_size: PixelSize
    settings: Settings
    cache: ResultCache
    on_progress: Progress
    on_step: OnStep = nobody
    at_once: int = AT_ONCE

    def ends_of(self, prompts: PromptSet) -> Iterator[End]:
        """Yield one instance or one rejection for every prompt that asks for an outline, in no certain order."""
        kept, misplaced = refuse_misplaced(prompts.prompts, self.slide.info)
        yield from prompts.rejections
        yield from self._done(misplaced)
        for kind in _kinds_of(kept):
            of_kind = [prompt for prompt in kept if prompt.kind is kind]
            yield from self._ends_of_kind(of_kind, self.segmenters.segmenter(kind))

    def _done(self, rejections: Sequence[Rejection]) -> Sequence[Rejection]:
        """Return rejections of prompts that are done before anything is read."""
        if rejections:
            self.on_progress(len(rejections))
        return rejections

    def kinds_of(self, prompts: PromptSet) -> list[ObjectKind]:
        """Return the kinds of object of which an outline is asked for on the slide."""
        return _kinds_of(refuse_misplaced(prompts.prompts, self.slide.info)[0])

    def _ends_of_kind(self, prompts: Sequence[Prompt], segmenter: Segmenter) -> Iterator[End]:
        grid = grid_for(self.slide.info, self.pixel_size, segmenter.card.mpp)
        short, too_long = refuse_long_lines(prompts, grid, segmenter.card.crop_size)
        kept, duplicates = refuse_duplicates(short, grid)
        yield from self._done([*too_long, *duplicates])
        rule = mask_rule(segmenter.card, self.settings.masks, grid)
        signals = SignalField(kept)
        predictor = MaskPredictor(self.slide, segmenter, self.settings, signals, grid, rule, self.cache)
        drawing = _Drawing(predictor, self.slide.info.size, self.pixel_size.area_um2)
        settler = Settler(rule.smallest_px, self.on_step)
        yield from _KindWork(predictor, drawing, settler, self.on_progress, self.at_once).ends()


def _kinds_of(prompts: Sequence[Prompt]) -> list[ObjectKind]:
    return sorted({prompt.kind for prompt in prompts if prompt.role is Role.SEGMENT})


class _KindWork:
    """The way of one kind's prompts through the regions of the slide."""

    def __init__(
        self, predictor: MaskPredictor, drawing: "_Drawing", settler: Settler, on_progress: Progress, at_once: int
    ) -> None:
        signals, grid = predictor.signals, predictor.grid
        wanted = np.array(signals.having(Role.SEGMENT), np.int64)
        reach = signals.reach(wanted, grid, predictor.spec, wider_looks=predictor.looks_again)
        self._predictor, self._drawing, self._settler = predictor, drawing, settler
        self._on_progress = on_progress
        self._route = Route.through(wanted, reach, grid.downsample, at_once)
        self._neighbours = Neighbours.of(
            signals, grid, predictor.spec, predictor.views, wider_looks=predictor.looks_again
        )
        self._competing: set[int] = set()

    def ends(self) -> Iterator[End]:
        """Yield what each prompt ends as."""
        for number, region in enumerate(self._route.regions):
            found = self._predictor.predict(self._predictor.views(region.tolist()), partial(self._on_progress, 1))
            yield from found.rejections
            patches = [*found.patches, *self._competing_with(found.patches)]
            self._settler.add(patches, self._last_to_touch(patches))
            settled = self._settler.advance(number)
            yield from settled.rejections
            yield from self._drawing.instances(settled)

    def _competing_with(self, patches: Sequence[Patch]) -> list[Patch]:
        return find_competing_neighbours(
            patches,
            self._neighbours,
            self._competing,
            self._predictor.grid,
            # Called for neighbours too: what it raises ends the work.
            lambda views: self._predictor.predict(views, partial(self._on_progress, 0)).patches,
        )

    def _last_to_touch(self, patches: Sequence[Patch]) -> Numbers:
        """Return for each patch the last region from which another may come that touches it."""
        edges = np.array([patch.window.widened.widened.edges for patch in patches]).reshape(-1, 4)
        return self._route.last_to_meet(edges * self._predictor.grid.downsample)


@dataclass(frozen=True, slots=True)
class _Drawing:
    """From settled patches to instances of one kind on a slide of this size."""

    predictor: MaskPredictor
    size: Size
    pixel_area_um2: float

    def instances(self, settled: Settled) -> Iterator[Instance]:
        """Yield the instances of the wanted patches."""
        grid, chosen = self.predictor.grid, self.predictor.settings.outlines
        if chosen.pixel_edges:
            outlines = [draw_pixel_edges(patch, grid, self.size) for patch in settled.wanted]
        else:
            rule = ContourRule(self.predictor.rule.threshold, chosen.tolerance)
            outlines = draw_contours(settled.wanted, settled.beside, grid, self.size, rule)
        for patch, outline in zip(settled.wanted, outlines, strict=True):
            yield self._instance(patch, outline, self.predictor.segmenter.card)

    def _instance(self, patch: Patch, polygon: Outline, card: ModelCard) -> Instance:
        prompt = patch.prompt
        return Instance(
            prompt_id=prompt.id,
            kind=prompt.kind,
            polygon=polygon,
            class_name=prompt.class_name,
            plane=prompt.plane,
            area_um2=polygon.area * self.pixel_area_um2,
            mean_probability=float(patch.probabilities[patch.mask].mean(dtype=np.float64)),
            sureness=sureness(expected_dice(patch.mask, patch.probabilities), card.calibration),
        )
