"""Connections to the local server, none of which may keep the others waiting: limits and time-outs below the requests.

uvicorn closes a connection that is idle after a request; here are those that never sent a whole one.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_CONNECTIONS = 256
"""At a time; systems give a process as few as 1024 files."""
SECONDS_FOR_HEADERS = 10.0
"""From the first moment of a connection, or the first byte of a further request, to the end of its headers."""


class PatientProtocol(H11Protocol):
    """HTTP on one connection, which is closed where a request's headers do not come in time.

    Where there are too many connections, the oldest without a whole request goes.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether the headers of a request are still to come."""
        return self.conn.their_state is h11.IDLE

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Begin to wait for a request; where there are too many connections, close one."""
        super().connection_made(transport)
        self._deadline = self.loop.call_later(SECONDS_FOR_HEADERS, self._close_if_waiting)
        if len(self.connections) > MOST_CONNECTIONS:
            self._surplus().transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what the client sends."""
        super().data_received(data)
        if not self.is_waiting:
            self._forget_deadline()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(SECONDS_FOR_HEADERS, self._close_if_waiting)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._forget_deadline()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP, unless an answer has begun; the request that it was to belong to ends.

        uvicorn would begin a second answer, and let the application go on with its own: either ends in a traceback.
        """
        if self.cycle is not None:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def _surplus(self) -> "PatientProtocol":
        """Return the connection to close: of those that have sent no request, the one that has waited longest."""
        waiting = [one for one in self.connections if isinstance(one, PatientProtocol) and one._deadline is not None]
        return min(waiting, key=lambda one: one._deadline.when() if one._deadline else 0.0)

    def _close_if_waiting(self) -> None:
        self._deadline = None
        if self.is_waiting:
            self.transport.abort()

    def _forget_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
