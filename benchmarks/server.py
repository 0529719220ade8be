"""What the local server adds to a click, and what it need not do twice: a warm server, an open slide, real HTTP.

The network's own time is what passes while a batch has its turn on it; everything else is ours: HTTP, JSON, reading,
signals, mask, outline.
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

from nuclick_wsi.access import AllowedFolders, Token
from nuclick_wsi.gate import HOST, Gate
from nuclick_wsi.open_slides import OpenSlides
from nuclick_wsi.pyramid import write_pyramid
from nuclick_wsi.recent import RecentMasks
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.server import listen, make_app, make_server
from nuclick_wsi.service import Service
from nuclick_wsi.shelf import Shelf

REQUESTS = 100
NEIGHBOURS = 1000
TOGETHER = 1000
TILES = 4

Places = list[list[float]]


class Stopwatch:
    """A turn on the network that takes its time."""

    seconds = 0.0

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds += time.perf_counter() - self._begun


@dataclass(frozen=True)
class Client:
    """One connection to a server, and what its network takes."""

    connection: HTTPConnection
    token: Token
    slide: Path
    stopwatch: Stopwatch

    def ask(self, clicks: Places, neighbours: Places) -> tuple[float, float, int]:
        """Return seconds without the network, seconds in all, and how many clicks the server knew."""
        body = {
            "image": {"builder": {"builderType": "uri", "uri": self.slide.as_uri(), "args": []}},
            "prompts": {"type": "MultiPoint", "coordinates": clicks},
            "neighbours": {"type": "MultiPoint", "coordinates": neighbours},
        }
        request = json.dumps(body).encode()
        before, begun = self.stopwatch.seconds, time.perf_counter()
        self.connection.request("POST", "/segment", request, {"Authorization": f"Bearer {self.token.value}"})
        response = self.connection.getresponse()
        answer = response.read()
        whole = time.perf_counter() - begun
        assert response.status == 200, answer
        return whole - (self.stopwatch.seconds - before), whole, json.loads(answer)["nuclick"]["recalled"]


@contextmanager
def served(recent: RecentMasks) -> Iterator[Client]:
    """Run a server with a slide for the length of the block."""
    with tempfile.TemporaryDirectory() as name, listen(0) as listener:
        folder = Path(name)
        tissue = np.tile(immunohistochemistry(), (TILES, TILES, 1))
        write_pyramid(folder / "tissue.svs", tissue, PixelSize(0.25, 0.25))
        stopwatch, slides, token = Stopwatch(), OpenSlides(), Token(folder / "state")
        app = make_app(Service(Shelf(turn=stopwatch), slides, AllowedFolders([folder]), recent))
        port = listener.getsockname()[1]
        server = make_server(Gate(app, token, port))
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
    with served(RecentMasks(0)) as client:
        for count in (0, len(neighbours)):
            ours, whole, _ = zip(*(client.ask([click], neighbours[:count]) for click in clicks), strict=True)
            mine, all_of_it = 1000 * statistics.median(ours), 1000 * statistics.median(whole)
            print(f"one click, {count:4} neighbours: median {mine:.1f} ms without the network, {all_of_it:.1f} in all")


def together(clicks: Places) -> None:
    moved = [[clicks[0][0], (clicks[0][1] + 5) % (512 * TILES)], *clicks[1:]]
    with served(RecentMasks()) as client:
        for what, places in (("new", clicks), ("again", clicks), ("one of them moved", moved)):
            ours, whole, recalled = client.ask(places, [])
            print(
                f"{len(places)} clicks, {what}: {recalled} known, {ours:.2f} s without the network, {whole:.2f} in all"
            )


def main() -> None:
    count = REQUESTS + max(NEIGHBOURS, TOGETHER)
    places = np.random.default_rng(0).uniform(0, 512 * TILES, (count, 2)).round(2).tolist()
    one_by_one(places[:REQUESTS], places[REQUESTS:][:NEIGHBOURS])
    together(places[REQUESTS:][:TOGETHER])


if __name__ == "__main__":
    main()
