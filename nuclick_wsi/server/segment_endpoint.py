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

_AT_A_TIME = 8
"""Requests that are worked on at once; the others wait in the order in which they came."""


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
        self._checking = ThreadPoolExecutor(2, thread_name_prefix="nuclick-check")
        self._working = ThreadPoolExecutor(_AT_A_TIME, thread_name_prefix="nuclick")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        with self._admission.admitted() as share, suppress(asyncio.CancelledError):  # the server stops
            response = await self._answer(Request(scope, receive), share)
            await response(scope, receive, send)

    async def _answer(self, request: Request, share: Share) -> Response | ProgressResponse:
        loop = asyncio.get_running_loop()
        try:
            body = await read_body(request, self._largest, share.grow)
            work = await loop.run_in_executor(self._checking, self._service.prepare, body)
        except NuclickError as error:
            return Problem.of(error).response()
        as_lines = LINES in request.headers.get("accept", "")
        return ProgressResponse(partial(self._service.do, work), len(work.asked), self._working, as_lines=as_lines)
