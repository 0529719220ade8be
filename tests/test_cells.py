"""Cells with their nuclei inside: which outlines belong together, and what becomes of them on every way out."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from asap_files import Asap
from dark_segmenter import DarkSegmenter, card
from hypothesis import given, settings
from hypothesis import strategies as st
from projects import Image, write_project
from test_engine import FINE, MakeSlide
from test_run import NUCLEI, clicks, record, results

from nuclick_wsi.choices import ObjectType, ProjectAccess
from nuclick_wsi.cli.convert import ConvertRequest, convert
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.formats import cells as cells_module
from nuclick_wsi.formats.cells import nuclei_of_cells
from nuclick_wsi.formats.drawings import Drawing, Mark, prompts_of_drawings
from nuclick_wsi.formats.geojson import feature_collection
from nuclick_wsi.formats.marks import MARK, mark_of
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectChoice, ObjectKind, Plane, cell_id
from nuclick_wsi.segmentation.engine import segment
from nuclick_wsi.segmentation.segmenter import FixedSegmenters
from nuclick_wsi.slides.readers import open_slide

BOTH = ObjectChoice.CELL_AND_NUCLEUS
Edges = tuple[float, float, float, float]


def outline(identity: str, kind: ObjectKind, edges: Edges, **more: Any) -> Instance:
    polygon = shapely.box(*edges)
    values = {"class_name": None, "plane": Plane(), "area_um2": polygon.area / 4, "mean_probability": 0.75} | more
    return Instance(identity, kind, polygon, **values)


def cell(identity: str, *edges: float, **more: Any) -> Instance:
    return outline(identity, ObjectKind.CELL, edges, **more)


def nucleus(identity: str, *edges: float, **more: Any) -> Instance:
    return outline(identity, ObjectKind.NUCLEUS, edges, **more)


def pairs(instances: Iterable[Instance]) -> dict[str, str]:
    return {cell: nucleus.prompt_id for cell, nucleus in nuclei_of_cells(instances).items()}


# Which belong together


@pytest.mark.parametrize(
    ("others", "found"),
    [
        ([nucleus("n", 2, 2, 5, 5)], {"c": "n"}),
        ([nucleus("n", 2, 2, 5, 5), nucleus("m", 6, 6, 9, 9)], {}),
        ([nucleus("n", 2, 2, 5, 5), nucleus("m", 8, 2, 20, 5)], {"c": "n"}),
        ([nucleus("n", -1, 2, 2, 5)], {"c": "n"}),
        ([nucleus("n", -2, 2, 2, 5)], {}),
        ([nucleus("n", 20, 20, 22, 22)], {}),
        ([nucleus("n", 10, 0, 12, 2)], {}),
        ([nucleus("n", 2, 2, 5, 5, class_name="Tumor")], {}),
        ([nucleus("n", 2, 2, 5, 5, plane=Plane(z=1))], {}),
        ([cell("d", 2, 2, 5, 5)], {}),
        ([], {}),
    ],
    ids=["inside", "two", "one and a bite", "most", "half", "elsewhere", "touching", "class", "plane", "cells", "none"],
)
def test_a_cell_has_the_one_nucleus_of_which_it_holds_more_than_half(
    others: list[Instance], found: dict[str, str]
) -> None:
    assert pairs([cell("c", 0, 0, 10, 10), *others]) == found
    assert pairs([*others[::-1], cell("c", 0, 0, 10, 10)]) == found


@pytest.mark.parametrize("at_once", [1, 7, 500])
def test_pairs_are_those_of_looking_at_each_cell_and_each_nucleus(
    at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cells_module, "_AT_ONCE", at_once)
    rng = np.random.default_rng(0)
    made = []
    for number in range(160):
        x, y = rng.uniform(0, 1500, 2).round(2)
        kind, side = ((ObjectKind.CELL, 40), (ObjectKind.NUCLEUS, 24))[number % 2]
        middle = (x, y) if number % 2 == 0 else np.add(made[-1].polygon.centroid.coords[0], rng.uniform(-30, 30, 2))
        edges = (*np.subtract(middle, side / 2), *np.add(middle, side / 2))
        plane, name = Plane(z=int(rng.integers(2))), "ab"[int(rng.integers(5)) // 4]
        made.append(outline(f"{number:03}", kind, edges, plane=plane, class_name=name))
    expected = {}
    for one in made:
        inner = [
            other
            for other in made
            if (one.kind, other.kind, other.plane) == (ObjectKind.CELL, ObjectKind.NUCLEUS, one.plane)
            and other.polygon.intersection(one.polygon).area > other.polygon.area / 2
        ]
        if len(inner) == 1 and inner[0].class_name == one.class_name:
            expected[one.prompt_id] = inner[0].prompt_id
    assert len(expected) > 10
    assert pairs(made) == expected


def test_a_nucleus_ends_where_its_cell_ends_and_its_area_too() -> None:
    found = nuclei_of_cells([cell("c", 0, 0, 10.25, 10), nucleus("n", 8, 2, 12, 6)])["c"]
    assert found.polygon.equals(shapely.box(8, 2, 10.25, 6))
    assert found.area_um2 == pytest.approx(2.25)
    whole = nucleus("n", 8, 2, 10, 6)
    assert nuclei_of_cells([cell("c", 0, 0, 10.25, 10), whole])["c"] is whole


boxes = st.tuples(*[st.integers(0, 400)] * 2, *[st.integers(20, 300)] * 2).map(
    lambda b: (b[0] / 10, b[1] / 10, (b[0] + b[2]) / 10, (b[1] + b[3]) / 10)
)


@settings(deadline=None)
@given(cells=st.lists(boxes, max_size=6), nuclei=st.lists(boxes, max_size=6))
def test_every_outline_is_an_object_or_the_nucleus_of_one(cells: Sequence[Edges], nuclei: Sequence[Edges]) -> None:
    taken = shapely.Polygon()
    instances = []
    for number, edges in enumerate(cells):  # of one kind, outlines share no pixel
        left = shapely.box(*edges).difference(taken, grid_size=0.01)
        taken = taken.union(left, grid_size=0.01)
        if left.area > 0:
            instances.append(replace(cell(f"c{number}", *edges), polygon=left))
    instances += [nucleus(f"n{number}", *edges) for number, edges in enumerate(nuclei)]
    collection = feature_collection(instances, ObjectType.DETECTION, {})
    inside = collection.get("nuclei", {})
    features = {feature["id"]: feature for feature in collection["features"]}
    assert sorted([*features, *inside.values()]) == sorted(one.prompt_id for one in instances)
    assert inside.keys() <= features.keys()
    for identity, feature in features.items():
        assert (feature["properties"]["objectType"] == "cell") == (identity in inside) == ("nucleusGeometry" in feature)
        if identity in inside:
            outer, inner = (shapely.geometry.shape(feature[name]) for name in ("geometry", "nucleusGeometry"))
            assert inner.is_valid
            assert outer.buffer(1e-9).covers(inner)
            assert np.array_equal(shapely.get_coordinates(inner), shapely.get_coordinates(inner).round(2))


def test_a_cell_object_has_what_qupath_calls_a_cells_measurements() -> None:
    instances = [cell("c", 0, 0, 10, 10, class_name="Tumor"), nucleus("n", 2, 2, 5, 5, class_name="Tumor")]
    collection = feature_collection(instances, ObjectType.DETECTION, {"Tumor": (200, 0, 0)})
    (feature,) = collection["features"]
    assert feature["properties"] == {
        "objectType": "cell",
        "classification": {"name": "Tumor", "color": [200, 0, 0]},
        "measurements": {
            "Nucleus: Area µm^2": 2.25,
            "Cell: Area µm^2": 25.0,
            "NuClick: Mean probability of nucleus": 0.75,
            "NuClick: Mean probability": 0.75,
            MARK: mark_of("c", "cell", "Tumor"),
        },
    }
    assert collection["nuclei"] == {"c": "n"}
    assert len(feature_collection(instances, ObjectType.ANNOTATION, {})["features"]) == 2
    assert len(feature_collection(instances, ObjectType.DETECTION, {}, apart={"n"})["features"]) == 2


# What is asked for


def test_a_point_asks_for_its_nucleus_under_its_own_id_and_for_its_cell_beside_it() -> None:
    drawings = [Drawing(Mark.POINTS, (np.array([(1.0, 2.0), (3.0, 4.0), (1.0, 2.0)]),), "points", "source", "Tumor")]
    alone = prompts_of_drawings(drawings, ObjectChoice.NUCLEUS).prompts
    both = prompts_of_drawings(drawings, BOTH).prompts
    assert [one for one in both if one.kind is ObjectKind.NUCLEUS] == list(alone)
    cells = [one for one in both if one.kind is ObjectKind.CELL]
    assert cells == [replace(one, id=cell_id(one.id), kind=ObjectKind.CELL) for one in alone]
    assert len({one.id for one in both}) == 6


def test_dark_nuclei_in_grey_cells_become_cells_with_nuclei(make_slide: MakeSlide) -> None:
    rows, columns = np.mgrid[:200, :200] + 0.5
    image = np.full((200, 200, 3), 255, np.uint8)
    for x, y in ((60, 60), (84, 60), (150, 150)):  # the first two touch
        distance = np.hypot(columns - x, rows - y)
        image[distance < 13] = np.minimum(image[distance < 13], 160)
        image[distance < 6] = 0
    image[145:155, 100:110] = 0  # a nucleus without a cell around it
    cells = DarkSegmenter(replace(card(ObjectKind.CELL, 64, 0.25), threshold=0.3))
    segmenters = {ObjectKind.NUCLEUS: DarkSegmenter(card(ObjectKind.NUCLEUS, 64, 0.25)), ObjectKind.CELL: cells}
    places = np.array([(60.0, 60.0), (84.0, 60.0), (150.0, 150.0), (20.0, 180.0)])
    prompts = prompts_of_drawings([Drawing(Mark.POINTS, (places,), "points", "source")], BOTH)
    with open_slide(make_slide(image)) as slide:
        outcome = segment(slide, prompts, FixedSegmenters(segmenters), FINE)
    ids = {one.prompt_id for one in (*outcome.instances, *outcome.rejections)}
    assert ids == {one.id for one in prompts.prompts}
    assert {one.kind for one in outcome.rejections} == {ObjectKind.NUCLEUS, ObjectKind.CELL}
    nuclei = [one for one in prompts.prompts if one.kind is ObjectKind.NUCLEUS][:3]
    assert pairs(outcome.instances) == {cell_id(one.id): one.id for one in nuclei}


# What comes out


def asked(target: Path, cell_model: str, **more: Any) -> RunRequest:
    return RunRequest(
        target, device="cpu", objects=BOTH, models=(cell_model,), project_access=ProjectAccess.FILES, **more
    )


def test_a_run_for_both_writes_cells_with_nuclei_and_a_further_one_replaces_them(
    cell_model: str, tmp_path: Path
) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]))
    run_target(RunRequest(project, device="cpu", project_access=ProjectAccess.FILES))
    alone = {feature["id"]: feature["geometry"] for feature in results(project)["1 a.svs"]["features"]}
    (tmp_path / "nuclick" / "runs").rename(tmp_path / "before")
    run_target(asked(project, cell_model))
    both = results(project)["1 a.svs"]
    assert {feature["properties"]["objectType"] for feature in both["features"]} == {"cell"}
    assert {feature["id"]: feature["nucleusGeometry"] for feature in both["features"]} == {
        cell_id(identity): geometry for identity, geometry in alone.items()
    }
    assert both["nuclei"] == {cell_id(identity): identity for identity in alone}
    (image,) = record(project)["images"]
    assert image["prompts"] == {"nucleus": 4, "cell": 4}
    assert image["instances"] == 2 * len(alone)
    assert image["recalled"] == 4  # the nuclei
    file = tmp_path / "nuclick" / "1 a.svs.geojson"
    written = file.stat().st_mtime_ns
    run_target(asked(project, cell_model))
    assert file.stat().st_mtime_ns == written
    run_target(RunRequest(project, device="cpu", project_access=ProjectAccess.FILES))
    assert {feature["id"]: feature["geometry"] for feature in results(project)["1 a.svs"]["features"]} == alone


def test_for_asap_cell_and_nucleus_are_two_polygons_whether_run_or_converted(cell_model: str, tmp_path: Path) -> None:
    project = write_project(tmp_path, Image("a.svs", [clicks(*NUCLEI)]))
    run_target(asked(project, cell_model))
    file = tmp_path / "nuclick" / "1 a.svs.geojson"
    collection = json.loads(file.read_text())
    ids = {*collection["nuclei"], *collection["nuclei"].values()}
    convert(ConvertRequest(file, tmp_path / "a.xml"))
    names = [one["Name"] for one in Asap(tmp_path / "a.xml").annotations]
    assert {name.split()[1] for name in names} == ids
    convert(ConvertRequest(project, tmp_path / "asap"))
    drawn = tmp_path / "asap" / "a.xml"
    before = [one["Name"] for one in Asap(drawn).annotations if one["Name"].startswith("NuClick")]
    run_target(asked(drawn, cell_model, slide=next(tmp_path.rglob("a.svs"))))
    after = [one["Name"] for one in Asap(drawn).annotations if one["Name"].startswith("NuClick")]
    assert {name.split()[1] for name in before} == {name.split()[1] for name in after} == ids
