"""Results are GeoJSON that QuPath takes as it is."""

import json
import uuid
from dataclasses import replace
from pathlib import Path

import geojson
import shapely
from hypothesis import given
from hypothesis import strategies as st

from nuclick_wsi.choices import ObjectType
from nuclick_wsi.geojson import color_of, feature_collection, write_results
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind, Plane

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
    assert one["properties"] == {
        "objectType": "detection",
        "classification": {"name": "Tumor", "color": [200, 0, 0]},
        "measurements": {"Area µm^2": 4.0, "NuClick: Mean probability": 0.9123},
    }
    assert feature(instance(), ObjectType.ANNOTATION)["properties"]["objectType"] == "annotation"


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


@given(st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip))
def test_a_class_of_any_unicode_comes_back_and_its_colour_depends_on_its_name_alone(class_name: str) -> None:
    one = feature(instance(class_name))["properties"]["classification"]
    assert one == {"name": class_name, "color": list((200, 0, 0) if class_name == "Tumor" else color_of(class_name))}
    assert all(0 <= part <= 255 for part in color_of(class_name))


def test_the_file_is_valid_geojson_whatever_order_the_instances_come_in(tmp_path: Path) -> None:
    many = [replace(instance(), prompt_id=str(uuid.UUID(int=number))) for number in range(5)]
    write_results(tmp_path / "a.geojson", many, ObjectType.DETECTION, {})
    assert not write_results(tmp_path / "a.geojson", many[::-1], ObjectType.DETECTION, {})
    collection = geojson.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))
    assert collection.is_valid, collection.errors()
    assert len(collection["features"]) == 5


def test_a_file_that_is_not_ours_is_backed_up_and_ours_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "a.geojson"
    path.write_text('{"type": "FeatureCollection", "features": []}')
    write_results(path, [instance()], ObjectType.DETECTION, {})
    write_results(path, [], ObjectType.DETECTION, {})
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.geojson", "a.geojson.backup"]
    assert (tmp_path / "a.geojson.backup").read_text() == '{"type": "FeatureCollection", "features": []}'
