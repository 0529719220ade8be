"""The work of the local server without its HTTP: checking a request, and answering it.

A service keeps no state of an image or a client; several threads may use it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson

from nuclick_wsi.choices import LOOK_AT_BELOW, ModelTerms
from nuclick_wsi.errors import ModelError
from nuclick_wsi.formats.geojson import feature_collection
from nuclick_wsi.instances import unsure
from nuclick_wsi.models.card import ModelCard, read_card, shipped_models
from nuclick_wsi.models.weights import Model
from nuclick_wsi.prompts import ObjectKind, Role
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.context_keys import context_keys
from nuclick_wsi.segmentation.engine import Outcome, segment
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.server.auth import AllowedFolders
from nuclick_wsi.server.recent_results import RecentResults, SlideResultCache
from nuclick_wsi.server.segment_request import ReadImage, SegmentRequest, read_request
from nuclick_wsi.server.slide_cache import CachedSlide, SlideCache
from nuclick_wsi.slides.pixel_sizes import resolve_pixel_size
from nuclick_wsi.slides.slide import require_size

_FEW = 16
"""Up to so many prompts, threads of their own cost more than they win: 20 ms for one click, measured on two cores."""
_OPEN_WITH_OPENSLIDE = (
    "Positions on one are none on the other: open the slide in QuPath with OpenSlide, as its only image."
)


@dataclass(frozen=True, slots=True)
class Work:
    """A request that has passed all checks."""

    request: SegmentRequest
    path: Path
    pixel_size: PixelSize
    remarks: Sequence[str] = ()
    """What the user is to know of how the slide is read, each a clause."""

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
    read_image
        Reads the client's description of an image.
    recent
        The cache of the results of earlier requests; None for one of the usual size.
    """

    def __init__(
        self,
        registry: ModelRegistry,
        slides: SlideCache,
        allowed: AllowedFolders,
        read_image: ReadImage,
        recent: RecentResults | None = None,
    ) -> None:
        self._registry = registry
        self._slides = slides
        self._allowed = allowed
        self._read_image = read_image
        self._recent = RecentResults() if recent is None else recent
        for kind in ObjectKind:
            try:
                registry.path(kind)
            except ModelError:
                continue  # a request for this kind gets the error
            registry.segmenter(kind)

    def health(self) -> dict[str, Any]:
        """Return the version, how it computes, the models, those that could be named too, and the allowed folders."""
        return {
            "name": "nuclick-wsi",
            "version": version("nuclick-wsi"),
            "device": ", ".join(map(str, self._registry.compute.devices)),
            "tta": self._registry.tta,
            "models": [_model(model) for model in self._registry.loaded],
            "offered": [_offer(name, read_card(path)) for name, path in shipped_models().items()],
            "allowed": [str(folder) for folder in self._allowed.folders],
        }

    def prepare(self, body: bytes) -> Work:
        """Check all that can be checked without the network, the slide included.

        Raises
        ------
        NuclickError
            What is wrong with the request, its slide, its pixel size or its models.
        """
        return self.check(read_request(body, self._read_image))

    def check(self, request: SegmentRequest) -> Work:
        """Check a request that has been read; errors as `prepare`."""
        path = self._allowed.admit(request.image.path)
        with self._slides.lease(path, request.image.frame) as opened:
            require_size(opened.slide.info, request.image.size, "the image in QuPath has", _OPEN_WITH_OPENSLIDE)
            resolved = resolve_pixel_size(opened.slide.info, request.image.pixel_size)
            remarks = (*opened.slide.info.remarks, *resolved.remarks)
        work = Work(request, path, resolved.size, remarks)
        for kind in work.kinds:
            _require_terms(self._registry.card(kind), request.terms)
        return work

    def do(self, work: Work, on_progress: Callable[[int], None]) -> bytes:
        """Return the answer as JSON; an exception that `on_progress` raises ends the work.

        Raises
        ------
        NuclickError
            If the slide has gone since `prepare`.
        """
        begun = time.perf_counter()
        request = work.request
        outcome, recalled = self.outline(work, on_progress)
        answer = feature_collection(outcome.instances, request.as_type, request.class_colors)
        description = self._description(work, outcome)
        spent = {"recalled": recalled, "seconds": round(time.perf_counter() - begun, 3)}
        return orjson.dumps({**answer, "nuclick": {**description, **spent}})

    def outline(self, work: Work, on_progress: Callable[[int], None]) -> tuple[Outcome, int]:
        """Return what has come of the prompts, and of how many the result was known; otherwise as `do`."""
        request = work.request
        few = len(work.asked) <= _FEW
        settings = replace(request.settings, workers=0) if few else request.settings
        with self._slides.lease(work.path, request.image.frame) as opened:
            cache = self._cache(work, opened)
            outcome = segment(
                opened.slide,
                request.prompts,
                self._registry,
                work.pixel_size,
                settings,
                on_progress=on_progress,
                cache=cache,
            )
        return outcome, cache.recalled

    def _cache(self, work: Work, opened: CachedSlide) -> SlideResultCache:
        contexts = context_keys(
            self._registry, work.kinds, opened.fingerprint, opened.slide.info.reader, work.request.image.frame
        )
        return self._recent.on_slide(contexts)

    def _description(self, work: Work, outcome: Outcome) -> dict[str, Any]:
        return {
            "prompts": work.asked,
            "known": work.request.known,
            "rejections": [rejection.as_json() for rejection in outcome.rejections],
            "to_look_at": [one.prompt_id for one in unsure(outcome.instances)],
            "look_at_below": LOOK_AT_BELOW,
            "left_alone": dict(work.request.prompts.left_alone),
            "models": [_model(self._registry.model(reading.kind)) for reading in outcome.readings],
            "pixel_size_um": [work.pixel_size.x_um, work.pixel_size.y_um],
            "remarks": work.remarks,
            "enlarged": [reading.kind for reading in outcome.readings if reading.upsampled],
        }


def _require_terms(card: ModelCard, terms: ModelTerms) -> None:
    if not card.allows(terms):
        raise ModelError(
            f"The server outlines a {card.kind} with the model {card.name}, which may not be used for anything, as "
            f"terms open asks for. Its terms: {card.terms}. Restart the server with --terms open; QuPath's menu has "
            "Restart server."
        )


def _model(model: Model) -> dict[str, Any]:
    card = model.card
    return {
        "kind": card.kind,
        "name": card.name,
        "sha256": model.sha256,
        "terms": card.terms,
        "open_terms": card.open_terms,
        "crop_um": card.crop_size * card.mpp,
    }


def _offer(name: str, card: ModelCard) -> dict[str, Any]:
    return {"kind": card.kind, "name": name, "open_terms": card.open_terms}
