"""What the local server adds to a click: a warm server, an open slide, one click a request, over real HTTP.

The network's own time is what passes while a batch has its turn on it; everything else is ours: HTTP, JSON, reading,
signals, mask, outline.
"""

import json
import statistics
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType

import numpy as np
from skimage.data import immunohistochemistry

from nuclick_wsi.access import AllowedFolders, Token
from nuclick_wsi.gate import HOST, Gate
from nuclick_wsi.open_slides import OpenSlides
from nuclick_wsi.pyramid import write_pyramid
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.server import listen, make_app, make_server
from nuclick_wsi.service import Service
from nuclick_wsi.shelf import Shelf

REQUESTS = 100
NEIGHBOURS = 1000
TILES = 4


class Stopwatch:
    """A turn on the network that takes its time."""

    seconds = 0.0
    batches = 0

    def __enter__(self) -> None:
        self._begun = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds += time.perf_counter() - self._begun
        self.batches += 1


def body(slide: Path, click: list[float], neighbours: list[list[float]]) -> bytes:
    builder = {"builderType": "uri", "uri": slide.as_uri(), "args": []}
    collections = {
        "prompts": {"type": "MultiPoint", "coordinates": [click]},
        "neighbours": {"type": "MultiPoint", "coordinates": neighbours},
    }
    return json.dumps({"image": {"builder": builder}, **collections}).encode()


def main() -> None:
    tissue = np.tile(immunohistochemistry(), (TILES, TILES, 1))
    clicks = np.random.default_rng(0).uniform(0, tissue.shape[0], (REQUESTS + NEIGHBOURS, 2)).round(2).tolist()
    with tempfile.TemporaryDirectory() as name, listen(0) as listener:
        folder = Path(name)
        write_pyramid(folder / "tissue.svs", tissue, PixelSize(0.25, 0.25))
        stopwatch = Stopwatch()
        slides = OpenSlides()
        token = Token(folder / "state")
        app = make_app(Service(Shelf(turn=stopwatch), slides, AllowedFolders([folder])))
        port = listener.getsockname()[1]
        server = make_server(Gate(app, token, port))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        connection = HTTPConnection(HOST, port)
        for count in (0, NEIGHBOURS):
            whole, ours = [], []
            for click in clicks[:REQUESTS]:
                request = body(folder / "tissue.svs", click, clicks[REQUESTS : REQUESTS + count])
                before, begun = stopwatch.seconds, time.perf_counter()
                connection.request("POST", "/segment", request, {"Authorization": f"Bearer {token.value}"})
                response = connection.getresponse()
                response.read()
                assert response.status == 200
                whole.append(1000 * (time.perf_counter() - begun))
                ours.append(whole[-1] - 1000 * (stopwatch.seconds - before))
            # The first opens the slide.
            mine, all_of_it = statistics.median(ours[1:]), statistics.median(whole[1:])
            print(f"one click, {count:4} neighbours: median {mine:.1f} ms without the network, {all_of_it:.1f} in all")
        connection.close()
        server.should_exit = True
        thread.join()
        slides.close()


if __name__ == "__main__":
    main()
