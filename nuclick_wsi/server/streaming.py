"""Streaming an answer: the work runs in a thread, progress is sent meanwhile, and a client that disconnects ends it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import orjson
from starlette.types import Receive, Scope, Send

from nuclick_wsi.server.problems import Problem

LINES = "application/x-ndjson"
SECONDS_BETWEEN_LINES = 0.2

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
        working = asyncio.wrap_future(self._pool.submit(self._run))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            if self._as_lines:
                await _start(send, 200, LINES)
            told = -1
            while not working.done() and not leaving.done():
                if self._as_lines and self._done != told:
                    told = self._done
                    await send(_part({"progress": {"done": told, "total": self._total}}))
                await asyncio.wait(
                    (working, leaving), timeout=SECONDS_BETWEEN_LINES, return_when=asyncio.FIRST_COMPLETED
                )
            if not leaving.done():
                await self._finish(working.result(), send)
        finally:
            # The thread ends at its next step, whether the client has disconnected or the server stops.
            self._stopped = True
            leaving.cancel()
            await asyncio.wait((working,))

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
            return Problem.of(error)

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
