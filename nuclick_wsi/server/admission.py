"""Bounds on the requests that are in memory at the same time: those above are asked to come again."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from starlette.exceptions import HTTPException

MOST_REQUESTS = 256
"""That are worked on or wait for their turn."""
MOST_BYTES = 256 << 20
"""Of all their bodies; a request takes some ten times its body in memory."""


class Share:
    """What one request has of the bounds."""

    def __init__(self, admission: "Admission") -> None:
        self._admission = admission
        self.size = 0

    def grow(self, count: int) -> None:
        """Take room for more bytes of the body.

        Raises
        ------
        HTTPException
            429, where all requests together have too many.
        """
        if self._admission.taken + count > MOST_BYTES:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS)
        self._admission.taken += count
        self.size += count


class Admission:
    """The requests that have been let in; used by one thread, that of the event loop."""

    def __init__(self) -> None:
        self.taken = 0
        self._requests = 0

    @contextmanager
    def admitted(self) -> Iterator[Share]:
        """Let a request in for the length of the block.

        Raises
        ------
        HTTPException
            429, where there are too many.
        """
        if self._requests >= MOST_REQUESTS:
            raise HTTPException(HTTPStatus.TOO_MANY_REQUESTS)
        self._requests += 1
        share = Share(self)
        try:
            yield share
        finally:
            self._requests -= 1
            self.taken -= share.size
