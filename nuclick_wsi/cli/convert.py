"""What `nuclick-wsi convert` does: annotations and results from ASAP to QuPath and back, and what was lost on the way.

QuPath counts positions from where the scanned part of a slide starts, ASAP from the corner of the whole; the slide
says how far these are apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asap_bridge.document import read_document
from asap_bridge.feature_annotations import asap_of_features
from asap_bridge.features import features_of
from asap_bridge.selection import GroupRule
from nuclick_wsi.cli.arguments import require_slide
from nuclick_wsi.cli.console import make_console
from nuclick_wsi.errors import NuclickError, PromptError, SettingsError, SlideError
from nuclick_wsi.files import write_atomically
from nuclick_wsi.formats.feature_geojson import features_of_geojson, geojson_of_features
from nuclick_wsi.formats.features import Converted, Features
from nuclick_wsi.formats.prompt_files import GEOJSON
from nuclick_wsi.geometry import Point
from nuclick_wsi.ownership import require_free
from nuclick_wsi.paths import existing
from nuclick_wsi.runs.jobs import file_stem
from nuclick_wsi.slides.lookup import SlideFolders, find_slide_of
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.slide import Frame
from qupath_extension.features import features_of as features_of_objects
from qupath_extension.project import Project, ProjectImage, read_project
from qupath_extension.qpdata.hierarchy import ImageData
from qupath_extension.result_files import results_of
from qupath_extension.viewer_marks import viewer_marks_of

_UNSHIFTED = (
    "The slide was not found, so positions were taken over as they are. That is wrong for slides of which only a part "
    "was scanned: name it with --slide FILE (of a project: --slides DIR)."
)


@dataclass(frozen=True, slots=True)
class ConvertRequest:
    """What `nuclick-wsi convert` was asked to do."""

    source: Path
    target: Path
    slide: Path | None = None
    slides: Path | None = None
    clicks_groups: Sequence[str] = ()
    squiggles_groups: Sequence[str] = ()


def convert(asked: ConvertRequest) -> int:
    """Convert one file, or all images of a project; print what was written and what was lost; return the exit code."""
    request = replace(asked, source=existing(asked.source), slides=asked.slides and existing(asked.slides))
    source, target = request.source.suffix.lower(), request.target.suffix.lower()
    if request.slide is not None:
        require_slide(request.slide)
    if not request.source.exists():
        raise SettingsError(f"{request.source} does not exist. Name an .xml of ASAP, a .geojson or a QuPath project.")
    if request.source.is_dir() or source == ".qpproj":
        return _convert_project(request)
    if source == ".xml" and target in GEOJSON[:2]:
        _asap_to_qupath(request)
    elif source in GEOJSON and target == ".xml":
        _qupath_to_asap(request)
    else:
        raise SettingsError(
            f"{request.source} cannot become {request.target}. Accepted are .xml to .geojson, .geojson to .xml, and a "
            "QuPath project to a folder of .xml."
        )
    return 0


def _asap_to_qupath(request: ConvertRequest) -> None:
    rule = GroupRule(request.clicks_groups, request.squiggles_groups)
    features = features_of(read_document(request.source), rule)
    origin, remark = _origin(request.slide, request.source)
    _put(request.target, geojson_of_features(features.shifted(Point(-origin.x, -origin.y))), remark)


def _qupath_to_asap(request: ConvertRequest) -> None:
    features = features_of_geojson(_read(request.source), str(request.source))
    origin, remark = _origin(request.slide, request.target)
    _put(request.target, asap_of_features(features.shifted(origin)), remark)


def _convert_project(request: ConvertRequest) -> int:
    if request.target.suffix or request.target.is_file():
        raise SettingsError(f"{request.target}: a project becomes a folder of .xml, one for each slide. Name a folder.")
    project = read_project(request.source)
    folders = SlideFolders([request.slides] if request.slides else [])
    names = [file_stem(Path(image.name).stem) for image in project.images]
    failed = False
    for image, name in zip(project.images, names, strict=True):
        # ASAP finds a file by the slide's name; where two slides share one, the entry's id keeps them apart.
        stem = name if names.count(name) == 1 else f"{name} {image.entry_id}"
        try:
            _convert_image(project, image, folders, request.target / f"{stem}.xml")
        except NuclickError as error:
            failed = True
            _say(f"{image.name}: {error}")
    return 1 if failed else 0


def _convert_image(project: Project, image: ProjectImage, folders: SlideFolders, target: Path) -> None:
    data = image.read_data()
    drawn = features_of_objects(data.objects, {**data.class_colors, **project.class_colors})
    marks = _marks_of_viewer(image, data)
    results = results_of(image)
    made = features_of_geojson(_read(results), str(results)) if results.exists() else Features(())
    together = Features(
        [*drawn.features, *marks.features, *made.features],
        {**made.class_colors, **marks.class_colors, **drawn.class_colors},
        drawn.lost + made.lost,
    )
    origin, remark = _origin_of_image(image, folders)
    _put(target, asap_of_features(together.shifted(origin)), remark)


def _marks_of_viewer(image: ProjectImage, data: ImageData) -> Features:
    """Return what the viewer has added to an image and QuPath does not have yet."""
    added = viewer_marks_of(image, data)
    if added.path is None or not added.drawings:
        return Features(())
    found = features_of_geojson(_read(added.path), str(added.path))
    ids = {drawing.source for drawing in added.drawings}
    return replace(found, features=[one for one in found.features if one.id in ids])


def _origin_of_image(image: ProjectImage, folders: SlideFolders) -> tuple[Point, str | None]:
    if not image.server.crops_to_bounds:
        return Point(0, 0), None
    try:
        return _start_of(image.find_slide(folders)), None
    except SlideError:
        return Point(0, 0), _UNSHIFTED


def _origin(slide: Path | None, asap_file: Path) -> tuple[Point, str | None]:
    """Return where QuPath's (0, 0) is on the whole slide, and what to say where that cannot be known."""
    if slide is not None:
        return _start_of(slide), None
    try:
        return _start_of(find_slide_of(asap_file)), None
    except SlideError:
        return Point(0, 0), _UNSHIFTED


def _start_of(slide: Path) -> Point:
    with open_slide(slide, frame=Frame.BOUNDS) as opened:
        return opened.info.origin


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise PromptError(f"{path} cannot be read: {error.strerror or error}.") from error


def _put(path: Path, converted: Converted, remark: str | None) -> None:
    """Write a file where there is none yet, and say what is in it and what was lost."""
    require_free(path, converted.content)
    write_atomically(path, converted.content)
    _say(f"{path}: {converted}")
    for what, count in sorted(converted.lost.items()):
        _say(f"  cannot hold, or not taken over: {what} ({count})")
    if remark is not None:
        _say(f"  {remark}")


def _say(text: str) -> None:
    make_console().print(text, highlight=False, markup=False, soft_wrap=True)
