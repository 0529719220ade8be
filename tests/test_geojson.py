"""Results are GeoJSON that QuPath takes as it is."""

import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import geojson
import numpy as np
import orjson
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nuclick_wsi.choices import ObjectType
from nuclick_wsi.errors import FileChangedError
from nuclick_wsi.formats import geojson as geojson_module
from nuclick_wsi.formats.geojson import feature_collection, write_results
from nuclick_wsi.formats.marks import MARK, mark_of
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.contours.outlines import outline

RING = shapely.Polygon([(0, 0), (4.25, 0), (4.25, 4), (0, 4)], [[(1, 1), (1, 2), (2, 2), (2, 1)]])


def instance(class_name: str | None = "Tumor", plane: Plane = Plane(), polygon: shapely.Geometry = RING) -> Instance:
    return Instance(
        str(uuid.uuid5(uuid.NAMESPACE_OID, str(class_name))),
        ObjectKind.NUCLEUS,
        polygon,
        class_name,
        plane,
        4.0,
        0.91234567,
    )


def feature(one: Instance, as_type: ObjectType = ObjectType.DETECTION) -> dict:
    return feature_collection([one], as_type, {"Tumor": (200, 0, 0)})["features"][0]


def test_a_feature_holds_id_type_class_colour_and_measurements() -> None:
    one = feature(instance())
    assert one["id"] == instance().prompt_id
    mark = mark_of(one["id"], "detection", "Tumor")
    assert one["properties"] == {
        "objectType": "detection",
        "classification": {"name": "Tumor", "color": [200, 0, 0]},
        "measurements": {"Area µm^2": 4.0, "NuClick: Mean probability": 0.9123, "NuClick: Mark": mark},
    }
    assert feature(instance(), ObjectType.ANNOTATION)["properties"]["objectType"] == "annotation"


def test_a_mark_tells_type_class_and_id_apart_and_fits_into_single_precision() -> None:
    one = feature(instance())
    marks = {
        one["properties"]["measurements"][MARK],
        feature(instance(), ObjectType.ANNOTATION)["properties"]["measurements"][MARK],
        feature(instance(None))["properties"]["measurements"][MARK],
        mark_of(str(uuid.uuid4()), "detection", "Tumor"),
        mark_of(one["id"], "detection", "Stroma"),
    }
    assert len(marks) == 5
    assert all(float(np.float32(mark)) == mark for mark in marks)


def test_holes_and_separate_parts_stay_what_they_are() -> None:
    assert shapely.geometry.shape(feature(instance())["geometry"]).equals(RING)
    parts = shapely.MultiPolygon([RING, shapely.box(10, 10, 12, 12)])
    assert shapely.geometry.shape(feature(instance(polygon=parts))["geometry"]).equals(parts)


def test_no_class_leaves_no_classification_and_nothing_is_null() -> None:
    for class_name in (None, "", "  "):
        assert "classification" not in feature(instance(class_name))["properties"]
    assert "null" not in json.dumps(feature(instance(None)))


def test_the_plane_is_written_only_where_it_is_not_the_usual_one() -> None:
    assert "plane" not in feature(instance())["geometry"]
    assert feature(instance(plane=Plane(z=3)))["geometry"]["plane"] == {"c": -1, "z": 3, "t": 0}


@given(
    mask=arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))).filter(np.any),
    downsample=st.floats(0.2, 40),
    corner=st.tuples(st.integers(-5, 200_000), st.integers(-5, 200_000)),
    plane=st.builds(Plane, st.integers(-1, 3), st.integers(0, 9), st.integers(0, 9)),
)
def test_any_outline_comes_back_as_it_was_written(
    mask: np.ndarray, downsample: float, corner: tuple[int, int], plane: Plane
) -> None:
    window = Window(*corner, mask.shape[1], mask.shape[0])
    polygon = outline(mask, window, Grid(downsample, 1.0))
    one = orjson.loads(orjson.dumps(feature(instance(plane=plane, polygon=polygon))))
    back = shapely.geometry.shape(one["geometry"])
    assert back.is_valid
    assert back.equals_exact(polygon, 0)
    assert one["geometry"].get("plane", {"c": -1, "z": 0, "t": 0}) == {"c": plane.c, "z": plane.z, "t": plane.t}
    assert np.array_equal(np.round(shapely.get_coordinates(back), 2), shapely.get_coordinates(back))


def test_one_part_is_one_polygon() -> None:
    assert feature(instance(polygon=shapely.MultiPolygon([RING])))["geometry"]["type"] == "Polygon"


@pytest.mark.parametrize(
    ("class_name", "written"),
    [
        ("Tumor: Positive", "Tumor: Positive"),
        ("Tumor:Positive", "Tumor: Positive"),
        (": A", "A"),
        ("A:: B", "A: B"),
        ("A\r\nB", "A B"),
        (":", None),
        ("Größe ✓ 陽性 😀", "Größe ✓ 陽性 😀"),
    ],
)
def test_class_names_are_written_so_that_qupath_imports_the_file(class_name: str, written: str | None) -> None:
    assert feature(instance(class_name))["properties"].get("classification", {}).get("name") == written


@given(st.text(st.characters(codec="utf-8")))
def test_no_class_name_has_what_qupath_refuses(class_name: str) -> None:
    one = feature(instance(class_name))["properties"].get("classification")
    if one is not None:
        assert len(one["name"].splitlines()) == 1
        assert all(part.strip() for part in one["name"].split(":"))
        assert all(0 <= part <= 255 for part in one["color"])


def test_a_class_comes_before_those_that_derive_from_it() -> None:
    names = ["Tumor: Positive: Strong", "Tumor", "Tumor: Positive"]
    features = feature_collection([instance(name) for name in names], ObjectType.DETECTION, {})["features"]
    assert [f["properties"]["classification"]["name"] for f in features] == sorted(names)


def test_the_file_is_valid_geojson_whatever_order_the_instances_come_in(tmp_path: Path) -> None:
    many = [replace(instance(), prompt_id=str(uuid.UUID(int=number))) for number in range(5)]
    write_results(tmp_path / "a.geojson", many, ObjectType.DETECTION, {})
    before = (tmp_path / "a.geojson").stat().st_mtime_ns
    write_results(tmp_path / "a.geojson", many[::-1], ObjectType.DETECTION, {})
    assert (tmp_path / "a.geojson").stat().st_mtime_ns == before
    collection = geojson.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert collection.is_valid, collection.errors()
    assert len(collection["features"]) == 5


def test_what_another_program_saves_while_results_are_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.geojson"
    write_results(path, [instance()], ObjectType.DETECTION, {})
    replace_file = geojson_module.write_if_unchanged

    def saved_first(*arguments: Any) -> None:
        path.write_bytes(b"edited")
        replace_file(*arguments)

    monkeypatch.setattr(geojson_module, "write_if_unchanged", saved_first)
    with pytest.raises(FileChangedError, match=r"a\.geojson has changed since it was read"):
        write_results(path, [], ObjectType.DETECTION, {})
    assert path.read_bytes() == b"edited"


def test_a_file_that_is_not_ours_stays_and_ours_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    write_results(path, [instance()], ObjectType.DETECTION, {})
    write_results(path, [], ObjectType.DETECTION, {})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a 2.geojson", "a.geojson"]
    assert (tmp_path / "a.geojson").read_text() == '{"type": "FeatureCollection", "features": []}'
