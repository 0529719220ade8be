"""What becomes of our objects in a hierarchy, by what is there and what we remember; no QuPath is needed."""

import weakref
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import orjson
import pytest
import shapely

from nuclick_wsi.choices import ObjectType
from nuclick_wsi.formats.geojson import feature_collection
from nuclick_wsi.instances import Instance
from nuclick_wsi.json_values import Json
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.runs.written_objects import WrittenObject
from qupath_extension.changes import Changes, Why, packed, plan_changes, written_object_of
from qupath_extension.qpdata.hierarchy import PathObject, PathObjectType
from qupath_extension.qpdata.rois import Roi, RoiKind

ID, OTHER = "00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"
FAR = 180_000.25


def feature(shift: float = 0, class_name: str | None = "Tumor", identity: str = ID) -> Json:
    polygon = shapely.Polygon([(FAR + shift, 5), (FAR + shift + 9.3, 5), (FAR + shift + 4, 12.25)])
    instance = Instance(identity, ObjectKind.NUCLEUS, polygon, class_name, Plane(), 1.0, 0.5)
    return feature_collection([instance], ObjectType.DETECTION, {})["features"][0]


def drawn(one: Json) -> PathObject:
    """An object as QuPath keeps it: vertices in single precision."""
    ring = np.array(one["geometry"]["coordinates"][0][:-1], np.float32)
    name = one["properties"].get("classification", {}).get("name")
    roi = Roi(RoiKind.POLYGON, Plane(), ring[:, 0], ring[:, 1])
    return PathObject(PathObjectType.DETECTION, one["id"], None, None, name, False, {}, roi)


def text(one: Json) -> dict[str, bytes]:
    """A feature as a plan of changes holds it."""
    return {one["id"]: orjson.dumps(one)}


def cell(reach: float = 2) -> Json:
    outline, nucleus = shapely.box(FAR, 5, FAR + 9, 15), shapely.box(FAR + 1, 6, FAR + 1 + reach, 8)
    instances = [
        Instance(ID, ObjectKind.CELL, outline, "Tumor", Plane(), 1.0, 0.5),
        Instance(OTHER, ObjectKind.NUCLEUS, nucleus, "Tumor", Plane(), 1.0, 0.5),
    ]
    return feature_collection(instances, ObjectType.DETECTION, {})["features"][0]


def drawn_cell(one: Json) -> PathObject:
    inner = drawn({**one, "geometry": one["nucleusGeometry"]}).roi
    return replace(drawn(one), type=PathObjectType.CELL, nucleus=inner)


def plan(
    objects: list[PathObject],
    written: dict[str, list[WrittenObject]],
    features: list[Json],
    spared: tuple[str, ...] = (),
) -> Changes:
    return plan_changes(objects, written, features, spared)


WRITTEN = {ID: [written_object_of(drawn(feature()), packed(feature()))]}


def test_what_is_not_there_is_added() -> None:
    changes = plan([], {}, [feature()])
    assert (changes.add, changes.obsolete, changes.kept) == (text(feature()), [], {})


def test_what_is_there_as_it_should_be_is_left_alone() -> None:
    changes = plan([drawn(feature())], WRITTEN, [feature()])
    assert (changes.new, changes.obsolete, changes.unchanged, changes.written) == ({}, [], [ID], WRITTEN)


def test_what_changed_is_replaced_and_what_is_gone_is_removed() -> None:
    changes = plan([drawn(feature())], WRITTEN, [feature(shift=1)])
    assert (changes.replace, changes.obsolete, changes.written) == (text(feature(shift=1)), [ID], {})
    changes = plan([drawn(feature())], WRITTEN, [])
    assert (changes.new, changes.obsolete, changes.written) == ({}, [ID], {})


def test_what_was_written_for_prompts_that_were_not_asked_for_stays() -> None:
    changes = plan([drawn(feature())], WRITTEN, [], spared=(ID,))
    assert (changes.obsolete, changes.written) == ([], WRITTEN)


def test_what_the_user_deleted_comes_back() -> None:
    assert plan([], WRITTEN, [feature()]).add == text(feature())


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"is_locked": True}, Why.LOCKED),
        ({"class_name": "Stroma"}, Why.RECLASSIFIED),
        ({"type": PathObjectType.ANNOTATION}, Why.CONVERTED),
        ({"name": "mine"}, Why.NAMED),
        ({"roi": drawn(feature(shift=0.5)).roi}, Why.EDITED),
    ],
)
def test_what_the_user_changed_is_kept_whether_its_prompt_changed_or_went(change: dict, why: Why) -> None:
    changed = replace(drawn(feature()), **change)
    for wanted in ([feature()], [feature(shift=1)], []):
        changes = plan([changed], WRITTEN, wanted)
        assert (changes.new, changes.obsolete, changes.kept) == ({}, [], {ID: why})
        assert changes.written == (WRITTEN if wanted else {})


def test_an_annotation_made_of_our_detection_is_kept_under_its_new_id() -> None:
    converted = replace(drawn(feature()), type=PathObjectType.ANNOTATION, id=OTHER)
    changes = plan([converted], WRITTEN, [feature(shift=1)])
    assert (changes.new, changes.kept) == ({}, {ID: Why.CONVERTED})
    assert plan([converted], WRITTEN, []).obsolete == []


def test_an_object_with_our_id_of_which_nothing_is_known_is_taken_over_only_if_it_is_what_we_would_write() -> None:
    same = plan([drawn(feature())], {}, [feature()])
    assert (same.unchanged, same.new, same.kept) == ([ID], {}, {})
    assert same.written == WRITTEN
    for other in (feature(shift=1), feature(class_name="Stroma"), feature(class_name=None)):
        changes = plan([drawn(feature())], {}, [other])
        assert (changes.new, changes.obsolete, changes.kept) == ({}, [], {ID: Why.UNKNOWN})


def test_two_objects_of_one_id_are_replaced_only_if_both_are_ours() -> None:
    ours = drawn(feature())
    assert plan([ours, ours], WRITTEN, [feature(shift=1)]).obsolete == [ID]
    assert plan([ours, replace(ours, is_locked=True)], WRITTEN, [feature(shift=1)]).kept == {ID: Why.LOCKED}


def test_a_run_that_was_killed_while_it_wrote_knows_its_objects_whichever_file_is_there() -> None:
    old, new = feature(), feature(shift=1)
    both = {ID: [written_object_of(drawn(one), packed(one)) for one in (old, new)]}
    assert plan([drawn(new)], both, [new]).unchanged == [ID]
    assert plan([drawn(old)], both, [new]).replace == text(new)
    assert plan([], both, [new]).add == text(new)


def test_a_cell_is_what_its_outline_and_its_nucleus_are() -> None:
    written = {ID: [written_object_of(drawn_cell(cell()), packed(cell()))]}
    assert plan([drawn_cell(cell())], written, [cell()]).unchanged == [ID]
    assert plan([drawn_cell(cell())], written, [cell(reach=3)]).replace == text(cell(reach=3))
    assert plan([drawn_cell(cell(reach=3))], written, [cell()]).kept == {ID: Why.EDITED}
    for other in (drawn_cell(cell(reach=3)), replace(drawn_cell(cell()), nucleus=None)):
        assert plan([other], {}, [cell()]).kept == {ID: Why.UNKNOWN}
    assert plan([drawn_cell(cell())], {}, [cell()]).written == written


def test_a_detection_becomes_a_cell_and_the_nucleus_beside_it_goes() -> None:
    alone = feature(identity=OTHER)
    before = {**WRITTEN, OTHER: [written_object_of(drawn(alone), packed(alone))]}
    changes = plan([drawn(feature()), drawn(alone)], before, [cell()])
    assert (changes.replace, changes.remove, changes.kept) == (text(cell()), [OTHER], {})


def test_what_is_new_is_a_collection_in_the_order_of_the_features_and_of_their_entries() -> None:
    wanted = [feature(), feature(shift=40, identity=OTHER)]
    changes = plan([], {}, wanted)
    assert changes.new_content() == orjson.dumps({"type": "FeatureCollection", "features": wanted})
    assert plan([], {}, []).new_content() == orjson.dumps({"type": "FeatureCollection", "features": []})


def test_features_are_not_held_as_values() -> None:
    """Packed as it comes, a feature takes a part of what its lists of numbers take."""
    alive = []

    class Watched(dict):  # type: ignore[type-arg]
        pass

    def features() -> Iterator[Json]:
        for number in range(50):
            one = Watched(feature(identity=f"{number}"))
            alive.append(weakref.ref(one))
            yield one

    changes = plan_changes((), {}, features(), ())
    assert len(changes.add) == 50
    assert sum(each() is not None for each in alive) <= 1
