"""POST /segment: a request is let in, read and checked, and its answer streamed."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nuclick_wsi.errors import NuclickError
from nuclick_wsi.server.admission import Admission, Share
from nuclick_wsi.server.bodies import LARGEST_REQUEST, read_body
from nuclick_wsi.server.problems import Problem
from nuclick_wsi.server.service import Service
from nuclick_wsi.server.streaming import LINES, ProgressResponse

_AT_A_TIME, _CHECKED_AT_A_TIME = 8, 2
"""Requests that are worked on, or checked, at once; the others wait in the order in which they came."""
_SMALL_BODY, _FEW = 1 << 18, 16
"""Bytes and outlines up to which a request is a small one: those never wait for the others."""


class _Threads:
    """What requests of one size are checked and worked on by."""

    def __init__(self, name: str) -> None:
        self.checking = ThreadPoolExecutor(_CHECKED_AT_A_TIME, thread_name_prefix=f"nuclick-check-{name}")
        self.working = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix=f"nuclick-{name}")


class SegmentEndpoint:
    """The application behind the address.

    Parameters
    ----------
    largest
        How many bytes a request may have.
    """

    def __init__(self, service: Service, largest: int = LARGEST_REQUEST) -> None:
        self._service = service
        self._largest = largest
        self._admission = Admission()
        self._small, self._large = _Threads("small"), _Threads("large")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with self._admission.admitted() as share, suppress(asyncio.CancelledError):  # the server stops
            response = await self._answer(Request(scope, receive), share)
            await response(scope, receive, send)

    async def _answer(self, request: Request, share: Share) -> Response | ProgressResponse:
        loop = asyncio.get_running_loop()
        try:
            body = await read_body(request, self._largest, share.grow)
            threads = self._small if len(body) <= _SMALL_BODY else self._large
            work = await loop.run_in_executor(threads.checking, self._service.prepare, body)
        except NuclickError as error:
            return Problem.of(error).response()
        as_lines = LINES in request.headers.get("accept", "")
        count = len(work.asked)
        pool = threads.working if count <= _FEW else self._large.working
        return ProgressResponse(partial(self._service.do, work), count, pool, as_lines=as_lines)
