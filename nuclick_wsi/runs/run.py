"""A run over images: each is read, segmented and written on its own, and one that fails stops no other.

In go jobs and options; out come result files, previews and one record of it all.
"""

import time
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import NuclickError, SlideError
from nuclick_wsi.files import write_atomically
from nuclick_wsi.instances import Reason
from nuclick_wsi.prompts import ObjectKind, Role
from nuclick_wsi.runs.jobs import ImageInput, Job, ModelUsed, Results
from nuclick_wsi.runs.journal import ImageResultCache, Journal
from nuclick_wsi.runs.preview import write_preview
from nuclick_wsi.runs.report import ImageReport, RunReport, Status
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.engine import Reading, segment
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.result_cache import context_key
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.slide import Slide, fingerprint, resolve_pixel_size


@dataclass(frozen=True, slots=True)
class Options:
    """What a run may choose beyond its models."""

    out: Path
    """The folder of what a run makes beside the results: records and previews."""
    settings: Settings = Settings()
    reader: ReaderChoice = ReaderChoice.AUTO
    pixel_size: PixelSize | None = None
    """For slides of which neither the project nor the file says one."""
    preview: bool = False
    dry: bool = False
    """Look at everything, run no network, write nothing."""
    notes: Sequence[str] = ()
    """What the user is to know of how the run was set up."""


class Watcher(Protocol):
    """Who is told how a run goes."""

    def image_started(self, name: str, prompts: int) -> None:
        """An image is about to go through the network."""

    def prompts_done(self, count: int) -> None:
        """`count` more prompts are through."""

    def image_ended(self, report: ImageReport) -> None:
        """An image is through, whatever came of it."""


def run(
    jobs: Iterable[Job], registry: ModelRegistry, options: Options, watcher: Watcher, journal: Journal
) -> RunReport:
    """Work through all jobs and write the record of the run; a dry run writes nothing.

    Parameters
    ----------
    journal
        What earlier runs did, and where this one says what it has done.

    Raises
    ------
    ResultError
        If the record itself cannot be written.
    """
    started = datetime.now(UTC)
    images = []
    for job in jobs:
        images.append(_guarded(_Line(registry, options, watcher, journal), job))
        watcher.image_ended(images[-1])
    record = None if options.dry else options.out / "runs" / f"{started:%Y%m%dT%H%M%SZ}-{uuid4().hex[:6]}.json"
    report = RunReport(
        started, _described(options, registry), _models_used(registry), images, [*options.notes, *journal.notes], record
    )
    if record is not None:
        write_atomically(record, report.as_json())
    return report


@dataclass(frozen=True, slots=True)
class _Line:
    """What all images of a run have in common."""

    registry: ModelRegistry
    options: Options
    watcher: Watcher
    journal: Journal


def _guarded(line: _Line, job: Job) -> ImageReport:
    """Work through one job; whatever goes wrong is reported, so that the other images of a night still get done."""
    begun = time.perf_counter()
    report = ImageReport(job.name, Status.FAILED)
    try:
        image = job.read()
        report = _introduced(job, image)
        if report.status is not Status.NO_PROMPTS:
            report = _run_image(line, report, job, image)
        elif not line.options.dry:
            job.sink.clear()
    except NuclickError as error:
        report = replace(report, status=Status.FAILED, error=str(error))
    except Exception as error:  # noqa: BLE001 - a fault of ours in one image must not cost the others
        report = replace(
            report,
            status=Status.FAILED,
            error=f"A fault of nuclick-wsi ({type(error).__name__}: {error}). Please report it with the run record.",
            traceback=traceback.format_exc(),
        )
    return replace(report, seconds=time.perf_counter() - begun)


def _introduced(job: Job, image: ImageInput) -> ImageReport:
    """Return what is known before the slide is opened."""
    prompts = image.prompts
    wanted = Counter(prompt.kind.value for prompt in prompts.prompts if prompt.role is Role.SEGMENT)
    status = Status.READY if wanted or prompts.rejections else Status.NO_PROMPTS
    return ImageReport(
        job.name,
        status,
        prompts=wanted,
        rejections=prompts.rejections,
        left_alone=prompts.left_alone,
        remarks=image.remarks,
    )


def _run_image(line: _Line, report: ImageReport, job: Job, image: ImageInput) -> ImageReport:
    registry, options = line.registry, line.options
    with open_slide(image.find_slide(), reader=options.reader, frame=image.frame) as slide:
        info = slide.info
        _require_size(slide, image)
        pixel_size = resolve_pixel_size(info, image.pixel_size, options.pixel_size)
        readings = [Reading.of(info, pixel_size, registry.card(ObjectKind(kind))) for kind in sorted(report.prompts)]
        report = replace(
            report,
            slide=info.path,
            fingerprint=fingerprint(info.path),
            reader=info.reader,
            pixel_size=pixel_size,
            readings=readings,
        )
        if options.dry:
            return report
        line.watcher.image_started(job.name, sum(report.prompts.values()))
        cache = _result_cache(line, report, job, image)
        outcome = segment(
            slide,
            image.prompts,
            registry,
            pixel_size,
            options.settings,
            on_progress=line.watcher.prompts_done,
            cache=cache,
        )
        models = [used for used in _models_used(registry) if used.kind in report.prompts]
        unread = {one.prompt_id for one in outcome.rejections if one.reason is Reason.UNREADABLE}
        described = _described(options, registry)
        written = job.sink.write(Results(outcome.instances, image.class_colors, models, described, unread))
        cache.forget_others({prompt.id for prompt in image.prompts.prompts})
        preview = None
        if options.preview:
            # A picture is named as its result is, which may have had to take another name.
            stem = written.path.stem if written.path.suffix == ".geojson" else job.stem
            place = write_preview(
                options.out / f"{stem}.png", slide, image.prompts.prompts, outcome, image.class_colors
            )
            preview, written = place.path, replace(written, remarks=[*written.remarks, *place.remarks])
        return replace(
            report,
            status=Status.INCOMPLETE if unread else Status.DONE,
            recalled=cache.recalled,
            instances=len(outcome.instances),
            rejections=outcome.rejections,
            written=written,
            preview=preview,
        )


def _result_cache(line: _Line, report: ImageReport, job: Job, image: ImageInput) -> ImageResultCache:
    """Return what is known of an image's prompts, as long as neither slide, reader, model nor program changed."""
    assert report.fingerprint is not None, "the slide is open"
    assert report.reader is not None, "the slide is open"
    about = {}
    for kind in map(ObjectKind, report.prompts):
        about[kind] = context_key(report.fingerprint, report.reader, image.frame, line.registry.model(kind).sha256)
    return line.journal.image(job.identity, about)


def _require_size(slide: Slide, image: ImageInput) -> None:
    """Refuse a slide that is not the one that was drawn on: outlines in wrong places are worse than none."""
    seen = slide.info.size
    if image.size is not None and seen != image.size:
        raise SlideError(
            f"{slide.info.path} has {seen.width} x {seen.height} px as {slide.info.reader} reads it; the project drew "
            f"on a slide of {image.size.width} x {image.size.height} px. Point --slides at the right file, or choose "
            "another --reader."
        )


def _described(options: Options, registry: ModelRegistry) -> dict[str, Any]:
    """Return the settings in the plain types that a record holds."""
    pixel_size = options.pixel_size
    return {
        "device": str(registry.compute.device),
        "batch_size": registry.compute.batch_size,
        "reader": options.reader.value,
        "mpp": pixel_size and pixel_size.mean,
        **asdict(options.settings),
    }


def _models_used(registry: ModelRegistry) -> list[ModelUsed]:
    return [ModelUsed(model.card.kind, model.card.name, model.sha256, model.path) for model in registry.loaded]
