"""The viewer as its users meet it: a real browser on a real slide, with clicks, keys and touches.

The outlines that it exports are compared with those of the command line, feature by feature.
"""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser_tab import BrowserTab
from chromium import Chromium, Tab, find_chromium
from PIL import Image
from projects import Image as ProjectImage
from projects import write_project
from qpdata_writer import Drawn, points, qpdata
from skimage.data import immunohistochemistry

from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.demo import SLIDE, make_demo
from nuclick_wsi.server.auth import Token
from nuclick_wsi.server.auth_middleware import HOST
from nuclick_wsi.server.server import ServerRequest, listen, make_server
from nuclick_wsi.server.slide_cache import SlideCache
from nuclick_wsi.viewer.launch import PageSetup, make_viewer
from nuclick_wsi.viewer.loading import Loaded, load
from nuclick_wsi.viewer.marks import MarkObject
from nuclick_wsi.viewer.opened_slide import open_for_viewing
from qupath_extension.requested_image import read_image

PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Chromium that can be driven: NUCLICK_CHROMIUM names one")
NUCLEI = [(421.2, 46.3), (455.4, 66.8), (433.0, 250.0)]
LINE = [(60.0, 300.0), (75.0, 312.0), (90.0, 320.0), (105.0, 320.0), (120.0, 318.0)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    assert PROGRAM is not None
    chromium = Chromium(PROGRAM, tmp_path_factory.mktemp("browser"))
    yield chromium
    chromium.close()


@dataclass
class Viewer:
    """A viewer that is running, and the browser to open it in."""

    browser: Chromium
    address: str
    token: Token

    def open(self, **how: bool) -> Tab:
        """Open the page with the token, and wait until slide and outlines are there."""
        tab = self.browser.open(f"{self.address}/#token={self.token.value}", **how)
        ready(tab)
        return tab


def ready(tab: BrowserTab) -> None:
    tab.wait("document.body.dataset.ready !== undefined && nuclick.tools.tool")
    settled(tab)


def settled(tab: BrowserTab) -> None:
    """Wait until all that was asked for is answered and saved."""
    tab.wait("!nuclick.outlines.busy && !document.getElementById('save-state').textContent.includes('…')")


Start = Callable[..., Viewer]


@pytest.fixture
def start(tmp_path: Path, browser: Chromium) -> Iterator[Start]:
    running = []

    def start_one(slide: Path, prompts: Path | None = None) -> Viewer:
        opened = open_for_viewing(slide, prompts, None)
        token, slides, listener = Token(tmp_path / "state"), SlideCache(), listen(0)
        port = listener.getsockname()[1]
        asked = ServerRequest(port, device="cpu")
        begun = Loaded(()) if prompts is None else load(prompts, opened, MarkObject.NUCLEUS)
        setup = PageSetup(token, port, begun, prompts)
        server = make_server(make_viewer(asked, opened, slides, read_image, setup))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread, listener, slides))
        return Viewer(browser, f"http://{HOST}:{port}", token)

    yield start_one
    for server, thread, listener, slides in running:
        server.should_exit = True
        thread.join(20)
        listener.close()
        slides.close()


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(tmp_path_factory.mktemp("demo")).parent / SLIDE


def on_screen(tab: BrowserTab, x: float, y: float) -> tuple[float, float]:
    """Return where a position of the slide is in the window."""
    script = f"""(() => {{
        const here = nuclick.osd.world.getItemAt(0).imageToViewerElementCoordinates(new OpenSeadragon.Point({x}, {y}));
        const box = document.getElementById('slide').getBoundingClientRect();
        return [here.x + box.x, here.y + box.y];
    }})()"""
    left, top = tab.run(script)
    return left, top


def click_on(tab: Tab, place: tuple[float, float]) -> None:
    tab.click(*on_screen(tab, *place))
    settled(tab)


def marks(tab: BrowserTab) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tab.run("nuclick.history.doc.prompts")
    return found


def downloaded(tab: BrowserTab, folder: Path, choice: str, name: str) -> bytes:
    """Choose an entry of the menu Export, and return the file that the browser has then."""
    tab.press_on("#export")
    tab.press_on(f"#export-menu [data-as={choice}]")
    path = folder / name
    tab.wait(f"document.getElementById('progress').hidden && {json.dumps(name)}")
    for _ in range(600):
        if path.exists():
            break
        tab.run("new Promise(done => setTimeout(done, 50))")
    content = path.read_bytes()
    path.unlink()
    return content


def without_seal(content: bytes) -> Any:
    found = json.loads(content)
    found.pop("seal", None)
    return found


def test_what_is_clicked_drawn_and_corrected_is_there_after_a_reload_and_outlined_as_by_the_command_line(
    start: Start, slide: Path, tmp_path: Path
) -> None:
    tab = start(slide).open()
    assert tab.run("location.href").endswith("/")  # the token is not in the address
    tab.key("+")
    tab.wait("nuclick.osd.viewport.getZoom(true) === nuclick.osd.viewport.getZoom(false)")
    tab.key("Home")
    tab.wait("nuclick.osd.viewport.getZoom(true) === nuclick.osd.viewport.getHomeZoom()")
    for place in NUCLEI:
        click_on(tab, place)
    tab.key("g")
    tab.drag([on_screen(tab, *place) for place in LINE])
    settled(tab)
    tab.key("i")
    click_on(tab, (418.0, 42.0))  # a part of the first outline that it is not to have
    assert [mark["object"] for mark in marks(tab)] == ["nucleus"] * 3 + ["gland", "ignore"]
    shown = tab.run("[...nuclick.outlines.all()].map(({outline}) => [outline.prompt, outline.polygons])")
    before = marks(tab)

    tab.reload()
    ready(tab)
    assert marks(tab) == before
    assert len(shown) >= 4

    folder = tab.browser._folder
    outlines = downloaded(tab, folder, "outlines", "colon_ihc.outlines.geojson")
    prompts = tmp_path / "prompts.geojson"
    prompts.write_bytes(downloaded(tab, folder, "prompts", "colon_ihc.prompts.geojson"))
    assert run_target(RunRequest(prompts, slide=slide, device="cpu", out=tmp_path / "out")) == 0
    (by_command,) = (tmp_path / "out").glob("*.geojson")
    assert without_seal(outlines) == without_seal(by_command.read_bytes())
    # What the page showed click by click was the same already.
    exported = {one["id"]: one["geometry"]["coordinates"] for one in json.loads(outlines)["features"]}
    assert dict(shown).keys() == exported.keys()
    assert all(exported[name] in (polygons, polygons[0]) for name, polygons in shown)
    assert tab.complaints() == []
    tab.close()


def test_undo_delete_and_keys_change_marks_and_outlines_together(start: Start, slide: Path) -> None:
    tab = start(slide).open()
    outlined = "[...nuclick.outlines.all()].length"
    tab.key("1")
    click_on(tab, NUCLEI[0])
    click_on(tab, NUCLEI[1])
    assert [mark["class"] for mark in marks(tab)] == ["Tumor", "Tumor"]
    assert tab.run(outlined) == 2
    tab.key("z", control=True)
    settled(tab)
    assert tab.run(outlined) == 1
    tab.key("z", control=True, shift=True)
    settled(tab)
    assert tab.run(outlined) == 2
    tab.key("s")
    click_on(tab, NUCLEI[1])
    tab.wait("!document.getElementById('selected').hidden")
    tab.key("2")
    assert [mark["class"] for mark in marks(tab)] == ["Tumor", "Stroma"]
    tab.key("Delete")
    settled(tab)
    assert (len(marks(tab)), tab.run(outlined)) == (1, 1)
    tab.drag([on_screen(tab, *NUCLEI[0]), on_screen(tab, 440, 60), on_screen(tab, *NUCLEI[1])])  # moves the mark
    settled(tab)
    ((place,),) = marks(tab)[0]["strokes"]
    assert place == pytest.approx(NUCLEI[1], abs=1.5)
    tab.key("n")
    tab.key("Enter")  # marks the middle of the screen
    settled(tab)
    assert marks(tab)[1]["strokes"][0][0] == pytest.approx((256, 256), abs=2)
    assert tab.complaints() == []
    tab.close()


def test_review_goes_from_the_least_sure_and_leaves_rejected_outlines_out(
    start: Start, slide: Path, tmp_path: Path
) -> None:
    tab = start(slide).open()
    for place in NUCLEI:
        click_on(tab, place)
    least = tab.run(
        "[...nuclick.outlines.all()].sort((a, b) => a.outline.sureness - b.outline.sureness).map(one => one.mark.id)"
    )
    tab.key("r")
    assert tab.run("nuclick.sheet.look.selected") == least[0]
    tab.key("x")  # rejects it, and shows the next
    assert tab.run("nuclick.sheet.look.selected") == least[1]
    tab.key("a")
    assert tab.run("nuclick.history.doc.decisions") == {least[0]: "rejected", least[1]: "accepted"}
    assert tab.run("nuclick.sheet.look.selected") == least[2]
    tab.key("f")  # the next click corrects: outside its outline it moves the mark
    tab.key("Home")
    tab.wait("nuclick.osd.viewport.getZoom(true) === nuclick.osd.viewport.getHomeZoom()")
    click_on(tab, (300.0, 300.0))
    (moved,) = (mark for mark in marks(tab) if mark["id"] not in least)  # a mark in another place is another mark
    assert moved["strokes"][0][0] == pytest.approx((300, 300), abs=2)
    outlines = json.loads(downloaded(tab, tab.browser._folder, "outlines", "colon_ihc.outlines.geojson"))
    table = downloaded(tab, tab.browser._folder, "table", "colon_ihc.csv").decode()
    assert len(outlines["features"]) <= 2
    assert table.count("rejected") == table.count("accepted") == 1
    tab.close()


def test_long_work_shows_progress_and_is_cancelled_and_goes_on_where_it_was(
    start: Start, slide: Path, tmp_path: Path
) -> None:
    tab = start(slide).open()
    places = np.random.default_rng(5).uniform(5, 505, (150, 2)).round(1).tolist()
    table = tmp_path / "many.csv"
    table.write_text("x,y\n" + "\n".join(f"{x},{y}" for x, y in places), encoding="utf-8")
    tab.choose_file("#file", table)
    tab.wait("document.getElementById('progress').innerText.includes('of 150')")
    tab.run("document.querySelector('#progress button').click()")
    tab.wait("document.getElementById('progress').hidden && !nuclick.outlines.busy")
    assert len(marks(tab)) == 150
    tab.run("void nuclick.outlines.askForAll()")
    tab.wait("nuclick.history.doc.prompts.every(mark => nuclick.outlines.of(mark))")
    tab.close()


def test_a_second_tab_overwrites_nothing_and_says_so(start: Start, slide: Path) -> None:
    viewer = start(slide)
    one = viewer.open()
    other = viewer.open()
    click_on(one, NUCLEI[0])
    other.click(*on_screen(other, *NUCLEI[1]))
    other.wait("document.getElementById('question').open")
    assert "another tab" in other.run("document.getElementById('question').innerText")
    other.reload("document.querySelector('#question .row button').click()")  # what is there
    ready(other)
    assert marks(other) == marks(one)
    click_on(other, NUCLEI[1])
    one.click(*on_screen(one, *NUCLEI[2]))
    one.wait("document.getElementById('question').open")
    one.run("document.querySelectorAll('#question .row button')[1].click()")  # what this tab shows
    settled(one)
    one.wait("document.getElementById('save-state').textContent === 'Saved'")
    assert len(list((viewer.token.path.parent / "views").glob("*.backup"))) == 1
    one.close()
    other.close()


def test_work_is_offered_again_and_beginning_anew_can_be_undone(start: Start, slide: Path) -> None:
    viewer = start(slide)
    first = viewer.open()
    click_on(first, NUCLEI[0])
    kept = marks(first)
    first.close()
    tab = viewer.browser.open(f"{viewer.address}/#token={viewer.token.value}")
    tab.wait("document.getElementById('question').open")
    tab.run("document.querySelectorAll('#question .row button')[1].click()")  # begin anew
    ready(tab)
    assert marks(tab) == []
    tab.key("z", control=True)
    settled(tab)
    assert marks(tab) == kept
    tab.close()


def test_without_a_token_the_page_says_where_it_is_and_takes_it(start: Start, slide: Path) -> None:
    viewer = start(slide)
    tab = viewer.browser.open(viewer.address)
    tab.wait("document.getElementById('token-dialog').open")
    assert str(viewer.token.path) in tab.run("document.getElementById('token-dialog').innerText")
    tab.run(f"document.getElementById('token').value = {json.dumps(viewer.token.value)}")
    tab.run("document.querySelector('#token-dialog button').click()")
    ready(tab)
    tab.close()


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """Return the address of an empty page of another origin, on this machine too."""

    class Empty(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<!doctype html><link rel=icon href=data:,><body></body>")

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Empty) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{HOST}:{server.server_port}/"
        server.shutdown()
        thread.join()


def test_a_page_of_another_origin_reads_nothing_even_with_the_token(start: Start, slide: Path, elsewhere: str) -> None:
    viewer = start(slide)
    tab = viewer.browser.open(elsewhere)
    asked = json.dumps({"headers": {"Authorization": f"Bearer {viewer.token.value}"}})
    for path in ("/view/info", "/view/document", "/"):
        address = json.dumps(f"{viewer.address}{path}")
        assert tab.run(f"fetch({address}, {asked}).then((r) => r.text(), (error) => error.name)") == "TypeError"
    frame = f"<iframe src='{viewer.address}/'></iframe>"
    tab.run(f"void (document.body.innerHTML = {json.dumps(frame)})")
    end = time.monotonic() + 60
    while "frame-ancestors" not in str(tab.complaints()):
        assert time.monotonic() < end, tab.complaints()
        time.sleep(0.1)
    tab.close()


def test_a_page_that_is_left_at_once_has_saved_what_was_done_last(start: Start, slide: Path) -> None:
    viewer = start(slide)
    tab = viewer.open()
    tab.click(*on_screen(tab, *NUCLEI[0]))
    tab.wait("document.getElementById('save-state').textContent === 'Saving…'")
    tab.click(*on_screen(tab, *NUCLEI[1]))
    tab.send("Page.navigate", url="about:blank")
    tab.close()
    again = viewer.browser.open(f"{viewer.address}/#token={viewer.token.value}")
    again.wait("document.getElementById('question').open")
    assert "There are 2 marks" in again.run("document.getElementById('question').innerText")
    again.close()


def test_an_image_of_six_pixels_is_shown_and_what_cannot_be_outlined_there_is_said(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "tiny.png"
    Image.fromarray(np.ascontiguousarray(immunohistochemistry()[:2, :3])).save(path)
    viewer = start(path)
    tab = viewer.browser.open(f"{viewer.address}/#token={viewer.token.value}")
    tab.wait("document.getElementById('pixel-dialog').open")
    tab.run("document.getElementById('pixel-size').value = '0.5'")
    tab.run("document.querySelector('#pixel-dialog button').click()")
    ready(tab)
    click_on(tab, (1.5, 1.0))
    assert len(marks(tab)) == 1
    tab.wait("nuclick.outlines.of(nuclick.history.doc.prompts[0])")
    assert "1 mark" in tab.run("document.getElementById('counts').innerText")
    assert tab.complaints() == []
    tab.close()


def test_two_fingers_zoom_and_mark_nothing(start: Start, slide: Path) -> None:
    viewer = start(slide)
    tab = viewer.browser.open(f"{viewer.address}/#token={viewer.token.value}", touch=True)
    ready(tab)
    before = tab.run("nuclick.osd.viewport.getZoom()")
    x, y = on_screen(tab, 256, 256)
    for tool in ("n", "g"):
        tab.key(tool)
        tab.touches("touchStart", [(x - 20, y), (x + 20, y)])
        for apart in range(30, 130, 20):
            tab.touches("touchMove", [(x - apart, y), (x + apart, y)])
        tab.touches("touchEnd", [])
        settled(tab)
    tab.wait(f"nuclick.osd.viewport.getZoom() > {before}")
    assert marks(tab) == []
    tab.key("g")
    tab.touches("touchStart", [(x - 40, y)])
    for step in range(-30, 50, 10):
        tab.touches("touchMove", [(x + step, y + step / 4)])
    tab.touches("touchEnd", [])
    settled(tab)
    assert [mark["object"] for mark in marks(tab)] == ["gland"]  # one finger draws
    tab.close()


def test_a_slide_without_pixel_size_and_smaller_than_a_tile_asks_for_it_and_works_by_touch(
    start: Start, tmp_path: Path
) -> None:
    path = tmp_path / "small.png"
    Image.fromarray(np.ascontiguousarray(immunohistochemistry()[:200, 300:])).save(path)
    viewer = start(path)
    tab = viewer.browser.open(f"{viewer.address}/#token={viewer.token.value}", touch=True)
    tab.wait("document.getElementById('pixel-dialog').open")
    tab.run("document.getElementById('pixel-size').value = '0.5'")
    tab.run("document.querySelector('#pixel-dialog button').click()")
    ready(tab)
    tab.touch(*on_screen(tab, 121.2, 46.3))
    settled(tab)
    assert len(marks(tab)) == 1
    tab.wait("[...nuclick.outlines.all()].length === 1")
    assert "µm" in tab.run("document.getElementById('scale').innerText")
    tab.close()


def test_files_are_loaded_once_and_a_wrong_one_is_named(start: Start, slide: Path, tmp_path: Path) -> None:
    tab = start(slide).open()
    table = tmp_path / "clicks.csv"
    table.write_text("x,y,class\n421.2,46.3,Tumor\n455.4,66.8,Stroma\n", encoding="utf-8")
    for _ in range(2):
        tab.choose_file("#file", table)
        tab.wait("document.getElementById('messages').innerText.includes('new marks')")
        tab.run("document.querySelectorAll('#messages button').forEach(one => one.click())")
        settled(tab)
    assert [mark["class"] for mark in marks(tab)] == ["Tumor", "Stroma"]
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n", encoding="utf-8")
    tab.choose_file("#file", wrong)
    tab.wait("document.querySelector('#messages .wrong')?.innerText.includes('wrong.csv')")
    tab.close()


def test_marks_of_a_project_are_saved_into_it_and_what_has_changed_there_is_taken_over_if_wanted(
    start: Start, tmp_path: Path
) -> None:
    drawn = [Drawn(points((165.25, 46.25), (199.5, 66.75)), id="00000000-0000-4000-8000-00000000c11c")]
    project = write_project(tmp_path / "project", ProjectImage("a.svs", drawn))
    data = project.parent / "data" / "1" / "data.qpdata"
    file = project.parent / "nuclick" / "1 a.svs.prompts.geojson"
    viewer = start(project.parent / "slides" / "a.svs", project)
    tab = viewer.open()
    click_on(tab, (177.0, 250.0))
    tab.press_on("#save-prompts")
    tab.wait("document.getElementById('messages').innerText.includes('1 mark added')")
    before = data.read_bytes()
    assert len(json.loads(file.read_bytes())["features"]) == 1

    # Moved here, and another one drawn in QuPath meanwhile.
    tab.key("s")
    tab.drag([on_screen(tab, 165.25, 46.25), on_screen(tab, 180, 80), on_screen(tab, 200, 100)])
    settled(tab)
    data.write_bytes(qpdata(*drawn, Drawn(points((20.0, 30.0)), id=str(uuid.uuid4()))))
    tab.key("s", control=True, shift=True)
    tab.wait("document.getElementById('question').open")
    assert "1 mark new" in tab.run("document.getElementById('question').innerText")
    tab.run("document.querySelector('#question .row button').click()")
    tab.wait("document.getElementById('messages').innerText.includes('2 marks added, 1 of QuPath')")
    assert len(marks(tab)) == 4
    saved = file.read_bytes()
    # Undo goes back to what the page had before; saved again, that is what a run has.
    settled(tab)
    tab.key("z", control=True)
    tab.key("z", control=True)
    settled(tab)
    assert len(marks(tab)) == 3
    tab.key("z", control=True, shift=True)
    tab.key("z", control=True, shift=True)
    settled(tab)
    tab.run("document.getElementById('messages').replaceChildren()")
    tab.key("s", control=True, shift=True)
    tab.wait("document.getElementById('messages').innerText.includes('2 marks added')")
    settled(tab)
    assert file.read_bytes() == saved
    tab.close()

    # Opened again, with one more click gone in QuPath since.
    data.write_bytes(before)
    tab = viewer.browser.open(f"{viewer.address}/#token={viewer.token.value}")
    tab.wait("document.getElementById('question').open")
    assert "1 mark gone since" in tab.run("document.getElementById('question').innerText")
    tab.run("document.querySelector('#question .row button').click()")
    ready(tab)
    assert len(marks(tab)) == 3
    assert tab.complaints() == []
    tab.close()
