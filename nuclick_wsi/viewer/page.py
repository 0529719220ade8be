"""What the routes of the page work with: a slide, its tiles, its outlines, saved work, and where results go."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nuclick_wsi.choices import LOOK_AT_BELOW
from nuclick_wsi.errors import ModelError, RequestError
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.json_values import Json, object_at
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.runs.jobs import ModelUsed, Results
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.viewer.exporting import PageResult
from nuclick_wsi.viewer.loading import Loaded
from nuclick_wsi.viewer.marks import read_marks
from nuclick_wsi.viewer.opened_slide import OpenedSlide
from nuclick_wsi.viewer.outlining import Outliner
from nuclick_wsi.viewer.saved_work import SavedWork
from nuclick_wsi.viewer.tiles import OVERLAP, SIDE, TileLevels, Tiles


@dataclass(frozen=True, slots=True)
class Page:
    """What the routes of one page work with.

    Attributes
    ----------
    begun_with
        The marks of the file that the page was opened with.
    opened_with
        That file.
    """

    slide: OpenedSlide
    registry: ModelRegistry
    outliner: Outliner
    tiles: Tiles
    saved: SavedWork
    begun_with: Loaded
    opened_with: Path | None = None

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
        }

    def _model(self, kind: ObjectKind) -> Json | None:
        try:
            card = self.registry.card(kind)
        except ModelError:
            return None
        return {"kind": kind, "name": card.name, "mpp": card.mpp, "terms": card.terms}

    def document(self) -> Json:
        """Return the saved work, or a new document with the marks of the file that the page was opened with."""
        work = self.saved.read()
        opened_with = None if self.opened_with is None else self.opened_with.name
        about = {"opened_with": opened_with, "file": loaded_as_json(self.begun_with)}
        if work is None:
            return {**about, "revision": 0, "saved_at": None, "document": None}
        return {**about, "revision": work.revision, "saved_at": work.saved_at, "document": work.document}

    def result(self, content: Json, on_progress: Callable[[int], None] = lambda _: None) -> PageResult:
        """Return all marks of a document with their outlines; NuclickError for what is wrong with it."""
        document = object_at(content, "document")
        asked = self.outliner.ask({**document, "changed": None})
        decisions = {str(key): str(value) for key, value in object_at(document, "decisions").items()}
        outcome = self.outliner.outline(asked, on_progress)
        colors = _colors(document.get("classes", []))
        marks = read_marks(document["prompts"])
        return PageResult(marks, outcome, asked.marked.owners, decisions, colors, self.slide.origin)

    def save_results(self, result: PageResult) -> Json:
        """Put the outlines where a run would; return what the user is to know."""
        models = [ModelUsed(one.card.kind, one.card.name, one.sha256, one.path) for one in self.registry.loaded]
        written = self.slide.results.write(Results(result.instances, result.class_colors, models, asdict(Settings())))
        return {"path": str(written.path), "remarks": list(written.remarks), "outlines": len(result.instances)}


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
