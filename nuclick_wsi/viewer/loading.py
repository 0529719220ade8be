"""Files of prompts as marks of the page: GeoJSON, tables, ASAP's files and QuPath projects, by the readers that exist.

What a browser uploads is put into a file of the same name for the readers, and taken away when it is read.
"""

import tempfile
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from asap_bridge.document import read_document
from asap_bridge.features import features_of
from asap_bridge.selection import GroupRule
from nuclick_wsi.errors import NuclickError, PromptError
from nuclick_wsi.formats.colors import Color, color_of
from nuclick_wsi.formats.drawings import Drawing, Found, Mark, prompts_of_drawings
from nuclick_wsi.formats.feature_geojson import geojson_of_features
from nuclick_wsi.formats.prompt_files import ACCEPTED, GEOJSON, TABLES, read_drawings
from nuclick_wsi.formats.prompt_geojson import drawings_of_geojson
from nuclick_wsi.geometry import Point
from nuclick_wsi.prompts import ObjectChoice, Role
from nuclick_wsi.runs.jobs import file_stem
from nuclick_wsi.viewer.marks import MarkObject, PageMark
from nuclick_wsi.viewer.opened_slide import OpenedSlide, image_of, is_project
from qupath_extension.project import ProjectImage, read_project
from qupath_extension.qpdata.hierarchy import ImageData
from qupath_extension.viewer_marks import ViewerMarks, viewer_marks_of

UPLOADS = (*GEOJSON, *TABLES, ".gz", ".zip", ".xml")
"""The endings of files that the page may send."""
_CHOICES = {
    MarkObject.NUCLEUS: ObjectChoice.AUTO,
    MarkObject.CELL: ObjectChoice.CELL,
    MarkObject.CELL_AND_NUCLEUS: ObjectChoice.CELL_AND_NUCLEUS,
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """The marks of a file, the colours of its classes, and how many of what else was there, by what it is."""

    marks: Sequence[PageMark]
    class_colors: Mapping[str, Color] = field(default_factory=dict)
    left_alone: Mapping[str, int] = field(default_factory=dict)


def load_upload(name: str, content: bytes, slide: OpenedSlide, clicks_are: MarkObject) -> Loaded:
    """Return the marks in a file that the page has sent; errors as `load`."""
    ending = PurePosixPath(name).suffix.lower()
    if ending not in UPLOADS:
        raise PromptError(f"{name} is not a file of prompts that can be read: accepted are {ACCEPTED}, .xml of ASAP.")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"{file_stem(PurePosixPath(name).stem)}{ending}")
        path.write_bytes(content)
        try:
            return load(path, slide, clicks_are)
        except NuclickError as error:
            raise PromptError(str(error).replace(str(path), name)) from error


def load(path: Path, slide: OpenedSlide, clicks_are: MarkObject) -> Loaded:
    """Return the marks that a file or a project has on a slide.

    Parameters
    ----------
    clicks_are
        What its points are in; lines are glands.

    Raises
    ------
    PromptError
        If the file cannot be read, or is a table of other slides.
    ProjectError
        If the project cannot be read, or has no image on the slide.
    """
    if is_project(path):
        return read_image(path, slide).marks(clicks_are)
    return _marks_of(_drawings(path, slide), (), clicks_are)


@dataclass(frozen=True, slots=True)
class DrawnOn:
    """What is on an image of a project at one moment: drawn in QuPath, and added or left out by the viewer."""

    image: ProjectImage
    data: ImageData
    added: ViewerMarks
    class_colors: Mapping[str, Color]

    def marks(self, clicks_are: MarkObject) -> Loaded:
        """Return the marks that count; errors as `load`."""
        found = self.added.drawings_among(self.data.objects)
        colors = {**self.added.class_colors, **self.data.class_colors, **self.class_colors}
        return _marks_of(Found(found.drawings, found.left_alone, colors), self.added.left_out, clicks_are)


def read_image(project: Path, slide: OpenedSlide) -> DrawnOn:
    """Read the image of a project that is on a slide; errors as `load`."""
    image = image_of(project, slide.path)
    data = image.read_data()
    return DrawnOn(image, data, viewer_marks_of(image, data), read_project(project).class_colors)


def _marks_of(found: Found, left_out: Collection[str], clicks_are: MarkObject) -> Loaded:
    left_alone = Counter(found.left_alone)
    marks: dict[str, PageMark] = {}
    for drawing in found.drawings:
        here = list(marks_of_drawing(drawing, clicks_are))
        unusable = _positions(drawing) - len(here)
        if unusable:
            left_alone["unusable"] += unusable
        marks.update((mark.id, mark) for mark in here if mark.id not in left_out)
    # As in the results of a run, a class without a colour gets one that depends on its name.
    names = {drawing.class_name for drawing in found.drawings if drawing.class_name and drawing.role is Role.SEGMENT}
    colors = {**{name: color_of(name) for name in sorted(names)}, **found.class_colors}
    return Loaded(tuple(marks.values()), colors, left_alone)


def _drawings(path: Path, slide: OpenedSlide) -> Found:
    if path.suffix.lower() == ".xml":
        # ASAP counts from the corner of the whole slide, the page perhaps from that of the scanned part.
        features = features_of(read_document(path), GroupRule())
        here = features.shifted(Point(-slide.origin.x, -slide.origin.y))
        return drawings_of_geojson(geojson_of_features(here).content, str(path))
    found = read_drawings(path, slide=slide.path, pixel_size=slide.pixel_size)
    if not found.drawings and found.left_alone:
        told = ", ".join(f"{count} {what}" for what, count in found.left_alone.items())
        raise PromptError(f"{path} has no clicks or squiggles on {slide.path.name}; it has {told}.")
    return found


def _positions(drawing: Drawing) -> int:
    return sum(map(len, drawing.parts)) if drawing.mark is Mark.POINTS else 1


def marks_of_drawing(drawing: Drawing, clicks_are: MarkObject) -> Iterable[PageMark]:
    """Yield a mark for each point of a drawing, or one for all of its lines."""
    choice = _CHOICES[clicks_are] if drawing.mark is Mark.POINTS else ObjectChoice.GLAND
    clicked = clicks_are if drawing.mark is Mark.POINTS else MarkObject.GLAND
    what = MarkObject.IGNORE if drawing.role is Role.EXCLUDE_ONLY else clicked
    done: set[object] = set()
    for prompt in prompts_of_drawings([drawing], choice).prompts:
        if prompt.signal not in done:  # of a cell with its nucleus, and of what is ignored by several kinds, one mark
            done.add(prompt.signal)
            strokes = tuple(tuple((point.x, point.y) for point in stroke) for stroke in prompt.signal.strokes)
            yield PageMark(prompt.id, what, strokes, drawing.class_name, drawing.source, drawing.plane)
