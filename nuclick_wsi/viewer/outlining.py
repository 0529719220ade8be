"""Outlines for the page: of all marks, or of those near a change, with the others as their neighbours."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from shapely import Polygon, get_parts

from nuclick_wsi.choices import LOOK_AT_BELOW, ModelTerms, ObjectType
from nuclick_wsi.errors import PixelSizeError, RequestError
from nuclick_wsi.instances import Instance, PromptSet, Rejection
from nuclick_wsi.json_values import Json
from nuclick_wsi.prompts import ObjectKind, Role
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.engine import Outcome
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.server.segment_request import ImageAsked, SegmentRequest
from nuclick_wsi.server.service import Service, Work
from nuclick_wsi.slides.pixel_sizes import LARGEST_MPP, SMALLEST_MPP, is_plausible
from nuclick_wsi.viewer.marks import Box, MarkedPrompts, changed_near, prompts_of_marks, read_marks
from nuclick_wsi.viewer.opened_slide import OpenedSlide

_GLAND_LOOKS = 2
"""A gland may be looked at in a crop of twice the width."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of the page that has passed all checks."""

    work: Work
    marked: MarkedPrompts


class Outliner:
    """Asks a service for the outlines of a page's marks on one slide."""

    def __init__(self, service: Service, registry: ModelRegistry, slide: OpenedSlide) -> None:
        self._service, self._registry, self._slide = service, registry, slide

    def ask(self, content: Json) -> Asked:
        """Check a request: the marks, what has changed among them, and the pixel size that the user gave.

        Parameters
        ----------
        content
            `prompts`: all marks; `changed`: boxes of what has changed, [left, top, right, bottom] in slide pixels, or
            nothing for the outlines of all; `pixel_size_um`: for a slide that does not say it.

        Raises
        ------
        NuclickError
            What is wrong with the marks, the pixel size, the slide or the models.
        """
        marked = prompts_of_marks(read_marks(content.get("prompts")))
        pixel_size = self.pixel_size(content.get("pixel_size_um"))
        prompts = marked.prompts
        if content.get("changed") is not None:
            changed = _boxes(content["changed"])
            reach = {kind: self._reach(kind, pixel_size) for kind in {prompt.kind for prompt in prompts}}
            prompts = changed_near(prompts, changed, reach)
        request = SegmentRequest(
            image=ImageAsked(self._slide.path, self._slide.frame, self._slide.size, pixel_size),
            prompts=PromptSet(prompts, marked.rejections),
            known=(),
            as_type=ObjectType.DETECTION,
            terms=ModelTerms.ANY,
            settings=Settings(),
            class_colors={},
        )
        return Asked(self._service.check(request), marked)

    def pixel_size(self, given: object) -> PixelSize:
        """Return the slide's pixel size, or else what the user of the page has given in microns.

        Raises
        ------
        PixelSizeError
            If there is none, or it is not a microscope's.
        """
        if self._slide.pixel_size is not None:
            return self._slide.pixel_size
        if given is None:
            raise PixelSizeError(f"{self._slide.path.name} does not say its pixel size: give it in um, such as 0.25.")
        is_number = isinstance(given, int | float) and given > 0
        if not is_number or not is_plausible(PixelSize.of(given)):
            raise PixelSizeError(
                f"The pixel size is {given!r:.20} um; a microscope's is from {SMALLEST_MPP} to {LARGEST_MPP:g}, such "
                "as 0.25 for 40x and 0.5 for 20x."
            )
        return PixelSize.of(given)

    def outline(self, asked: Asked, on_progress: Callable[[int], None]) -> Outcome:
        """Return the outlines and rejections of what was asked."""
        return self._service.outline(asked.work, on_progress)[0]

    def answer(self, asked: Asked, on_progress: Callable[[int], None]) -> bytes:
        """Return the same as JSON for the page, each with the id of its mark."""
        begun = time.perf_counter()
        outcome, recalled = self._service.outline(asked.work, on_progress)
        owners = asked.marked.owners
        return orjson.dumps(
            {
                "asked": sorted({owners[name] for name in asked.work.asked}),
                "outlines": [_outline(one, owners[one.prompt_id]) for one in outcome.instances],
                "rejections": [_rejection(one, owners[one.prompt_id]) for one in outcome.rejections],
                "remarks": asked.work.remarks,
                "enlarged": [reading.kind for reading in outcome.readings if reading.upsampled],
                "recalled": recalled,
                "seconds": round(time.perf_counter() - begun, 3),
            }
        )

    def _reach(self, kind: ObjectKind, pixel_size: PixelSize) -> float:
        """Return how far from a prompt a change may matter to its outline, in slide pixels.

        The network sees half a crop around it, and overlaps with neighbours are settled that may see as far.
        """
        card = self._registry.card(kind)
        looks = _GLAND_LOOKS if kind is ObjectKind.GLAND else 1
        return looks * card.crop_size * card.mpp / pixel_size.mean


def wanted(asked: Asked) -> int:
    """Return how many prompts want an outline."""
    return sum(prompt.role is Role.SEGMENT for prompt in asked.work.request.prompts.prompts)


def _boxes(content: Any) -> list[Box]:
    try:
        return [(float(left), float(top), float(right), float(bottom)) for left, top, right, bottom in content]
    except (TypeError, ValueError) as error:
        raise RequestError(f"changed is {content!r:.60}, not a list of [left, top, right, bottom].") from error


def _outline(one: Instance, mark: str) -> Json:
    polygons = [part for part in get_parts(one.polygon) if isinstance(part, Polygon)]
    return {
        "mark": mark,
        "prompt": one.prompt_id,
        "kind": one.kind,
        "polygons": [[ring.coords[:] for ring in (part.exterior, *part.interiors)] for part in polygons],
        "area_um2": round(one.area_um2, 2),
        "sureness": None if one.sureness is None else round(one.sureness, 4),
        "look_at": one.sureness is not None and one.sureness < LOOK_AT_BELOW,
    }


def _rejection(one: Rejection, mark: str) -> Json:
    return {"mark": mark, "kind": one.kind, "reason": one.reason, "detail": one.detail}
