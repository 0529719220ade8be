"""What the local server adds to a click, and what it need not do twice: a warm server, an open slide, real HTTP.

The network's own time is what passes while a batch has its turn on it; everything else is ours: HTTP, JSON, reading,
signals, mask, outline. On a busy machine go by the processor's time: it leaves out what others take.
"""

import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType

import numpy as np
from skimage.data import immunohistochemistry

from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.server.auth import AllowedFolders, Token
from nuclick_wsi.server.auth_middleware import HOST, AuthMiddleware
from nuclick_wsi.server.recent_results import RecentResults
from nuclick_wsi.server.server import listen, make_app, make_server
from nuclick_wsi.server.service import Service
from nuclick_wsi.server.slide_cache import SlideCache
from nuclick_wsi.slides.pyramid import write_pyramid
from qupath_extension.requested_image import read_image

REQUESTS = 100
NEIGHBOURS = 1000
TOGETHER = 1000
TILES = 4

Places = list[list[float]]


class Stopwatch:
    """A turn on the network that takes its time, on the clock and of the processor."""

    seconds = 0.0
    of_processor = 0.0

    def __enter__(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds += time.perf_counter() - self._begun[0]
        self.of_processor += time.process_time() - self._begun[1]


@dataclass(frozen=True)
class Taken:
    """What a request took, in seconds, and how many clicks the server knew."""

    whole: float
    ours: float
    """Without the network."""
    of_processor: float
    """The same, of the processor."""
    recalled: int


@dataclass(frozen=True)
class Client:
    """One connection to a server, and what its network takes."""

    connection: HTTPConnection
    token: Token
    slide: Path
    stopwatch: Stopwatch

    def ask(self, clicks: Places, neighbours: Places) -> Taken:
        """Send one request."""
        body = {
            "image": {"builder": {"builderType": "uri", "uri": self.slide.as_uri(), "args": []}},
            "prompts": {"type": "MultiPoint", "coordinates": clicks},
            "neighbours": {"type": "MultiPoint", "coordinates": neighbours},
        }
        request = json.dumps(body).encode()
        network, processor = self.stopwatch.seconds, self.stopwatch.of_processor
        begun, used = time.perf_counter(), time.process_time()
        self.connection.request("POST", "/segment", request, {"Authorization": f"Bearer {self.token.value}"})
        response = self.connection.getresponse()
        answer = response.read()
        whole, used = time.perf_counter() - begun, time.process_time() - used
        assert response.status == 200, answer
        network, processor = self.stopwatch.seconds - network, self.stopwatch.of_processor - processor
        return Taken(whole, whole - network, used - processor, json.loads(answer)["nuclick"]["recalled"])


@contextmanager
def served(recent: RecentResults) -> Iterator[Client]:
    """Run a server with a slide for the length of the block."""
    with tempfile.TemporaryDirectory() as name, listen(0) as listener:
        folder = Path(name)
        tissue = np.tile(immunohistochemistry(), (TILES, TILES, 1))
        write_pyramid(folder / "tissue.svs", tissue, PixelSize(0.25, 0.25))
        stopwatch, slides, token = Stopwatch(), SlideCache(), Token(folder / "state")
        app = make_app(
            Service(ModelRegistry(turn=stopwatch, threads=1), slides, AllowedFolders([folder]), read_image, recent)
        )
        port = listener.getsockname()[1]
        server = make_server(AuthMiddleware(app, token, port))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        connection = HTTPConnection(HOST, port)
        try:
            client = Client(connection, token, folder / "tissue.svs", stopwatch)
            client.ask([[1, 1]], [])  # opens the slide
            yield client
        finally:
            connection.close()
            server.should_exit = True
            thread.join()
            slides.close()


def one_by_one(clicks: Places, neighbours: Places) -> None:
    with served(RecentResults(0)) as client:
        for count in (0, len(neighbours)):
            taken = [client.ask([click], neighbours[:count]) for click in clicks]
            ours, of_processor, whole = (
                1000 * statistics.median(getattr(one, what) for one in taken)
                for what in ("ours", "of_processor", "whole")
            )
            print(
                f"one click, {count:4} neighbours: median {ours:.1f} ms without the network ({of_processor:.1f} of the "
                f"processor), {whole:.1f} in all"
            )


def together(clicks: Places) -> None:
    moved = [[clicks[0][0], (clicks[0][1] + 5) % (512 * TILES)], *clicks[1:]]
    with served(RecentResults()) as client:
        for what, places in (("new", clicks), ("again", clicks), ("one of them moved", moved)):
            taken = client.ask(places, [])
            print(
                f"{len(places)} clicks, {what}: {taken.recalled} known, {taken.ours:.2f} s without the network "
                f"({taken.of_processor:.2f} of the processor), {taken.whole:.2f} in all"
            )


def main() -> None:
    count = REQUESTS + max(NEIGHBOURS, TOGETHER)
    places = np.random.default_rng(0).uniform(0, 512 * TILES, (count, 2)).round(2).tolist()
    one_by_one(places[:REQUESTS], places[REQUESTS:][:NEIGHBOURS])
    together(places[REQUESTS:][:TOGETHER])


if __name__ == "__main__":
    main()
