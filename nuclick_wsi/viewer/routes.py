"""The routes of the page beside those of the local server: its own files, tiles, saved work, outlines, files.

Its own files are the same for everyone, so they need no token; all else does, tiles too.
"""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from nuclick_wsi.errors import FileChangedError, NuclickError, RequestError
from nuclick_wsi.json_values import Json, object_at
from nuclick_wsi.server.bodies import read_body
from nuclick_wsi.server.problems import Problem
from nuclick_wsi.server.streaming import LINES, ProgressResponse
from nuclick_wsi.viewer.exporting import ExportAs, exported
from nuclick_wsi.viewer.file_changes import FileChanges
from nuclick_wsi.viewer.marks import MarkObject, read_marks
from nuclick_wsi.viewer.outlining import wanted
from nuclick_wsi.viewer.page import Page

_FEW = 64
"""Up to so many prompts, a request is a click with what is near it; more are all the marks of a page."""
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


_Made = TypeVar("_Made")


def is_public(path: str) -> bool:
    """Whether a path is one of the page's own files."""
    return path == "/" or path.startswith("/static/")


def page_routes(page: Page) -> list[BaseRoute]:
    """Return the routes of a page."""
    lanes = _Lanes.made()
    static = Path(str(files("nuclick_wsi.viewer") / "static"))

    async def index(_: Request) -> Response:
        headers = {name.decode(): value.decode() for name, value in _HEADERS.items()}
        return Response((static / "index.html").read_bytes(), headers=headers, media_type="text/html")

    async def info(_: Request) -> Response:
        return _json(page.info())

    async def tile(request: Request) -> Response:
        numbers = request.path_params
        place = numbers["level"], numbers["column"], numbers["row"]
        content = await _in(lanes.tiles, page.tiles.tile, place)
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
        as_lines, steps = LINES in request.headers.get("accept", ""), wanted(asked)
        lane = lanes.clicks if steps <= _FEW else lanes.long
        return ProgressResponse(partial(page.outliner.answer, asked), steps, lane, as_lines=as_lines)

    async def load(request: Request) -> Response:
        name, clicks_are = request.query_params.get("name", ""), request.query_params.get("clicks", "nucleus")
        if clicks_are not in ("nucleus", "cell", "cell+nucleus"):
            raise RequestError(f"clicks is {clicks_are!r:.60}; accepted are nucleus, cell, cell+nucleus.")
        content = await read_body(request)
        return _json(await asyncio.to_thread(page.upload, name, content, MarkObject(clicks_are)))

    async def export(request: Request) -> Response:
        as_ = request.query_params.get("as", "")
        if as_ not in set(ExportAs):
            raise RequestError(f"as is {as_!r:.60}; accepted are {', '.join(ExportAs)}.")
        content = _parsed(await read_body(request))
        file = await _in(lanes.long, lambda: exported(page.result(content), ExportAs(as_)))
        return Response(file, media_type="application/octet-stream")

    async def save_results(request: Request) -> Response:
        content = _parsed(await read_body(request))
        return _json(await _in(lanes.long, lambda: page.save_results(content)))

    async def save_prompts(request: Request) -> Response:
        content = _parsed(await read_body(request))
        saved = await _in(lanes.long, lambda: page.save_prompts(content))
        if isinstance(saved, FileChanges):
            said = {"error": "The project has changed since this page read it.", "hint": "", "changes": saved.as_json()}
            return Response(orjson.dumps(said), 409, media_type="application/json")
        return _json({**asdict(saved), "path": str(saved.path)})

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
        _route("/view/prompts", save_prompts, "POST"),
    ]


@dataclass(frozen=True, slots=True)
class _Lanes:
    """Threads for each kind of work, so that neither tiles nor a click ever wait for all the marks of a page."""

    clicks: ThreadPoolExecutor
    long: ThreadPoolExecutor
    tiles: ThreadPoolExecutor

    @classmethod
    def made(cls) -> "_Lanes":
        return cls(ThreadPoolExecutor(8, "clicks"), ThreadPoolExecutor(2, "long"), ThreadPoolExecutor(4, "tiles"))


async def _in(lane: ThreadPoolExecutor, work: Callable[..., _Made], *arguments: object) -> _Made:
    return await asyncio.get_running_loop().run_in_executor(lane, work, *arguments)


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
