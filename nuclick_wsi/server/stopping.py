"""Ending the server in time: requests are told, connections closed, and work that does not end is left behind.

Nothing is lost with the process: what the server keeps is in memory, and its token is written whole.
"""

import asyncio
import os
import socket
import threading
from types import FrameType

import uvicorn

SECONDS_TO_STOP = 2.5
"""From a signal to the end of the process, whatever its threads do: a batch may take longer on a slow machine."""
_SECONDS_TO_SAY_SO = 0.5
"""For requests under way to be answered that the server stops."""
_EXIT_OF_SIGNAL = 128


class StoppingServer(uvicorn.Server):
    """uvicorn's server that ends soon after a signal, without a word about the work that it ends.

    Parameters
    ----------
    stopping
        Set when the server begins to stop.
    """

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self._stopping = stopping

    def run(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until a signal; one that comes while the event loop is made, before it is listened to, ends it too."""
        with self.capture_signals():
            super().run(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop on a signal; at the latest when the time is over."""
        super().handle_exit(sig, frame)
        timer = threading.Timer(SECONDS_TO_STOP, os._exit, (_EXIT_OF_SIGNAL + sig,))
        timer.daemon = True
        timer.start()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let requests be answered that the server stops, then close all connections."""
        self._stopping.set()
        loop = asyncio.get_running_loop()
        until = loop.time() + _SECONDS_TO_SAY_SO
        while self.server_state.tasks and loop.time() < until:
            await asyncio.sleep(0.02)
        for connection in list(self.server_state.connections):
            transport: asyncio.Transport | None = connection.transport
            if transport is not None:
                transport.abort()
        await super().shutdown(sockets)
