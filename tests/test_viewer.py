"""The viewer's side of the server: tiles, saved work, outlines near a change, files in and out, and who may ask."""

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_slides import write_leica
from PIL import Image
from skimage.data import immunohistochemistry

from asap_bridge.document import read_document
from nuclick_wsi.cli.demo import run_demo
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.cli.screen import Screen
from nuclick_wsi.demo import PROJECT, SLIDE, make_demo
from nuclick_wsi.errors import FileChangedError, NuclickError
from nuclick_wsi.geometry import Size
from nuclick_wsi.prompts import ObjectChoice
from nuclick_wsi.scale import PixelSize, Window
from nuclick_wsi.server.auth import Token
from nuclick_wsi.server.auth_middleware import HOST
from nuclick_wsi.server.server import ServerRequest, listen, make_server
from nuclick_wsi.server.slide_cache import SlideCache
from nuclick_wsi.slides.pyramid import write_pyramid
from nuclick_wsi.slides.slide import Frame
from nuclick_wsi.viewer.launch import PageSetup, make_viewer
from nuclick_wsi.viewer.loading import Loaded, load, load_upload
from nuclick_wsi.viewer.marks import MarkObject
from nuclick_wsi.viewer.opened_slide import open_for_viewing
from nuclick_wsi.viewer.saved_work import SavedWork
from nuclick_wsi.viewer.tiles import OVERLAP, SIDE, TileLevels, Tiles
from qupath_extension.requested_image import read_image

Json = dict[str, Any]
COMMAND = [sys.executable, "-c", "from nuclick_wsi.cli.app import main; main()"]
PLACES = [(421.2, 46.3), (455.4, 66.8), (433.0, 250.0), (440.0, 60.0)]


@dataclass
class Answer:
    status: int
    content: bytes
    headers: dict[str, str]

    @property
    def json(self) -> Any:
        return json.loads(self.content)


@dataclass
class Running:
    port: int
    token: Token
    project: Path

    def ask(self, method: str, path: str, body: object = None, **headers: str | None) -> Answer:
        sent = {"Authorization": f"Bearer {self.token.value}"}
        sent |= {name.capitalize(): value for name, value in headers.items() if value is not None}
        sent = {name: value for name, value in sent.items() if headers.get(name.lower(), "") is not None}
        connection = HTTPConnection(HOST, self.port, timeout=120)
        connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body), sent)
        response = connection.getresponse()
        answer = Answer(response.status, response.read(), {k.lower(): v for k, v in response.getheaders()})
        connection.close()
        return answer

    def outlines(self, prompts: list[Json], changed: object = None, **more: object) -> Json:
        answer = self.ask("POST", "/view/outlines", {"prompts": prompts, "changed": changed, **more})
        assert answer.status == 200, answer.content
        return answer.json


def serve(folder: Path, slide: Path, prompts: Path | None = None) -> Iterator[Running]:
    opened = open_for_viewing(slide, prompts, None)
    token, slides, listener = Token(folder / "state"), SlideCache(), listen(0)
    port = listener.getsockname()[1]
    begun = Loaded(()) if prompts is None else load(prompts, opened, MarkObject.NUCLEUS)
    asked = ServerRequest(port, device="cpu")
    server = make_server(make_viewer(asked, opened, slides, read_image, PageSetup(token, port, begun, prompts)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield Running(port, token, slide.parents[1] / PROJECT)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
        slides.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A viewer on the demo's slide with the demo's project."""
    folder = tmp_path_factory.mktemp("viewer")
    project = make_demo(folder / "demo")
    yield from serve(folder, project.parent / SLIDE, project)


def clicks(*places: tuple[float, float], of: str = "nucleus") -> list[Json]:
    return [
        {"id": f"00000000-0000-4000-8000-{number:012}", "object": of, "class": None, "strokes": [[list(place)]]}
        for number, place in enumerate(places)
    ]


def line(*places: tuple[float, float], name: str = "00000000-0000-4000-8000-00000000aaaa") -> Json:
    return {"id": name, "object": "gland", "class": "Gland", "strokes": [[list(place) for place in places]]}


# Who may ask.


@pytest.mark.parametrize("path", ["/view/info", "/view/document", "/view/tiles/x/9/0_0.jpg", "/static/../view/info"])
def test_everything_but_the_files_of_the_page_needs_the_token(server: Running, path: str) -> None:
    assert server.ask("GET", path, authorization=None).status in (401, 404)
    assert server.ask("GET", path, authorization="Bearer wrong").status in (401, 404)


def test_the_files_of_the_page_need_no_token_and_allow_nothing_from_elsewhere(server: Running) -> None:
    page = server.ask("GET", "/", authorization=None)
    assert page.status == 200
    for path in re.findall(rb'(?:src|href)="(/[^"]+)"', page.content):
        found = server.ask("GET", path.decode(), authorization=None)
        assert found.status == 200, path
        assert "default-src 'none'" in found.headers["content-security-policy"]
    assert not re.search(rb"https?://(?!www\.w3\.org/2000/svg)", page.content)
    assert "'unsafe-inline'" not in page.headers["content-security-policy"]
    assert b"<script>" not in page.content


def test_another_host_name_is_refused_also_for_the_page(server: Running) -> None:
    assert server.ask("GET", "/", host="evil.example").status == 421


@pytest.mark.parametrize("path", ["/", "/view/info", "/view/document", "/view/tiles/x/9/0_0.jpg"])
def test_no_page_of_another_origin_may_read_an_answer(server: Running, path: str) -> None:
    reply = server.ask("GET", path, origin="https://evil.example")
    assert not [name for name in reply.headers if name.startswith("access-control")]
    asked = {"origin": "https://evil.example", "access-control-request-headers": "authorization"}
    reply = server.ask("OPTIONS", path, authorization=None, **asked)
    assert reply.status in (401, 405)
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_no_other_slide_is_opened(server: Running, tmp_path: Path) -> None:
    other = server.project.parent / "other.png"
    Image.fromarray(immunohistochemistry()).save(other)
    answer = server.ask("POST", "/segment", {"image": str(other), "points": [[1, 1]]})
    assert answer.status == 403
    own = str((server.project.parent / SLIDE).resolve())
    assert server.ask("POST", "/segment", {"image": own, "points": [[421.2, 46.3]]}).status == 200


# Tiles.


@pytest.mark.parametrize("size", [(1, 1), (37, 20), (510, 511), (1500, 700)])
def test_tiles_of_a_level_cover_it_with_their_overlap_and_no_more(size: tuple[int, int]) -> None:
    levels = TileLevels(Size(*size))
    assert levels.downsample(levels.last) == 1
    assert max(-(-side // levels.downsample(0)) for side in size) == 1
    for level in range(levels.last + 1):
        width, height = (-(-side // levels.downsample(level)) for side in size)
        covered = np.zeros((height, width), int)
        for column in range(-(-width // SIDE)):
            for row in range(-(-height // SIDE)):
                window = levels.window((level, column, row))
                covered[window.slices_in(Window(0, 0, width, height))] += 1
        assert covered.min() == 1
        assert (covered > 1).sum() == 0 or max(width, height) > SIDE
        with pytest.raises(NuclickError, match="no tile"):
            levels.window((level, -(-width // SIDE), 0))


def test_a_tile_shows_its_part_of_the_slide(server: Running) -> None:
    last = server.ask("GET", "/view/info").json["tiles"]["last"]
    for level, factor in ((last, 1), (last - 1, 2)):
        answer = server.ask("GET", f"/view/tiles/x/{level}/0_0.jpg")
        assert answer.headers["content-type"] == "image/jpeg"
        tile = np.asarray(Image.open(io.BytesIO(answer.content)), float)
        side = min(512 // factor, SIDE + OVERLAP)
        squares = immunohistochemistry().reshape(512 // factor, factor, 512 // factor, factor, 3).mean((1, 3))
        assert tile.shape == (side, side, 3)
        assert np.abs(tile - squares[:side, :side]).mean() < 8  # JPEG, and another filter
    assert server.ask("GET", f"/view/tiles/x/{last + 1}/0_0.jpg").status == 400
    assert server.ask("GET", f"/view/tiles/x/{last}/9_0.jpg").status == 400


def test_recent_tiles_are_kept_up_to_a_size_and_made_again_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(immunohistochemistry()).save(path)
    slides = SlideCache()
    kept, none = Tiles(slides, path, Frame.FULL), Tiles(slides, path, Frame.FULL, largest_cache=0)
    first = kept.tile((9, 0, 0))
    assert kept.tile((9, 0, 0)) is first
    assert none.tile((9, 0, 0)) == none.tile((9, 0, 0)) == first
    assert none.tile((9, 0, 0)) is not none.tile((9, 0, 0))
    slides.close()


# Outlines.


def test_outlines_near_a_change_are_those_of_all_marks_together(server: Running) -> None:
    marks = [*clicks(*PLACES), line((60, 300), (90, 320), (120, 318)), *clicks((418, 42), of="ignore")]
    marks[-1]["id"] = "ignored"
    whole = {one["prompt"]: one for one in server.outlines(marks)["outlines"]}
    near = server.outlines(marks, [[455.4, 66.8, 455.4, 66.8]])
    assert marks[1]["id"] in near["asked"]
    assert marks[2]["id"] not in near["asked"]  # 180 px away
    assert all(whole[one["prompt"]] == one for one in near["outlines"])
    assert near["recalled"] == len(near["asked"])  # nothing was computed twice


def test_a_cell_and_its_nucleus_are_two_outlines_of_one_mark(server: Running) -> None:
    marks = clicks(PLACES[0], of="cell+nucleus")
    found = server.outlines(marks)
    kinds = [one["kind"] for one in (*found["outlines"], *found["rejections"])]
    assert sorted(kinds) == ["cell", "nucleus"]
    assert {one["mark"] for one in (*found["outlines"], *found["rejections"])} == {marks[0]["id"]}


def test_a_mark_outside_the_slide_and_one_on_the_spot_of_another_have_a_reason(server: Running) -> None:
    found = server.outlines(clicks(PLACES[0], PLACES[0], (9000, 1)))
    assert sorted(one["reason"] for one in found["rejections"]) == [
        "on the same spot as another prompt",
        "outside the slide",
    ]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"prompts": 5}, "not a list"),
        ({"prompts": [{"id": "a"}]}, r"prompts\[0\]"),
        ({"prompts": [{"id": "a", "object": "tree", "strokes": [[[1, 1]]]}]}, "tree"),
        ({"prompts": [{"id": "a", "object": "gland", "strokes": [[[1, 1]]]}]}, "marked by a line"),
        ({"prompts": [{"id": "a", "object": "cell", "strokes": [[[1, 1], [2, 2]]]}]}, "marked by a click"),
        ({"prompts": [{"id": "a", "object": "cell", "strokes": [[]]}]}, "without a position"),
        ({"prompts": [], "changed": "x"}, "changed"),
        ({"prompts": 2 * [{"id": "a", "object": "cell", "strokes": [[[1, 1]]]}]}, "one id"),
        ([], "not an object"),
        (b"{", "not JSON"),
    ],
)
def test_what_is_no_document_is_named(server: Running, wrong: object, said: str) -> None:
    for path in ("/view/outlines",) if isinstance(wrong, dict) else ("/view/outlines", "/view/export?as=table"):
        answer = server.ask("POST", path, wrong)
        assert answer.status == 400
        assert re.search(said, answer.json["error"])


def test_a_browser_that_closes_in_the_middle_ends_its_work(server: Running) -> None:
    """What the network has done by then is remembered; all else is not done."""
    places = np.random.default_rng(1).uniform(5, 505, (400, 2)).round(1).tolist()
    body = json.dumps({"prompts": clicks(*map(tuple, places))})
    connection = HTTPConnection(HOST, server.port)
    connection.request("POST", "/view/outlines", body, {"Authorization": f"Bearer {server.token.value}"})
    connection.close()
    assert server.outlines(clicks(PLACES[0]))["asked"]  # and others are answered
    assert server.outlines(clicks(*map(tuple, places)))["recalled"] < len(places)


def test_a_click_does_not_wait_for_all_the_marks_of_other_pages(server: Running) -> None:
    done: list[str] = []

    def all_marks(seed: int) -> None:
        places = np.random.default_rng(seed).uniform(5, 505, (300, 2)).round(1).tolist()
        server.outlines(clicks(*map(tuple, places)))
        done.append("all")

    threads = [threading.Thread(target=all_marks, args=(seed,)) for seed in (2, 3, 4)]
    for thread in threads:
        thread.start()
    server.outlines(clicks((231.5, 402.5)))
    done.append("click")
    for thread in threads:
        thread.join()
    assert done[0] == "click"


# The pixel size.


def test_a_slide_without_pixel_size_is_shown_and_outlined_once_it_is_given(tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    Image.fromarray(immunohistochemistry()).save(folder / "a.png")
    for server in serve(tmp_path, folder / "a.png"):
        assert server.ask("GET", "/view/info").json["pixel_size_um"] is None
        asked = {"prompts": clicks(PLACES[0])}
        assert "pixel size" in server.ask("POST", "/view/outlines", asked).json["error"]
        for wrong in (0, -1, 1000, "0.5"):
            assert server.ask("POST", "/view/outlines", {**asked, "pixel_size_um": wrong}).status == 422
        assert server.outlines(clicks(PLACES[0]), pixel_size_um=0.5)["outlines"]


# Work that is saved.


def test_work_is_kept_and_a_page_that_has_not_seen_the_last_one_overwrites_nothing(tmp_path: Path) -> None:
    saved = SavedWork(tmp_path, Path("/slides/a.svs"), "f")
    assert saved.read() is None
    assert saved.write({"n": 1}, 0).revision == 1
    with pytest.raises(FileChangedError, match="another tab"):
        saved.write({"n": 2}, 0)
    assert saved.read().document == {"n": 1}
    assert saved.write({"n": 2}, 0, force=True).revision == 2
    (copy,) = tmp_path.glob("*.backup")
    assert json.loads(copy.read_bytes())["document"] == {"n": 1}
    assert SavedWork(tmp_path, Path("/slides/a.svs"), "f").read().document == {"n": 2}
    for other in (("/slides/b.svs", "f", None), ("/slides/a.svs", "g", None), ("/slides/a.svs", "f", Path("p.csv"))):
        assert SavedWork(tmp_path, Path(other[0]), other[1], other[2]).read() is None


def test_damaged_work_is_named_and_stays(tmp_path: Path) -> None:
    saved = SavedWork(tmp_path, Path("/slides/a.svs"), "f")
    saved.write({}, 0)
    saved.path.write_bytes(b"{")
    for attempt in (saved.read, lambda: saved.write({}, 1)):
        with pytest.raises(NuclickError, match="damaged"):
            attempt()
    assert saved.path.read_bytes() == b"{"


def test_the_page_begins_with_the_prompts_of_the_project_and_saves_over_the_network(server: Running) -> None:
    begun = server.ask("GET", "/view/document").json
    assert begun["document"] is None
    assert sum(mark["object"] == "nucleus" for mark in begun["file"]["prompts"]) == 104
    assert sum(mark["object"] == "gland" for mark in begun["file"]["prompts"]) == 4
    assert "Epithelium" in begun["file"]["class_colors"]
    document = {"prompts": clicks(PLACES[0]), "classes": [], "decisions": {}}
    put = {"document": document, "revision": 0}
    assert server.ask("PUT", "/view/document", put).json["revision"] == 1
    conflict = server.ask("PUT", "/view/document", put)
    assert (conflict.status, "another tab" in conflict.json["error"]) == (409, True)
    assert server.ask("GET", "/view/document").json["document"] == document
    assert server.ask("PUT", "/view/document", {"document": {"prompts": 3}, "revision": 1}).status == 400
    assert server.ask("PUT", "/view/document", {"document": document}).status == 400


# Files.


def test_results_of_the_projects_own_prompts_are_the_file_that_a_run_writes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_demo(tmp_path / "a demo", "cpu", Screen()) == 0
    # Its last line opens the viewer.
    _, command, slide, option, prompts = shlex.split(capsys.readouterr().out.splitlines()[-1].split(": ")[1])
    assert (command, option) == ("view", "--prompts")
    project = Path(prompts)
    assert Path(slide) == project.parent / SLIDE
    (by_run,) = (project.parent / "nuclick").glob("*.geojson")
    for viewer in serve(tmp_path, project.parent / SLIDE, project):
        begun = viewer.ask("GET", "/view/document").json["file"]
        classes = [{"name": name, "color": color} for name, color in begun["class_colors"].items()]
        document = {"prompts": begun["prompts"], "classes": classes, "decisions": {}}
        before = by_run.read_bytes()
        saved = viewer.ask("POST", "/view/results", {"document": document})
        assert saved.status == 200, saved.content
        assert Path(saved.json["path"]) == by_run
        assert by_run.read_bytes() == before


DOT = (
    '<ASAP_Annotations><Annotations><Annotation Name="a" Type="Dot" PartOfGroup="None" Color="#F4FA58">'
    '<Coordinates><Coordinate Order="0" X="{x}" Y="{y}"/></Coordinates></Annotation></Annotations>'
    "<AnnotationGroups/></ASAP_Annotations>"
)


def test_results_of_a_file_of_asap_go_into_it_as_those_of_a_run_do(tmp_path: Path) -> None:
    folder = tmp_path / "slides"
    folder.mkdir()
    write_leica(folder / "a.scn", immunohistochemistry(), (1000, 2000), Size(4096, 4096))
    for name in ("a.xml", "b.xml"):
        (folder / name).write_text(DOT.format(x=1421.25, y=2046.5), encoding="utf-8")
    assert run_target(RunRequest(folder / "b.xml", slide=folder / "a.scn", device="cpu")) == 0
    for viewer in serve(tmp_path, folder / "a.scn", folder / "a.xml"):
        document = {"prompts": viewer.ask("GET", "/view/document").json["file"]["prompts"]}
        assert document["prompts"][0]["strokes"] == [[[1421.25, 2046.5]]]
        assert viewer.ask("POST", "/view/results", {"document": document}).status == 200
    saved, by_run = (read_document(folder / name).annotations for name in ("a.xml", "b.xml"))
    assert len(saved) == len(by_run) > 1
    for one, other in zip(saved, by_run, strict=True):
        assert (one.name, one.group, one.color) == (other.name, other.group, other.color)
        assert one.points.tolist() == other.points.tolist()


def test_exported_prompts_are_read_again_as_the_same_marks(server: Running) -> None:
    opened = open_for_viewing(server.project.parent / SLIDE, server.project, None)
    marks = load(server.project, opened, MarkObject.NUCLEUS).marks
    content = {"document": {"prompts": [mark.as_json() for mark in marks], "classes": [], "decisions": {}}}
    exported = server.ask("POST", "/view/export?as=prompts", content).content
    again = load_upload("a.geojson", exported, opened, MarkObject.NUCLEUS).marks
    assert sorted(again, key=lambda mark: mark.id) == sorted(marks, key=lambda mark: mark.id)


def test_cells_are_exported_as_the_command_line_outlines_them(server: Running, tmp_path: Path) -> None:
    document = {"prompts": clicks(*PLACES[:2], of="cell+nucleus"), "classes": [], "decisions": {}}
    outlines = server.ask("POST", "/view/export?as=outlines", {"document": document}).json
    prompts = tmp_path / "cells.geojson"
    prompts.write_bytes(server.ask("POST", "/view/export?as=prompts", {"document": document}).content)
    asked = RunRequest(
        prompts, slide=server.project.parent / SLIDE, device="cpu", objects=ObjectChoice.CELL_AND_NUCLEUS
    )
    assert run_target(asked) == 0
    (by_command,) = (tmp_path / "nuclick").glob("*.geojson")
    assert outlines["features"] == json.loads(by_command.read_bytes())["features"]


def test_a_file_for_asap_has_marks_and_outlines_and_is_read_again(server: Running, tmp_path: Path) -> None:
    marks = [*clicks(*PLACES[:2]), line((60, 300), (90, 320), (120, 318))]
    content = {"document": {"prompts": marks, "classes": [], "decisions": {}}}
    exported = server.ask("POST", "/view/export?as=asap", content).content
    assert exported.count(b'PartOfGroup="NuClick') >= 2
    answer = server.ask("POST", "/view/load?name=a.xml&clicks=nucleus", exported).json
    assert [mark["object"] for mark in answer["prompts"]] == ["nucleus", "nucleus", "gland"]
    assert answer["prompts"][0]["strokes"][0][0] == pytest.approx(PLACES[0], abs=0.01)


def test_a_table_has_a_line_for_each_prompt_and_no_formula(server: Running) -> None:
    marks = clicks(PLACES[0], (9000, 1))
    marks[0]["class"] = "=1+1"
    document = {"prompts": marks, "classes": [], "decisions": {marks[0]["id"]: "accepted"}}
    head, *rows = server.ask("POST", "/view/export?as=table", {"document": document}).content.decode().splitlines()
    assert head.split(",")[:5] == ["id", "object", "class", "x", "y"]
    assert len(rows) == 2
    assert ",'=1+1," in rows[0]
    assert "accepted" in rows[0]
    assert rows[1].endswith("outside the slide")
    assert server.ask("POST", "/view/export?as=pdf", {"document": document}).status == 400


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.doc", b"x", r"a\.doc is not a file of prompts"),
        ("a.geojson", b"{", r"a\.geojson"),
        ("a.xml", b"<x/>", r"a\.xml"),
        ("a.json", b'{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}', "no clicks .* 1 region"),
        ("a.csv", b"x,y,slide\n1,1,other.svs\n", r"a\.csv has no mark on .*colon_ihc\.svs; its slides are other\.svs"),
        ("../../a.csv", b"a,b\n", r"a\.csv"),
    ],
)
def test_a_file_that_is_none_or_of_another_slide_is_named(
    server: Running, name: str, content: bytes, said: str
) -> None:
    answer = server.ask("POST", f"/view/load?name={name}", content)
    assert answer.status == 400
    assert re.search(said, answer.json["error"])


def test_a_project_without_the_slide_says_which_images_it_has(server: Running, tmp_path: Path) -> None:
    other = tmp_path / "a.png"
    Image.fromarray(immunohistochemistry()).save(other)
    with pytest.raises(NuclickError, match=r"no image on .*a\.png\. Its images: colon_ihc"):
        open_for_viewing(other, server.project, None)


def test_positions_of_asap_are_moved_to_where_the_scanned_part_starts(tmp_path: Path) -> None:
    path = tmp_path / "leica.scn"
    write_leica(path, immunohistochemistry(), (1000, 2000), Size(4096, 4096))
    opened = open_for_viewing(path, None, None)
    dot = DOT.format(x=1421.25, y=2046.5)
    (mark,) = load_upload("a.xml", dot.encode(), opened, MarkObject.NUCLEUS).marks
    assert mark.strokes == (((421.25, 46.5),),)


# The command.


def test_the_command_says_where_the_page_is_keeps_the_token_to_itself_and_ends_by_control_c(tmp_path: Path) -> None:
    write_pyramid(tmp_path / "a.svs", immunohistochemistry(), PixelSize(0.5, 0.5))
    command = [*COMMAND, "view", str(tmp_path / "a.svs"), "--no-browser", "--device", "cpu"]
    environment = {**os.environ, "NUCLICK_WSI_STATE": str(tmp_path / "state")}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
    assert process.stdout is not None
    told = [process.stdout.readline() for _ in range(3)]
    way_in = Path(told[1].removeprefix("Open in a browser: ").strip())
    token = (tmp_path / "state" / "token").read_text(encoding="utf-8")
    assert f"#token={token}" in way_in.read_text(encoding="utf-8")
    assert token not in "".join(told)
    if os.name != "nt":
        assert way_in.stat().st_mode & 0o077 == 0
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=60)
    assert "Traceback" not in rest
    assert not way_in.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.svs"], "no such file"),
        (["a.png", "--prompts", "missing.csv"], "no such file"),
        (["a.png", "--object", "gland"], "leave it out"),
        (["a.png", "--mpp", "300"], "--mpp is the width of a pixel"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_message(tmp_path: Path, arguments: list[str], said: str) -> None:
    Image.fromarray(immunohistochemistry()).save(tmp_path / "a.png")
    command = [*COMMAND, "view", "--no-browser", *arguments]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
