"""Authentication of requests to the local server."""

import asyncio
import time
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from nuclick_wsi.server.auth import Token
from nuclick_wsi.server.problems import Problem
from nuclick_wsi.server.streaming import STOPPING

HOST = "127.0.0.1"


class AuthMiddleware:
    """Reject requests without a valid token or Host header, and tell the others when the server stops.

    The Host header is checked because a page in the user's browser can send requests to 127.0.0.1 under a host name of
    its own that resolves to that address (DNS rebinding).

    Parameters
    ----------
    is_public
        Whether a path holds nothing of the user's, as the files of a page do: it needs no token.
    """

    def __init__(
        self, app: ASGIApp, token: Token, port: int, is_public: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._app = app
        self._token = token
        self._is_public = is_public
        self._hosts = (f"{HOST}:{port}", f"localhost:{port}")
        self.stopping = asyncio.Event()
        self._busy = 0
        self._last_end = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last request ended; 0 while one is being answered."""
        return 0.0 if self._busy else time.monotonic() - self._last_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        is_public = self._is_public(scope["path"])
        refusal = self._refusal(headers.get(b"host", ""), None if is_public else headers.get(b"authorization", ""))
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        self._busy += 1
        scope.setdefault("state", {})[STOPPING] = self.stopping
        try:
            await self._app(scope, receive, send)
        finally:
            self._busy -= 1
            self._last_end = time.monotonic()

    def _refusal(self, host: str, authorization: str | None) -> Response | None:
        """Return the answer to a request that is refused; None for an authorization where none is needed."""
        if host not in self._hosts:
            advice = f"Send requests to {' or '.join(self._hosts)}."
            return Problem(421, "The Host header names another server.", advice).response()
        if authorization is not None and not self._token.matches(authorization):
            advice = f"Send `Authorization: Bearer TOKEN` with the token in {self._token.path}."
            problem = Problem(401, "The request shows no token, or a wrong one.", advice)
            return problem.response({"WWW-Authenticate": "Bearer"})
        return None
