"""The slide of a page: where it is, how positions on it are counted, its pixel size, and where results go."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from asap_bridge.sink import AsapSink
from nuclick_wsi.choices import ObjectType, ReaderChoice
from nuclick_wsi.errors import PixelSizeError, ProjectError, SlideError
from nuclick_wsi.geometry import Point, Size
from nuclick_wsi.ownership import source_name
from nuclick_wsi.paths import comparable, existing
from nuclick_wsi.runs.jobs import GeoJsonSink, Sink, file_stem
from nuclick_wsi.runs.prompt_file_jobs import PromptFile
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.fingerprint import fingerprint
from nuclick_wsi.slides.pixel_sizes import GivenPixelSize, resolve_pixel_size
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.slide import Frame, SlideInfo, require_size
from qupath_extension.access import FileAccess
from qupath_extension.project import ProjectImage, read_project
from qupath_extension.result_files import image_stem
from qupath_extension.uris import path_of_uri

_OTHER_SLIDE = "Name the slide that was drawn on."


@dataclass(frozen=True, slots=True)
class OpenedSlide:
    """What is known of the slide when the page starts.

    Attributes
    ----------
    path
        Its real path: the only slide that the server opens.
    origin
        Where (0, 0) of the frame is on the whole slide, in slide pixels.
    pixel_size
        None where neither project, file nor user has said it: the page asks.
    results
        Where results are saved.
    """

    path: Path
    frame: Frame
    fingerprint: str
    size: Size
    origin: Point
    pixel_size: PixelSize | None
    remarks: Sequence[str]
    results: Sink


def open_for_viewing(
    slide: Path, prompts: Path | None, given: GivenPixelSize | None, reader: ReaderChoice = ReaderChoice.AUTO
) -> OpenedSlide:
    """Look at a slide.

    Parameters
    ----------
    prompts
        The file or project that its prompts are from, which may say how positions are counted and where results go.
    given
        The user's pixel size.

    Raises
    ------
    NuclickError
        If the slide cannot be opened, or is not one of the project.
    """
    path = existing(slide).resolve()
    image = None if prompts is None or not is_project(prompts) else image_of(prompts, path)
    frame = Frame.FULL if _is_asap(prompts) or (image and not image.server.crops_to_bounds) else Frame.BOUNDS
    with open_slide(path, reader=reader, frame=frame) as opened:
        info = opened.info
    if image is not None:
        require_size(info, image.size, "the project drew on a slide of", _OTHER_SLIDE)
    pixel_size, remarks = _pixel_size(info, None if image is None else image.pixel_size, given)
    return OpenedSlide(
        path,
        frame,
        fingerprint(path),
        info.size,
        info.origin,
        pixel_size,
        (*info.remarks, *remarks, *(() if prompts is None or image is None else _which(prompts, path, image))),
        _results(path, prompts, image),
    )


def _pixel_size(
    info: SlideInfo, of_project: PixelSize | None, given: GivenPixelSize | None
) -> tuple[PixelSize | None, Sequence[str]]:
    """Return the pixel size and what the user is to know of it; None where the page has to ask."""
    try:
        resolved = resolve_pixel_size(info, of_project, given)
    except PixelSizeError:
        if given is not None or info.pixel_size is not None:
            raise  # not that none is known, but that one is wrong
        return None, ()
    return resolved.size, resolved.remarks


def is_project(path: Path) -> bool:
    """Whether a path is a QuPath project or its folder."""
    return path.is_dir() or path.suffix.lower() == ".qpproj"


def _is_asap(path: Path | None) -> bool:
    """Whether a path is a file of ASAP, which shows the whole slide."""
    return path is not None and path.suffix.lower() == ".xml"


def image_of(project: Path, slide: Path) -> ProjectImage:
    """Return the image of a project that is on a slide: of several, the first that is not refused.

    Raises
    ------
    ProjectError
        If there is none, or all are refused.
    """
    found = _images_on(project, slide)
    image = next((one for one in found if one.refusal is None), found[0])
    if image.refusal is not None:
        raise ProjectError(f"Refused: {image.refusal}.")
    return image


def _images_on(project: Path, slide: Path) -> Sequence[ProjectImage]:
    """Return the images on a slide; where none is, the one whose slide is lost and has the name of this one's file."""
    images = read_project(project).images
    if found := [image for image in images if _is_on(image, slide)]:
        return found
    alike = [image for image in images if _is_lost(image, slide.name)]
    if len(alike) == 1:
        return alike
    names = ", ".join(image.name for image in images) or "none"
    lost = f" {len(alike)} of them are on a {slide.name} that is not where the project has it." if alike else ""
    raise ProjectError(
        f"{project} has no image on {slide}. Its images: {names}.{lost} Name the slide of one of them, or add this one "
        "to the project in QuPath."
    )


def _is_on(image: ProjectImage, slide: Path) -> bool:
    try:
        return image.find_slide().samefile(slide)
    except (SlideError, OSError):
        return False


def _is_lost(image: ProjectImage, name: str) -> bool:
    """Whether an image's slide is not where the project has it, and has this name."""
    path = path_of_uri(image.server.uri)
    if path is None or comparable(path.name) != comparable(name):
        return False
    try:
        image.find_slide()
    except SlideError:
        return True
    return False


def _which(project: Path, slide: Path, image: ProjectImage) -> Sequence[str]:
    """Return what the user is to know of the choice among a project's images, a clause each."""
    remarks = []
    others = [one.name for one in _images_on(project, slide) if one.entry_id != image.entry_id]
    if others:
        names = ", ".join(others)
        remarks.append(
            f"the project has this slide more than once: the marks are those of {image.name}, not of {names}"
        )
    if not _is_on(image, slide):
        remarks.append(f"the project has {slide.name} in another place, where it is not: it was found by its name")
    return remarks


def _results(slide: Path, prompts: Path | None, image: ProjectImage | None) -> Sink:
    """Return where a run on the same prompts puts results; beside the slide where there are none."""
    if image is not None:
        out = image.project_file.parent / "nuclick"
        return FileAccess(out, ObjectType.DETECTION, "from the viewer").entry(image, image_stem(image))
    if prompts is not None and _is_asap(prompts):
        return AsapSink(prompts)
    if prompts is not None:
        return PromptFile(prompts, prompts.parent / "nuclick", slide).jobs()[0].sink
    out = slide.parent / "nuclick"
    return GeoJsonSink(out / f"{file_stem(slide.name)}.geojson", ObjectType.DETECTION, source_name(out, slide))
