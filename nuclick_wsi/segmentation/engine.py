"""Every prompt on a slide becomes an instance or a named rejection; docs/architecture.md names the steps in order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

import geojson
import numpy as np
import orjson

from nuclick_wsi.choices import ObjectType
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.formats.geojson import feature_collection
from nuclick_wsi.instances import Instance, PromptSet, Rejection
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import ObjectKind, Prompt, Role
from nuclick_wsi.scale import Grid, PixelSize
from nuclick_wsi.segmentation.competing_neighbours import Neighbours, find_competing_neighbours
from nuclick_wsi.segmentation.contours.draw import ContourRule, draw_contours, draw_pixel_edges
from nuclick_wsi.segmentation.contours.outlines import Outline
from nuclick_wsi.segmentation.crops import SignalField
from nuclick_wsi.segmentation.masks import MaskRule
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.prediction import MaskPredictor
from nuclick_wsi.segmentation.prompt_validation import refuse_duplicates, refuse_long_lines, refuse_misplaced
from nuclick_wsi.segmentation.result_cache import NoCache, ResultCache
from nuclick_wsi.segmentation.segmenter import Segmenter, SegmenterSource
from nuclick_wsi.segmentation.settings import Settings, mask_rule
from nuclick_wsi.segmentation.stitch import settle_overlaps
from nuclick_wsi.segmentation.sureness import expected_dice, sureness
from nuclick_wsi.slides.resample import choose_level, grid_for
from nuclick_wsi.slides.slide import Slide, SlideInfo

Progress = Callable[[int], None]
"""Called with how many more of the prompts that want an outline have their result; what it raises ends the work."""


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

    def to_geojson(
        self, as_type: ObjectType = ObjectType.DETECTION, colors: Mapping[str, Color] = MappingProxyType({})
    ) -> geojson.FeatureCollection:
        """Return the outlines as objects of the package geojson, in slide pixels, as result files hold them.

        Parameters
        ----------
        as_type
            What QuPath makes of them.
        colors
            Red, green and blue of classes by name; a class without one gets a colour that depends on its name alone.
        """
        return geojson.loads(orjson.dumps(feature_collection(self.instances, as_type, colors)))


def segment(  # noqa: PLR0913 - the last two have nothing in common with each other, nor with the settings
    slide: Slide,
    prompts: PromptSet | Iterable[Prompt],
    segmenters: SegmenterSource,
    pixel_size: PixelSize | float,
    settings: Settings = Settings(),
    *,
    on_progress: Progress = lambda _: None,
    cache: ResultCache = NoCache(),
) -> Outcome:
    """Segment every prompt on a slide.

    Parameters
    ----------
    slide
        In the frame in which the prompts are drawn.
    segmenters
        Provides one for every kind of object among the prompts, such as a `ModelRegistry`.
    pixel_size
        Of level 0, in microns; one number for square pixels.
    cache
        Results of earlier runs; it decides how fast this is, and no result.

    Raises
    ------
    ValueError
        If the prompts or the pixel size are none; the message says what is accepted.
    """
    prompts, pixel_size = PromptSet.of(prompts), PixelSize.of(pixel_size)
    kept, misplaced = refuse_misplaced(prompts.prompts, slide.info)
    work = _SlideWork(slide, pixel_size, settings, cache, on_progress)
    instances: list[Instance] = []
    rejections = [*prompts.rejections, *misplaced]
    readings: list[Reading] = []
    for kind in sorted({prompt.kind for prompt in kept if prompt.role is Role.SEGMENT}):
        segmenter = segmenters.segmenter(kind)
        found, rejected = work.segment_kind([prompt for prompt in kept if prompt.kind is kind], segmenter)
        instances += found
        rejections += rejected
        readings.append(Reading.of(slide.info, pixel_size, segmenter.card))
    return Outcome(
        tuple(sorted(instances, key=lambda instance: instance.prompt_id)),
        tuple(sorted(rejections, key=lambda rejection: rejection.prompt_id)),
        tuple(readings),
    )


@dataclass(frozen=True, slots=True)
class _SlideWork:
    """What the kinds of object on one slide have in common."""

    slide: Slide
    pixel_size: PixelSize
    settings: Settings
    cache: ResultCache
    on_progress: Progress

    def segment_kind(
        self, prompts: Sequence[Prompt], segmenter: Segmenter
    ) -> tuple[list[Instance], Sequence[Rejection]]:
        """Segment prompts of one kind."""
        grid = grid_for(self.slide.info, self.pixel_size, segmenter.card.mpp)
        rule = mask_rule(segmenter.card, self.settings.masks, grid)
        short, too_long = refuse_long_lines(prompts, grid, segmenter.card.crop_size)
        kept, duplicates = refuse_duplicates(short, grid)
        signals = SignalField(kept)
        predictor = MaskPredictor(self.slide, segmenter, self.settings, signals, grid, rule, self.cache)
        wanted = predictor.predict(predictor.views(signals.having(Role.SEGMENT)), partial(self.on_progress, 1))
        competing = find_competing_neighbours(
            wanted.patches,
            Neighbours.of(signals, grid, predictor.spec, predictor.views, wider_looks=predictor.looks_again),
            grid,
            # Called for neighbours too: what it raises ends the work.
            lambda views: predictor.predict(views, partial(self.on_progress, 0)).patches,
        )
        settled, taken = settle_overlaps([*wanted.patches, *competing], rule.smallest_px)
        instances = self._instances(settled, grid, rule, segmenter.card)
        return instances, [*wanted.rejections, *too_long, *duplicates, *taken]

    def _instances(self, settled: Sequence[Patch], grid: Grid, rule: MaskRule, card: ModelCard) -> list[Instance]:
        wanted = [patch for patch in settled if patch.prompt.role is Role.SEGMENT]
        beside = [patch for patch in settled if patch.prompt.role is not Role.SEGMENT]
        size, chosen = self.slide.info.size, self.settings.outlines
        if chosen.pixel_edges:
            outlines = [draw_pixel_edges(patch, grid, size) for patch in wanted]
        else:
            outlines = draw_contours(wanted, beside, grid, size, ContourRule(rule.threshold, chosen.tolerance))
        return [self._instance(patch, outline, card) for patch, outline in zip(wanted, outlines, strict=True)]

    def _instance(self, patch: Patch, polygon: Outline, card: ModelCard) -> Instance:
        prompt = patch.prompt
        return Instance(
            prompt_id=prompt.id,
            kind=prompt.kind,
            polygon=polygon,
            class_name=prompt.class_name,
            plane=prompt.plane,
            area_um2=polygon.area * self.pixel_size.area_um2,
            mean_probability=float(patch.probabilities[patch.mask].mean(dtype=np.float64)),
            sureness=sureness(expected_dice(patch.mask, patch.probabilities), card.calibration),
        )
