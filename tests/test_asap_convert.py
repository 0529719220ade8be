"""Annotations between ASAP and QuPath: equal after a round trip where both can hold them, named where one cannot."""

import json
from pathlib import Path
from typing import Any

import geojson
import numpy as np
import pytest
import shapely
from asap_files import Asap, annotation, dots, group, made, write_asap
from hypothesis import given, settings
from hypothesis import strategies as st
from projects import Image, write_project
from qpdata_writer import Drawn, PathClass, points, polygon, polyline
from shapely.geometry import mapping, shape

from asap_bridge.annotations import AnnotationType
from asap_bridge.document import Document, write_document
from asap_bridge.feature_annotations import asap_of_features
from asap_bridge.features import features_of
from asap_bridge.names import ResultName
from asap_bridge.parsing import parse
from asap_bridge.selection import GroupRule
from asap_bridge.sink import AsapSink
from nuclick_wsi.choices import ObjectType, ProjectAccess
from nuclick_wsi.cli.convert import ConvertRequest, convert
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.formats.feature_geojson import features_of_geojson, geojson_of_features
from nuclick_wsi.formats.features import Feature, Features
from nuclick_wsi.formats.geojson import write_results
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.runs.jobs import Results

ID = "3f2b8c1a-0000-4000-8000-0123456789ab"
SQUARE = shapely.box(10, 10, 30, 30)
RING = shapely.Polygon(SQUARE.exterior, [shapely.box(15, 15, 20, 20).exterior, shapely.box(22, 22, 24, 24).exterior])
TWO = shapely.MultiPolygon([RING, shapely.box(40, 40, 50, 50)])

places = st.tuples(st.integers(0, 10**7), st.integers(0, 10**7)).map(lambda place: (place[0] / 100, place[1] / 100))
lines = st.lists(places, min_size=2, max_size=5, unique=True).map(shapely.LineString)
geometries = st.one_of(
    places.map(shapely.Point),
    st.lists(places, min_size=2, max_size=5, unique=True).map(shapely.MultiPoint),
    lines,
    st.lists(lines, min_size=2, max_size=3).map(shapely.MultiLineString),
    st.sampled_from([SQUARE, RING, TWO]),
)
names = st.none() | st.text("abcXYZ ✓ü", min_size=1, max_size=6).map(str.strip).filter(bool)
annotations = st.builds(Feature, geometries, st.uuids().map(str), names, names)
results = st.builds(
    Feature,
    st.sampled_from([SQUARE, RING, TWO]),
    st.uuids().map(str),
    st.none(),
    names,
    is_result=st.just(True),
)


def through_asap(features: Features) -> Features:
    converted = asap_of_features(features)
    content, lost = converted.content, converted.lost
    assert not lost
    return features_of(Document(parse(content, "x")), GroupRule())


def known(one: Feature) -> tuple[Any, ...]:
    return one.id, one.name, one.class_name, one.is_result, one.geometry.geom_type


@settings(deadline=None)
@given(st.lists(annotations | results, max_size=5, unique_by=lambda one: one.id))
def test_what_both_can_hold_comes_back_from_asap(content: list[Feature]) -> None:
    back = through_asap(Features(content))
    assert not back.lost
    assert [known(one) for one in back.features] == [known(one) for one in content]
    for one, other in zip(content, back.features, strict=True):
        # Single precision: 1/128 px at 100,000 px.
        np.testing.assert_allclose(
            shapely.get_coordinates(one.geometry.normalize()),
            shapely.get_coordinates(other.geometry.normalize()),
            rtol=0,
            atol=0.01,
        )


@settings(deadline=None)
@given(st.lists(annotations | results, max_size=5))
def test_geojson_keeps_all_that_a_feature_is(content: list[Feature]) -> None:
    features = Features(content, {"abc": (1, 2, 3)})
    data = geojson_of_features(features).content
    assert geojson.loads(data).is_valid
    back = features_of_geojson(data, "x")
    assert sorted(map(str, map(known, back.features))) == sorted(map(str, map(known, content)))
    if any(one.class_name == "abc" for one in content):
        assert back.class_colors["abc"] == (1, 2, 3)


def test_colours_of_classes_travel_with_them(tmp_path: Path) -> None:
    drawn = [*dots((1, 2), group="Tumor"), *dots((3, 4), first=1)]
    file = write_asap(tmp_path / "a.xml", drawn, [group("Tumor", "#c80000")])
    convert(ConvertRequest(file, tmp_path / "a.geojson"))
    features = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    assert [one["properties"].get("classification") for one in features] == [
        {"name": "Tumor", "color": [200, 0, 0]},
        None,
    ]
    convert(ConvertRequest(tmp_path / "a.geojson", tmp_path / "b.xml"))
    assert {one["Name"]: one["Color"] for one in Asap(tmp_path / "b.xml").groups} == {"Tumor": "#c80000"}


def test_each_type_becomes_what_a_run_reads_it_as() -> None:
    corners = [(0.0, 0.0), (40.0, 0.0), (40.0, 30.0), (0.0, 30.0)]
    text = write_document(
        [
            made(AnnotationType.DOT, corners[:1]),
            made(AnnotationType.POINT_SET, corners[:3]),
            made(AnnotationType.MEASUREMENT, corners[:2]),
            made(AnnotationType.POLYGON, corners[:3]),
            made(AnnotationType.RECTANGLE, corners),
            made(AnnotationType.SPLINE, corners),
            made(AnnotationType.NONE, corners),
            made(AnnotationType.POINT_SET, corners[:1]),
        ],
        [],
    )
    found = features_of(Document(parse(text, "x")), GroupRule())
    kinds = [one.geometry.geom_type for one in found.features]
    assert kinds == ["Point", "LineString", "LineString", "Polygon", "Polygon", "Polygon"]
    assert found.features[5].geometry.area > found.features[4].geometry.area
    assert found.lost == {
        "curves of splines, which become short lines": 1,
        "annotations without a shape": 1,
        "squiggles of one point": 1,
    }


def test_polygons_that_cross_themselves_are_made_such_that_qupath_takes_them() -> None:
    crossed = made(AnnotationType.POLYGON, [(0, 0), (10, 10), (10, 0), (0, 10)])
    flat = made(AnnotationType.POLYGON, [(0, 0), (10, 10), (20, 20)])
    found = features_of(Document(parse(write_document([crossed, flat], []), "x")), GroupRule())
    (one,) = found.features
    assert one.geometry.is_valid
    assert one.geometry.area == pytest.approx(50)
    assert found.lost["polygons that cross themselves, which become several"] == 2
    assert found.lost["polygons without an area"] == 1


def test_polygons_in_a_sub_group_for_holes_are_holes(tmp_path: Path) -> None:
    outer, hole = [(0, 0), (40, 0), (40, 40), (0, 40)], [(5, 5), (9, 5), (9, 9)]
    file = write_asap(
        tmp_path / "a.xml",
        [annotation("Polygon", hole, "h", "holes of glands"), annotation("Polygon", outer, "o", "glands")],
        [group("glands"), group("holes of glands", parent="glands")],
    )
    convert(ConvertRequest(file, tmp_path / "a.geojson"))
    (feature,) = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    assert feature["properties"]["classification"]["name"] == "glands"
    assert shape(feature["geometry"]).area == 1600 - 8
    assert len(feature["geometry"]["coordinates"]) == 2


def test_what_the_target_cannot_hold_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features = [
        {"geometry": mapping(SQUARE), "id": ID, "properties": {"objectType": "detection", "measurements": {"Area": 1}}},
        {"geometry": mapping(SQUARE), "nucleusGeometry": mapping(RING), "properties": {"objectType": "cell"}},
        {"geometry": {**mapping(SQUARE), "plane": {"c": -1, "z": 3, "t": 0}}, "properties": {}},
        {"geometry": mapping(SQUARE), "properties": {"classification": {"name": "None"}}},
        {"geometry": None, "properties": {}},
        {"geometry": mapping(SQUARE), "properties": {"classification": "squiggles"}},
    ]
    content = {"type": "FeatureCollection", "features": [{"type": "Feature", **one} for one in features]}
    (tmp_path / "a.geojson").write_text(json.dumps(content))
    convert(ConvertRequest(tmp_path / "a.geojson", tmp_path / "a.xml"))
    said = capsys.readouterr().out
    for words in (
        "objects' measurements (1)",
        "that an object is a cell (1)",
        "nuclei inside cells (1)",
        "which plane of the slide an object is on (1)",
        'the class "None", which means no group in ASAP (1)',
        "objects without a shape (1)",
        "what shapes of the class 'squiggles' are: a run goes by the group's name (1)",
        "The slide was not found, so positions were taken over as they are",
    ):
        assert words in said
    assert len(Asap(tmp_path / "a.xml").annotations) == 5


def test_results_stay_results_on_every_way(tmp_path: Path) -> None:
    """A run of ASAP replaces results that came from QuPath, and QuPath knows those of ASAP by their prompts."""
    instance = Instance(ID, ObjectKind.GLAND, TWO, "Gland", Plane(), 1.0, 0.9)
    write_results(tmp_path / "a.geojson", [instance], ObjectType.DETECTION, {})
    convert(ConvertRequest(tmp_path / "a.geojson", tmp_path / "a.xml"))
    sink = AsapSink(tmp_path / "a.xml")
    before = [one["Name"] for one in Asap(tmp_path / "a.xml").annotations]
    assert all(ResultName.parse(name).prompt_id == ID for name in before)
    sink.write(Results([instance], {}, [], {}))
    assert [one["Name"] for one in Asap(tmp_path / "a.xml").annotations] == before
    convert(ConvertRequest(tmp_path / "a.xml", tmp_path / "b.geojson"))
    convert(ConvertRequest(tmp_path / "b.geojson", tmp_path / "b.xml"))
    assert [one["Name"] for one in Asap(tmp_path / "b.xml").annotations] == before
    (feature,) = json.loads((tmp_path / "b.geojson").read_text(encoding="utf-8"))["features"]
    assert feature["id"] == ID
    assert feature["properties"]["objectType"] == "detection"
    assert feature["properties"]["classification"]["name"] == "Gland"
    assert shape(feature["geometry"]).equals(TWO)


def test_a_project_becomes_a_folder_of_files_with_what_was_drawn_and_its_results(tmp_path: Path) -> None:
    drawn = [
        Drawn(points((150, 62), (123, 39)), path_class=PathClass("Tumor"), id=ID),
        Drawn(polyline((20, 40), (60, 120))),
        Drawn(polygon((0, 0), (50, 0), (50, 50))),
        Drawn(polygon((60, 0), (70, 0), (70, 9)), type="PathDetectionObject"),
    ]
    project = write_project(tmp_path / "p", Image("a.svs", drawn), Image("b.svs"))
    run_target(RunRequest(project, device="cpu", project_access=ProjectAccess.FILES, images=["a.svs"]))
    assert convert(ConvertRequest(project, tmp_path / "asap")) == 0
    opened = Asap(tmp_path / "asap" / "a.xml")
    own = [one["Type"] for one in opened.annotations if ResultName.parse(one["Name"]) is None]
    assert own == ["Dot", "Dot", "PointSet", "Polygon"]
    assert "NuClick: Tumor" in {one["Name"] for one in opened.groups}
    assert not Asap(tmp_path / "asap" / "b.xml").annotations


def test_a_file_in_the_way_is_kept(tmp_path: Path) -> None:
    file = write_asap(tmp_path / "a.xml", dots((1, 2)))
    (tmp_path / "a.geojson").write_text("mine")
    with pytest.raises(SettingsError, match=r"a\.geojson is there already"):
        convert(ConvertRequest(file, tmp_path / "a.geojson"))
    assert (tmp_path / "a.geojson").read_text() == "mine"


def test_features_are_shifted_between_frames() -> None:
    moved = Features([Feature(SQUARE)]).shifted(Point(5, -3)).features[0].geometry
    assert moved.bounds == (15, 7, 35, 27)


@pytest.mark.parametrize(
    ("geometries", "words"),
    [
        ([{"type": "Polygon", "coordinates": []}], "0 objects, 0 of them results"),
        ([{"type": "MultiPoint", "coordinates": []}, mapping(SQUARE)], "1 object, 0 of them results"),
        ([{"type": "MultiPoint", "coordinates": [[1, 2], [3, 4]]}], "1 object as 2 annotations, 0 of them results"),
        ([{"type": "GeometryCollection", "geometries": []}], "0 objects, 0 of them results"),
        ([None], "0 objects, 0 of them results"),
    ],
)
def test_convert_counts_what_is_in_the_file_that_it_wrote(
    geometries: list[Any], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    features = [{"type": "Feature", "geometry": one, "properties": {}} for one in geometries]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    convert(ConvertRequest(tmp_path / "a.geojson", tmp_path / "a.xml"))
    said = capsys.readouterr().out
    assert f"a.xml: {words}" in said
    assert ("objects without a shape" in said) is ("2 annotations" not in said)


def test_results_are_counted_by_what_was_written_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A result without a shape is none in the file."""
    properties = {"objectType": "detection", "name": "NuClick"}
    shapes = [mapping(SQUARE), {"type": "Polygon", "coordinates": []}]
    features = [{"type": "Feature", "id": ID, "geometry": one, "properties": properties} for one in shapes]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    convert(ConvertRequest(tmp_path / "a.geojson", tmp_path / "a.xml"))
    assert "1 object, 1 of them results" in capsys.readouterr().out
