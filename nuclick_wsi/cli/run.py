"""The command `run`: turn the request into jobs, run them, print the report."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console

from asap_bridge.jobs import AsapChoice, asap_files, asap_jobs, is_asap_folder
from asap_bridge.selection import GroupRule
from nuclick_wsi.choices import LOOK_AT_BELOW, ProjectAccess
from nuclick_wsi.cli.arguments import require_slide
from nuclick_wsi.cli.console import say
from nuclick_wsi.cli.run_cluster import ahead_of
from nuclick_wsi.cli.run_request import RunRequest
from nuclick_wsi.cli.run_tables import print_plan, print_report
from nuclick_wsi.cli.screen import Screen, print_json
from nuclick_wsi.cli.stopping import take_back_signals
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.exports.export import STORE, ExportChoice
from nuclick_wsi.formats.prompt_files import GEOJSON, TABLES
from nuclick_wsi.instances import Reason
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.runs.jobs import Job
from nuclick_wsi.runs.journal import FILE_NAME, Journal
from nuclick_wsi.runs.progress import to_retry
from nuclick_wsi.runs.prompt_file_jobs import PromptFile
from nuclick_wsi.runs.report import RunReport
from nuclick_wsi.runs.run import Options, run
from nuclick_wsi.runs.run_lock import RunLock
from nuclick_wsi.scale import Area
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.settings import MaskSettings, Settings
from nuclick_wsi.slides.lookup import SlideFolders
from nuclick_wsi.slides.pixel_sizes import GivenPixelSize
from qupath_extension.access import FileAccess, HierarchyAccess, choose_access
from qupath_extension.jobs import ImageChoice, project_jobs
from qupath_extension.open_elsewhere import signs_of_use
from qupath_extension.project import Project, read_project

PROMPT_FILES = (*GEOJSON, *TABLES, ".gz", ".zip")
_MOST_PAGES = 3
"""Named on screen."""


@dataclass(frozen=True, slots=True)
class Work:
    """The jobs of a request, and where their results go."""

    jobs: Sequence[Job]
    out: Path
    """The folder for previews, records and the journal."""
    journal: Journal
    notes: Sequence[str] = ()
    details: Sequence[str] = ()
    """What is worth recording, but not worth telling everybody."""
    warnings: Sequence[str] = ()
    """What the user should hear before anything is computed."""
    results: Path | None = None
    """Where the user finds the results, unless it is the files that were written."""


def run_target(asked: RunRequest, screen: Screen = Screen()) -> int:
    """Work through a project, files of ASAP or a file of prompts; return the exit code."""
    request = asked.found()
    work = _chosen(work_of(request), request)
    take_back_signals()
    registry = ModelRegistry(
        request.models,
        request.device,
        request.batch_size,
        terms=request.terms,
        threads=request.threads,
        precision=request.precision,
        tta=request.tta,
    )
    if request.objects is not ObjectChoice.AUTO:
        for kind in request.objects.kinds:
            registry.path(kind)  # a kind without a model is wrong before the first image is
    options = Options(
        out=work.out,
        settings=Settings(request.masks, request.gland_mode, request.outlines),
        reader=request.reader,
        look_at_below=_share("--look-at-below", request.look_at_below),
        pixel_size=GivenPixelSize.of_options(request.mpp, request.force_mpp),
        preview=request.preview,
        exports=request.exports,
        dry=request.dry_run,
        notes=[*work.notes, *work.warnings],
        details=work.details,
    )
    _check_places(request)
    _check_exports(request.exports, work)
    for warning in work.warnings:
        screen.warn(warning, "yellow")
    with (
        nullcontext() if request.dry_run else RunLock(work.out),
        work.journal,
        screen.watcher(len(work.jobs)) as watcher,
        ahead_of(request, options, registry, work.journal, watcher) as ahead,
    ):
        report = run(ahead(work.jobs), registry, options, watcher, work.journal)
    _show(report, request, work, screen)
    return exit_code(report)


def exit_code(report: RunReport) -> int:
    """Return 1 where an image failed or a part of one could not be read, else 0."""
    unread = any(r.reason is Reason.UNREADABLE for image in report.images for r in image.rejections)
    return 1 if report.failed or unread else 0


def mask_settings(threshold: float | None, smallest: str | None, fill_holes: str | None) -> MaskSettings:
    """Return the mask settings that a user wrote; SettingsError where a text is no area."""
    return MaskSettings(threshold, _area("--smallest", smallest), _area("--fill-holes", fill_holes))


def _area(option: str, text: str | None) -> Area | None:
    try:
        return None if text is None else Area.parse(text)
    except ValueError as error:
        raise SettingsError(f"{option} {text!r}: {error}.") from error


def _share(option: str, value: float) -> float:
    if not 0 <= value <= 1:
        raise SettingsError(f"{option} is a share from 0 to 1, such as {LOOK_AT_BELOW}, not {value}.")
    return value


def _chosen(work: Work, request: RunRequest) -> Work:
    """Return the work, or of it what the last run could not do."""
    if not request.retry_failed:
        return work
    jobs = to_retry(work.jobs, work.journal)
    notes = [*work.notes, f"Of {len(work.jobs)} images, {len(jobs)} failed or were incomplete."]
    return replace(work, jobs=jobs, notes=notes)


def work_of(request: RunRequest) -> Work:
    """Return the jobs of a request, and where their results go.

    Raises
    ------
    NuclickError
        If the target is not there, or options do not fit it.
    """
    target = request.target
    if not target.exists():
        raise SettingsError(
            f"{target} does not exist. Name a QuPath project or its folder, a file of ASAP or a folder of them, or a "
            "file of prompts."
        )
    if target.suffix.lower() == ".xml" or is_asap_folder(target):
        return _work_on_asap(request)
    if request.clicks_groups or request.squiggles_groups:
        raise SettingsError("--clicks-group and --squiggles-group are for ASAP; QuPath tells points from lines.")
    if target.is_dir() or target.suffix.lower() == ".qpproj":
        return _work_on_project(request)
    if target.suffix.lower() in PROMPT_FILES:
        return _work_on_file(request)
    raise SettingsError(
        f"{target}: what kind of prompts these are cannot be told from {target.suffix or 'a name without suffix'}. "
        "Accepted are a QuPath project (.qpproj or its folder), a file of ASAP (.xml) or a folder of them, and "
        f"prompts as {', '.join(PROMPT_FILES)}."
    )


def _check_places(request: RunRequest) -> None:
    if request.slide is not None:
        require_slide(request.slide)
    if request.out is not None and request.out.exists() and not request.out.is_dir():
        raise SettingsError(
            f"--out {request.out} is a file, and results need a folder: name one, which need not exist."
        )


def _check_exports(exports: ExportChoice, work: Work) -> None:
    if exports.labels is not None and exports.labels.suffix == STORE and len(work.jobs) != 1:
        raise SettingsError(
            f"--labels {exports.labels} is one store, and there are {len(work.jobs)} images: name a folder, in which "
            "each image gets a store, or choose one image."
        )
    exports.require_places(work.out, ((job.stem, job.identity) for job in work.jobs))


def _work_on_project(request: RunRequest) -> Work:
    if request.slide is not None:
        raise SettingsError(
            "--slide is for a file of prompts; a project knows its slides (--slides DIR finds moved ones)."
        )
    project = read_project(request.target)
    out = request.out or project.folder / "nuclick"
    journal = _journal(request, out)
    access = _access(request, project, out, journal)
    jobs = project_jobs(project, ImageChoice(request.objects, request.slides, request.images), access)
    notes = [access.note] if access.is_news else []
    details = [] if access.is_news else [access.note]
    if not isinstance(access, HierarchyAccess):
        return Work(jobs, out, journal, notes, details)
    return Work(jobs, out, journal, notes, details, signs_of_use(project, journal.path), project.path)


def _access(request: RunRequest, project: Project, out: Path, journal: Journal) -> FileAccess | HierarchyAccess:
    """Return the way into a project; a folder for results asks for files."""
    if request.project_access is ProjectAccess.PAQUO and request.out is not None:
        raise SettingsError("--out names a folder of result files, and --project-access paquo writes none: drop one.")
    if request.out is not None and request.project_access is ProjectAccess.AUTO:
        files = FileAccess(out, request.as_type, "because --out names a folder for them", is_news=True)
        return choose_access(ProjectAccess.FILES, project, files, journal)
    return choose_access(request.project_access, project, FileAccess(out, request.as_type, "as asked for"), journal)


def _work_on_asap(request: RunRequest) -> Work:
    if request.images:
        raise SettingsError("--image is for a project; of ASAP's files, name the one to work on.")
    folder = request.target if request.target.is_dir() else request.target.parent
    out = request.out or folder / "nuclick"
    return Work(asap_jobs(asap_files(request.target), _asap_choice(request)), out, _journal(request, out))


def _journal(request: RunRequest, out: Path) -> Journal:
    return Journal(out / FILE_NAME, request.fresh)


def _asap_choice(request: RunRequest) -> AsapChoice:
    rule = GroupRule(request.clicks_groups, request.squiggles_groups)
    return AsapChoice(request.objects, rule, request.slide, request.slides)


def _work_on_file(request: RunRequest) -> Work:
    if request.images:
        raise SettingsError("--image is for a project; of a table of several slides, --slide names the one to work on.")
    if request.slides is not None and not request.slides.is_dir():
        raise SettingsError(f"--slides {request.slides} is not a folder.")
    out = request.out or request.target.parent / "nuclick"
    file = PromptFile(
        path=request.target,
        out=out,
        slide=request.slide,
        folders=SlideFolders([request.slides] if request.slides else []),
        objects=request.objects,
        as_type=request.as_type,
        reader=request.reader,
        pixel_size=GivenPixelSize.of_options(request.mpp, request.force_mpp),
    )
    return Work(file.jobs(), out, _journal(request, out))


def _show(report: RunReport, request: RunRequest, work: Work, screen: Screen) -> None:
    if screen.as_json:
        print_json(report.content())
    if not screen.shows_text:
        for image in report.failed:
            screen.warn(f"{image.name}: {image.error}", "red")
        return
    (print_plan if request.dry_run else print_report)(screen.out, report, screen.verbose)
    _print_places(screen.out, report, work)


def _print_places(console: Console, report: RunReport, work: Work) -> None:
    """Print where everything is that was written."""
    written = [image.written.path for image in report.images if image.written is not None]
    if written:
        say(console, f"Results: {work.results or (written[0] if len(written) == 1 else written[0].parent)}")
    pages = [image.preview.page for image in report.images if image.preview is not None]
    for page in pages[:_MOST_PAGES]:
        say(console, f"Pictures: {page}")
    if len(pages) > _MOST_PAGES:
        say(console, f"Pictures: {len(pages) - _MOST_PAGES} more pages in {work.out}")
    if report.rejections_table is not None:
        say(console, f"Rejections: {report.rejections_table}")
    if report.record is not None:
        say(console, f"Run record: {report.record}")
