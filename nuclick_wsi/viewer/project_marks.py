"""Marks of a page as prompts of a QuPath project: what was drawn there stays, all else is in a file beside results."""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nuclick_wsi.errors import FileChangedError
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.formats.marks import mark_of
from nuclick_wsi.json_values import Json
from nuclick_wsi.viewer.exporting import annotation
from nuclick_wsi.viewer.file_changes import FileChanges, changes_since, is_as_in
from nuclick_wsi.viewer.loading import DrawnOn, load, marks_of_drawing, read_image
from nuclick_wsi.viewer.marks import MarkObject, PageMark, key_of, read_marks
from nuclick_wsi.viewer.opened_slide import OpenedSlide
from qupath_extension.import_script import offer_import_script
from qupath_extension.selection import drawings_of
from qupath_extension.viewer_marks import VIEWER_MARK, write_viewer_marks

_IN = {
    MarkObject.NUCLEUS: "nuclei",
    MarkObject.CELL: "cells",
    MarkObject.CELL_AND_NUCLEUS: "cells with their nuclei",
}


@dataclass(frozen=True, slots=True)
class SavedMarks:
    """What was saved.

    Attributes
    ----------
    added, left_out
        How many marks the project has not drawn itself, and how many of those drawn there are not to count.
    remarks
        What the user is to know, each a clause.
    """

    path: Path
    added: int
    left_out: int
    remarks: Sequence[str]


class ProjectMarks:
    """The marks of a page, in the project that it was opened with."""

    def __init__(self, project: Path, slide: OpenedSlide, clicks_are: MarkObject) -> None:
        self._project, self._slide, self._clicks_are = project, slide, clicks_are
        self._guard = threading.Lock()

    def save(self, document: Json, colors: Mapping[str, Color]) -> SavedMarks | FileChanges:
        """Save the marks of a document, or return what the project has that the page does not know; then nothing is.

        Raises
        ------
        NuclickError
            If the project cannot be read, or the file not be written.
        """
        with self._guard:
            try:
                return self._save(document, colors)
            except FileChangedError:  # another viewer has saved meanwhile: the user sees what, as if it had before
                return self._save(document, colors)

    def _save(self, document: Json, colors: Mapping[str, Color]) -> SavedMarks | FileChanges:
        there = read_image(self._project, self._slide)
        changes = changes_since(document, there.marks(self._clicks_are))
        return changes or self._write(there, read_marks(document["prompts"]), colors)

    def unsaved(self, document: Json) -> int:
        """Return how many marks a run on the project would not know, or know without need."""
        saved = {key_of(mark): mark for mark in load(self._project, self._slide, self._clicks_are).marks}
        here = {key_of(mark): mark for mark in read_marks(document["prompts"])}
        return sum(not is_as_in(mark, key, saved) for key, mark in here.items()) + len(saved.keys() - here.keys())

    def _write(self, there: DrawnOn, marks: Sequence[PageMark], colors: Mapping[str, Color]) -> SavedMarks:
        image, objects = there.image, there.data.objects
        drawn = {
            mark.id: mark
            for drawing in drawings_of(objects).drawings
            for mark in marks_of_drawing(drawing, self._clicks_are)
        }
        here = {key_of(mark): mark for mark in marks}
        own = [mark for key, mark in here.items() if not is_as_in(mark, key, drawn)]
        left_out = {
            key: {"source": mark.source, "at": mark.strokes[0][0]}
            for key, mark in drawn.items()
            if not is_as_in(mark, key, here)
        }
        taken = Counter([one.id for one in objects] + [mark.source for mark in own])
        # Each is an annotation by itself, so one of several of a drawing gets the page's own id.
        names = [mark.source if mark.source and taken[mark.source] == 1 else mark.id for mark in own]
        features = [_feature(mark, name, colors) for mark, name in zip(own, names, strict=True)]
        place = write_viewer_marks(image, features, left_out, there.added.seen)
        remarks = [
            *place.remarks,
            *_points_in(marks),
            *(offer_import_script(image.project_file.parent) if own or left_out else ()),
        ]
        return SavedMarks(place.path, len(own), len(left_out), remarks)


def _points_in(marks: Sequence[PageMark]) -> Sequence[str]:
    """Return what the user is to know of clicks in something else than nuclei, which no run finds out, a clause."""
    kinds = Counter(mark.object for mark in marks if mark.is_click and mark.object is not MarkObject.IGNORE)
    if not kinds.keys() - {MarkObject.NUCLEUS}:
        return ()
    if len(kinds) == 1:
        (kind,) = kinds
        return (f"a project does not keep that the clicks are in {_IN[kind]}: run with --object {kind}",)
    told = ", ".join(f"{count} in {_IN[kind]}" for kind, count in sorted(kinds.items()))
    return (f"a project does not keep what clicks are in ({told}): a run takes all for what --object says, or nuclei",)


def _feature(mark: PageMark, identity: str, colors: Mapping[str, Color]) -> Json:
    feature = annotation([mark], colors)
    name = feature["properties"].get("classification", {}).get("name", "")
    measurements = {VIEWER_MARK: mark_of(identity, "annotation", name)}
    return {**feature, "id": identity, "properties": {**feature["properties"], "measurements": measurements}}
