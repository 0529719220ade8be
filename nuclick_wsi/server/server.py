"""The local server: HTTP around a `Service`, on the loopback address, for clients that have its token.

GET /health says what is loaded; POST /segment turns prompts into GeoJSON, with progress where that is asked for.
docs/server.md describes both.
"""

import gc
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from nuclick_wsi.choices import ModelTerms, Precision, ReaderChoice
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.models.devices import choose_devices
from nuclick_wsi.segmentation.compute import NO_TURN
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.server.auth import AllowedFolders, Token, state_folder
from nuclick_wsi.server.auth_middleware import HOST, AuthMiddleware
from nuclick_wsi.server.bodies import LARGEST_REQUEST
from nuclick_wsi.server.connections import PatientProtocol
from nuclick_wsi.server.fair_lock import FairLock
from nuclick_wsi.server.problems import Problem
from nuclick_wsi.server.segment_endpoint import SegmentEndpoint
from nuclick_wsi.server.segment_request import ReadImage
from nuclick_wsi.server.service import Service
from nuclick_wsi.server.slide_cache import SlideCache
from nuclick_wsi.server.stopping import StoppingServer


@dataclass(frozen=True, slots=True)
class ServerRequest:
    """What `nuclick-wsi serve` was asked to do."""

    port: int
    allow: Sequence[Path] = ()
    models: Sequence[str] = ()
    terms: ModelTerms = ModelTerms.ANY
    device: str = "auto"
    threads: int | None = None
    """Cores to compute on without a GPU; None takes all that are allowed."""
    reader: ReaderChoice = ReaderChoice.AUTO
    idle_minutes: float | None = None
    """Stop after so long without a request; None goes on until it is stopped."""
    precision: Precision = Precision.SINGLE
    tta: bool = False


def serve(asked: ServerRequest, read_image: ReadImage, say: Callable[[str], None]) -> None:
    """Run the server until it is interrupted, or idle for too long.

    Parameters
    ----------
    read_image
        Reads a client's description of an image.
    say
        Told where the server and its token are, once it answers.

    Raises
    ------
    NuclickError
        If the port is taken, a folder is none, a model or the device is not there, or the token cannot be kept.
    """
    allowed = AllowedFolders(asked.allow)
    token = Token(state_folder())
    with listen(asked.port) as listener:
        slides = SlideCache(asked.reader)
        service = Service(make_registry(asked), slides, allowed, read_image)
        port = listener.getsockname()[1]
        server = make_server(AuthMiddleware(make_app(service), token, port), asked.idle_minutes)
        say(_welcome(port, token, allowed))
        spare_what_is_loaded()
        server.run(sockets=[listener])
        slides.close()


def spare_what_is_loaded() -> None:
    """Keep Python's garbage collector from all that is there by now.

    It would go through that each time that a large request makes many objects, and all threads would wait: 0.2 s.
    """
    gc.collect()
    gc.freeze()


def make_registry(asked: ServerRequest) -> ModelRegistry:
    """Return the models of a server; errors as `ModelRegistry`."""
    return ModelRegistry(
        asked.models,
        asked.device,
        turn=_turn(asked.device),
        terms=asked.terms,
        threads=asked.threads,
        precision=asked.precision,
        tta=asked.tta,
    )


def _turn(device: str) -> AbstractContextManager[object]:
    """Return what a request holds to compute: the one GPU. Cores and several GPUs are shared out as they get free."""
    first, *beside = choose_devices(device)
    return NO_TURN if first.type == "cpu" or beside else FairLock()


def make_app(
    service: Service, largest_request: int = LARGEST_REQUEST, more_routes: Sequence[BaseRoute] = ()
) -> Starlette:
    """Return the application without authentication, which `AuthMiddleware` adds."""

    async def health(_: Request) -> Response:
        return Response(orjson.dumps(service.health()), media_type="application/json")

    segment = SegmentEndpoint(service, largest_request)
    return Starlette(
        routes=[
            Route("/health", health, methods=["GET"]),
            Route("/segment", segment, methods=["POST"]),
            *more_routes,
        ],
        exception_handlers={HTTPException: _http_problem, Exception: _fault},
    )


def make_server(middleware: AuthMiddleware, idle_minutes: float | None = None) -> StoppingServer:
    """Return a server that is ready to run."""

    async def stop_when_idle() -> None:
        if idle_minutes is not None and middleware.idle_seconds > 60 * idle_minutes:
            server.should_exit = True

    config = uvicorn.Config(
        middleware,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_level="error",
        server_header=False,
        timeout_graceful_shutdown=1,
        timeout_notify=1,
        callback_notify=stop_when_idle,
    )
    server = StoppingServer(config, middleware.stopping)
    return server


def listen(port: int) -> socket.socket:
    """Return a socket that listens on this machine's own address; port 0 is any free one.

    Raises
    ------
    SettingsError
        If the port is taken.
    """
    # asyncio sends small answers at once (TCP_NODELAY) only where the protocol is named: 40 ms a request.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    if sys.platform != "win32":  # where it would let two servers share a port
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"Port {port} of {HOST} cannot be had ({error.strerror or error}). Perhaps a server runs there already, "
            "and can be used as it is; else choose another with --port."
        ) from error
    return listener


_ADVICE = {
    HTTPStatus.NOT_FOUND: "There are GET /health and POST /segment.",
    HTTPStatus.METHOD_NOT_ALLOWED: "There are GET /health and POST /segment.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "Send the prompts in several requests, each with those around as neighbours.",
    HTTPStatus.REQUEST_TIMEOUT: "Send the whole request at once.",
    HTTPStatus.TOO_MANY_REQUESTS: "Send the request again when others have been answered.",
}


async def _http_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException), "registered for these alone"
    return Problem(error.status_code, f"{error.detail}.", _ADVICE.get(HTTPStatus(error.status_code), "")).response()


async def _fault(_: Request, error: Exception) -> Response:
    return Problem.of(error).response()


def _welcome(port: int, token: Token, allowed: AllowedFolders) -> str:
    folders = ", ".join(map(str, allowed.folders)) or "none: name the folders of your slides with --allow"
    return f"nuclick-wsi answers at http://{HOST}:{port}\nToken: {token.path}\nSlides may be opened below: {folders}"
