"""A run over images: each is read, segmented and written on its own, and one that fails stops no other.

Besides the results it writes previews, where they are wanted, and one record of the whole run.
"""

import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from nuclick_wsi.choices import LOOK_AT_BELOW, ReaderChoice
from nuclick_wsi.errors import NuclickError, SlideError
from nuclick_wsi.exports.export import ExportChoice, ExportedImage, export_image
from nuclick_wsi.files import write_atomically
from nuclick_wsi.instances import Instance, Rejection
from nuclick_wsi.runs.ended_prompts import EndedPrompts
from nuclick_wsi.runs.instance_spool import InstanceSpool
from nuclick_wsi.runs.jobs import ImageInput, Job, ModelUsed, Results, Written
from nuclick_wsi.runs.journal import ImageResultCache, Journal
from nuclick_wsi.runs.opened_image import OpenedImage
from nuclick_wsi.runs.positions_in_microns import hint_of_microns
from nuclick_wsi.runs.preview.files import write_preview
from nuclick_wsi.runs.preview.pictured import Pictured
from nuclick_wsi.runs.rejections_csv import rejections_csv
from nuclick_wsi.runs.report import ImageReport, RunReport, Status
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.prompt_validation import refuse_misplaced
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.segmentation.slide_work import SlideWork
from nuclick_wsi.slides.pixel_sizes import GivenPixelSize
from nuclick_wsi.slides.readers import open_slide


@dataclass(frozen=True, slots=True)
class Options:
    """What a run may choose beyond its models."""

    out: Path
    """The folder of what a run makes beside the results: records and previews."""
    settings: Settings = Settings()
    reader: ReaderChoice = ReaderChoice.AUTO
    look_at_below: float = LOOK_AT_BELOW
    """Outlines that are less sure than this are named as worth a look."""
    pixel_size: GivenPixelSize | None = None
    preview: bool = False
    exports: ExportChoice = ExportChoice()
    dry: bool = False
    """Check everything, run no network, write nothing."""
    notes: Sequence[str] = ()
    """What the user is to know of how the run was set up."""
    details: Sequence[str] = ()
    """What of that is recorded alone."""


class RunWatcher(Protocol):
    """An observer of a run's progress."""

    def image_started(self, name: str, prompts: int) -> None:
        """An image is about to go through the network."""

    def prompts_done(self, count: int) -> None:
        """`count` more prompts are done."""

    def step_done(self, what: str, done: int, total: int) -> None:
        """So much is done of what comes after the network, such as a round of overlaps, or outlines in a file."""

    def image_ended(self, report: ImageReport) -> None:
        """An image has been worked on, with success or without."""


def run(
    jobs: Iterable[Job], registry: ModelRegistry, options: Options, watcher: RunWatcher, journal: Journal
) -> RunReport:
    """Work through all jobs and write the record of the run; a dry run writes nothing.

    Parameters
    ----------
    journal
        The results of earlier runs, to which this one adds its own.

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
        if not options.dry:
            journal.note_end(job.identity, images[-1].as_end(), is_news=not images[-1].left_no_trace)
    notes = [*options.notes, *journal.notes]
    report = RunReport(started, _described(options, registry), _models_used(registry), images, notes, options.details)
    nothing_done = options.dry or all(image.left_no_trace for image in images)
    return report if nothing_done else _recorded(report, options.out / "runs")


def _recorded(report: RunReport, folder: Path) -> RunReport:
    """Write the record of a run, and beside it the table of its rejections; return the report with their places."""
    name = f"{report.started:%Y%m%dT%H%M%SZ}-{uuid4().hex[:6]}"
    table = folder / f"{name}-rejections.csv" if any(image.rejections for image in report.images) else None
    report = replace(report, record=folder / f"{name}.json", rejections_table=table)
    if table is not None:
        write_atomically(table, rejections_csv(report.images))
    write_atomically(folder / f"{name}.json", report.as_json())
    return report


@dataclass(frozen=True, slots=True)
class _Line:
    """What all images of a run have in common."""

    registry: ModelRegistry
    options: Options
    watcher: RunWatcher
    journal: Journal


def _guarded(line: _Line, job: Job) -> ImageReport:
    """Work through one job; an error is reported, so that the other images of a long run still get done."""
    begun = time.perf_counter()
    failed = ImageReport(job.name, Status.FAILED)
    try:
        image = job.read()
        failed = _report_of(job, image, Status.FAILED)
        report = _run_image(line, job, image)
    except NuclickError as error:
        report = replace(failed, error=str(error))
    except Exception as error:  # noqa: BLE001 - a defect that shows in one image must not cost the others
        report = replace(
            failed,
            error=f"A fault of nuclick-wsi ({type(error).__name__}: {error}). Please report it with the run record.",
            traceback=traceback.format_exc(),
        )
    return replace(report, seconds=time.perf_counter() - begun)


def _report_of(job: Job, image: ImageInput, status: Status) -> ImageReport:
    """Return what is known before the slide is opened."""
    prompts = image.prompts
    return ImageReport(
        job.name,
        status,
        prompts={kind.value: count for kind, count in image.wanted.items()},
        rejections=prompts.rejections,
        left_alone=image.left_alone,
        prompts_are=image.prompts_are,
        remarks=image.remarks,
    )


def _run_image(line: _Line, job: Job, image: ImageInput) -> ImageReport:
    options = line.options
    if not image.wanted and not image.prompts.rejections:
        report = _report_of(job, image, Status.NO_PROMPTS)
        return report if options.dry else replace(report, cleared=job.sink.clear())
    with open_slide(image.find_slide(), reader=options.reader, frame=image.frame) as slide:
        opened = OpenedImage.of(image, slide, options.pixel_size, line.registry)
        report = opened.described_in(_report_of(job, image, Status.READY))
        _, misplaced = refuse_misplaced(image.prompts.prompts, slide.info)
        if misplaced and len(misplaced) == image.wanted.total():
            everything = [*report.rejections, *misplaced]
            return replace(report, status=Status.FAILED, rejections=everything, error=_all_misplaced(misplaced))
        if options.dry:
            return replace(report, rejections=[*report.rejections, *misplaced])
        return _segmented(line, job, opened, report)


def _all_misplaced(misplaced: Sequence[Rejection]) -> str:
    """Return why an image of which no prompt is on the slide is not worked on, and what to do."""
    return (
        f"None of its {len(misplaced)} prompts is on the slide. The first: {misplaced[0].detail}. Is it the slide that "
        "they were drawn on? Positions are pixels of the full resolution, counted as QuPath or ASAP counts them."
    )


def _segmented(line: _Line, job: Job, opened: OpenedImage, report: ImageReport) -> ImageReport:
    """Segment an image and write its results; return its report."""
    image, registry = opened.image, line.registry
    line.watcher.image_started(job.name, image.wanted.total())
    cache = line.journal.image(job.identity, opened.context_keys(registry))
    settings, on_progress, on_step = line.options.settings, line.watcher.prompts_done, line.watcher.step_done
    work = SlideWork(opened.slide, registry, opened.pixel_size, settings, cache, on_progress, on_step)
    with InstanceSpool(line.journal.path.parent, partial(on_step, "outlines gone through")) as spool:
        ended = EndedPrompts.of(work.ends_of(image.prompts), spool, line.options.look_at_below)
        _require_unchanged(opened, cache)
        models = [used for used in _models_used(registry) if used.kind in image.wanted]
        described = _described(line.options, registry)
        written = job.sink.write(Results(spool, image.class_colors, models, described, ended.unread))
        cache.forget_others({prompt.id for prompt in image.prompts.prompts})
        report = ended.described_in(replace(report, recalled=cache.recalled, written=written))
        report = replace(report, remarks=[*report.remarks, *_hints(opened, ended.rejections)])
        report = _with_exports(report, line.options, job, opened, spool)
        if not line.options.preview:
            return report
        return _with_preview(report, written, line.options.out, job, opened, spool)


def _require_unchanged(opened: OpenedImage, cache: ImageResultCache) -> None:
    try:
        opened.require_unchanged()
    except SlideError:
        cache.forget_others(())  # should the slide become what it was, they would be taken for its own
        raise


def _hints(opened: OpenedImage, rejections: Sequence[Rejection]) -> list[str]:
    """Return what the rejections say of how the positions may be meant."""
    if not opened.image.names_no_unit:
        return []
    hint = hint_of_microns(opened.image.prompts, rejections, opened.slide.info.size, opened.pixel_size)
    return [hint] if hint else []


def _with_exports(
    report: ImageReport, options: Options, job: Job, opened: OpenedImage, instances: Iterable[Instance]
) -> ImageReport:
    colors = opened.image.class_colors
    exported = ExportedImage(opened.slide, opened.pixel_size, instances, colors, job.identity)
    try:
        told = export_image(options.exports, options.out, job.stem, exported)
    except NuclickError as error:  # the results are there
        return replace(report, status=Status.FAILED, error=f"its results are written, but not exported: {error}")
    return replace(report, remarks=[*report.remarks, *told])


def _with_preview(
    report: ImageReport, written: Written, out: Path, job: Job, opened: OpenedImage, spool: InstanceSpool
) -> ImageReport:
    # Pictures are named as their result is, which may have had to take another name.
    stem = written.path.stem if written.path.suffix == ".geojson" else job.stem
    image = opened.image
    pictured = Pictured(
        job.name,
        opened.slide,
        image.prompts.prompts,
        spool,
        report.rejections,
        opened.readings,
        image.class_colors,
        written.path,
    )
    try:
        preview = write_preview(out, stem, pictured)
    except NuclickError as error:  # the results are there
        return replace(report, remarks=[*report.remarks, f"its pictures were not made: {error}"])
    return replace(report, preview=preview, remarks=[*report.remarks, *preview.remarks])


def _described(options: Options, registry: ModelRegistry) -> dict[str, Any]:
    """Return the settings in the plain types that a record holds."""
    given = options.pixel_size
    return {
        "device": ", ".join(map(str, registry.compute.devices)),
        "precision": registry.compute.precision.value,
        "tta": registry.tta,
        "batch_size": registry.compute.batch_size,
        "terms": registry.terms.value,
        "look_at_below": options.look_at_below,
        "reader": options.reader.value,
        "mpp": given.size.mean if given is not None and not given.is_forced else None,
        "force_mpp": given.size.mean if given is not None and given.is_forced else None,
        **asdict(options.settings),
    }


def _models_used(registry: ModelRegistry) -> list[ModelUsed]:
    return [ModelUsed(model.card.kind, model.card.name, model.sha256, model.path) for model in registry.loaded]
