"""Every prompt on a slide becomes an instance or a named rejection; docs/architecture.md names the steps in order."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import geojson
import orjson

from nuclick_wsi.choices import ObjectType
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.formats.geojson import feature_collection
from nuclick_wsi.instances import Instance, PromptSet, Rejection
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import ObjectKind, Prompt
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.result_cache import NoCache, ResultCache
from nuclick_wsi.segmentation.segmenter import SegmenterSource
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.segmentation.slide_work import Progress, SlideWork
from nuclick_wsi.slides.resample import choose_level, grid_for
from nuclick_wsi.slides.slide import Slide, SlideInfo


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

    @classmethod
    def of(
        cls, instances: Iterable[Instance], rejections: Iterable[Rejection], readings: Iterable[Reading]
    ) -> "Outcome":
        """Return an outcome of what comes in any order."""
        return cls(
            tuple(sorted(instances, key=lambda instance: instance.prompt_id)),
            tuple(sorted(rejections, key=lambda rejection: rejection.prompt_id)),
            tuple(readings),
        )

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
    work = SlideWork(slide, segmenters, pixel_size, settings, cache, on_progress)
    instances: list[Instance] = []
    rejections: list[Rejection] = []
    for end in work.ends_of(prompts):
        if isinstance(end, Instance):
            instances.append(end)
        else:
            rejections.append(end)
    cards = [segmenters.segmenter(kind).card for kind in work.kinds_of(prompts)]
    return Outcome.of(instances, rejections, (Reading.of(slide.info, pixel_size, card) for card in cards))
