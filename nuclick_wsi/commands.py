"""What the command line does: it turns a request into jobs, wires readers and engine together, and reports."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nuclick_training.evaluate import Evaluation, evaluate, print_scores

from asap_bridge.jobs import AsapChoice, asap_files, asap_jobs, is_asap_folder
from asap_bridge.selection import GroupRule
from nuclick_wsi.choices import GlandMode, ObjectType, ReaderChoice
from nuclick_wsi.console import ProgressWatcher, make_console, print_plan, print_report
from nuclick_wsi.demo import make_demo
from nuclick_wsi.engine import MaskSettings, Settings
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.instances import Reason
from nuclick_wsi.jobs import GeoJsonSink, ImageInput, Job, Sink, file_stem
from nuclick_wsi.journal import FILE_NAME, Journal
from nuclick_wsi.prompt_files import read_prompts
from nuclick_wsi.prompts import ObjectChoice, ObjectKind
from nuclick_wsi.report import RunReport
from nuclick_wsi.run import Options, run
from nuclick_wsi.scale import Area, PixelSize
from nuclick_wsi.shelf import Shelf
from nuclick_wsi.slide import Frame
from qupath_extension.jobs import ImageChoice, project_jobs
from qupath_extension.project import read_project

PROMPT_FILES = (".geojson", ".json", ".csv", ".tsv", ".gz", ".zip")


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `nuclick-wsi run` was asked to do."""

    target: Path
    slide: Path | None = None
    slides: Path | None = None
    clicks_groups: Sequence[str] = ()
    squiggles_groups: Sequence[str] = ()
    objects: ObjectChoice = ObjectChoice.AUTO
    models: Sequence[str] = ()
    images: Sequence[str] = ()
    mpp: float | None = None
    reader: ReaderChoice = ReaderChoice.AUTO
    device: str = "auto"
    batch_size: int | None = None
    as_type: ObjectType = ObjectType.DETECTION
    masks: MaskSettings = MaskSettings()
    gland_mode: GlandMode = GlandMode.CROP
    out: Path | None = None
    preview: bool = False
    dry_run: bool = False
    fresh: bool = False


def run_target(request: RunRequest) -> int:
    """Work through a project, files of ASAP or a file of prompts; return the exit code."""
    jobs, out = _jobs_of(request)
    shelf = Shelf(request.models, request.device, request.batch_size)
    if request.objects is not ObjectChoice.AUTO:
        shelf.path(ObjectKind(request.objects.value))  # a kind without a model is wrong before the first image is
    options = Options(
        out=out,
        settings=Settings(masks=request.masks, gland_mode=request.gland_mode),
        reader=request.reader,
        pixel_size=_pixel_size(request.mpp),
        preview=request.preview,
        dry=request.dry_run,
    )
    with (
        Journal(out / FILE_NAME, request.fresh) as journal,
        ProgressWatcher(make_console(stderr=True), len(jobs)) as watcher,
    ):
        report = run(jobs, shelf, options, watcher, journal)
    _print(report, options)
    return exit_code(report)


def run_demo(folder: Path, device: str) -> int:
    """Build the demo's project and run the main job on it; return the exit code."""
    project = make_demo(folder)
    make_console().print(f"A slide and a QuPath project with clicks and squiggles: {project}", highlight=False)
    return run_target(RunRequest(project, device=device, preview=True))


def evaluate_model(asked: Evaluation) -> None:
    """Score a model on labelled images and print the table."""
    console = make_console()
    with make_console(stderr=True).status("evaluating") as status:
        results = evaluate(asked, lambda image: status.update(f"evaluated {image.name}"))
    print_scores(results, console)


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


def _pixel_size(mpp: float | None) -> PixelSize | None:
    if mpp is not None and not 0.01 <= mpp <= 100:
        raise SettingsError(f"--mpp is the width of a pixel in um, between 0.01 and 100, not {mpp}.")
    return None if mpp is None else PixelSize(mpp, mpp)


def _jobs_of(request: RunRequest) -> tuple[list[Job], Path]:
    """Return the jobs of a target, and the folder where everything that a run makes goes."""
    target = request.target
    if not target.exists():
        raise SettingsError(
            f"{target} does not exist. Name a QuPath project or its folder, a file of ASAP or a folder of them, or a "
            "file of prompts."
        )
    if target.suffix.lower() == ".xml" or is_asap_folder(target):
        return _jobs_of_asap(request)
    if request.clicks_groups or request.squiggles_groups:
        raise SettingsError("--clicks-group and --squiggles-group are for ASAP; QuPath tells points from lines.")
    if target.is_dir() or target.suffix.lower() == ".qpproj":
        return _jobs_of_project(request)
    if target.suffix.lower() in PROMPT_FILES:
        return _jobs_of_file(request)
    raise SettingsError(
        f"{target}: what kind of prompts these are cannot be told from {target.suffix or 'a name without suffix'}. "
        "Accepted are a QuPath project (.qpproj or its folder), a file of ASAP (.xml) or a folder of them, and "
        f"prompts as {', '.join(PROMPT_FILES)}."
    )


def _jobs_of_project(request: RunRequest) -> tuple[list[Job], Path]:
    if request.slide is not None:
        raise SettingsError(
            "--slide is for a file of prompts; a project knows its slides (--slides DIR finds moved ones)."
        )
    project = read_project(request.target)
    out = request.out or project.folder / "nuclick"
    chosen = ImageChoice(request.objects, request.slides, request.images)
    return project_jobs(project, chosen, partial(_sink, out, request.as_type)), out


def _jobs_of_asap(request: RunRequest) -> tuple[list[Job], Path]:
    if request.images:
        raise SettingsError("--image is for a project; of ASAP's files, name the one to work on.")
    folder = request.target if request.target.is_dir() else request.target.parent
    return asap_jobs(asap_files(request.target), asap_choice(request)), request.out or folder / "nuclick"


def asap_choice(request: RunRequest) -> AsapChoice:
    """Return what a request means for files of ASAP."""
    rule = GroupRule(request.clicks_groups, request.squiggles_groups)
    return AsapChoice(request.objects, rule, request.slide, request.slides)


def _jobs_of_file(request: RunRequest) -> tuple[list[Job], Path]:
    if request.slide is None:
        raise SettingsError(f"{request.target} does not say which slide it is of: add --slide FILE.")
    if request.images or request.slides:
        raise SettingsError("--image and --slides are for a project; a file of prompts has the one slide of --slide.")
    out = request.out or request.target.parent / "nuclick"
    stem = file_stem(request.target.name.removesuffix(".gz").rpartition(".")[0])
    read = partial(_read_file, request.target, request.slide, request.objects)
    return [Job(request.target.name, stem, read, _sink(out, request.as_type, stem), stem)], out


def _sink(out: Path, as_type: ObjectType, stem: str) -> Sink:
    return GeoJsonSink(out / f"{stem}.geojson", as_type)


def _read_file(target: Path, slide: Path, objects: ObjectChoice) -> ImageInput:
    """Read a file of prompts; its positions are QuPath's, which crops a slide to its bounds."""
    find_slide: Callable[[], Path] = lambda: slide  # noqa: E731
    return ImageInput(read_prompts(target, objects), find_slide, Frame.BOUNDS)


def _print(report: RunReport, options: Options) -> None:
    console = make_console()
    if options.dry:
        print_plan(console, report)
        return
    print_report(console, report)
    results = [image.result for image in report.images if image.result is not None] or [options.out]
    where = results[0] if len(results) == 1 else results[0].parent
    previews = "".join(f"\nPicture: {image.preview}" for image in report.images if image.preview is not None)
    text = f"Results: {where}{previews}\nRun record: {report.record}"
    console.print(text, highlight=False, markup=False, soft_wrap=True)
