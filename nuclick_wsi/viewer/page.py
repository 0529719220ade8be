"""What the routes of the page work with: a slide, its tiles, its outlines, saved work, and where results go."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nuclick_wsi.choices import LOOK_AT_BELOW
from nuclick_wsi.errors import ModelError, NuclickError, RequestError
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.json_values import Json, object_at
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.runs.jobs import ModelUsed, Results
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.viewer.exporting import PageResult
from nuclick_wsi.viewer.file_changes import FileChanges, changes_since
from nuclick_wsi.viewer.loading import Loaded, load, load_upload
from nuclick_wsi.viewer.marks import MarkObject, read_marks
from nuclick_wsi.viewer.opened_slide import OpenedSlide
from nuclick_wsi.viewer.outlining import Outliner
from nuclick_wsi.viewer.project_marks import ProjectMarks, SavedMarks
from nuclick_wsi.viewer.saved_work import SavedWork
from nuclick_wsi.viewer.tiles import OVERLAP, SIDE, TileLevels, Tiles


@dataclass(frozen=True, slots=True)
class Page:
    """What the routes of one page work with.

    Attributes
    ----------
    begun_with
        The marks of the file that the page was opened with, as they were then.
    opened_with
        That file.
    clicks_are
        What its points are in.
    project
        Where marks are saved, if it is a QuPath project.
    """

    slide: OpenedSlide
    registry: ModelRegistry
    outliner: Outliner
    tiles: Tiles
    saved: SavedWork
    begun_with: Loaded
    opened_with: Path | None = None
    clicks_are: MarkObject = MarkObject.NUCLEUS
    project: ProjectMarks | None = None

    def info(self) -> Json:
        """Return what the page needs to know of slide, models and server."""
        size, pixel_size = self.slide.size, self.slide.pixel_size
        return {
            "version": version("nuclick-wsi"),
            "slide": self.slide.path.name,
            "width": size.width,
            "height": size.height,
            "pixel_size_um": None if pixel_size is None else [pixel_size.x_um, pixel_size.y_um],
            "remarks": self.slide.remarks,
            "tiles": {"side": SIDE, "overlap": OVERLAP, "last": TileLevels(size).last, "key": self.slide.fingerprint},
            "models": list(filter(None, map(self._model, ObjectKind))),
            "device": str(self.registry.compute.device),
            "look_at_below": LOOK_AT_BELOW,
            "saves_prompts": self.project is not None,
        }

    def _model(self, kind: ObjectKind) -> Json | None:
        try:
            card = self.registry.card(kind)
        except ModelError:
            return None
        return {"kind": kind, "name": card.name, "mpp": card.mpp, "terms": card.terms}

    def document(self) -> Json:
        """Return the saved work, and the marks of the file that the page was opened with, as they are now.

        Where there is saved work, also what is new or gone in the file since.
        """
        file, problem = self._file()
        work = self.saved.read()
        opened_with = None if self.opened_with is None else self.opened_with.name
        about = {"opened_with": opened_with, "file": loaded_as_json(file), "file_problem": problem}
        if work is None:
            return {**about, "revision": 0, "saved_at": None, "document": None, "changes": None}
        changes = changes_since(work.document, file)
        saved = {"revision": work.revision, "saved_at": work.saved_at, "document": work.document}
        return {**about, **saved, "changes": changes.as_json() if changes and problem is None else None}

    def _file(self) -> tuple[Loaded, str | None]:
        """Return the marks of the file, and why they are those of an earlier moment, where it cannot be read now."""
        if self.opened_with is None:
            return self.begun_with, None
        try:
            return load(self.opened_with, self.slide, self.clicks_are), None
        except NuclickError as error:
            return self.begun_with, f"{error} What is shown is what was read when the viewer started."

    def upload(self, name: str, content: bytes, clicks_are: MarkObject) -> Json:
        """Return the marks of a file that the page has sent; in a project each is one by itself."""
        loaded = loaded_as_json(load_upload(name, content, self.slide, clicks_are))
        if self.project is not None:
            loaded["prompts"] = [{**mark, "source": mark["id"]} for mark in loaded["prompts"]]
        return loaded

    def save_prompts(self, content: Json) -> SavedMarks | FileChanges:
        """Put the marks of a document into the project, or return what was changed there meanwhile.

        Raises
        ------
        NuclickError
            If there is no project, or what `ProjectMarks.save` raises.
        """
        if self.project is None:
            raise RequestError("The viewer was not opened with a QuPath project: export the prompts.")
        document = object_at(content, "document")
        return self.project.save(document, _colors(document.get("classes", [])))

    def result(self, content: Json, on_progress: Callable[[int], None] = lambda _: None) -> PageResult:
        """Return all marks of a document with their outlines; NuclickError for what is wrong with it."""
        document = object_at(content, "document")
        asked = self.outliner.ask({**document, "changed": None})
        decisions = {str(key): str(value) for key, value in object_at(document, "decisions").items()}
        outcome = self.outliner.outline(asked, on_progress)
        colors = _colors(document.get("classes", []))
        marks = read_marks(document["prompts"])
        return PageResult(marks, outcome, asked.marked.owners, decisions, colors, self.slide.origin)

    def save_results(self, content: Json) -> Json:
        """Put the outlines of a document where a run would; return what the user is to know."""
        result = self.result(content)
        models = [ModelUsed(one.card.kind, one.card.name, one.sha256, one.path) for one in self.registry.loaded]
        written = self.slide.results.write(Results(result.instances, result.class_colors, models, asdict(Settings())))
        remarks = list(written.remarks)
        unsaved = 0 if self.project is None else self.project.unsaved(object_at(content, "document"))
        if unsaved:
            remarks.append(
                f"a run on the project replaces them, and does not know {unsaved} changes: save prompts, too"
            )
        return {"path": str(written.path), "remarks": remarks, "outlines": len(result.instances)}


def loaded_as_json(loaded: Loaded) -> Json:
    """Return the marks of a file as the page takes them."""
    return {
        "prompts": [mark.as_json() for mark in loaded.marks],
        "class_colors": loaded.class_colors,
        "left_alone": loaded.left_alone,
    }


def _colors(classes: Any) -> dict[str, Color]:
    """Return the colours of the page's classes; what is none of them counts as absent."""
    try:
        return {
            str(one["name"]): (int(r) & 255, int(g) & 255, int(b) & 255)
            for one in classes
            for r, g, b in [one["color"]]
        }
    except (TypeError, ValueError, KeyError) as error:
        raise RequestError(f"classes is {classes!r:.80}, not a list of names with colours.") from error
