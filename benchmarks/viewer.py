"""The viewer as a user feels it: from a click to its outline for several clients at once, tiles, and the page's start.

Clients are connections of their own, each of which clicks as soon as its last outline is there, among a hundred marks
that are outlined already: a harder case than people, who look before they click again. The page is opened in a
headless Chromium, where one is found, on a slide 40,000 pixels wide.
"""

import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
from skimage.data import immunohistochemistry

from nuclick_wsi.scale import PixelSize
from nuclick_wsi.server.auth import Token
from nuclick_wsi.server.auth_middleware import HOST
from nuclick_wsi.server.server import ServerRequest, listen, make_server
from nuclick_wsi.server.slide_cache import SlideCache
from nuclick_wsi.slides.pyramid import write_pyramid
from nuclick_wsi.viewer.launch import PageSetup, make_viewer
from nuclick_wsi.viewer.opened_slide import open_for_viewing
from qupath_extension.requested_image import read_image

CLIENTS = (1, 5, 20)
CLICKS = 60
"""In all, shared by the clients."""
MARKS = 100
WIDE, HIGH = 79, 2
"""Pictures of 512 px side by side: 40,448 x 1,024 px."""


@dataclass(frozen=True)
class Served:
    """A viewer that is running."""

    port: int
    token: Token
    last: int
    size: tuple[int, int]

    def ask(self, connection: HTTPConnection, method: str, path: str, body: Any = None) -> bytes:
        headers = {"Authorization": f"Bearer {self.token.value}"}
        connection.request(method, path, json.dumps(body), headers)
        response = connection.getresponse()
        content = response.read()
        assert response.status == 200, content
        return content


@contextmanager
def served() -> Iterator[Served]:
    """Run a viewer on a wide slide for the length of the block."""
    with tempfile.TemporaryDirectory() as name, listen(0) as listener:
        slide = Path(name, "wide.svs")
        write_pyramid(slide, np.tile(immunohistochemistry(), (HIGH, WIDE, 1)), PixelSize(0.25, 0.25))
        opened, token, slides = open_for_viewing(slide, None, None), Token(Path(name, "state")), SlideCache()
        port = listener.getsockname()[1]
        app = make_viewer(ServerRequest(port, device="cpu"), opened, slides, read_image, PageSetup(token, port))
        server = make_server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            info = HTTPConnection(HOST, port)
            place = Served(port, token, 0, (opened.size.width, opened.size.height))
            last = json.loads(place.ask(info, "GET", "/view/info"))["tiles"]["last"]
            yield Served(port, token, last, place.size)
        finally:
            server.should_exit = True
            thread.join()
            slides.close()


def mark(number: int, x: float, y: float) -> dict[str, Any]:
    return {"id": f"mark {number}", "object": "nucleus", "class": None, "strokes": [[[x, y]]]}


def click_and_wait(place: Served, seed: int, clicks: int) -> list[float]:
    """Click in one part of the slide as one client; return seconds from each click to its outline."""
    connection = HTTPConnection(HOST, place.port)
    random = np.random.default_rng(seed)
    left = random.uniform(0, place.size[0] - 2000)
    places = np.column_stack(
        [random.uniform(left, left + 1500, MARKS + clicks), random.uniform(0, place.size[1], MARKS + clicks)]
    ).round(2)
    marks = [mark(number, x, y) for number, (x, y) in enumerate(places.tolist())]
    place.ask(connection, "POST", "/view/outlines", {"prompts": marks[:MARKS], "changed": None})
    taken = []
    for count in range(MARKS + 1, MARKS + clicks + 1):
        x, y = marks[count - 1]["strokes"][0][0]
        begun = time.perf_counter()
        place.ask(connection, "POST", "/view/outlines", {"prompts": marks[:count], "changed": [[x, y, x, y]]})
        taken.append(time.perf_counter() - begun)
    connection.close()
    return taken


def live(place: Served) -> None:
    for clients in CLIENTS:
        used = time.process_time()
        with ThreadPoolExecutor(clients) as pool:
            each = [pool.submit(click_and_wait, place, 100 * clients + n, CLICKS // clients) for n in range(clients)]
            taken = sorted(1000 * seconds for one in each for seconds in one.result())
        middle, late = statistics.median(taken), taken[int(0.95 * len(taken))]
        of_processor = 1000 * (time.process_time() - used) / len(taken)
        print(
            f"click to outline, {clients:2} clients: p50 {middle:.0f} ms, p95 {late:.0f} ms; of the processor "
            f"{of_processor:.0f} ms a click, first marks and clients included",
            flush=True,
        )


def tiles(place: Served) -> None:
    connection = HTTPConnection(HOST, place.port)
    paths = [f"/view/tiles/x/{place.last - down}/{column}_0.jpg" for down in (0, 1, 3) for column in range(9)]
    for what in ("read and encoded", "kept"):
        taken = []
        for path in paths:
            begun = time.perf_counter()
            place.ask(connection, "GET", path)
            taken.append(1000 * (time.perf_counter() - begun))
        print(f"a tile that is {what}: p50 {statistics.median(taken):.1f} ms, slowest {max(taken):.1f} ms", flush=True)


def page(place: Served) -> None:
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from chromium import Chromium, find_chromium

    program = find_chromium()
    if program is None:
        print("no Chromium: the page was not opened")
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        browser = Chromium(program, Path(folder))
        tab = browser.open("about:blank")
        # The browser's own start does not count; its clock begins with the navigation.
        tab.send("Page.navigate", url=f"http://{HOST}:{place.port}/#token={place.token.value}")
        tab.wait("document.body.dataset.ready !== undefined")
        seconds = float(tab.run("document.body.dataset.ready")) / 1000
        print(f"from the address to the slide's first tiles, {place.size[0]} px wide: {seconds:.2f} s")
        browser.close()


def main() -> None:
    with served() as place:
        page(place)
        tiles(place)
        live(place)


if __name__ == "__main__":
    main()
