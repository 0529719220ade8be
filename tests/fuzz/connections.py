"""Requests to the local server as bytes on a connection: damaged lines, headers, lengths and bodies."""

import json
import logging
import re
import socket
import threading
import time
import zlib
from functools import cache
from pathlib import Path
from random import Random
from tempfile import mkdtemp

from made_slides import smooth_image

from fuzz.mutations import damaged_bytes, damaged_text
from fuzz.target import Target
from nuclick_wsi.errors import RequestError
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.server.auth import AllowedFolders, Token
from nuclick_wsi.server.auth_middleware import HOST, AuthMiddleware
from nuclick_wsi.server.server import listen, make_app, make_server
from nuclick_wsi.server.service import Service
from nuclick_wsi.server.slide_cache import SlideCache
from nuclick_wsi.slides.pyramid import write_pyramid
from qupath_extension.requested_image import read_image

_PATIENCE = 0.2
"""Seconds to wait for an answer: half a request has none."""
_PAUSE = 0.005
_BODY = json.dumps({"image": "@FOLDER/a.svs", "points": [[100, 100]], "options": {"object": "nucleus"}})
_HEAD = "Host: 127.0.0.1:@PORT\r\nAuthorization: Bearer @TOKEN\r\nConnection: close\r\nAccept: application/x-ndjson\r\n"
_REQUESTS = (
    f"GET /health HTTP/1.1\r\n{_HEAD}\r\n",
    f"POST /segment HTTP/1.1\r\n{_HEAD}Content-Length: @LENGTH\r\n\r\n{_BODY}",
    f"POST /segment HTTP/1.1\r\n{_HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\n{{}}   \r\n0\r\n\r\n",
    f"POST /segment HTTP/1.1\r\n{_HEAD}Expect: 100-continue\r\nContent-Length: @LENGTH\r\n\r\n{_BODY}",
)
_WORDS = (
    "GET",
    "POST",
    "OPTIONS",
    "/segment",
    "/../../etc/passwd",
    "/segment?a=%00",
    "http://127.0.0.1/segment",
    "HTTP/1.0",
    "HTTP/9.9",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Content-Length: 1, 2",
    "Transfer-Encoding: chunked, gzip",
    "Upgrade: websocket\r\nConnection: upgrade",
    "Connection: keep-alive",
    "X: " + "a" * 20_000,
    "A: b\r\n" * 300,
    "\r\n\r\n",
    "ffffffffffffffff\r\n",
)


class _Complaints(logging.Handler):
    """What the server logs as an error: no request may be one, whatever it is."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(self.format(record))

    def taken(self) -> list[str]:
        """Return what was said since this was last asked for; the end of an answer may be before it."""
        taken, self.said = self.said, []
        return taken


_COMPLAINTS = _Complaints()


@cache
def _server() -> tuple[int, str, Path]:
    """Start a server that ends with the process; return its port, its token, and its folder of slides."""
    folder = Path(mkdtemp())
    write_pyramid(folder / "a.svs", smooth_image(256, 256), PixelSize(0.25, 0.25))
    service = Service(ModelRegistry(device="cpu", threads=1), SlideCache(), AllowedFolders([folder]), read_image)
    token, listener = Token(folder / "state"), listen(0)
    port = listener.getsockname()[1]
    server = make_server(AuthMiddleware(make_app(service), token, port))
    logging.disable(logging.WARNING)
    for name in ("uvicorn.error", "nuclick_wsi", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [_COMPLAINTS], False
    threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
    return port, token.value, folder


def make_http(random: Random) -> bytes:
    _server()  # which writes files of its own: before an input is read
    text = random.choice(_REQUESTS)
    if random.random() < 0.1:
        text += random.choice(_REQUESTS)
    data = damaged_text(random, re.findall(r"[\w./:-]+|\r\n|.", text), _WORDS).encode("utf-8", "surrogatepass")
    return damaged_bytes(random, data) if random.random() < 0.2 else data


def read_http(data: bytes, _: Path) -> None:
    port, token, folder = _server()
    length = len(_BODY) - len("@FOLDER") + len(str(folder))
    for name, value in {"PORT": port, "TOKEN": token, "FOLDER": folder, "LENGTH": length}.items():
        data = data.replace(f"@{name}".encode(), str(value).encode())
    answer = _answer(port, data)
    assert not (said := _COMPLAINTS.taken()), said[0]
    assert answer == b"" or answer.startswith(b"HTTP/1.1 "), answer[:100]
    status = int(answer[9:12] or b"400")
    assert status < 500, answer[:1000]
    assert token.encode() not in answer, "the token in an answer"
    if status >= 400:
        raise RequestError(f"status {status}")


def _answer(port: int, data: bytes) -> bytes:
    answer = b""
    with socket.create_connection((HOST, port), timeout=20) as client:
        try:
            if zlib.crc32(data) % 2:  # in two parts, of which the second may come after an answer to the first
                first = data.find(b"\r\n\r\n") + 4
                client.sendall(data[:first])
                time.sleep(_PAUSE)
                data = data[first:]
            client.sendall(data)
            client.settimeout(_PATIENCE)
            while part := client.recv(1 << 16):
                answer += part
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            pass
    return answer


TARGETS = {"http": Target(make_http, read_http)}
