"""The routes of the page beside those of the local server: its own files, tiles, saved work, outlines, files.

Its own files are the same for everyone, so they need no token; all else does, tiles too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from nuclick_wsi.choices import LOOK_AT_BELOW
from nuclick_wsi.errors import FileChangedError, ModelError, NuclickError, RequestError
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.json_values import Json, object_at
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.runs.jobs import ModelUsed, Results
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.server.problems import Problem
from nuclick_wsi.server.server import read_body
from nuclick_wsi.server.streaming import LINES, ProgressResponse
from nuclick_wsi.viewer.exporting import ExportAs, PageResult, exported
from nuclick_wsi.viewer.loading import Loaded, load_upload
from nuclick_wsi.viewer.marks import MarkObject, read_marks
from nuclick_wsi.viewer.opened_slide import OpenedSlide
from nuclick_wsi.viewer.outlining import Asked, Outliner, wanted
from nuclick_wsi.viewer.saved_work import SavedWork
from nuclick_wsi.viewer.tiles import OVERLAP, SIDE, TileLevels, Tiles

_AT_A_TIME = 4
"""Requests for outlines that are worked on at once."""
_STYLE_OF_OPENSEADRAGON = "'sha256-9xTiqzfwFaL2SGb1rmr8gysEwVVjIvqWAgmZgqFqpEE='"
"""The one style element that the pinned version of OpenSeadragon makes by itself."""
_POLICY = (
    f"default-src 'none'; script-src 'self'; style-src 'self' {_STYLE_OF_OPENSEADRAGON}; img-src 'self' blob:; "
    "connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    b"content-security-policy": _POLICY.encode(),
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-cache",
}


def is_public(path: str) -> bool:
    """Whether a path is one of the page's own files."""
    return path == "/" or path.startswith("/static/")


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
        about = {"opened_with": opened_with, "file": _loaded(self.begun_with)}
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
        written = self.slide.results.write(Results(result.instances, result.class_colors, models, {"viewer": True}))
        return {"path": str(written.path), "remarks": list(written.remarks), "outlines": len(result.instances)}


def page_routes(page: Page) -> list[BaseRoute]:
    """Return the routes of a page."""
    pool = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="viewer")
    static = Path(str(files("nuclick_wsi.viewer") / "static"))

    async def index(_: Request) -> Response:
        headers = {name.decode(): value.decode() for name, value in _HEADERS.items()}
        return Response((static / "index.html").read_bytes(), headers=headers, media_type="text/html")

    async def info(_: Request) -> Response:
        return _json(page.info())

    async def tile(request: Request) -> Response:
        numbers = request.path_params
        place = numbers["level"], numbers["column"], numbers["row"]
        content = await asyncio.to_thread(page.tiles.tile, place)
        # The address holds the slide's fingerprint: another slide's tiles have others.
        return Response(content, headers={"Cache-Control": "private, max-age=86400"}, media_type="image/jpeg")

    async def document(_: Request) -> Response:
        return _json(await asyncio.to_thread(page.document))

    async def save_document(request: Request) -> Response:
        content = _parsed(await read_body(request))
        changed, seen = object_at(content, "document"), content.get("revision")
        read_marks(changed.get("prompts"))
        if not isinstance(seen, int):
            raise RequestError(f"revision is {seen!r:.60}, not the number of the document that was seen.")
        write = partial(page.saved.write, changed, seen, force=content.get("force") is True)
        work = await asyncio.to_thread(write)
        return _json({"revision": work.revision, "saved_at": work.saved_at})

    async def outlines(request: Request) -> ProgressResponse:
        asked = await asyncio.to_thread(page.outliner.ask, _parsed(await read_body(request)))
        as_lines = LINES in request.headers.get("accept", "")
        return ProgressResponse(partial(_answer, page.outliner, asked), wanted(asked), pool, as_lines=as_lines)

    async def load(request: Request) -> Response:
        name, clicks_are = request.query_params.get("name", ""), request.query_params.get("clicks", "nucleus")
        if clicks_are not in ("nucleus", "cell", "cell+nucleus"):
            raise RequestError(f"clicks is {clicks_are!r:.60}; accepted are nucleus, cell, cell+nucleus.")
        content = await read_body(request)
        loaded = await asyncio.to_thread(load_upload, name, content, page.slide, MarkObject(clicks_are))
        return _json(_loaded(loaded))

    async def export(request: Request) -> Response:
        as_ = request.query_params.get("as", "")
        if as_ not in set(ExportAs):
            raise RequestError(f"as is {as_!r:.60}; accepted are {', '.join(ExportAs)}.")
        result = await asyncio.to_thread(page.result, _parsed(await read_body(request)))
        return Response(exported(result, ExportAs(as_)), media_type="application/octet-stream")

    async def save_results(request: Request) -> Response:
        content = _parsed(await read_body(request))
        return _json(await asyncio.to_thread(lambda: page.save_results(page.result(content))))

    return [
        Route("/", index, methods=["GET"]),
        Mount("/static", _Static(directory=static)),
        _route("/view/info", info, "GET"),
        _route("/view/tiles/{key}/{level:int}/{column:int}_{row:int}.jpg", tile, "GET"),
        _route("/view/document", document, "GET"),
        _route("/view/document", save_document, "PUT"),
        _route("/view/outlines", outlines, "POST"),
        _route("/view/load", load, "POST"),
        _route("/view/export", export, "POST"),
        _route("/view/results", save_results, "POST"),
    ]


class _Static(StaticFiles):
    """The page's own files, under its policy."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], *_HEADERS.items()]}
            await send(message)

        await super().__call__(scope, receive, with_headers)


def _route(path: str, answer: Callable[[Request], Awaitable[Any]], method: str) -> Route:
    """Return a route whose errors are answers with what is wrong."""

    async def guarded(request: Request) -> Any:
        try:
            return await answer(request)
        except FileChangedError as error:
            return Problem(409, str(error), "Reload to go on from there, or keep what this tab shows.").response()
        except NuclickError as error:
            return Problem.of(error).response()

    return Route(path, guarded, methods=[method])


def _answer(outliner: Outliner, asked: Asked, on_progress: Callable[[int], None]) -> bytes:
    return outliner.answer(asked, on_progress)


def _json(content: object) -> Response:
    return Response(orjson.dumps(content), media_type="application/json")


def _parsed(body: bytes) -> Json:
    try:
        content = orjson.loads(body)
    except ValueError as error:
        raise RequestError(f"The body is not JSON: {error}.") from error
    if not isinstance(content, dict):
        raise RequestError(f"The body is a {type(content).__name__}, not an object.")
    return content


def _loaded(loaded: Loaded) -> Json:
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
