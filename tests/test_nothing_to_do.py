"""A run says what it saw and left alone, and where what it could not outline is; without prompts it makes nothing."""

import csv
import json
import re
from pathlib import Path

import pytest
from projects import Image, write_project
from qpdata_writer import Drawn, PathClass, points, polygon, polyline
from test_cli import nuclick, said

from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.prompts import ObjectChoice

AUTO = ObjectChoice.AUTO
POINT = {"type": "Point", "coordinates": [60.0, 60.0]}
AREA = {"type": "Polygon", "coordinates": [[[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 0.0]]]}
IGNORED = {"objectType": "annotation", "classification": {"name": "Ignore*"}}


def feature(geometry: object, **properties: object) -> dict:
    return {"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation", **properties}}


@pytest.mark.parametrize(
    ("features", "objects", "words"),
    [
        ([feature(POINT, objectType="detection")] * 4, AUTO, "left alone: 4 detections. Prompts are annotations"),
        ([feature(AREA)], AUTO, "left alone: 1 area (polygon, rectangle, ...). Prompts are annotations"),
        ([feature(POINT)] * 2, ObjectChoice.GLAND, "left alone: 2 points that --object did not ask for. Points are"),
        ([feature(POINT, **IGNORED)], AUTO, "left alone: 1 point or line of a class Ignore*. What has"),
        ([], AUTO, "Nothing is drawn there. Prompts are annotations"),
    ],
)
@pytest.mark.parametrize("dry", [False, True])
def test_a_file_without_prompts_is_told_why_and_nothing_is_made(
    features: list[dict],
    objects: ObjectChoice,
    words: str,
    dry: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    source = tmp_path / "drawn.geojson"
    source.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    (tmp_path / "not read.svs").touch()
    asked = RunRequest(source, slide=tmp_path / "not read.svs", objects=objects, device="cpu", dry_run=dry)
    assert run_target(asked) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert f"drawn.geojson: no prompts. {'Seen there and ' if features else ''}{words}" in told
    assert "Results:" not in told
    assert "Run record:" not in told
    assert {path.name for path in tmp_path.iterdir()} == {"drawn.geojson", "not read.svs"}


def test_a_table_without_lines_and_an_asap_file_without_clicks_say_what_counts_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clicks.csv").write_text("x,y\n")
    (tmp_path / "a.xml").write_text(
        '<?xml version="1.0"?><ASAP_Annotations><Annotations><Annotation Name="A" Type="Rectangle" PartOfGroup="None" '
        'Color="#F4FA58"><Coordinates><Coordinate Order="0" X="1" Y="1"/><Coordinate Order="1" X="9" Y="1"/>'
        '<Coordinate Order="2" X="9" Y="9"/><Coordinate Order="3" X="1" Y="9"/></Coordinates></Annotation>'
        "</Annotations><AnnotationGroups/></ASAP_Annotations>"
    )
    (tmp_path / "s.svs").touch()
    run_target(RunRequest(tmp_path / "clicks.csv", slide=tmp_path / "s.svs", device="cpu"))
    assert "each line with an x and a y is a click" in capsys.readouterr().out
    run_target(RunRequest(tmp_path / "a.xml", device="cpu"))
    told = " ".join(capsys.readouterr().out.split())
    assert "left alone: 1 area (polygon, rectangle, ...). In ASAP's files, dots are clicks" in told


def test_images_without_prompts_are_one_line_however_many_there_are(tmp_path: Path) -> None:
    shapes = [Drawn(polygon((0, 0), (50, 0), (50, 50)))]
    empty = [Image(f"empty {number}.svs", shapes if number < 3 else [], has_slide=False) for number in range(12)]
    project = write_project(tmp_path, *empty, Image("a.svs", [Drawn(points((149.5, 62.0)))]))
    result = nuclick("run", project, "--device", "cpu")
    assert "12 of 13 images have no prompts. Seen there and left alone: 3 areas" in said(result)
    assert "empty 1.svs" not in said(result)
    (record,) = (tmp_path / "nuclick" / "runs").glob("*.json")
    assert len(json.loads(record.read_text(encoding="utf-8"))["images"]) == 13


def test_marks_that_were_not_asked_for_are_named_beside_those_that_were(tmp_path: Path) -> None:
    drawn = [Drawn(points((149.5, 62.0))), Drawn(polyline((20, 40), (60, 120)))]
    project = write_project(tmp_path, Image("a.svs", drawn))
    result = nuclick("run", project, "--device", "cpu", "--object", "gland")
    assert "a.svs: left alone: 1 point that --object did not ask for." in said(result)


def test_the_first_places_of_rejections_are_on_screen_and_all_are_in_a_table_and_the_record(tmp_path: Path) -> None:
    away = [(700 + number, 20) for number in range(5)]
    drawn = [Drawn(points((149.5, 62.0), *away), path_class=PathClass("=1+1, a")), Drawn(points())]
    project = write_project(tmp_path, Image("a.svs", drawn))
    result = nuclick("run", project, "--device", "cpu")
    assert result.returncode == 0
    assert "5 outside the slide" in said(result)
    assert re.search(r"at \(70\d, 20\) \(70\d, 20\) \(70\d, 20\) \.\.\.", said(result))
    (record,) = (tmp_path / "nuclick" / "runs").glob("*.json")
    (image,) = json.loads(record.read_text(encoding="utf-8"))["images"]
    (table,) = (tmp_path / "nuclick" / "runs").glob("*.csv")
    assert f"Rejections: {table}" in said(result)
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["prompt"]: row["reason"] for row in rows} == {
        one["prompt"]: one["reason"] for one in image["rejections"]
    }
    assert sorted((row["x"], row["y"], row["class"]) for row in rows if row["reason"] == "outside the slide") == [
        (f"{x:.2f}", f"{y:.2f}", "=1+1, a") for x, y in away
    ]


def test_an_image_of_which_no_prompt_is_on_the_slide_fails_and_keeps_its_results(tmp_path: Path) -> None:
    project = write_project(tmp_path, Image("a.svs", [Drawn(points((700, 20), (20, 9000)))]))
    result = tmp_path / "nuclick" / "1 a.svs.geojson"
    for dry in (["--dry-run"], []):
        ran = nuclick("run", project, "--device", "cpu", *dry)
        assert ran.returncode == 1
        assert "None of its 2 prompts is on the slide. The first: it is at" in said(ran)
        assert "2 outside the slide" in said(ran)
        assert not result.exists()


def test_an_image_of_which_every_prompt_was_rejected_is_not_called_done(tmp_path: Path) -> None:
    project = write_project(tmp_path, Image("a.svs", [Drawn(points())]))
    ran = nuclick("run", project, "--device", "cpu")
    assert ran.returncode == 0
    assert "no outlines" in said(ran)
    assert "done" not in said(ran)
