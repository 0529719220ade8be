"""The local server while clients are slow, many, greedy or gone, and while it is told to stop."""

import gc
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage.data import immunohistochemistry

from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.server import admission, bodies, connections, segment_request
from nuclick_wsi.server.auth import AllowedFolders, Token
from nuclick_wsi.server.auth_middleware import HOST, AuthMiddleware
from nuclick_wsi.server.server import listen, make_app, make_server, spare_what_is_loaded
from nuclick_wsi.server.service import Service, Work
from nuclick_wsi.server.slide_cache import SlideCache
from nuclick_wsi.slides.pyramid import write_pyramid
from qupath_extension.requested_image import read_image

LARGEST = 1_000_000


@dataclass
class Running:
    """A server in a thread of this process."""

    port: int
    token: str
    folder: Path
    connections: set[Any]

    @property
    def head(self) -> str:
        """The first lines of a request for outlines, without an end."""
        return f"POST /segment HTTP/1.1\r\nHost: {HOST}:{self.port}\r\nAuthorization: Bearer {self.token}\r\n"

    def connected(self) -> socket.socket:
        return socket.create_connection((HOST, self.port), timeout=20)

    def ask(self, path: str, body: Any = None) -> tuple[int, Any]:
        connection = HTTPConnection(HOST, self.port, timeout=60)
        data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}"}
        connection.request("GET" if body is None else "POST", path, data, headers)
        response = connection.getresponse()
        status, text = response.status, response.read()
        connection.close()
        return status, json.loads(text or b"null")

    def few_connections(self, count: int = 0) -> bool:
        """Whether no more than these are left within some seconds."""
        until = time.monotonic() + 20
        while len(self.connections) > count and time.monotonic() < until:
            time.sleep(0.02)
        return len(self.connections) <= count


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("server")
    (folder / "slides").mkdir()
    write_pyramid(folder / "slides" / "a.svs", immunohistochemistry()[:256, :256].copy(), PixelSize(0.5, 0.5))
    registry = ModelRegistry(device="cpu", threads=1)
    service = Service(registry, SlideCache(), AllowedFolders([folder / "slides"]), read_image)
    listener, token = listen(0), Token(folder / "state")
    port = listener.getsockname()[1]
    running = make_server(AuthMiddleware(make_app(service, LARGEST), token, port))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
    thread.start()
    yield Running(port, token.value, folder / "slides", running.server_state.connections)
    running.should_exit = True
    thread.join(10)
    assert not thread.is_alive()


def closed_by_server(client: socket.socket) -> bool:
    """Whether the server ends a connection, without an answer or after one."""
    client.settimeout(20)
    try:
        while client.recv(4096):
            pass
    except ConnectionResetError:
        pass
    except TimeoutError:
        return False
    return True


def click(server: Running, **more: Any) -> dict[str, Any]:
    return {"image": str(server.folder / "a.svs"), "points": [[100, 100]], **more}


# Clients that never finish what they begin


@pytest.mark.parametrize("begun", [b"", b"P", b"POST /segment HTTP/1.1\r\nHost: a\r\nX: "])
def test_a_connection_without_a_whole_request_is_closed(
    begun: bytes, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SECONDS_FOR_HEADERS", 0.3)
    with server.connected() as client:
        client.sendall(begun)
        assert closed_by_server(client)


def test_a_header_that_comes_byte_by_byte_gets_no_more_time(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SECONDS_FOR_HEADERS", 0.5)
    begun = time.monotonic()
    with server.connected() as client, pytest.raises(OSError, match=r"reset|pipe|abort"):  # noqa: PT012
        while time.monotonic() - begun < 20:
            client.sendall(b"P")
            time.sleep(0.05)
    assert server.few_connections()


def test_a_body_that_does_not_come_is_answered_and_the_connection_closed(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "SECONDS_FOR_BODY", 0.3)
    with server.connected() as client:
        client.sendall(f"{server.head}Content-Length: 1000\r\n\r\n{{".encode())
        assert client.recv(4096).startswith(b"HTTP/1.1 408")
        assert closed_by_server(client)


def test_a_second_request_on_a_connection_gets_as_long_as_the_first(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SECONDS_FOR_HEADERS", 0.5)
    client = HTTPConnection(HOST, server.port, timeout=20)
    for _ in range(3):
        client.request("GET", "/health", headers={"Authorization": f"Bearer {server.token}"})
        assert client.getresponse().read()
        time.sleep(0.3)
    client.sock.sendall(b"GET")
    assert closed_by_server(client.sock)


def test_1500_half_open_connections_are_closed_and_keep_no_click_waiting(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They come in groups, because a process may have no more than 1024 files."""
    monkeypatch.setattr(connections, "MOST_CONNECTIONS", 50)
    for _ in range(5):
        clients = [server.connected() for _ in range(300)]
        assert server.ask("/segment", click(server))[0] == 200
        assert server.few_connections(51)
        for client in clients:
            client.close()
    assert server.few_connections()


def test_200_clients_at_once_are_all_answered(server: Running) -> None:
    with ThreadPoolExecutor(50) as pool:
        replies = list(pool.map(lambda _: server.ask("/segment", click(server)), range(200)))
    assert {status for status, _ in replies} == {200}
    assert len({json.dumps(body["features"]) for _, body in replies}) == 1


def test_a_client_that_goes_while_it_sends_is_no_fault_of_the_server(
    server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    with server.connected() as client:
        client.sendall(f"{server.head}Content-Length: 1000\r\n\r\n{{".encode())
        time.sleep(0.2)
    assert server.few_connections()
    assert server.ask("/health")[0] == 200
    assert caplog.records == []


@pytest.mark.parametrize("host", [HOST, "elsewhere"])
@pytest.mark.parametrize("path", ["/segment", "/nowhere"])
@pytest.mark.parametrize("end", ["close", "keep-alive"])
def test_a_body_that_is_no_http_is_answered_and_no_traceback(
    host: str, path: str, end: str, server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """Right behind the headers, in a second part, and while an answer is on its way."""
    with heard(caplog):
        head = server.head.replace("/segment", path).replace(HOST, host)
        asked = f"{head}Connection: {end}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        for parts in ([asked + b"no length\r\n"], [asked, b"no length\r\n"], [asked + b"2\r\n{}\r\n0\r\n\r\n", b"\0"]):
            with server.connected() as client:
                for part in parts:
                    client.sendall(part)
                    time.sleep(0.02)
                assert client.recv(12) in (b"HTTP/1.1 400", b"HTTP/1.1 421", b"HTTP/1.1 404")
        assert server.few_connections()
        assert server.ask("/health")[0] == 200
    assert caplog.records == []


def test_bytes_that_are_no_http_end_an_answer_that_has_begun(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    body = json.dumps(click(server)).encode()
    head = f"{server.head}Accept: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    with heard(caplog), server.connected() as client:
        client.sendall(head + body)
        assert client.recv(12) == b"HTTP/1.1 200"
        client.sendall(b"\0\r\n\r\n")
        assert closed_by_server(client)
    assert server.few_connections()
    assert caplog.records == []


@contextmanager
def heard(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """See what uvicorn logs, too, which it keeps from all others."""
    logger = logging.getLogger("uvicorn.error")
    logger.addHandler(caplog.handler)
    yield
    logger.removeHandler(caplog.handler)


# Clients that want too much


def test_more_positions_than_a_request_may_have_are_refused_with_both_numbers(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_request, "MOST_POSITIONS", 1000)
    line = [[[number, 2] for number in range(600)]]
    status, body = server.ask(
        "/segment", click(server, lines=line, neighbours={"type": "MultiPoint", "coordinates": line[0]})
    )
    assert status == 400
    assert "1,201 positions" in body["error"]
    assert "up to 1,000" in body["error"]


def test_values_are_counted_before_they_take_memory(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_request, "_MOST_VALUES", 1000)
    status, body = server.ask("/segment", b'{"points": [' + b"[]," * 900 + b"[]]}")
    assert status == 400
    assert "more than 1,000 values" in body["error"]


def test_requests_beyond_those_that_fit_are_asked_to_come_again(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = json.dumps(click(server)).encode()
    monkeypatch.setattr(admission, "MOST_BYTES", len(whole) + 10)
    with server.connected() as client:
        client.sendall(f"{server.head}Content-Length: 1000\r\n\r\n{' ' * 11}".encode())
        time.sleep(0.3)
        status, body = server.ask("/segment", whole)
        assert (status, "again" in body["hint"]) == (429, True)
    assert server.few_connections()
    assert server.ask("/segment", whole)[0] == 200  # what the other had is free again
    monkeypatch.setattr(admission, "MOST_REQUESTS", 0)
    assert server.ask("/segment", whole)[0] == 429
    assert server.ask("/health")[0] == 200


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes in folders")
def test_a_pipe_below_an_allowed_folder_is_refused_at_once(server: Running) -> None:
    os.mkfifo(server.folder / "pipe.svs")
    status, body = server.ask("/segment", {"image": str(server.folder / "pipe.svs"), "points": [[1, 1]]})
    assert status == 422
    assert "no regular file" in body["error"]


@pytest.mark.parametrize("name", ["a\0b.svs", "a\ud800.svs", "a" * 5000 + ".svs", "長" * 120 + ".svs"])
def test_a_path_that_no_file_can_have_is_named(name: str, server: Running) -> None:
    status, body = server.ask("/segment", {"image": f"{server.folder}/{name}", "points": [[1, 1]]})
    assert status == 400, body
    assert "no path that a file can have" in body["error"]


# Clients beside each other


def test_a_lone_click_is_answered_while_more_large_requests_than_threads_are_at_work(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    goes_on, prepare, do = threading.Event(), Service.prepare, Service.do

    def slow_check(self: Service, body: bytes) -> Work:
        assert len(body) < 1 << 18 or goes_on.wait(60)
        return prepare(self, body)

    def slow_work(self: Service, work: Work, on_progress: Callable[[int], None]) -> bytes:
        assert len(work.asked) < 20 or goes_on.wait(60)
        return do(self, work, on_progress)

    monkeypatch.setattr(Service, "prepare", slow_check)
    monkeypatch.setattr(Service, "do", slow_work)
    many = json.dumps(click(server, points=[[x, 9] for x in range(0, 200, 10)])).encode()
    with ThreadPoolExecutor(24) as pool:
        large = [
            pool.submit(server.ask, "/segment", body) for body in (many, many + b" " * (1 << 18)) for _ in range(12)
        ]
        time.sleep(0.5)
        assert server.ask("/segment", click(server))[0] == 200
        assert not any(one.done() for one in large)
        goes_on.set()
        assert {one.result()[0] for one in large} == {200}


@pytest.mark.parametrize("kind", ["line", "clicks"])
def test_no_step_of_a_large_request_keeps_other_threads_waiting(kind: str, server: Running) -> None:
    """Measured in processor time that passes while a thread that wants to run does not; 0.4 s before, 0.1 s now.

    Most of the neighbours are beyond the slide: what is measured is how they are read.
    """
    places = np.column_stack([np.linspace(0, 80_000, 100_000), np.arange(100_000) * 37 % 80_000]).round(2).tolist()
    near = {"type": "LineString" if kind == "line" else "MultiPoint", "coordinates": places}
    body = json.dumps(click(server, neighbours=near)).encode()
    service = Service(ModelRegistry(device="cpu", threads=1), SlideCache(), AllowedFolders([server.folder]), read_image)
    spare_what_is_loaded()
    longest, ended = 0.0, threading.Event()

    def watch() -> None:
        nonlocal longest
        while not ended.is_set():
            begun, own = time.process_time(), time.thread_time()
            time.sleep(0.001)
            longest = max(longest, time.process_time() - begun - (time.thread_time() - own))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        service.do(service.prepare(body), lambda _: None)
    finally:
        ended.set()
        watcher.join()
        gc.unfreeze()
    assert longest < 0.2


# The end


@dataclass
class Served:
    process: "subprocess.Popen[str]"
    server: Running


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    image = np.tile(immunohistochemistry(), (4, 4, 1))
    write_pyramid(tmp_path / "a.svs", image, PixelSize(0.5, 0.5))
    start = [sys.executable, "-c", "from nuclick_wsi.cli.app import main; main()"]
    command = [*start, "serve", "--port", "0", "--device", "cpu", "--allow", str(tmp_path)]
    environment = {**os.environ, "NUCLICK_WSI_STATE": str(tmp_path / "state")}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline().rsplit(":", 1)[1])
        token = (tmp_path / "state" / "token").read_text()
        yield Served(process, Running(port, token, tmp_path, set()))
        process.kill()


def busy(server: Running) -> list[socket.socket]:
    """Return connections of clients: one whose work goes on, one that is sending, one that says nothing."""
    places = np.random.default_rng(0).uniform(0, 2048, (4000, 2)).round(2).tolist()
    body = json.dumps({"image": str(server.folder / "a.svs"), "points": places}).encode()
    clients = [server.connected() for _ in range(3)]
    clients[0].sendall(
        f"{server.head}Accept: application/x-ndjson\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    clients[1].sendall(f"{server.head}Content-Length: 1000\r\n\r\n{{".encode())
    clients[0].settimeout(60)
    seen = b""
    while b'"done":0' not in seen or seen.count(b"progress") < 2:
        seen += clients[0].recv(4096)
    return clients


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_during_work_ends_the_server_in_three_seconds_without_a_traceback(
    sent: signal.Signals, served: Served
) -> None:
    clients = busy(served.server)
    is_idle = os.getloadavg()[0] < (os.cpu_count() or 1)
    begun = time.monotonic()
    served.process.send_signal(sent)
    output, _ = served.process.communicate(timeout=60)
    assert time.monotonic() - begun < (3.5 if is_idle else 60)
    assert served.process.returncode != 0
    assert "Traceback" not in output
    assert "Error" not in output
    clients[0].settimeout(5)
    assert b"The server stops." in clients[0].recv(1 << 20)
    for client in clients:
        client.close()


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_no_token_in_the_list_of_processes_nor_in_what_the_server_prints(served: Served) -> None:
    server = served.server
    assert server.ask("/segment", b"{")[0] == 400
    assert server.ask("/nowhere")[0] == 404
    wrong = Running(server.port, "wrong" + server.token, server.folder, set())
    assert wrong.ask("/health")[0] == 401
    for name in ("cmdline", "environ"):
        assert server.token.encode() not in Path(f"/proc/{served.process.pid}/{name}").read_bytes()
    served.process.terminate()
    output, _ = served.process.communicate(timeout=30)
    assert server.token not in output
