"""The body of a request, read within bounds of size and time."""

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

LARGEST_REQUEST = 64 << 20
"""Bytes; more than the positions that a request may have take."""

SECONDS_FOR_BODY = 60.0


async def read_body(
    request: Request, largest: int = LARGEST_REQUEST, take: Callable[[int], None] = lambda _: None
) -> bytes:
    """Return the body of a request.

    Parameters
    ----------
    largest
        How many bytes it may have.
    take
        Told of the bytes of each part before it is kept; what it raises ends the reading.

    Raises
    ------
    HTTPException
        413 where it is larger, 408 where it does not come in time, 400 where the client has gone, which nobody reads.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > largest:
        raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS_FOR_BODY):
            async for part in request.stream():
                take(len(part))
                body += part
                if len(body) > largest:
                    raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    except TimeoutError:
        raise HTTPException(HTTPStatus.REQUEST_TIMEOUT) from None
    except ClientDisconnect:
        raise HTTPException(HTTPStatus.BAD_REQUEST) from None
    return bytes(body)
