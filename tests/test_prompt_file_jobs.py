"""Runs on files of prompts: which slide they are of, and what of the file comes back in the results."""

import gzip
import json
import shutil
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from projects import SIDE
from skimage.data import immunohistochemistry

from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import write_pyramid

NUCLEI = [(236.0, 141.0), (190.0, 37.0)]
MPP = 0.5


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("slide") / "s.svs"
    write_pyramid(path, immunohistochemistry()[:SIDE, -SIDE:].copy(), PixelSize(MPP, MPP))
    return path


def put(slide: Path, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(slide, place)
    return place


def run(target: Path, **how: Any) -> int:
    return run_target(RunRequest(target, device="cpu", **how))


def results(folder: Path) -> dict[str, list[Any]]:
    return {path.name: json.loads(path.read_bytes())["features"] for path in sorted(folder.glob("nuclick/*.geojson"))}


def points(*places: tuple[float, float], **properties: Any) -> dict[str, Any]:
    geometry = {"type": "MultiPoint", "coordinates": [list(place) for place in places]}
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation", **properties}}


@pytest.mark.parametrize("name", ["s.csv", "s.svs.csv", "S.CSV", "s.geojson", "s.geojson.gz", "s.ndjson"])
def test_a_slide_beside_a_file_of_its_name_is_found(name: str, slide: Path, tmp_path: Path) -> None:
    put(slide, tmp_path / "s.svs")
    content = "x,y\n{},{}\n".format(*NUCLEI[0]) if name.lower().endswith(".csv") else json.dumps(points(NUCLEI[0]))
    data = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    assert run(tmp_path / name) == 0
    assert [len(features) for features in results(tmp_path).values()] == [1]


def test_a_slide_is_found_below_a_folder_by_the_files_name(slide: Path, tmp_path: Path) -> None:
    put(slide, tmp_path / "slides" / "deep" / "s.svs")
    (tmp_path / "s.csv").write_text("x,y\n{},{}\n".format(*NUCLEI[0]))
    assert run(tmp_path / "s.csv", slides=tmp_path / "slides") == 0


def test_without_a_slide_beside_it_a_file_of_prompts_is_wrong_use(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text("x,y\n1,1\n")
    with pytest.raises(SettingsError, match=r"add --slide FILE.*no slide s\.\* beside it"):
        run(tmp_path / "s.csv")


def test_a_table_of_several_slides_is_a_run_over_all_of_them(
    slide: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a/s.svs", "b/s.svs", "far/deep/t.svs", unicodedata.normalize("NFD", "é.svs")):
        put(slide, tmp_path / name)
    (x1, y1), (x2, y2) = NUCLEI
    rows = [f"a/s.svs,{x1},{y1},Tumor", f"b\\s.svs,{x1},{y1},", f"A/S.SVS,{x2},{y2},Tumor", f"C:\\x\\t.svs,{x1},{y1},"]
    rows += [f"é.svs,{x1},{y1},", f"gone.svs,{x1},{y1},"]
    (tmp_path / "clicks.csv").write_text("\n".join(["slide,x,y,class", *rows]), encoding="utf-8")
    assert run(tmp_path / "clicks.csv", slides=tmp_path / "far") == 1
    made = {unicodedata.normalize("NFC", name): len(features) for name, features in results(tmp_path).items()}
    assert made == {
        "clicks.csv a_s.svs.geojson": 2,
        "clicks.csv b_s.svs.geojson": 1,
        "clicks.csv t.svs.geojson": 1,
        "clicks.csv é.svs.geojson": 1,
    }
    said = " ".join(capsys.readouterr().out.split())
    assert "names the slide gone.svs, and it was not found" in said
    before = results(tmp_path)
    assert run(tmp_path / "clicks.csv", slides=tmp_path / "far") == 1
    assert results(tmp_path) == before


def test_of_a_table_of_several_slides_one_can_be_chosen(slide: Path, tmp_path: Path) -> None:
    put(slide, tmp_path / "s.svs")
    (x1, y1), (x2, y2) = NUCLEI
    (tmp_path / "clicks.csv").write_text(f"Image,x,y\ns.svs,{x1},{y1}\nother.svs,{x2},{y2}\n")
    assert run(tmp_path / "clicks.csv", slide=tmp_path / "s.svs") == 0
    assert [len(features) for features in results(tmp_path).values()] == [1]


@pytest.mark.parametrize(("how", "mpp"), [({}, MPP), ({"force_mpp": 0.6}, 0.6)])
def test_positions_in_microns_are_taken_by_the_slides_pixel_size(
    how: dict[str, float], mpp: float, slide: Path, tmp_path: Path
) -> None:
    put(slide, tmp_path / "s.svs")
    x, y = NUCLEI[0]
    (tmp_path / "s.csv").write_text(f"Centroid X µm,Centroid Y µm\n{x * mpp},{y * mpp}\n", encoding="utf-8")
    assert run(tmp_path / "s.csv", **how) == 0
    ((feature,),) = results(tmp_path).values()
    ring = feature["geometry"]["coordinates"][0]
    assert min(px for px, _ in ring) < x < max(px for px, _ in ring)


def test_the_colours_of_a_files_classes_come_back_in_the_results(slide: Path, tmp_path: Path) -> None:
    put(slide, tmp_path / "s.svs")
    one = points(NUCLEI[0], classification={"name": "Tumor", "color": [1, 2, 3]})
    other = points(NUCLEI[1], classification={"name": "Stroma: Positive", "colorRGB": -16711423})
    (tmp_path / "s.geojson").write_text(json.dumps([one, other]))
    assert run(tmp_path / "s.geojson") == 0
    ((first, second),) = results(tmp_path).values()
    assert [feature["properties"]["classification"] for feature in (first, second)] == [
        {"name": "Tumor", "color": [1, 2, 3]},
        {"name": "Stroma: Positive", "color": [1, 1, 1]},
    ]


def test_a_class_to_ignore_that_is_text_gets_no_outline(slide: Path, tmp_path: Path) -> None:
    put(slide, tmp_path / "s.svs")
    ignored = points(NUCLEI[0], classification=json.dumps({"name": "Ignore*", "color": [180, 180, 180]}))
    (tmp_path / "s.geojson").write_text(json.dumps([ignored, points(NUCLEI[1])]))
    assert run(tmp_path / "s.geojson") == 0
    ((feature,),) = results(tmp_path).values()
    assert "classification" not in feature["properties"]


@pytest.mark.parametrize(
    ("head", "reach", "told"), [("x,y", 180, True), ("x,y", 380, False), ("x_um,y_um", 180, False)]
)
def test_a_table_whose_positions_may_be_microns_gets_a_hint(
    head: str, reach: int, told: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    glass = np.full((400, 400, 3), 243, np.uint8)
    write_pyramid(tmp_path / "s.svs", glass, PixelSize(MPP, MPP))
    rows = [f"{reach * n // 6},{reach}" for n in range(1, 7)]
    (tmp_path / "s.csv").write_text("\n".join([head, *rows]), encoding="utf-8")
    assert run(tmp_path / "s.csv") == 0
    said = " ".join(capsys.readouterr().out.split())
    assert ("name the columns x_um and y_um" in said) is told
