"""The local server as its clients meet it: real HTTP on a free port, real models, real slides."""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_slides import write_leica
from skimage.data import immunohistochemistry

from nuclick_wsi.choices import ModelTerms
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.geometry import Size
from nuclick_wsi.instances import Reason
from nuclick_wsi.models.card import find_model
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.blocks import PITCH
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.server.auth import AllowedFolders, Token
from nuclick_wsi.server.auth_middleware import HOST, AuthMiddleware
from nuclick_wsi.server.fair_lock import FairLock
from nuclick_wsi.server.recent_results import RecentResults
from nuclick_wsi.server.server import listen, make_app, make_server
from nuclick_wsi.server.service import Service
from nuclick_wsi.server.slide_cache import SlideCache
from nuclick_wsi.slides.pyramid import write_pyramid
from nuclick_wsi.slides.slide import Frame
from qupath_extension.requested_image import read_image

Body = dict[str, Any]
SIDE = 1024
SMALL = 200_000
"""The largest request that these servers take, in bytes."""


@dataclass
class Reply:
    status: int
    body: Any
    progress: list[Body] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Running:
    """A server, and a client of it."""

    port: int
    token: Token
    slides: SlideCache
    folder: Path

    def ask(
        self, method: str, path: str, body: Body | bytes | None = None, *, lines: bool = False, **headers: str | None
    ) -> Reply:
        sent = {"Authorization": f"Bearer {self.token.value}", "Content-Type": "application/json"}
        sent |= {"Accept": "application/x-ndjson"} if lines else {}
        sent |= {name.capitalize(): value for name, value in headers.items() if value is not None}
        sent = {name: value for name, value in sent.items() if headers.get(name.lower(), "") is not None}
        connection = HTTPConnection(HOST, self.port, timeout=120)
        connection.request(method, path, body if isinstance(body, bytes) else json.dumps(body), sent)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        if not lines or response.status != 200:
            return Reply(response.status, json.loads(text or b"null"), headers=dict(response.getheaders()))
        *before, last = map(json.loads, text.splitlines())
        return Reply(response.status, last.get("result", last), [line["progress"] for line in before])

    def segment(self, slide: Path, prompts: Body, *, lines: bool = False, **more: Any) -> Reply:
        return self.ask("POST", "/segment", asked(slide, prompts, **more), lines=lines)


@pytest.fixture(scope="module")
def registry() -> ModelRegistry:
    return ModelRegistry(device="cpu", turn=FairLock())


@pytest.fixture(scope="module")
def start(registry: ModelRegistry) -> Iterator[Callable[..., Running]]:
    servers = []

    def start_one(folder: Path, recent: RecentResults | None = None, registry: ModelRegistry = registry) -> Running:
        listener = listen(0)
        port = listener.getsockname()[1]
        slides = SlideCache(most=2)
        token = Token(folder / "state")
        allowed = folder / "slides"
        allowed.mkdir()
        # Unless a test is about it, nothing is remembered: each request is worked on.
        recent = RecentResults(0) if recent is None else recent
        service = Service(registry, slides, AllowedFolders([allowed]), read_image, recent)
        app = make_app(service, SMALL)
        server = make_server(AuthMiddleware(app, token, port))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        servers.append((server, thread))
        return Running(port, token, slides, allowed)

    yield start_one
    for server, thread in servers:
        server.should_exit = True
        thread.join(10)
        assert not thread.is_alive()


@pytest.fixture(scope="module")
def server(start: Callable[..., Running], tmp_path_factory: pytest.TempPathFactory) -> Running:
    return start(tmp_path_factory.mktemp("server"))


@pytest.fixture(scope="module")
def slide(server: Running) -> Path:
    path = server.folder / "a slide – ü.svs"
    write_pyramid(path, np.tile(immunohistochemistry(), (2, 2, 1)), PixelSize(0.5, 0.5))
    return path


def asked(slide: Path, prompts: Body, **more: Any) -> Body:
    builder = {
        "builderType": "uri",
        "providerClassName": "qupath.lib.images.servers.openslide.OpenslideServerBuilder",
        "uri": slide.as_uri(),
        "args": [],
    }
    return {"image": {"builder": builder}, "prompts": prompts, **more}


def clicks(*places: tuple[float, float], number: int = 1, **properties: Any) -> Body:
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "id": f"00000000-0000-4000-8000-{number:012d}",
                "geometry": {"type": "MultiPoint", "coordinates": [list(place) for place in places]},
                "properties": {"objectType": "annotation", **properties},
            }
        ],
    }


def scattered(count: int, seed: int = 0, side: int = SIDE) -> list[tuple[float, float]]:
    places = np.random.default_rng(seed).uniform(0, side, (count, 2)).round(2)
    return [(float(x), float(y)) for x, y in places]


def outlines(collection: Body) -> dict[str, Body]:
    return {feature["id"]: feature for feature in collection["features"]}


def open_threads() -> int:
    return sum(not thread.name.startswith(("nuclick", "asyncio")) for thread in threading.enumerate())


# What comes out


def test_health_says_version_device_and_models(server: Running) -> None:
    health = server.ask("GET", "/health")
    assert health.status == 200
    assert health.body["name"] == "nuclick-wsi"
    assert health.body["device"] == "cpu"
    assert {model["kind"] for model in health.body["models"]} == {"nucleus", "cell", "gland"}
    assert all(10 < model["crop_um"] < 1000 for model in health.body["models"])
    assert {"nuclei", "nuclei-open", "cells", "cells-open", "glands"} <= {one["name"] for one in health.body["offered"]}
    assert health.body["allowed"] == [str(server.folder.resolve())]


def test_every_prompt_is_answered_by_an_outline_or_a_reason(server: Running, slide: Path) -> None:
    prompts = clicks((446, 37), (700.5, 400.25), (5000, 20), (30, 30), classification={"name": "Tumor"})
    line = {"type": "LineString", "coordinates": [[200, 200], [260, 230]]}
    prompts["features"].append({"type": "Feature", "geometry": line, "properties": {"objectType": "annotation"}})
    colors = {"Tumor": [1, 2, 3]}
    answer = server.segment(slide, prompts, class_colors=colors, options={"as": "annotation"}).body
    about = answer["nuclick"]
    assert len(about["prompts"]) == 5
    assert sorted(about["prompts"]) == sorted([*outlines(answer), *(one["prompt"] for one in about["rejections"])])
    (outside,) = [one for one in about["rejections"] if one["reason"] == "outside the slide"]
    assert outside["position"] == [5000, 20]
    assert outside["class"] == "Tumor"
    assert {feature["properties"]["objectType"] for feature in answer["features"]} == {"annotation"}
    assert {"name": "Tumor", "color": [1, 2, 3]} in [f["properties"].get("classification") for f in answer["features"]]
    assert about["pixel_size_um"] == [pytest.approx(0.5)] * 2


def test_only_what_is_asked_for_is_outlined_and_all_that_is_drawn_is_known(server: Running, slide: Path) -> None:
    prompts = clicks((446, 37))
    line = {"type": "LineString", "coordinates": [[200, 200], [260, 230]]}
    prompts["features"].append({"type": "Feature", "geometry": line, "properties": {}})
    others = clicks((456, 43), (700, 700), number=2)
    about = server.segment(slide, prompts, neighbours=others, options={"object": "nucleus"}).body["nuclick"]
    assert len(about["prompts"]) == 2
    assert [one["reason"] for one in about["rejections"]] == [Reason.TOO_LONG]  # the line is no nucleus
    assert len(about["known"]) == 4 + 2  # what is known of neighbours includes the cells around them
    assert set(about["prompts"]) <= set(about["known"])


def test_cells_come_with_their_nuclei_where_both_are_asked_for(
    start: Callable[..., Running], cell_model: str, tmp_path: Path
) -> None:
    server = start(tmp_path, registry=ModelRegistry([cell_model], "cpu"))
    slide = server.folder / "a.svs"
    write_pyramid(slide, np.tile(immunohistochemistry(), (2, 2, 1)), PixelSize(0.5, 0.5))
    prompts, others = clicks(*scattered(8)), clicks(*scattered(3, seed=1), number=2)
    nuclei = server.segment(slide, prompts, neighbours=others).body
    both = server.segment(slide, prompts, neighbours=others, options={"object": "cell+nucleus"}).body
    about = both["nuclick"]
    inside = both["nuclei"]
    rejected = [one["prompt"] for one in about["rejections"]]
    assert sorted(about["prompts"]) == sorted([*outlines(both), *inside.values(), *rejected])
    assert {kind for one in about["rejections"] for kind in [one["kind"]]} <= {"nucleus", "cell"}
    # The model for cells is that for nuclei, so every cell is its nucleus.
    assert set(inside.values()) == set(outlines(nuclei))
    for cell, nucleus in inside.items():
        assert outlines(both)[cell]["nucleusGeometry"] == outlines(nuclei)[nucleus]["geometry"]
    # What was made of neighbours stays, whatever they were asked for; cells of clicks asked for nuclei go.
    assert len(about["known"]) == 2 * (8 + 3)
    assert set(about["known"]) - set(nuclei["nuclick"]["known"]) == set(about["prompts"]) - set(
        nuclei["nuclick"]["prompts"]
    )


def compared(server: Running, slide: Path, count: int, tmp_path: Path) -> None:
    places = scattered(count)
    (tmp_path / "clicks.geojson").write_text(json.dumps(clicks(*places)))
    run_target(RunRequest(tmp_path / "clicks.geojson", slide=slide, device="cpu", out=tmp_path))
    (result,) = [path for path in tmp_path.glob("*.geojson") if "generator" in path.read_text()]
    wanted = outlines(json.loads(result.read_text()))
    together = server.segment(slide, clicks(*places)).body
    assert outlines(together) == wanted
    alone: dict[str, Body] = {}
    for place in places:
        others = clicks(*(other for other in places if other != place))
        alone |= outlines(server.segment(slide, clicks(place), neighbours=others).body)
    assert alone == wanted
    assert len(wanted) > count / 2


def test_clicks_one_by_one_and_together_get_the_outlines_of_the_command_line(
    server: Running, slide: Path, tmp_path: Path
) -> None:
    compared(server, slide, 15, tmp_path)


@pytest.mark.slow
def test_100_clicks_one_by_one_and_together_get_the_outlines_of_the_command_line(
    server: Running, slide: Path, tmp_path: Path
) -> None:
    compared(server, slide, 100, tmp_path)


def test_positions_are_counted_from_where_qupath_counts_them(server: Running) -> None:
    path = server.folder / "leica.scn"
    corner = (5 * PITCH // 2, 3 * PITCH // 2)  # 5 and 3 cells of the blocks' lattice, at .5 um
    write_leica(path, immunohistochemistry(), corner, Size(1024, 1024))
    cropped = asked(path, clicks((446, 37)))
    whole = asked(path, clicks((446 + corner[0], 37 + corner[1])))
    whole["image"]["builder"]["args"] = ["--no-crop"]
    (here,), (there,) = (server.ask("POST", "/segment", body).body["features"] for body in (cropped, whole))
    shifted = np.add(here["geometry"]["coordinates"][0], corner)
    np.testing.assert_allclose(shifted, there["geometry"]["coordinates"][0], atol=0.011)  # both are rounded to 0.01


def test_progress_comes_before_the_result_where_it_is_asked_for(server: Running, slide: Path) -> None:
    reply = server.segment(slide, clicks(*scattered(60)), lines=True)
    assert len(reply.body["nuclick"]["prompts"]) == 60
    assert reply.progress[0] == {"done": 0, "total": 60}
    done = [line["done"] for line in reply.progress]
    assert done == sorted(set(done))
    assert outlines(reply.body) == outlines(server.segment(slide, clicks(*scattered(60))).body)


# What is remembered


def test_a_click_that_moves_costs_itself_and_those_that_see_it_and_changes_no_other_outline(
    start: Callable[..., Running], server: Running, tmp_path: Path
) -> None:
    warm = start(tmp_path, RecentResults())
    slide = warm.folder / "a.svs"
    write_pyramid(slide, np.tile(immunohistochemistry(), (2, 2, 1)), PixelSize(0.5, 0.5))
    (server.folder / "moved.svs").write_bytes(slide.read_bytes())
    first, places = scattered(60), scattered(60)
    places[7] = (places[7][0] + 3, places[7][1])
    for number, asked_for in enumerate((first, first, places)):
        known = warm.segment(slide, clicks(*asked_for)).body
        fresh = server.segment(server.folder / "moved.svs", clicks(*asked_for)).body
        assert fresh["nuclick"].pop("recalled") == 0
        recalled = known["nuclick"].pop("recalled")
        # A crop has 64 px of this slide, and 60 clicks lie on 1024 x 1024 px of it.
        assert recalled in ((0,), (60,), range(50, 60))[number]
        del fresh["nuclick"]["seconds"], known["nuclick"]["seconds"]
        assert known == fresh
    other_rule = warm.segment(slide, clicks(*places), options={"threshold": 0.45}).body
    assert other_rule["nuclick"]["recalled"] == 0
    os.utime(slide, ns=(1, 1))
    assert warm.segment(slide, clicks(*places)).body["nuclick"]["recalled"] == 0


# Several clients, and clients that leave


def test_clients_at_the_same_time_get_what_each_gets_alone(server: Running, slide: Path) -> None:
    other = server.folder / "other.svs"
    write_pyramid(other, immunohistochemistry()[::-1].copy(), PixelSize(0.4, 0.4))
    requests = [(slide, clicks(*scattered(20, seed))) for seed in range(3)]
    requests += [(other, clicks(*scattered(20, 9, 512), number=2))]
    alone = [server.segment(*request).body for request in requests]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda request: server.segment(*request, lines=True).body, requests))
    for one in (*alone, *together):
        del one["nuclick"]["seconds"]
    assert alone == together


def test_one_click_does_not_wait_for_a_long_request(server: Running, slide: Path) -> None:
    ended: list[str] = []

    def long() -> None:
        server.segment(slide, clicks(*scattered(300)))
        ended.append("long")

    thread = threading.Thread(target=long)
    thread.start()
    time.sleep(0.5)
    server.segment(slide, clicks((446, 37)))
    ended.append("short")
    thread.join()
    assert ended == ["short", "long"]


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson"])
def test_a_client_that_leaves_ends_its_work_and_leaves_nothing_behind(
    accept: str, server: Running, slide: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.segment(slide, clicks((446, 37)))
    threads = open_threads()
    body = json.dumps(asked(slide, clicks(*scattered(1500)))).encode()
    head = f"POST /segment HTTP/1.1\r\nHost: {HOST}:{server.port}\r\nAuthorization: Bearer {server.token.value}\r\n"
    with socket.create_connection((HOST, server.port)) as client:
        client.sendall(f"{head}Accept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        sent = time.monotonic()
        while open_threads() <= threads:  # until the work is under way
            assert time.monotonic() - sent < 20
            time.sleep(0.05)
    left = time.monotonic()
    while open_threads() > threads:
        assert time.monotonic() - left < 5, [thread.name for thread in threading.enumerate()]
        time.sleep(0.05)
    assert all(entry.users == 0 for entry in server.slides._entries.values())
    assert len(server.segment(slide, clicks((446, 37))).body["features"]) == 1


# Who is let in, and to what


@pytest.mark.parametrize("shown", [None, "", "Bearer", "Bearer wrong", "Basic {token}", "{token}", "Bearer {token}x"])
@pytest.mark.parametrize(("method", "path"), [("GET", "/health"), ("POST", "/segment"), ("GET", "/nowhere")])
def test_nobody_is_answered_without_the_token(shown: str | None, method: str, path: str, server: Running) -> None:
    header = shown.format(token=server.token.value) if shown is not None else None
    reply = server.ask(method, path, b"x" * 2 * SMALL if method == "POST" else None, authorization=header)
    assert reply.status == 401
    assert set(reply.body) == {"error", "hint"}
    assert str(server.token.path) in reply.body["hint"]
    assert server.token.value not in json.dumps(reply.body)


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "localhost:1", ""])
def test_a_page_under_another_name_is_not_answered(host: str, server: Running) -> None:
    reply = server.ask("GET", "/health", host=host.format(port=server.port))
    assert reply.status == 421
    assert "127.0.0.1" in reply.body["hint"]


def test_no_other_origin_may_read_an_answer(server: Running) -> None:
    reply = server.ask("GET", "/health", origin="https://evil.example")
    assert not [name for name in reply.headers if name.lower().startswith("access-control")]
    assert server.ask("OPTIONS", "/segment", authorization=None, origin="https://evil.example").status == 401


def test_a_slide_outside_the_folders_is_refused_with_the_way_out(server: Running, tmp_path: Path) -> None:
    secret = tmp_path / "secret.svs"
    write_pyramid(secret, immunohistochemistry()[:64, :64].copy(), PixelSize(0.5, 0.5))
    (server.folder / "link.svs").symlink_to(secret)
    (server.folder / "folder").symlink_to(tmp_path, target_is_directory=True)
    places = [
        secret,
        server.folder / "link.svs",
        server.folder / "folder" / "secret.svs",
        server.folder / ".." / ".." / tmp_path.name / "secret.svs",
        server.folder.parent / f"{server.folder.name}2" / "a.svs",
        tmp_path / "never there.svs",
        Path("/etc/passwd"),
    ]
    for place in places:
        body = asked(secret, clicks((1, 1)))
        body["image"]["builder"]["uri"] = f"file://{place}".replace(" ", "%20")
        reply = server.ask("POST", "/segment", body)
        assert reply.status == 403, place
        assert "--allow" in reply.body["hint"]
        assert str(Path(os.path.realpath(place)).parent) in reply.body["error"]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"image": {}}, 400, "does not say how to open it"),
        ({"image": {"builder": {"builderType": "uri", "uri": "https://host/a.svs"}}}, 400, "is not a file"),
        ({"image": {"builder": {"builderType": "uri", "uri": "file:/C:/a.svs"}}}, 400, "no full path"),
        ({"image": {"builder": {"builderType": "uri", "uri": "a.svs"}}}, 400, "no full path"),
        ({"image": {"builder": {"builderType": "rotated", "rotation": "ROTATE_90"}}}, 400, "ROTATE_90"),
        ({"image": []}, 400, "not an object"),
        ({"image": "a.svs"}, 400, "image is 'a.svs', not the full path of a slide"),
        ({"image": {"path": 5}}, 400, "image is 5, not the full path"),
        ({"image": {"paths": "/a.svs"}}, 400, "There is no 'paths' in image"),
        ({"points": 5}, 400, "points, feature 1: its coordinates are 5"),
        ({"points": [1, 2]}, 400, "points, feature 1: a position is 1, not [x, y]"),
        ({"lines": 5}, 400, "lines is 5, not a list of lines"),
        ({"lines": [[1, 2]]}, 400, "lines, feature 1: a position is 1, not [x, y]"),
        ({"more": 1}, 400, "There is no 'more'"),
        ({"options": {"objects": "cell"}}, 400, "There is no 'objects' in options"),
        ({"options": {"object": "everything"}}, 400, "accepted are auto, nucleus"),
        ({"options": {"threshold": 2}}, 400, "between 0 and 1"),
        ({"options": {"threshold": "high"}}, 400, "not a number"),
        ({"options": {"smallest": "8"}}, 400, "um2 or px"),
        ({"options": {"terms": "mine"}}, 400, "accepted are any, open"),
        ({"options": {"terms": "open"}}, 422, "may not be used for anything"),
        ({"class_colors": {"Tumor": [1, 2]}}, 400, "class_colors.Tumor"),
        ({"prompts": {"type": "Topology"}}, 400, "Topology"),
        ({"prompts": {"type": "MultiPoint", "coordinates": [["a", 1]]}}, 400, "feature 1"),
        ({"neighbours": 5}, 400, "neighbours holds a int"),
        ({"prompts": None}, 400, "prompts holds a NoneType"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(
    change: Body, status: int, words: str, server: Running, slide: Path
) -> None:
    reply = server.ask("POST", "/segment", asked(slide, clicks((446, 37))) | change, lines=True)
    assert (reply.status, set(reply.body)) == (status, {"error", "hint"}), reply.body
    assert words in reply.body["error"]
    assert reply.body["hint"]


@pytest.mark.parametrize("named", [True, False])
def test_a_path_and_positions_are_a_request(named: bool, server: Running, slide: Path) -> None:
    places, line = [(446, 37), (70, 200)], [[100, 100], [120, 140], [130, 180]]
    image: Any = {"path": str(slide), "pixel_size_um": [0.5, 0.5]} if named else str(slide)
    plain = server.ask("POST", "/segment", {"image": image, "points": places, "lines": [line]})
    assert plain.status == 200, plain.body
    assert len(plain.body["nuclick"]["prompts"]) == 3
    geometries = [{"type": "MultiPoint", "coordinates": places}, {"type": "LineString", "coordinates": line}]
    assert plain.body["features"] == server.segment(slide, geometries).body["features"]  # type: ignore[arg-type]


def test_a_request_without_prompts_says_in_which_ways_they_are_given(server: Running, slide: Path) -> None:
    reply = server.ask("POST", "/segment", {"image": str(slide)})
    assert reply.status == 400
    assert '"points": [[x, y], ...]' in reply.body["error"]


def test_a_path_is_opened_only_below_an_allowed_folder(server: Running, tmp_path: Path) -> None:
    write_pyramid(tmp_path / "a.svs", immunohistochemistry(), PixelSize(0.5, 0.5))
    assert server.ask("POST", "/segment", {"image": str(tmp_path / "a.svs"), "points": [[1, 2]]}).status == 403


def test_the_colour_of_a_class_comes_back_unless_the_request_says_another(server: Running, slide: Path) -> None:
    drawn = clicks((446, 37), classification={"name": "Tumor", "color": [1, 2, 3]})
    for more, color in (({}, [1, 2, 3]), ({"class_colors": {"Tumor": [4, 5, 6]}}, [4, 5, 6])):
        (feature,) = server.segment(slide, drawn, **more).body["features"]
        assert feature["properties"]["classification"] == {"name": "Tumor", "color": color}


def test_a_kind_without_a_model_is_named(
    start: Callable[..., Running], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    (models / "nuclei.safetensors").write_bytes(find_model("nuclei").read_bytes())
    monkeypatch.setattr("nuclick_wsi.models.card.MODELS", models)
    server = start(tmp_path, registry=ModelRegistry(device="cpu"))
    assert [model["kind"] for model in server.ask("GET", "/health").body["models"]] == ["nucleus"]
    slide = server.folder / "a.svs"
    write_pyramid(slide, immunohistochemistry(), PixelSize(0.5, 0.5))
    assert server.segment(slide, clicks((446, 37))).status == 200
    for wanted in ("cell", "cell+nucleus"):
        reply = server.segment(slide, clicks((446, 37)), options={"object": wanted})
        assert reply.status == 422
        assert "No model for a cell" in reply.body["error"]


def test_a_server_with_models_for_any_use_says_so_and_serves_who_asks_for_them(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    server = start(tmp_path, registry=ModelRegistry(device="cpu", terms=ModelTerms.OPEN))
    assert all(model["open_terms"] for model in server.ask("GET", "/health").body["models"])
    slide = server.folder / "a.svs"
    write_pyramid(slide, immunohistochemistry(), PixelSize(0.5, 0.5))
    assert server.segment(slide, clicks((446, 37)), options={"terms": "open"}).status == 200


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ({"width": 10, "height": 20}, "the image in QuPath has 10 x 20 px"),
        ({"width": 10}, "image.height is None"),
        ({"pixel_size_um": [0.5, 0.9]}, "square to 10 %"),
        ({"pixel_size_um": "0.5"}, "not [width, height]"),
        ({"pixel_size_um": [0.5, -1]}, "not [width, height]"),
    ],
)
def test_an_image_that_is_not_the_slide_is_refused(image: Body, words: str, server: Running, slide: Path) -> None:
    body = asked(slide, clicks((446, 37)))
    body["image"] |= image
    reply = server.ask("POST", "/segment", body)
    assert reply.status in (400, 422)
    assert words in reply.body["error"]


def test_a_missing_or_damaged_slide_is_named(server: Running) -> None:
    (server.folder / "damaged.svs").write_bytes(b"II*\0" + bytes(100))
    for name in ("missing.svs", "damaged.svs"):
        reply = server.segment(server.folder / name, clicks((446, 37)))
        assert reply.status == 422
        assert name in reply.body["error"]
    (server.folder / "plain.png").write_bytes(b"")
    assert server.segment(server.folder / "plain.png", clicks((1, 1))).status == 422


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 50_000])
def test_a_body_that_is_not_a_json_object_is_refused(body: bytes, server: Running) -> None:
    reply = server.ask("POST", "/segment", body)
    assert reply.status == 400
    assert reply.body["error"].startswith("The body is ")


def test_a_request_that_is_too_large_is_refused_whether_it_says_so_or_not(server: Running) -> None:
    assert server.ask("POST", "/segment", bytes(SMALL + 1)).status == 413
    connection = HTTPConnection(HOST, server.port, timeout=20)
    headers = {"Authorization": f"Bearer {server.token.value}"}
    connection.request("POST", "/segment", iter([bytes(SMALL), b"more"]), headers, encode_chunked=True)
    response = connection.getresponse()
    assert response.status == 413
    assert "several requests" in json.loads(response.read())["hint"]
    connection.close()


def test_what_there_is_is_named_where_something_else_is_asked_for(server: Running) -> None:
    for method, path, status in (("GET", "/", 404), ("GET", "/segment", 405), ("PUT", "/health", 405)):
        reply = server.ask(method, path)
        assert reply.status == status
        assert "POST /segment" in reply.body["hint"]


# What stays open


def test_slides_stay_open_are_opened_again_once_changed_and_closed_when_dropped(tmp_path: Path) -> None:
    slides = SlideCache(most=2)
    paths = [tmp_path / f"{name}.svs" for name in "abc"]
    for path in paths:
        write_pyramid(path, immunohistochemistry()[:64, :64].copy(), PixelSize(0.5, 0.5))
    with slides.lease(paths[0], Frame.FULL) as first, slides.lease(paths[0], Frame.FULL) as again:
        assert first is again
    with slides.lease(paths[0], Frame.FULL) as later:
        assert later is first
    os.utime(paths[0], ns=(1, 1))
    with slides.lease(paths[0], Frame.FULL) as changed:
        assert changed is not first
        assert changed.fingerprint != first.fingerprint
    assert first.slide._closed
    for path in paths[1:]:
        with slides.lease(path, Frame.FULL):
            pass
    assert len(slides) == 2
    assert changed.slide._closed
    slides.close()
    assert len(slides) == 0


def test_turns_are_handed_on_in_the_order_in_which_they_were_asked_for() -> None:
    turns, order = FairLock(), []

    def take(number: int) -> None:
        with turns:
            order.append(number)

    threads = [threading.Thread(target=take, args=(number,)) for number in range(5)]
    with turns:
        for thread in threads:
            thread.start()
            time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert order == list(range(5))


# The token's file, and the command


def test_the_token_is_the_users_alone_kept_while_private_and_replaced_once_it_is_not(tmp_path: Path) -> None:
    first = Token(tmp_path / "state")
    assert Token(tmp_path / "state").value == first.value
    if os.name == "posix":
        assert first.path.stat().st_mode & 0o777 == 0o600
        assert first.path.parent.stat().st_mode & 0o777 == 0o700
        first.path.chmod(0o644)
        second = Token(tmp_path / "state")
        assert second.value != first.value
        assert second.path.stat().st_mode & 0o777 == 0o600
        other = tmp_path / "planted"
        other.write_text("x" * 64)
        other.chmod(0o600)
        second.path.unlink()
        second.path.symlink_to(other)
        assert Token(tmp_path / "state").value != "x" * 64
        assert other.read_text() == "x" * 64
    first.path.write_text("short")
    assert len(Token(tmp_path / "state").value) > 32


def test_a_deleted_token_is_taken_no_longer_and_a_new_one_lies_in_its_place(
    start: Callable[..., Running], tmp_path: Path
) -> None:
    server = start(tmp_path)
    old = f"Bearer {server.token.value}"
    server.token.path.unlink()
    assert server.ask("GET", "/health", authorization=old).status == 401
    assert f"Bearer {server.token.path.read_text()}" != old
    assert server.ask("GET", "/health", authorization=old).status == 401
    assert server.ask("GET", "/health", authorization=f"Bearer {server.token.path.read_text()}").status == 200


def serving(*arguments: str | Path, state: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from nuclick_wsi.cli.app import main; main()", "serve", *map(str, arguments)]
    environment = os.environ | {"NUCLICK_WSI_STATE": str(state)}
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, encoding="utf-8"
    )


def test_the_command_says_where_it_answers_and_stops_when_idle(tmp_path: Path) -> None:
    with serving("--port", "0", "--allow", tmp_path, "--device", "cpu", "--idle", "0.02", state=tmp_path) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.rpartition(":")[2])
        server = Running(port, Token(tmp_path), SlideCache(), tmp_path)
        assert server.ask("GET", "/health").body["allowed"] == [str(tmp_path.resolve())]
        assert process.wait(20) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--port", "{taken}"], "cannot be had"), (["--allow", "{folder}/none"], "is not a folder")],
)
def test_a_server_that_cannot_start_says_why(arguments: list[str], words: str, tmp_path: Path) -> None:
    with listen(0) as taken:
        places = {"taken": taken.getsockname()[1], "folder": tmp_path}
        process = serving(*(argument.format(**places) for argument in arguments), state=tmp_path)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 2
    assert words in said
    assert "Traceback" not in said
