"""The whole trip through ASAP, from the user's side: real models, real files, real messages."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import shapely
from asap_files import Asap, annotation, dots, group, write_asap
from made_slides import write_leica
from projects import SIDE
from skimage.data import immunohistochemistry
from test_cli import nuclick, said

from asap_bridge.document import Edit, read_document
from asap_bridge.jobs import AsapChoice, asap_files, asap_jobs
from asap_bridge.names import ResultName
from asap_bridge.selection import GroupRule, prompts_of
from asap_bridge.sink import AsapSink
from nuclick_wsi.choices import ObjectType
from nuclick_wsi.cli.convert import ConvertRequest, convert
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.errors import SettingsError, SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.instances import Instance, PromptSet
from nuclick_wsi.prompts import ObjectChoice, ObjectKind, Plane
from nuclick_wsi.runs.jobs import Results
from nuclick_wsi.runs.journal import FILE_NAME, Journal
from nuclick_wsi.runs.report import ImageReport
from nuclick_wsi.runs.run import Options
from nuclick_wsi.runs.run import run as run_jobs
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.blocks import PITCH
from nuclick_wsi.segmentation.model_registry import ModelRegistry
from nuclick_wsi.slides.lookup import SlideFolders, find_slide_of
from nuclick_wsi.slides.pyramid import write_pyramid
from qupath_extension.access import FileAccess
from qupath_extension.jobs import ImageChoice, project_jobs
from qupath_extension.project import read_project

ID = "3f2b8c1a-0000-4000-8000-0123456789ab"
NUCLEI = ((228.0, 38.0), (199.5, 65.5), (189.0, 37.5), (215.5, 163.0))
"""Nuclei of the stroma, which any model outlines."""

INSIDE = ((100.5, 100.0), (128.0, 120.5), (150.0, 150.0))
"""So far from the borders that no crop reaches them: what lies behind one depends on the frame."""
APART = ((60.0, 60.0), (190.5, 60.0), (60.0, 190.5), (190.0, 190.0))
"""So far from each other that no crop sees another click."""


def tissue() -> np.ndarray:
    return immunohistochemistry()[:SIDE, -SIDE:].copy()


def slide_with(path: Path, *annotations: str, groups: tuple[str, ...] = ()) -> Path:
    """Write a slide and ASAP's file beside it; return the latter."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_pyramid(path, tissue(), PixelSize(0.5, 0.5))
    return write_asap(path.with_suffix(".xml"), annotations, groups)


def run(target: Path, **options: object) -> int:
    return run_target(RunRequest(target, device="cpu", **options))


def outlines(path: Path) -> dict[str, shapely.Polygon]:
    """The outlines of a file by the prompts that they answer, as ASAP reads them; without holes."""
    named = [(ResultName.parse(one["Name"]), one["places"]) for one in Asap(path).annotations]
    return {name.prompt_id: shapely.Polygon(places) for name, places in named if name and name.ring == 0}


def test_clicks_of_asap_become_outlines_in_the_same_file(tmp_path: Path) -> None:
    drawn = [*dots(*NUCLEI[:2], group="Tumör ✓"), *dots(*NUCLEI[2:], (900, 9), first=2)]
    file = slide_with(tmp_path / "a slide – ü.svs", *drawn, groups=(group("Tumör ✓", "#c80000"),))
    assert run(file, preview=True) == 0
    opened = Asap(file)
    assert {one["Name"] for one in opened.groups} >= {"Tumör ✓", "NuClick", "NuClick: Tumör ✓"}
    (record,) = (tmp_path / "nuclick" / "runs").glob("*.json")
    (image,) = json.loads(record.read_text(encoding="utf-8"))["images"]
    assert image["result"] == str(file)
    assert image["rejections_by_reason"]["outside the slide"] == 1
    assert len(outlines(file)) == image["instances"] == 5 - len(image["rejections"])
    assert Path(image["preview"]).read_bytes().startswith(b"\x89PNG")


def test_running_twice_changes_nothing_and_a_moved_click_only_what_it_should(tmp_path: Path) -> None:
    file = slide_with(tmp_path / "a.svs", *dots(*APART))
    run(file)
    first, before = file.read_bytes(), outlines(file)
    run(file, batch_size=3)
    assert file.read_bytes() == first
    assert len(list(tmp_path.glob("*.backup*"))) == 1
    opened = Asap(file)
    opened.annotations[0]["places"] = [(APART[0][0] + 9, APART[0][1] + 5)]
    opened.save(file)
    run(file)
    after = outlines(file)
    assert len(set(before) - set(after)) <= 1
    assert len(set(after) - set(before)) <= 1
    assert all(after[prompt].equals(before[prompt]) for prompt in set(before) & set(after))


def test_a_folder_is_a_batch_in_which_a_bad_file_stops_no_other(tmp_path: Path) -> None:
    slide_with(tmp_path / "good.svs", *dots(NUCLEI[0]))
    slide_with(tmp_path / "empty.svs")
    write_asap(tmp_path / "lost.xml", dots(NUCLEI[0]))
    write_asap(tmp_path / "bad.xml", dots(NUCLEI[0], group="unlisted"))
    (tmp_path / "notes.txt").write_text("")
    result = nuclick("run", tmp_path, "--device", "cpu")
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "there is no slide lost.* beside it" in said(result)
    assert "part of the group 'unlisted'" in said(result)
    assert len(outlines(tmp_path / "good.xml")) == 1
    assert "1 nucleus" in said(result)


def test_a_folder_with_a_project_stays_a_project(tmp_path: Path) -> None:
    write_asap(tmp_path / "a.xml", dots(NUCLEI[0]))
    (tmp_path / "p.qpproj").write_text('{"version": "0.5.1", "images": []}')
    assert nuclick("run", tmp_path, "--dry-run").returncode == 0


def test_slides_are_found_as_asap_finds_its_files(tmp_path: Path) -> None:
    file = write_asap(tmp_path / "here" / "case 1.xml", [])
    with pytest.raises(SlideError, match=r"no slide case 1\.\* beside it .*--slides DIR"):
        find_slide_of(file)
    elsewhere = tmp_path / "slides" / "deep" / "case 1.NDPI"
    elsewhere.parent.mkdir(parents=True)
    elsewhere.touch()
    assert find_slide_of(file, SlideFolders([tmp_path / "slides"])) == elsewhere
    for name in ("case 1.png", "case 1.geojson", "case 1.xml.backup", "case 1.ome.tif", "case 10.svs"):
        (file.parent / name).touch()
    assert find_slide_of(file) == file.parent / "case 1.png"
    (file.parent / "case 1.svs").touch()
    assert find_slide_of(file) == file.parent / "case 1.svs"
    (file.parent / "case 1.tif").touch()
    with pytest.raises(SlideError, match=r"2 slides have its name: .*case 1\.svs, .*case 1\.tif"):
        find_slide_of(file)


def test_a_slide_can_be_named_for_one_file(tmp_path: Path) -> None:
    file = slide_with(tmp_path / "a.svs", *dots(NUCLEI[0]))
    (tmp_path / "a.svs").rename(tmp_path / "other name.svs")
    assert run(file) == 1
    assert run(file, slide=tmp_path / "other name.svs") == 0
    with pytest.raises(SettingsError, match="--slide is for one file, and these are 2"):
        asap_jobs([file, file], AsapChoice(slide=file))
    with pytest.raises(SettingsError, match="is not a folder"):
        asap_jobs([file], AsapChoice(slide_folder=file))
    with pytest.raises(SettingsError, match=r"holds no \.xml"):
        asap_files(tmp_path / "nuclick")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run", "{xml}", "--image", "a"], "--image is for a project"),
        (["run", "{csv}", "--slide", "s.png", "--clicks-group", "a"], "--clicks-group and --squiggles-group are for"),
        (["convert", "{csv}", "a.xml"], "cannot become a.xml. Accepted are"),
        (["convert", "{xml}", "a.svg"], "cannot become a.svg"),
        (["convert", "nowhere.xml", "a.geojson"], "nowhere.xml does not exist"),
        (["convert", "{folder}", "a.xml"], "a project becomes a folder"),
        (["asap", "inspect"], "Missing argument"),
    ],
)
def test_wrong_use_is_named_and_ends_with_2(arguments: list[str], words: str, tmp_path: Path) -> None:
    places = {"csv": tmp_path / "clicks.csv", "xml": tmp_path / "a.xml", "folder": tmp_path}
    places["csv"].write_text("x,y\n1,1\n")
    write_asap(places["xml"], [])
    result = nuclick(*(argument.format(**places) for argument in arguments))
    assert result.returncode == 2
    assert words in said(result)
    assert "Traceback" not in result.stderr


def test_inspection_says_how_each_annotation_is_read(tmp_path: Path) -> None:
    line = [(10, 10), (60, 40), (90, 20)]
    file = slide_with(
        tmp_path / "a.svs",
        *dots(NUCLEI[0], group="Tumor"),
        annotation("PointSet", line, "dragged"),
        annotation("Polygon", line, "round", "squiggles"),
        annotation("Polygon", line, "region"),
        annotation("PointSet", line, "many", "my dots"),
        groups=(group("Tumor"), group("squiggles"), group("my dots")),
    )
    results = [Instance(ID, ObjectKind.NUCLEUS, shapely.box(0, 0, 9, 9), "Tumor", Plane(), 1.0, 1.0)]
    AsapSink(file).write(Results(results, {}, [], {}))
    result = nuclick("asap", "inspect", file, "--clicks-group", "my dots")
    assert result.returncode == 0
    for words in (
        "1 Annotation 0 Dot 1 Tumor click: nucleus",
        "2 dragged PointSet 3 squiggle: gland",
        "3 round Polygon 3 squiggles squiggle without its closing edge: gland",
        "4 region Polygon 3 left alone: a squiggle only in a group that says so",
        "5 many PointSet 3 my dots 3 clicks: nucleus",
        "results of an earlier run",
        "Point sets are clicks in 'my dots'; polygons and splines are squiggles in groups with \"squiggle\"",
        f"Slide: {tmp_path / 'a.svs'}",
    ):
        assert words in said(result)
    refused = nuclick("asap", "inspect", file, "--squiggles-group", "squigles")
    assert refused.returncode == 2
    assert "has no group 'squigles', which --squiggles-group names. Its groups are: " in said(refused)


def test_positions_are_those_of_the_whole_slide_where_only_a_part_was_scanned(tmp_path: Path) -> None:
    """QuPath counts from the part, ASAP from the corner of the whole: the same clicks give the same outlines."""
    corner = (7 * PITCH // 2, 5 * PITCH // 2)  # 7 and 5 cells of the blocks' lattice, at .5 um
    write_leica(tmp_path / "part.scn", tissue(), corner, Size(1024, 768))
    clicks = {"type": "MultiPoint", "coordinates": [list(place) for place in INSIDE]}
    (tmp_path / "part.geojson").write_text(json.dumps({"type": "Feature", "geometry": clicks, "properties": {}}))
    assert convert(ConvertRequest(tmp_path / "part.geojson", tmp_path / "part.xml")) == 0
    places = [one["places"][0] for one in Asap(tmp_path / "part.xml").annotations]
    assert places == [(x + corner[0], y + corner[1]) for x, y in INSIDE]
    assert run(tmp_path / "part.geojson", slide=tmp_path / "part.scn") == 0
    assert run(tmp_path / "part.xml") == 0
    results = tmp_path / "nuclick" / "part.geojson part.scn.geojson"
    features = json.loads(results.read_text(encoding="utf-8"))["features"]
    from_qupath = [shapely.geometry.shape(one["geometry"]) for one in features]
    moved = [shapely.transform(one, lambda xy: xy + corner) for one in from_qupath]
    ours = outlines(tmp_path / "part.xml").values()
    assert moved
    assert all(any(one.equals_exact(other, 0.01) for other in ours) for one in map(_filled, moved))
    convert(ConvertRequest(tmp_path / "part.xml", tmp_path / "back.geojson"))
    back = json.loads((tmp_path / "back.geojson").read_text(encoding="utf-8"))["features"]
    points = [one["geometry"]["coordinates"] for one in back if one["geometry"]["type"] == "Point"]
    assert sorted(map(tuple, points)) == sorted(INSIDE)


def _filled(polygon: shapely.Polygon) -> shapely.Polygon:
    return shapely.Polygon(polygon.exterior)


@pytest.mark.parametrize(("name", "count"), [("TCGA-18-5592-01Z-00-DX1.svs", 8), ("train_12.svs", 4)])
def test_prompts_of_a_real_project_give_in_asap_what_they_give_in_qupath(
    shared_data: Path, tmp_path: Path, name: str, count: int
) -> None:
    """Some clicks, and some glands of which the first has two strokes; all of them would take minutes."""
    source = shared_data / "qupath" / "tissue_v0.5.1"
    assert convert(ConvertRequest(source, tmp_path)) == 0
    file = tmp_path / name.replace(".svs", ".xml")
    document = read_document(file)
    file.write_bytes(document.edited(Edit(drop=range(count, len(document.annotations)))))
    assert run(file, slides=source / "slides") == 0
    from_asap = outlines(file)

    wanted = {one.id for one in prompts_of(document.annotations[:count], ObjectChoice.AUTO, GroupRule()).prompts}
    files = FileAccess(tmp_path, ObjectType.DETECTION, "as asked for")
    (job,) = project_jobs(read_project(source), ImageChoice(ObjectChoice.AUTO, names=[name]), files)
    image = job.read()
    some = PromptSet(tuple(one for one in image.prompts.prompts if one.id in wanted))
    assert len(some.prompts) == len(wanted) >= 3
    part_of_it = replace(job, read=lambda: replace(image, prompts=some))
    with Journal(tmp_path / FILE_NAME, fresh=True) as journal:
        report = run_jobs([part_of_it], ModelRegistry((), "cpu", None), Options(tmp_path), Quiet(), journal)
    assert not report.failed
    found = json.loads((tmp_path / f"{job.stem}.geojson").read_text(encoding="utf-8"))["features"]
    from_qupath = {one["id"]: shapely.geometry.shape(one["geometry"]) for one in found}

    assert from_asap.keys() == from_qupath.keys()
    assert len(from_asap) > 0
    for prompt, polygon in from_asap.items():
        # Single precision: up to 1e-4 px on a slide of a thousand.
        assert polygon.equals_exact(_filled(from_qupath[prompt]), 1e-4), prompt


class Quiet:
    """Somebody who does not care how a run goes."""

    def image_started(self, name: str, prompts: int) -> None:
        pass

    def prompts_done(self, count: int) -> None:
        pass

    def step_done(self, what: str, done: int, total: int) -> None:
        pass

    def image_ended(self, report: ImageReport) -> None:
        pass
