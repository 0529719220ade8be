"""Prompts and results through a real QuPath: runs where PAQUO_QUPATH_DIR names an installation and paquo is there."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import shapely
from test_cli import nuclick, said
from test_run import NUCLEI, record

from nuclick_wsi.choices import ObjectType, ProjectAccess
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.demo import make_demo
from nuclick_wsi.errors import ProjectError, ResultError
from nuclick_wsi.formats.geojson import AREA
from nuclick_wsi.instances import Instance, PromptSet
from nuclick_wsi.prompts import ObjectChoice, ObjectKind, Plane, cell_id
from nuclick_wsi.runs.jobs import Results, Written
from nuclick_wsi.runs.journal import Journal
from qupath_extension import hierarchy_sink
from qupath_extension.access import FileAccess, HierarchyAccess, choose_access
from qupath_extension.hierarchy_sink import HierarchyEntry
from qupath_extension.paquo_access import QuPath
from qupath_extension.project import read_project
from qupath_extension.qpdata.hierarchy import ImageData, PathObject, PathObjectType, read_image_data
from qupath_extension.selection import prompts_of

REGION = shapely.box(0, 0, 200, 200)
CLICKS = shapely.MultiPoint(NUCLEI)
GAP = shapely.MultiLineString([[(10, 10), (40, 12)], [(60, 60), (90, 95.5)]])


@pytest.fixture(scope="module")
def qupath() -> QuPath:
    if not os.environ.get("PAQUO_QUPATH_DIR"):
        pytest.skip("needs a QuPath installation, named by PAQUO_QUPATH_DIR")
    pytest.importorskip("paquo", reason='needs paquo: pip install "nuclick-wsi[qupath]"')
    running = QuPath.start()
    if not running.version.startswith("0.5."):
        pytest.skip(f"needs QuPath 0.5, which wrote the projects that are run here, not {running.version}")
    return running


def annotation(number: int, geometry: shapely.Geometry, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": f"00000000-0000-4000-8000-{number:012d}",
        "geometry": shapely.geometry.mapping(geometry),
        "properties": {"objectType": "annotation", **properties},
    }


def save(qupath: QuPath, path: Path, features: Iterable[dict[str, Any]], obsolete: Iterable[str] = ()) -> None:
    """Do as a user does who draws and deletes, then saves."""
    content = orjson.dumps({"type": "FeatureCollection", "features": list(features)})
    other = path.with_name("other")
    qupath.rewrite(path, other, set(obsolete), content)
    other.replace(path)


def a_project(qupath: QuPath, folder: Path, *features: dict[str, Any]) -> Path:
    """Return the data file of a project that has just these objects."""
    data = make_demo(folder).parent / "data" / "1" / "data.qpdata"
    save(qupath, data, features, obsolete=[str(one.id) for one in read_image_data(data).objects])
    return data


def comparable(data: ImageData, choice: ObjectChoice) -> PromptSet:
    found = prompts_of(data.objects, choice)
    return replace(
        found,
        prompts=tuple(sorted(found.prompts, key=lambda one: one.id)),
        rejections=tuple(sorted(found.rejections, key=lambda one: one.prompt_id)),
    )


def same_prompts(qupath: QuPath, path: Path) -> PromptSet:
    """Return the prompts of a file, having seen that both accesses read the same."""
    by_qupath, by_us = qupath.read(path), read_image_data(path)
    for choice in ObjectChoice:
        assert comparable(by_qupath, choice) == comparable(by_us, choice)
    assert by_qupath.class_colors == by_us.class_colors
    return comparable(by_us, ObjectChoice.AUTO)


@pytest.mark.parametrize("name", ["demo_v0.5.1", "tissue_v0.5.1", "v0.5.1_colon", "v0.5.1_minimal", "v0.4.0_foci"])
def test_both_accesses_read_the_same_prompts_of_real_projects(name: str, qupath: QuPath, shared_data: Path) -> None:
    for image in read_project(shared_data / "qupath" / name).images:
        if image.data_path.exists():
            same_prompts(qupath, image.data_path)


PLACES = {
    "outside the slide": 3,
    "on the same spot as another prompt": 2,
    "on a plane that the slide does not have": 1,
    "no points in the annotation": 1,
}
EDGE_CASES = {
    "calibrated.svs": ("done", 32, PLACES, ""),
    "no_pixel_size.tif": ("failed", 5, {}, "no pixel size is known"),
    "user_pixel_size.svs": ("done", 5, {}, ""),
    "missing.svs": ("failed", 5, {}, "missing.svs was not found"),
    "nothing to do.svs": ("no prompts", 0, {}, ""),
    "rotated 90 by QuPath": ("failed", 0, {}, "Refused: QuPath shows a rotated (ROTATE_90) version"),
}
"""Of each image: how it ends, its prompts, rejections in which no model has a say, and the words of a refusal."""


def test_both_accesses_come_to_the_same_on_the_edge_cases(qupath: QuPath, shared_data: Path, tmp_path: Path) -> None:
    """How many of the others the network finds is the model's affair, but the same through both."""
    outcomes = []
    for access in (ProjectAccess.PAQUO, ProjectAccess.FILES):
        project = shutil.copytree(shared_data / "qupath" / "edge_cases_v0.5.1", tmp_path / access)
        run_target(RunRequest(project, device="cpu", project_access=access))
        images = record(project / "project.qpproj")["images"]
        outcomes.append([(image["instances"], image["rejections_by_reason"]) for image in images])
        for image in images:
            status, prompts, placed, words = EDGE_CASES[image["name"]]
            reasons = image["rejections_by_reason"]
            assert (image["status"], words in image.get("error", "")) == (status, True)
            assert {reason: reasons[reason] for reason in reasons if reason in PLACES} == placed
            if status == "done":
                assert image["instances"] + sum(reasons.values()) == prompts
            elif prompts:
                assert sum(image["prompts"].values()) == prompts
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("seed", range(3))
def test_both_accesses_read_the_same_prompts_of_what_a_user_might_draw(
    seed: int, qupath: QuPath, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)

    def places(count: int) -> list[tuple[float, float]]:
        return [tuple(place) for place in np.round(rng.uniform(-50, 90_000, (count, 2)), 2).tolist()]

    shapes = [
        *(shapely.MultiPoint(places(count)) for count in (2, 7, 300)),
        shapely.Point(places(1)[0]),
        *(shapely.LineString(places(count)) for count in (2, 3, 50)),
        shapely.MultiLineString([places(3), places(2), places(9)]),
        REGION,
        shapely.MultiPolygon([REGION, shapely.box(300, 300, 400, 400)]),
    ]
    classes: list[dict[str, Any]] = [{}, {"classification": {"name": "Tumor: Positive", "color": [1, 2, 3]}}]
    classes += [{"classification": {"name": "Ignore*", "color": [180, 180, 180]}, "isLocked": True}]
    drawn = [annotation(number, shape, **rng.choice(classes)) for number, shape in enumerate(shapes)]
    drawn[0]["geometry"]["plane"] = {"c": -1, "z": 2, "t": 1}
    found = same_prompts(qupath, a_project(qupath, tmp_path, *drawn))
    ignored = ["Ignore" in json.dumps(one["properties"]) for one in drawn]
    counts = [2, 7, 300, 1, 1, 1, 1, 1, 0, 0]
    # What is ignored keeps nuclei out, and glands.
    assert len(found.prompts) == sum(count * (1 + twice) for count, twice in zip(counts, ignored, strict=True))
    (squiggle,) = {one.signal for one in found.prompts if len(one.signal.strokes) == 3}
    assert sorted(map(len, squiggle.strokes)) == [2, 3, 9]


def outlines(*places: tuple[float, float], side: float = 8, **more: Any) -> list[Instance]:
    return [
        Instance(
            f"10000000-0000-4000-8000-{number:012d}",
            ObjectKind.NUCLEUS,
            shapely.box(x - side, y - side, x + side, y + side).difference(shapely.box(x, y, x + 2, y + 2)),
            more.get("class_name"),
            more.get("plane", Plane()),
            area_um2=12.5,
            mean_probability=0.75,
        )
        for number, (x, y) in enumerate(places)
    ]


class Notebook:
    """An image whose outlines are written again and again, each time as by a run of its own."""

    def __init__(self, qupath: QuPath, data: Path, as_type: ObjectType = ObjectType.DETECTION) -> None:
        self.data = data
        self.project = read_project(data.parents[2])
        self._qupath = qupath
        self._as_type = as_type

    def entry(self, journal: Journal) -> HierarchyEntry:
        return HierarchyEntry(self._qupath, self.project.images[0], journal, self._as_type)

    def write(self, instances: list[Instance], unread: Collection[str] = ()) -> Written:
        with Journal(self.data.parents[2] / "nuclick" / "journal.sqlite") as journal:
            entry = self.entry(journal)
            entry.read(ObjectChoice.AUTO)
            return entry.write(Results(instances, {"Tumor": (200, 0, 0)}, [], {}, unread))

    @property
    def objects(self) -> dict[str, PathObject]:
        return {str(one.id): one for one in read_image_data(self.data).objects}

    def change(self, identity: str, **properties: Any) -> None:
        """Do to an outline as the user does who reclassifies or locks it."""
        path = self._qupath.java_class("java.nio.file.Paths").get(str(self.data))
        hierarchy = self._qupath.java_class("qupath.lib.io.PathIO").readHierarchy(path)
        (one,) = (one for one in hierarchy.getAllObjects(False) if str(one.getID()) == identity)
        text = self._qupath.java_class("qupath.lib.io.GsonTools").getInstance().toJson(one)
        feature = json.loads(str(text))
        feature["properties"].update(properties)
        save(self._qupath, self.data, [feature], obsolete=[identity])


def counts(written: Written) -> tuple[int, ...]:
    return tuple(written.counts[what] for what in ("added", "replaced", "removed", "unchanged"))


@pytest.mark.parametrize("as_type", list(ObjectType))
def test_outlines_are_objects_of_the_hierarchy_and_all_else_stays(
    as_type: ObjectType, qupath: QuPath, tmp_path: Path
) -> None:
    data = a_project(qupath, tmp_path, annotation(1, REGION, name="region", isLocked=True), annotation(2, CLICKS))
    before = {identity: (one.name, one.is_locked, one.type) for identity, one in Notebook(qupath, data).objects.items()}
    book = Notebook(qupath, data, as_type)
    instances = outlines((50, 50), (500, 400), class_name="Tumor: Positive", plane=Plane(z=1))
    written = book.write(instances)
    assert counts(written) == (2, 0, 0, 0)
    objects = book.objects
    assert {key: (objects[key].name, objects[key].is_locked, objects[key].type) for key in before} == before
    for instance in instances:
        one = objects[instance.prompt_id]
        assert (one.type.value, one.class_name, one.is_locked) == (as_type.value, "Tumor: Positive", False)
        assert one.roi is not None
        assert one.roi.plane == Plane(z=1)
        assert one.roi.geometry is not None
        assert one.roi.geometry.equals(instance.polygon)
    summary = json.loads((data.parent / "summary.json").read_text(encoding="utf-8"))
    assert summary["hierarchy"]["nObjects"] == 1 + len(objects)
    again = Notebook(qupath, data, as_type).write(instances)
    assert counts(again) == (0, 0, 0, 2)


def test_detections_lie_under_the_annotation_that_contains_them_with_their_measurements(
    qupath: QuPath, tmp_path: Path
) -> None:
    inner = shapely.box(20, 20, 90, 90)
    data = a_project(qupath, tmp_path, annotation(1, REGION), annotation(2, inner), annotation(3, CLICKS))
    book = Notebook(qupath, data)
    instances = outlines((50, 50), (150, 150), (500, 400))
    book.write(instances)
    objects = read_image_data(data).objects
    parents = {one.id: objects[one.parent].id if one.parent is not None else None for one in objects}
    ids = [annotation(number, REGION)["id"] for number in (1, 2)]
    assert [parents[instance.prompt_id] for instance in instances] == [ids[1], ids[0], None]
    # Where the user had not resolved the hierarchy it still is not.
    assert parents[ids[1]] is None
    path = qupath.java_class("java.nio.file.Paths").get(str(data))
    for one in qupath.java_class("qupath.lib.io.PathIO").readHierarchy(path).getDetectionObjects():
        assert float(one.getMeasurementList().get(AREA)) == 12.5


def test_running_again_touches_only_what_changed_and_keeps_what_the_user_made_of_it(
    qupath: QuPath, tmp_path: Path
) -> None:
    book = Notebook(qupath, a_project(qupath, tmp_path, annotation(1, REGION)))
    first = outlines((50, 50), (100, 50), (150, 50), (50, 100), class_name="Tumor")
    assert counts(book.write(first)) == (4, 0, 0, 0)
    assert (book.data.parent / "data.qpdata.backup").exists()
    modified = book.data.stat().st_mtime_ns
    assert counts(book.write(first)) == (0, 0, 0, 4)
    assert book.data.stat().st_mtime_ns == modified
    ids = [instance.prompt_id for instance in first]
    book.change(ids[0], classification={"name": "Stroma", "color": [1, 2, 3]})
    book.change(ids[1], isLocked=True)
    larger = outlines((50, 50), (100, 50), (150, 50), class_name="Tumor", side=11)
    again = book.write(larger)
    assert counts(again) == (0, 1, 1, 0)
    assert again.kept == {ids[0]: "given another class", ids[1]: "locked"}
    objects = book.objects
    assert ids[3] not in objects
    assert objects[ids[0]].class_name == "Stroma"
    assert objects[ids[1]].is_locked
    assert objects[ids[2]].roi.geometry.equals(larger[2].polygon)  # type: ignore[union-attr]
    assert not (book.data.parent / "data.qpdata.backup2").exists()
    assert not list(book.data.parent.glob(".*.part"))


def test_a_cell_and_its_nucleus_are_one_object_until_the_user_makes_the_nucleus_theirs(
    qupath: QuPath, tmp_path: Path
) -> None:
    book = Notebook(qupath, a_project(qupath, tmp_path, annotation(1, REGION)))
    nuclei = outlines((50, 50), (100, 50), (150, 50), class_name="Tumor", side=5)
    cells = [
        replace(one, prompt_id=cell_id(one.prompt_id), kind=ObjectKind.CELL, polygon=one.polygon.buffer(3, quad_segs=2))
        for one in nuclei
    ]
    assert counts(book.write(nuclei)) == (3, 0, 0, 0)
    assert counts(book.write([*nuclei, *cells])) == (3, 0, 3, 0)
    modified = book.data.stat().st_mtime_ns
    assert counts(book.write([*cells, *nuclei])) == (0, 0, 0, 3)
    assert book.data.stat().st_mtime_ns == modified
    objects = book.objects
    for cell, nucleus in zip(cells, nuclei, strict=True):
        one = objects[cell.prompt_id]
        assert (one.type, one.class_name) == (PathObjectType.CELL, "Tumor")
        assert one.nucleus is not None
        assert one.nucleus.geometry.equals(nucleus.polygon)  # type: ignore[union-attr]
        assert nucleus.prompt_id not in objects
    # Other nuclei, another class, and a lock by the user: these cells stay as they are.
    book.change(cells[0].prompt_id, isLocked=True)
    smaller = [replace(one, polygon=one.polygon.buffer(-1, join_style="mitre")) for one in nuclei]
    again = book.write([*cells, *smaller])
    assert counts(again) == (0, 2, 0, 0)
    assert again.kept == {cells[0].prompt_id: "locked"}
    # Nuclei alone: cells that are ours go. A nucleus that the user locks then gets no twin inside a cell.
    assert counts(book.write(nuclei)) == (3, 0, 2, 0)
    book.change(nuclei[1].prompt_id, isLocked=True)
    both = book.write([*cells, *nuclei])
    assert both.kept == {cells[0].prompt_id: "locked", nuclei[1].prompt_id: "locked"}
    assert book.objects[cells[1].prompt_id].type is PathObjectType.DETECTION
    assert book.objects[cells[2].prompt_id].type is PathObjectType.CELL
    assert counts(book.write([*cells, *nuclei])) == (0, 0, 0, 2)


def test_what_could_not_be_computed_stays_as_the_last_run_left_it(qupath: QuPath, tmp_path: Path) -> None:
    book = Notebook(qupath, a_project(qupath, tmp_path, annotation(1, REGION)))
    nucleus, lone = outlines((50, 50), (150, 50), side=4)
    cell = replace(outlines((50, 50), side=9)[0], prompt_id=cell_id(nucleus.prompt_id), kind=ObjectKind.CELL)
    book.write([nucleus, cell, lone])
    before = book.data.read_bytes()
    for unread, computed in ((nucleus, cell), (cell, nucleus)):
        written = book.write([computed], unread={unread.prompt_id, lone.prompt_id})
        assert counts(written) == (0, 0, 0, 0)
        assert set(written.from_earlier) == {cell.prompt_id, lone.prompt_id}
        assert book.data.read_bytes() == before
    assert counts(book.write([nucleus, cell, lone])) == (0, 0, 0, 2)


def test_a_user_who_makes_annotations_of_detections_keeps_them(qupath: QuPath, tmp_path: Path) -> None:
    book = Notebook(qupath, a_project(qupath, tmp_path, annotation(1, REGION)))
    (outline,) = outlines((50, 50))
    book.write([outline])
    mine = annotation(9, outline.polygon)
    save(qupath, book.data, [mine], obsolete=[outline.prompt_id])
    assert book.write(outlines((50, 50), side=10)).kept == {outline.prompt_id: "made another type of object"}
    assert set(book.objects) == {annotation(1, REGION)["id"], mine["id"]}


def test_a_file_that_changed_since_it_was_read_is_not_overwritten(qupath: QuPath, tmp_path: Path) -> None:
    book = Notebook(qupath, a_project(qupath, tmp_path, annotation(1, REGION)))
    with Journal(tmp_path / "journal.sqlite") as journal:
        entry = book.entry(journal)
        entry.read(ObjectChoice.AUTO)
        save(qupath, book.data, [annotation(2, CLICKS)])
        saved = book.data.read_bytes()
        with pytest.raises(ResultError, match="has changed since it was read"):
            entry.write(Results(outlines((50, 50)), {}, [], {}))
    assert book.data.read_bytes() == saved
    assert not list(book.data.parent.glob(".*.part"))


def test_a_file_that_changes_while_it_is_written_is_not_overwritten(
    qupath: QuPath, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    book = Notebook(qupath, a_project(qupath, tmp_path, annotation(1, REGION)))
    put = hierarchy_sink.put_in_place

    def save_first(*arguments: Any) -> None:
        book.data.write_bytes(b"what the user has just saved")
        put(*arguments)

    monkeypatch.setattr(hierarchy_sink, "put_in_place", save_first)
    with pytest.raises(ResultError, match="has changed since it was read"):
        book.write(outlines((50, 50)))
    assert book.data.read_bytes() == b"what the user has just saved"


def test_a_file_that_qupath_cannot_read_is_named_and_left_as_it_is(qupath: QuPath, tmp_path: Path) -> None:
    data = a_project(qupath, tmp_path, annotation(1, REGION))
    data.write_bytes(data.read_bytes()[:300])
    with pytest.raises(ProjectError, match=r"data\.qpdata: QuPath 0.* cannot work on it .*--project-access files"):
        Notebook(qupath, data).write(outlines((50, 50)))
    assert len(data.read_bytes()) == 300


KILLED = """
import os, sys
from pathlib import Path
import test_project_access as here
from qupath_extension import hierarchy_sink

put = hierarchy_sink.put_in_place

def killed(*arguments):
    if sys.argv[2] == "after":
        put(*arguments)
    os._exit(9)

hierarchy_sink.put_in_place = killed
here.Notebook(here.QuPath.start(), Path(sys.argv[1])).write(here.outlines((50, 50), (100, 50), side=11))
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_run_killed_while_it_writes_loses_nothing(moment: str, qupath: QuPath, tmp_path: Path) -> None:
    book = Notebook(qupath, a_project(qupath, tmp_path, annotation(1, REGION)))
    book.write(outlines((50, 50), (150, 50)))
    before = book.data.read_bytes()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLED, str(book.data), moment]
    assert subprocess.run(command, env=environment, check=False).returncode == 9
    assert (book.data.read_bytes() == before) == (moment == "before")
    wanted = outlines((50, 50), (100, 50), side=11)
    assert counts(book.write(wanted)) == ((0, 2, 0, 0) if moment == "before" else (0, 0, 0, 2))
    objects = book.objects
    assert len(objects) == 3
    summary = json.loads((book.data.parent / "summary.json").read_text(encoding="utf-8"))
    assert summary["hierarchy"]["nObjects"] == 1 + len(objects)
    assert all(objects[one.prompt_id].roi.geometry.equals(one.polygon) for one in wanted)  # type: ignore[union-attr]


def test_a_run_through_qupath_fills_the_hierarchy_and_a_fresh_process_finds_it(qupath: QuPath, tmp_path: Path) -> None:
    clicks = annotation(2, CLICKS, classification={"name": "Tumor", "color": [200, 0, 0]})
    data = a_project(qupath, tmp_path, annotation(1, REGION), clicks)
    project = tmp_path / "project.qpproj"
    request = RunRequest(project, device="cpu", project_access=ProjectAccess.PAQUO)
    assert run_target(request) == 0
    (image,) = record(project)["images"]
    assert image["changes"] == {"added": image["instances"], "replaced": 0, "removed": 0, "unchanged": 0}
    assert "through paquo" in record(project)["notes"][0]
    assert list((tmp_path / "nuclick").glob("*.geojson")) == []
    found = [one for one in read_image_data(data).objects if one.type is PathObjectType.DETECTION]
    assert len(found) == image["instances"] > 0
    script = (
        "import sys; from paquo.projects import QuPathProject\n"
        "with QuPathProject(sys.argv[1], mode='r') as project:\n"
        "    print(sorted(str(d.java_object.getID()) for d in project.images[0].hierarchy.detections))"
    )
    seen = subprocess.run([sys.executable, "-c", script, project], capture_output=True, text=True, check=True)
    assert str(sorted(str(one.id) for one in found)) in seen.stdout
    moved = {**clicks, "geometry": shapely.geometry.mapping(shapely.MultiPoint(NUCLEI[:3]))}
    save(qupath, data, [moved], obsolete=[clicks["id"]])
    for path in (tmp_path / "nuclick" / "runs").glob("*.json"):
        path.unlink()
    result = nuclick("run", project, "--device", "cpu", "--project-access", "auto", qupath=True)
    assert result.returncode == 0, result.stderr
    assert record(project)["images"][0]["recalled"] == 3
    assert "1 removed" in said(result)


def test_signs_of_an_open_qupath_are_told_before_a_run_that_writes_and_kept_in_its_notes(
    qupath: QuPath, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = a_project(qupath, tmp_path, annotation(1, REGION), annotation(2, shapely.MultiPoint(NUCLEI[:1])))
    project = tmp_path / "project.qpproj"
    assert run_target(RunRequest(project, device="cpu", project_access=ProjectAccess.PAQUO)) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert "colon_ihc.svs (1/data.qpdata) was saved less than a minute ago" in told
    assert "File > Reload data" in told
    assert any("was saved less than" in note for note in record(project)["notes"])
    assert data.stat().st_mtime > 0
    # What the run itself has written is no sign, and a run that writes nothing into the project has nothing to tell.
    run_target(RunRequest(project, device="cpu", project_access=ProjectAccess.PAQUO, dry_run=True))
    assert "data.qpdata) was saved" not in capsys.readouterr().err
    save(qupath, data, [annotation(3, REGION)])
    run_target(RunRequest(project, device="cpu", project_access=ProjectAccess.FILES, dry_run=True))
    assert "was saved" not in capsys.readouterr().err


def test_a_project_of_another_version_is_not_written(qupath: QuPath, tmp_path: Path) -> None:
    project = read_project(make_demo(tmp_path))
    files = FileAccess(tmp_path, ObjectType.DETECTION, "as asked for")
    other = replace(project, version="0.2.3")
    with Journal(tmp_path / "journal.sqlite") as journal:
        assert isinstance(choose_access(ProjectAccess.AUTO, project, files, journal), HierarchyAccess)
        assert isinstance(choose_access(ProjectAccess.FILES, project, files, journal), FileAccess)
        taken = choose_access(ProjectAccess.AUTO, other, files, journal)
        assert "last saved by QuPath 0.2.3" in taken.note
        with pytest.raises(ProjectError, match=r"last saved by QuPath 0\.2\.3, and paquo found QuPath"):
            choose_access(ProjectAccess.PAQUO, other, files, journal)


def test_without_a_qupath_the_files_are_taken_and_only_who_asks_for_paquo_is_told(tmp_path: Path) -> None:
    project = make_demo(tmp_path)
    result = nuclick("run", project, "--dry-run")
    assert result.returncode == 0
    assert "paquo" not in said(result)
    asked = nuclick("run", project, "--dry-run", "--verbose")
    assert "Project access: files, results as GeoJSON (paquo can" in said(asked)
    refused = nuclick("run", project, "--dry-run", "--project-access", "paquo")
    assert refused.returncode == 2
    assert "error: paquo can" in said(refused)
    assert "Traceback" not in refused.stderr


def test_a_folder_for_results_asks_for_files(tmp_path: Path) -> None:
    project = make_demo(tmp_path)
    result = nuclick("run", project, "--dry-run", "--out", tmp_path / "out")
    assert "because --out names a folder" in said(result)
    refused = nuclick("run", project, "--dry-run", "--out", tmp_path / "out", "--project-access", "paquo")
    assert refused.returncode == 2
    assert "drop one" in said(refused)
