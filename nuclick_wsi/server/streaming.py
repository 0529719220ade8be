"""Streaming an answer: the work runs in a thread, progress is sent meanwhile, and a client that disconnects ends it."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from starlette.types import Receive, Scope, Send

from nuclick_wsi.server.problems import Problem

LINES = "application/x-ndjson"
SECONDS_BETWEEN_LINES = 0.2
STOPPING = "stopping"
"""The entry of a request's state that holds the event which says that the server stops."""

_STOPS = Problem(503, "The server stops.", "Start it again, and send the request once more.")

Work = Callable[[Callable[[int], None]], bytes]
"""Returns the answer as JSON. It calls its argument with the number of steps done, which raises `Stopped` to end it."""


class Stopped(BaseException):
    """The client has disconnected, so the work ends."""


class ProgressResponse:
    """An ASGI response: JSON, or lines of JSON of which the last is the result or what went wrong.

    Parameters
    ----------
    work
        Runs in one of the pool's threads.
    total
        How many steps it has.
    as_lines
        Whether the client wants progress.
    """

    def __init__(self, work: Work, total: int, pool: ThreadPoolExecutor, *, as_lines: bool) -> None:
        self._work = work
        self._total = total
        self._pool = pool
        self._as_lines = as_lines
        self._done = 0
        self._stopped = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do the work and send its result."""
        stopping: asyncio.Event = scope["state"][STOPPING]
        working = asyncio.wrap_future(self._pool.submit(self._run))
        leaving = asyncio.ensure_future(_disconnected(receive))
        stopped = asyncio.ensure_future(stopping.wait())
        try:
            if self._as_lines:
                await _start(send, 200, LINES)
            await self._while_working(send, (working, leaving, stopped))
            if not leaving.done():
                await self._finish(working.result() if working.done() else _STOPS, send)
        finally:
            # The thread ends at its next step, whether the client has disconnected or the server stops.
            self._stopped = True
            leaving.cancel()
            if not stopping.is_set():
                await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
            stopped.cancel()

    async def _while_working(self, send: Send, ends: Sequence["asyncio.Future[Any]"]) -> None:
        """Send progress until one of these has come."""
        told = -1
        while not any(end.done() for end in ends):
            if self._as_lines and self._done != told:
                told = self._done
                await send(_part({"progress": {"done": told, "total": self._total}}))
            await asyncio.wait(ends, timeout=SECONDS_BETWEEN_LINES, return_when=asyncio.FIRST_COMPLETED)

    async def _finish(self, result: bytes | Problem, send: Send) -> None:
        is_problem = isinstance(result, Problem)
        body = result.body() if isinstance(result, Problem) else result
        if self._as_lines:
            await send({"type": "http.response.body", "body": body if is_problem else b'{"result":' + body + b"}"})
        else:
            await _start(send, result.status if isinstance(result, Problem) else 200, "application/json")
            await send({"type": "http.response.body", "body": body})

    def _run(self) -> bytes | Problem:
        try:
            self._step(0)
            return self._work(self._step)
        except Stopped:
            return b""
        except Exception as error:  # noqa: BLE001 - one request's fault must not cost the server
            # Work that goes on while Python ends finds no threads any more, and nobody waits for it.
            return _STOPS if self._stopped else Problem.of(error)

    def _step(self, count: int) -> None:
        if self._stopped:
            raise Stopped
        self._done += count


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _start(send: Send, status: int, kind: str) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind.encode())]})


def _part(content: object) -> dict[str, object]:
    return {"type": "http.response.body", "body": orjson.dumps(content) + b"\n", "more_body": True}
