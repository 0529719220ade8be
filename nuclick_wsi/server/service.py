"""The work of the local server without its HTTP: a request becomes a piece of work, and that an answer.

Nothing here knows of a current image or a current client; several threads may use one service.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from nuclick_wsi.errors import ModelError, SlideError
from nuclick_wsi.formats.geojson import feature_collection
from nuclick_wsi.instances import Rejection
from nuclick_wsi.models.weights import Model
from nuclick_wsi.prompts import ObjectKind, Role
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.engine import Outcome, segment
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.result_cache import context_key
from nuclick_wsi.server.auth import AllowedFolders
from nuclick_wsi.server.recent_results import RecentResults, SlideResultCache
from nuclick_wsi.server.segment_request import ImageAsked, SegmentRequest, read_request
from nuclick_wsi.server.slide_cache import CachedSlide, SlideCache
from nuclick_wsi.slides.slide import SlideInfo, resolve_pixel_size

_FEW = 16
"""Up to so many prompts, threads of their own cost more than they win: 20 ms for one click, measured on two cores."""


@dataclass(frozen=True, slots=True)
class Work:
    """A request that can be done: everything that can be wrong with it has been looked at."""

    request: SegmentRequest
    path: Path
    pixel_size: PixelSize

    @property
    def asked(self) -> list[str]:
        """The ids of the prompts that want an outline."""
        return [prompt.id for prompt in self.request.prompts.prompts if prompt.role is Role.SEGMENT]

    @property
    def kinds(self) -> set[ObjectKind]:
        """The kinds of the prompts that want an outline."""
        return {prompt.kind for prompt in self.request.prompts.prompts if prompt.role is Role.SEGMENT}


class Service:
    """Models, slides and recent masks that stay loaded, and the folders that slides may come from.

    All models that are there are loaded at once, so that no click waits for one.

    Parameters
    ----------
    recent
        What is kept of the masks of earlier requests; None for as many as a server keeps.
    """

    def __init__(
        self, registry: ModelRegistry, slides: SlideCache, allowed: AllowedFolders, recent: RecentResults | None = None
    ) -> None:
        self._registry = registry
        self._slides = slides
        self._allowed = allowed
        self._recent = RecentResults() if recent is None else recent
        for kind in ObjectKind:
            try:
                registry.path(kind)
            except ModelError:
                continue  # who asks for this kind is told then
            registry.segmenter(kind)

    def health(self) -> dict[str, Any]:
        """Return what the server is and has."""
        return {
            "name": "nuclick-wsi",
            "version": version("nuclick-wsi"),
            "device": str(self._registry.compute.device),
            "models": [_model(model) for model in self._registry.loaded],
            "allowed": [str(folder) for folder in self._allowed.folders],
        }

    def prepare(self, body: bytes) -> Work:
        """Check all that can be checked without the network, the slide included.

        Raises
        ------
        NuclickError
            What is wrong with the request, its slide, its pixel size or its models.
        """
        request = read_request(body)
        path = self._allowed.admit(request.image.path)
        with self._slides.lease(path, request.image.frame) as opened:
            _require_size(opened.slide.info, request.image)
            pixel_size = resolve_pixel_size(opened.slide.info, request.image.pixel_size)
        work = Work(request, path, pixel_size)
        for kind in work.kinds:
            self._registry.path(kind)
        return work

    def do(self, work: Work, on_progress: Callable[[int], None]) -> bytes:
        """Return the answer as JSON; whatever `on_progress` raises ends the work.

        Raises
        ------
        NuclickError
            The slide is gone since it was looked at.
        """
        begun = time.perf_counter()
        request = work.request
        few = len(work.asked) <= _FEW
        settings = replace(request.settings, workers=0) if few else request.settings
        with self._slides.lease(work.path, request.image.frame) as opened:
            cache = self._result_cache(work, opened)
            outcome = segment(
                opened.slide,
                request.prompts,
                self._registry,
                work.pixel_size,
                settings,
                on_progress=on_progress,
                cache=cache,
            )
        answer = feature_collection(outcome.instances, request.as_type, request.class_colors)
        about = self._about(work, outcome)
        spent = {"recalled": cache.recalled, "seconds": round(time.perf_counter() - begun, 3)}
        return orjson.dumps({**answer, "nuclick": {**about, **spent}})

    def _result_cache(self, work: Work, opened: CachedSlide) -> SlideResultCache:
        """Return what is known of a request's prompts: slide, reader, model and program are part of every key."""
        about = {}
        for kind in work.kinds:
            model = self._registry.model(kind).sha256
            about[kind] = context_key(opened.fingerprint, opened.slide.info.reader, work.request.image.frame, model)
        return self._recent.on_slide(about)

    def _about(self, work: Work, outcome: Outcome) -> dict[str, Any]:
        return {
            "prompts": work.asked,
            "known": work.request.known,
            "rejections": [_rejection(one) for one in outcome.rejections],
            "left_alone": dict(work.request.prompts.left_alone),
            "models": [_model(self._registry.model(reading.kind)) for reading in outcome.readings],
            "pixel_size_um": [work.pixel_size.x_um, work.pixel_size.y_um],
            "enlarged": [reading.kind for reading in outcome.readings if reading.upsampled],
        }


def _model(model: Model) -> dict[str, Any]:
    card = model.card
    return {"kind": card.kind, "name": card.name, "sha256": model.sha256, "terms": card.terms}


def _rejection(rejection: Rejection) -> dict[str, Any]:
    return {
        "prompt": rejection.prompt_id,
        "reason": rejection.reason,
        "detail": rejection.detail,
        "kind": rejection.kind,
        "class": rejection.class_name,
        "position": rejection.position and [rejection.position.x, rejection.position.y],
    }


def _require_size(info: SlideInfo, image: ImageAsked) -> None:
    if image.size is not None and image.size != info.size:
        raise SlideError(
            f"{info.path} has {info.size.width} x {info.size.height} px as {info.reader} reads it; the image in QuPath "
            f"has {image.size.width} x {image.size.height} px. Positions on one are none on the other: open the slide "
            "in QuPath with OpenSlide, as its only image."
        )
