"""The examples run as they stand, on the demo and on files that a user names."""

import csv
import json
import runpy
import shutil
from pathlib import Path

import pytest
from PIL import Image

from nuclick_wsi.demo import make_demo

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_demo(tmp_path_factory.mktemp("demo"))


def run(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, *arguments: str) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr("sys.argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_clicks_become_geojson_and_a_second_run_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, tmp_path, "outline_clicks.py", "o.geojson")
    assert "outside the slide" in capsys.readouterr().out
    first = (tmp_path / "o.geojson").read_bytes()
    features = json.loads(first)["features"]
    assert [feature["geometry"]["type"] for feature in features] == ["Polygon", "Polygon"]
    run(monkeypatch, tmp_path, "outline_clicks.py", "o.geojson")
    assert (tmp_path / "o.geojson").read_bytes() == first
    assert not (tmp_path / "o 2.geojson").exists()


def test_marks_of_a_table_in_microns_are_outlined_on_a_slide_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Path
) -> None:
    slide = demo.parent / "slides" / "colon_ihc.svs"
    (tmp_path / "marks.csv").write_text("x_um,y_um,class\n210.6,23.15,Tumor\n", encoding="utf-8")
    run(monkeypatch, tmp_path, "outline_clicks.py", "o.geojson", "--slide", str(slide), "--prompts", "marks.csv")
    (feature,) = json.loads((tmp_path / "o.geojson").read_bytes())["features"]
    assert feature["properties"]["classification"]["name"] == "Tumor"


def test_a_project_becomes_a_table_with_a_line_for_each_prompt_and_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, demo: Path
) -> None:
    project = shutil.copytree(demo.parent, tmp_path / "project")
    before = {path: path.read_bytes() for path in project.rglob("*") if path.is_file()}
    run(monkeypatch, tmp_path, "areas_of_project.py", "areas.csv", "project")
    assert {path: path.read_bytes() for path in project.rglob("*") if path.is_file()} == before
    with (tmp_path / "areas.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert sum(row["kind"] == "nucleus" for row in rows) == 104
    assert sum(row["kind"] == "gland" for row in rows) == 4
    assert all((row["area_um2"] == "") != (row["no outline"] == "") for row in rows)
    with pytest.raises(SystemExit, match=r"areas\.csv"):  # what is there stays
        run(monkeypatch, tmp_path, "areas_of_project.py", "areas.csv", "project")


def test_clicks_one_after_the_other_are_outlined_and_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, tmp_path, "click_by_click.py", "labels.png")
    told = capsys.readouterr().out.splitlines()
    assert [line.endswith("um2") for line in told[:2]] == [True, True]
    assert told[2:] == ["after undo: 1", "on the picture: 2"]
    with Image.open(tmp_path / "labels.png") as labels:
        assert {value for _, value in labels.getcolors()} == {0, 127, 254}
