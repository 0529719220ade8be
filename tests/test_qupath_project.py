import json
import math
import re
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from qpdata_writer import (
    Drawn,
    PathClass,
    QpdataWriter,
    Roi,
    geometry,
    line,
    points,
    polygon,
    polyline,
    qpdata,
    rectangle,
)

from nuclick_wsi.errors import ProjectError, SlideError
from nuclick_wsi.geometry import Point, Size
from nuclick_wsi.instances import PromptSet, Reason
from nuclick_wsi.prompts import Click, ObjectChoice, ObjectKind, Plane, Role, Squiggle
from nuclick_wsi.scale import PixelSize
from qupath_extension.project import Project, read_project
from qupath_extension.qpdata.hierarchy import ImageData, PathObjectType, read_image_data
from qupath_extension.qpdata.rois import RoiKind
from qupath_extension.selection import prompts_of

AUTO = ObjectChoice.AUTO
TUMOR = PathClass("Tumor")


def data_of(tmp_path: Path, *objects: Drawn, version: int = 3) -> ImageData:
    path = tmp_path / "data.qpdata"
    path.write_bytes(qpdata(*objects, version=version))
    return read_image_data(path)


def prompts(tmp_path: Path, *objects: Drawn) -> PromptSet:
    return prompts_of(data_of(tmp_path, *objects).objects, AUTO)


def builder(**changes: Any) -> dict[str, Any]:
    length = {"value": 0.25, "unit": "µm"}
    made = {
        "builderType": "uri",
        "providerClassName": "qupath.lib.images.servers.openslide.OpenslideServerBuilder",
        "uri": "file:/old/p/slides/a.svs",
        "args": [],
        "metadata": {
            "name": "a.svs",
            "width": 400,
            "height": 300,
            "sizeZ": 5,
            "sizeT": 2,
            "pixelCalibration": {"pixelWidth": length, "pixelHeight": {**length, "value": 0.5}},
        },
    }
    return {**made, **changes}


def project_of(tmp_path: Path, *builders: Any, **changes: Any) -> Path:
    images = [
        {"serverBuilder": one, "entryID": number, "imageName": f"image {number}", "metadata": {"stain": "H&E"}}
        for number, one in enumerate(builders, start=1)
    ]
    content = {"version": "0.5.1", "uri": "file:/old/p/project.qpproj", "images": images, **changes}
    path = tmp_path / "project.qpproj"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


# --- objects ---------------------------------------------------------------------------------------------------------


def test_an_object_keeps_all_that_was_written(tmp_path: Path) -> None:
    drawn = Drawn(
        points((1.5, 2.5), (3, 4), z=3, t=1),
        path_class=PathClass("Positive", -3657166, TUMOR),
        name="clicks – ✓",
        is_locked=True,
        metadata={"ANNOTATION_DESCRIPTION": "some text"},
    )
    data = data_of(tmp_path, drawn)
    (one,) = data.objects
    assert (one.type, one.id, one.parent, one.name) == (PathObjectType.ANNOTATION, drawn.id, None, drawn.name)
    assert (one.class_name, one.is_locked, one.metadata) == ("Tumor: Positive", True, drawn.metadata)
    assert one.roi is not None
    assert (one.roi.kind, one.roi.plane) == (RoiKind.POINTS, Plane(z=3, t=1))
    np.testing.assert_array_equal(one.roi.vertices, [[1.5, 2.5], [3, 4]])
    assert data.class_colors == {"Tumor: Positive": (200, 50, 50)}


def test_vertices_are_float32_as_qupath_stores_them(tmp_path: Path) -> None:
    (one,) = data_of(tmp_path, Drawn(points((0.1, 1 / 3)))).objects
    assert one.roi is not None
    np.testing.assert_array_equal(one.roi.vertices, np.array([[0.1, 1 / 3]], np.float32).astype(float))


@pytest.mark.parametrize(
    ("name", "object_type"),
    [
        ("PathAnnotationObject", PathObjectType.ANNOTATION),
        ("PathDetectionObject", PathObjectType.DETECTION),
        ("PathCellObject", PathObjectType.CELL),
        ("PathTileObject", PathObjectType.TILE),
        ("TMACoreObject", PathObjectType.TMA_CORE),
        ("PathFutureObject", PathObjectType.OTHER),
    ],
)
def test_every_type_of_object_is_known(name: str, object_type: PathObjectType, tmp_path: Path) -> None:
    nucleus = polygon((1, 1), (2, 1), (2, 2)) if object_type is PathObjectType.CELL else None
    (one,) = data_of(tmp_path, Drawn(polygon((0, 0), (9, 0), (9, 9)), name, nucleus=nucleus)).objects
    assert one.type is object_type
    assert (one.nucleus is not None) == (nucleus is not None)


def test_a_detection_without_a_nucleus_or_a_shape_is_read(tmp_path: Path) -> None:
    data = data_of(tmp_path, Drawn(polygon((0, 0), (9, 0), (9, 9)), "PathCellObject"), Drawn(None))
    assert [one.nucleus for one in data.objects] == [None, None]
    assert data.objects[1].roi is None


def test_children_come_after_their_parent_and_name_it(tmp_path: Path) -> None:
    square = polygon((0, 0), (9, 0), (9, 9))
    grandchild = Drawn(points((1, 1)), name="c")
    tree = Drawn(square, name="a", children=[Drawn(square, name="b", children=[grandchild]), Drawn(square, name="d")])
    data = data_of(tmp_path, tree, Drawn(square, name="e"))
    assert [(one.name, one.parent) for one in data.objects] == [("a", None), ("b", 0), ("c", 1), ("d", 0), ("e", None)]


def test_a_hierarchy_may_be_nested_deeper_than_python_s_stack(tmp_path: Path) -> None:
    tree = Drawn(points((1, 2)))
    for _ in range(5_000):
        tree = Drawn(rectangle(0, 0, 9, 9), children=[tree])
    data = data_of(tmp_path, tree)
    assert len(data.objects) == 5_001
    assert len(prompts_of(data.objects, AUTO).prompts) == 1


def test_version_4_of_the_file_keeps_ids_and_metadata(tmp_path: Path) -> None:
    drawn = Drawn(points((1, 2)), metadata={"a": "b"}, children=[Drawn(points((3, 4)))])
    data = data_of(tmp_path, drawn, version=4)
    assert [one.id for one in data.objects] == [drawn.id, drawn.children[0].id]
    assert data.objects[0].metadata == {"a": "b"}


def test_files_from_before_ids_give_stable_prompts(tmp_path: Path) -> None:
    first, second = Drawn(points((1, 2), (3, 4)), id=None), Drawn(polyline((0, 0), (9, 9)), id=None)
    data = data_of(tmp_path, first, second)
    assert [one.id for one in data.objects] == [None, None]
    again = data_of(tmp_path, second, first)
    ids = [{prompt.id for prompt in prompts_of(one.objects, AUTO).prompts} for one in (data, again)]
    assert ids[0] == ids[1]
    assert len(ids[0]) == 3


def test_an_id_that_is_no_uuid_counts_as_none(tmp_path: Path) -> None:
    assert data_of(tmp_path, Drawn(points((1, 2)), id="mine")).objects[0].id is None


def test_a_roi_of_a_later_version_is_a_region(tmp_path: Path) -> None:
    data = data_of(tmp_path, Drawn(Roi("SplineROI$", (("knots", "[F", [1.0, 2.0]),))))
    assert prompts_of(data.objects, AUTO).left_alone == {"region": 1}


# --- prompts ---------------------------------------------------------------------------------------------------------


def test_points_are_clicks_of_their_object_s_class(tmp_path: Path) -> None:
    found = prompts(tmp_path, Drawn(points((1, 2), (3, 4)), path_class=PathClass("Tumeur – épithélium ✓ 🔬")))
    assert [prompt.signal for prompt in found.prompts] == [Click(Point(1, 2)), Click(Point(3, 4))]
    assert {prompt.class_name for prompt in found.prompts} == {"Tumeur – épithélium ✓ 🔬"}


@pytest.mark.parametrize(
    "roi",
    [
        line(1, 2, 8, 9),
        polyline((1, 2), (8, 9)),
        geometry(shapely.LineString([(1, 2), (8, 9)])),
        geometry(shapely.GeometryCollection([shapely.LineString([(1, 2), (8, 9)])])),
    ],
)
def test_lines_of_every_kind_are_squiggles(roi: Roi, tmp_path: Path) -> None:
    (prompt,) = prompts(tmp_path, Drawn(roi)).prompts
    assert prompt.kind is ObjectKind.GLAND
    assert prompt.signal == Squiggle(((Point(1, 2), Point(8, 9)),))


def test_the_strokes_of_one_object_stay_apart(tmp_path: Path) -> None:
    roi = geometry(shapely.MultiLineString([[(1, 2), (8, 9)], [(20, 20), (30, 20), (30, 25)]]))
    (prompt,) = prompts(tmp_path, Drawn(roi)).prompts
    strokes = ((Point(1, 2), Point(8, 9)), (Point(20, 20), Point(30, 20), Point(30, 25)))
    assert prompt.signal == Squiggle(strokes)


def test_regions_and_objects_of_other_tools_are_left_alone(tmp_path: Path) -> None:
    square = polygon((0, 0), (9, 0), (9, 9))
    found = prompts(
        tmp_path,
        Drawn(square),
        Drawn(rectangle(0, 0, 5, 5)),
        Drawn(geometry(shapely.box(0, 0, 5, 5))),
        Drawn(geometry(shapely.GeometryCollection([shapely.box(0, 0, 5, 5), shapely.LineString([(0, 0), (1, 1)])]))),
        Drawn(Roi("EllipseROI$", rectangle(0, 0, 5, 5).fields)),
        Drawn(square, "PathDetectionObject"),
        Drawn(points((1, 2)), "PathDetectionObject"),
        Drawn(square, "PathCellObject"),
        Drawn(square, "PathTileObject"),
        Drawn(None),
    )
    assert not found.prompts
    assert not found.rejections
    assert found.left_alone == {"region": 6, "detection": 2, "cell": 1, "tile": 1}


def test_locked_prompts_are_prompts(tmp_path: Path) -> None:
    assert len(prompts(tmp_path, Drawn(points((1, 2)), is_locked=True)).prompts) == 1


def test_what_cannot_be_a_prompt_is_rejected_by_name(tmp_path: Path) -> None:
    found = prompts(
        tmp_path,
        Drawn(points(), name="no points", path_class=TUMOR),
        Drawn(points((math.nan, 1)), name="nowhere"),
        Drawn(line(5, 5, 5, 5), name="a dot"),
        Drawn(geometry(shapely.from_wkt("MULTILINESTRING ((1 1, 1 1), (1 1, 2 2))")), name="fine"),
    )
    assert [(rejection.reason, rejection.detail, rejection.class_name) for rejection in found.rejections] == [
        (Reason.NO_POINTS, "annotation 'no points'", "Tumor"),
        (Reason.NOT_FINITE, "annotation 'nowhere' (nan, 1.0)", None),
        (Reason.NO_LENGTH, "annotation 'a dot' at (5, 5)", None),
    ]
    assert len(found.prompts) == 1


# --- damage ----------------------------------------------------------------------------------------------------------

SMALL = qpdata(
    Drawn(points((1, 2), (3, 4)), name="clicks", path_class=PathClass("Positive", 7, TUMOR), id=str(uuid.UUID(int=1))),
    Drawn(
        geometry(shapely.MultiLineString([[(1, 2), (8, 9)], [(2, 2), (3, 3)]])),
        id=str(uuid.UUID(int=2)),
        children=[Drawn(line(0, 0, 5, 5), id=str(uuid.UUID(int=3)))],
    ),
)


def described(data: ImageData) -> list[Any]:
    return [(one.id, one.name, one.class_name, one.parent) for one in data.objects]


def test_a_file_cut_anywhere_is_refused_or_complete(tmp_path: Path) -> None:
    path = tmp_path / "data.qpdata"
    path.write_bytes(SMALL)
    whole = described(read_image_data(path))
    complete = 0
    for length in range(len(SMALL)):
        path.write_bytes(SMALL[:length])
        try:
            assert described(read_image_data(path)) == whole
            complete += 1
        except ProjectError as error:
            assert str(path) in str(error)  # noqa: PT017 - either outcome is right
    # Only what follows the objects may be missing: an end mark's worth of bytes.
    assert complete < 10


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(changes=st.lists(st.tuples(st.integers(4, len(SMALL) - 1), st.integers(0, 255)), min_size=1, max_size=4))
def test_a_damaged_file_is_read_or_refused(changes: list[tuple[int, int]], tmp_path: Path) -> None:
    data = bytearray(SMALL)
    for place, value in changes:
        data[place] = value
    path = tmp_path / "data.qpdata"
    path.write_bytes(data)
    try:
        prompts_of(read_image_data(path).objects, AUTO)
    except ProjectError as error:
        assert str(path) in str(error)  # noqa: PT017 - either outcome is right


def test_a_truncated_file_names_the_byte_and_the_copy_that_qupath_left(tmp_path: Path) -> None:
    path = tmp_path / "data.qpdata"
    path.write_bytes(SMALL[:700])
    with pytest.raises(ProjectError, match=r"data\.qpdata cannot be read: .* of 700\. Restore a copy"):
        read_image_data(path)
    (tmp_path / "data.qpdata.bkp").touch()
    with pytest.raises(ProjectError, match=r"copy beside it, data\.qpdata\.bkp: rename"):
        read_image_data(path)


def test_a_stream_without_objects_is_refused(tmp_path: Path) -> None:
    writer = QpdataWriter()
    writer.string("EOF")
    (tmp_path / "data.qpdata").write_bytes(bytes(writer.data))
    with pytest.raises(ProjectError, match="holds no objects of QuPath"):
        read_image_data(tmp_path / "data.qpdata")


def test_an_object_that_is_in_the_hierarchy_twice_is_refused(tmp_path: Path) -> None:
    ring = Drawn(rectangle(0, 0, 9, 9))
    ring.children.append(ring)
    twin = Drawn(points((1, 2)))
    for objects in ([ring], [twin, twin]):
        with pytest.raises(ProjectError, match="in the hierarchy twice"):
            data_of(tmp_path, *objects)


# --- projects --------------------------------------------------------------------------------------------------------


def test_a_project_is_found_by_file_and_by_folder(tmp_path: Path) -> None:
    path = project_of(tmp_path, builder(), builder())
    for given_path in (path, tmp_path):
        project = read_project(given_path)
        assert (project.path, project.folder, project.version) == (path, tmp_path, "0.5.1")
        assert [image.name for image in project.images] == ["image 1", "image 2"]


def test_an_image_keeps_what_the_project_says_of_it(tmp_path: Path) -> None:
    (image,) = read_project(project_of(tmp_path, builder(args=["--no-crop", "--series", "0"]))).images
    assert (image.entry_id, image.metadata, image.description) == ("1", {"stain": "H&E"}, None)
    assert (image.size, image.pixel_size) == (Size(400, 300), PixelSize(0.25, 0.5))
    assert (image.server.z_count, image.server.t_count) == (5, 2)
    assert (image.server.uri, image.refusal) == ("file:/old/p/slides/a.svs", None)
    assert not image.server.crops_to_bounds


def test_only_the_first_image_of_a_file_with_several_is_taken(tmp_path: Path) -> None:
    path = project_of(tmp_path, builder(args=["--series", "0"]), builder(args=["--series", "2"]))
    first, third = read_project(path).images
    assert first.refusal is None
    assert "image number 2" in str(third.refusal)


@pytest.mark.parametrize(
    ("provider", "args", "crops"),
    [("OpenslideServerBuilder", [], True), ("OpenslideServerBuilder", ["--no-crop"], False), ("BioFormats", [], False)],
)
def test_only_openslide_crops_to_bounds(provider: str, args: list[str], crops: bool, tmp_path: Path) -> None:
    (image,) = read_project(project_of(tmp_path, builder(providerClassName=provider, args=args))).images
    assert image.server.crops_to_bounds is crops


@pytest.mark.parametrize(
    "side", [{"value": 1.0, "unit": "px"}, {"value": 0, "unit": "µm"}, {"value": "x", "unit": "µm"}, {}, None]
)
def test_a_pixel_size_that_is_none_counts_as_none(side: Any, tmp_path: Path) -> None:
    metadata = {"width": 1, "height": 1, "pixelCalibration": {"pixelWidth": side, "pixelHeight": side}}
    (image,) = read_project(project_of(tmp_path, builder(metadata=metadata))).images
    assert image.pixel_size is None


def test_the_server_file_says_what_the_project_does_not(tmp_path: Path) -> None:
    bare = {key: value for key, value in builder().items() if key != "metadata"}
    path = project_of(tmp_path, bare)
    (tmp_path / "data" / "1").mkdir(parents=True)
    server = {"builder": bare, "metadata": builder()["metadata"]}
    (tmp_path / "data" / "1" / "server.json").write_text(json.dumps(server), encoding="utf-8")
    (image,) = read_project(path).images
    assert (image.size, image.pixel_size) == (Size(400, 300), PixelSize(0.25, 0.5))


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        ({"builderType": "rotated", "rotation": "ROTATE_90", "builder": builder()}, r"a rotated \(ROTATE_90\) version"),
        ({"builderType": "affine", "builder": builder()}, "a affine version of the slide.*add the plain slide"),
        ({"builderType": "cropped", "builder": {"builderType": "rotated", "builder": builder()}}, "a cropped version"),
        ({"builderType": "sparse", "regions": []}, "a sparse version"),
        (builder(uri="http://omero/1"), "http://omero/1 is not a file; download"),
        (builder(uri=None), "names no slide"),
        (None, "does not say how to open it"),
        ({}, "does not say how to open it"),
    ],
)
def test_an_image_that_is_not_the_plain_slide_is_refused_with_a_way_out(one: Any, reason: str, tmp_path: Path) -> None:
    (image,) = read_project(project_of(tmp_path, one)).images
    assert re.search(reason, image.refusal or "")


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"isRGB": True, "pixelType": "UINT8", "channels": [{}, {}, {}]}, None),
        ({"isRGB": False, "pixelType": "UINT8", "channels": [{}]}, None),
        ({}, None),
        ({"isRGB": False, "pixelType": "UINT8", "channels": [{}, {}, {}]}, "3 channels of type UINT8"),
        ({"isRGB": False, "pixelType": "UINT16", "channels": [{}]}, "1 channel of type UINT16"),
        ({"isRGB": False, "pixelType": "FLOAT32", "channels": [{}, {}]}, "2 channels of type FLOAT32"),
        ({"isRGB": False, "pixelType": "UINT16"}, "1 channel of type UINT16"),
    ],
)
def test_an_image_that_is_no_brightfield_picture_to_qupath_is_refused(
    said: Any, reason: str | None, tmp_path: Path
) -> None:
    (image,) = read_project(project_of(tmp_path, builder(metadata={**builder()["metadata"], **said}))).images
    assert image.refusal is None if reason is None else reason in str(image.refusal)


def test_class_colours_come_from_the_project(tmp_path: Path) -> None:
    path = project_of(tmp_path)
    (tmp_path / "classifiers").mkdir()
    classes = [{"name": "Tumor", "color": -3670016}, {"name": "No colour"}, 7]
    (tmp_path / "classifiers" / "classes.json").write_text(json.dumps({"pathClasses": classes}), encoding="utf-8")
    assert read_project(path).class_colors == {"Tumor": (200, 0, 0)}


@pytest.mark.parametrize("there", [(), ("thumbnail.jpg",), ("thumbnail.jpg", "server.json", "summary.json")])
def test_an_image_on_which_nothing_was_saved_has_no_prompts(there: tuple[str, ...], tmp_path: Path) -> None:
    (image,) = read_project(project_of(tmp_path, builder())).images
    image.folder.mkdir(parents=True)
    for name in there:
        (image.folder / name).write_text('{"hierarchy": {"nObjects": 1}}', encoding="utf-8")
    assert image.prompts(AUTO) == PromptSet((), (), {})


@pytest.mark.parametrize(
    ("summary", "sign"),
    [
        ({"hierarchy": {"nObjects": 7}}, "summary.json beside it counts 6 objects"),
        ({}, "summary.json beside it tells of one"),
    ],
)
def test_an_image_that_has_lost_its_data_is_not_one_without_prompts(
    summary: dict[str, Any], sign: str, tmp_path: Path
) -> None:
    (image,) = read_project(project_of(tmp_path, builder())).images
    with pytest.raises(ProjectError, match=r"1/data\.qpdata is not there, and the project has no folder data at all"):
        image.prompts(AUTO)
    image.folder.parent.mkdir()
    with pytest.raises(ProjectError, match=r"1/data\.qpdata is not there, and the project has no folder data/1"):
        image.prompts(AUTO)
    image.folder.mkdir()
    (image.folder / "summary.json").write_text(json.dumps(summary), encoding="utf-8")
    with pytest.raises(ProjectError, match=rf"{sign}: the project was probably copied by half\. Copy .* data/1"):
        image.prompts(AUTO)


def test_real_images_that_were_never_saved_are_told_from_those_that_lost_their_data(shared_data: Path) -> None:
    lost, _, never = read_project(shared_data / "qupath" / "v0.5.1_colon").images
    assert never.prompts(AUTO) == PromptSet((), (), {})
    with pytest.raises(ProjectError, match="counts 13378 objects"):
        lost.prompts(AUTO)
    (without,) = read_project(shared_data.parent / "cases" / "project-without-data" / "project").images
    with pytest.raises(ProjectError, match=r"data/1/data\.qpdata is not there"):
        without.prompts(AUTO)


def test_a_save_that_a_crash_interrupted_is_not_an_image_without_prompts(tmp_path: Path) -> None:
    (image,) = read_project(project_of(tmp_path, builder())).images
    image.folder.mkdir(parents=True)
    (image.folder / "data.qpdata.bkp").write_bytes(SMALL)
    with pytest.raises(ProjectError, match=r"data\.qpdata cannot be read: .*data\.qpdata\.bkp: rename"):
        image.prompts(AUTO)


def test_a_moved_project_finds_its_slides(tmp_path: Path) -> None:
    (image,) = read_project(project_of(tmp_path, builder())).images
    with pytest.raises(SlideError, match="was not found"):
        image.find_slide()
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "a.svs").touch()
    assert image.find_slide() == tmp_path / "slides" / "a.svs"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is not JSON"),
        ("not json", "is not JSON"),
        ('{"version": "0.5.1", "images": [{"serv', "is not JSON"),
        ("[1]", "holds a JSON list"),
        ("{}", r"not a project that can be read: .*\(no QuPath version wrote it\)"),
        ('{"version": "9.0", "slides": []}', r"\(QuPath 9.0 wrote it\). Projects of QuPath 0.2 to 0.7 can"),
        ('{"version": "0.1.2", "images": [{"path": "a.svs"}]}', "QuPath 0.1.2 wrote it"),
        ('{"images": [{"serverBuilder": {}, "entryID": "../.."}]}', "not a project that can be read"),
        ('{"images": [{"serverBuilder": {}, "entryID": null}]}', "not a project that can be read"),
    ],
)
def test_what_is_no_project_is_refused(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "project.qpproj"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ProjectError, match=message) as caught:
        read_project(path)
    assert str(path) in str(caught.value)


def test_a_project_of_a_later_version_is_read_where_it_has_the_same_shape(tmp_path: Path) -> None:
    assert len(read_project(project_of(tmp_path, builder(), version="9.0", news={"a": 1})).images) == 1


def test_a_damaged_project_file_names_the_copy_that_qupath_left(tmp_path: Path) -> None:
    (tmp_path / "project.qpproj").write_text("{", encoding="utf-8")
    (tmp_path / "project.qpproj.backup").touch()
    with pytest.raises(ProjectError, match=r"project\.qpproj\.backup: rename that one to project\.qpproj"):
        read_project(tmp_path)


def test_a_folder_must_hold_exactly_one_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="does not exist"):
        read_project(tmp_path / "nothing")
    with pytest.raises(ProjectError, match=r"holds no \.qpproj"):
        read_project(tmp_path)
    for name in ("a", "b"):
        (tmp_path / f"{name}.qpproj").touch()
    with pytest.raises(ProjectError, match=r"holds 2 projects \(a.qpproj, b.qpproj\)"):
        read_project(tmp_path)


# --- what QuPath itself has written ----------------------------------------------------------------------------------


def projects(shared_data: Path) -> list[Project]:
    return [read_project(path) for path in sorted((shared_data / "qupath").iterdir())]


def test_counts_agree_with_qupath_s_own_in_every_real_file(shared_data: Path) -> None:
    names = {
        "Annotations": PathObjectType.ANNOTATION,
        "Detections": PathObjectType.DETECTION,
        "Cells": PathObjectType.CELL,
        "Tiles": PathObjectType.TILE,
        "TMA cores": PathObjectType.TMA_CORE,
    }
    files = sorted((shared_data / "qupath").glob("*/data/*/data.qpdata"))
    for path in files:
        objects = read_image_data(path).objects
        summary = json.loads((path.parent / "summary.json").read_text(encoding="utf-8"))["hierarchy"]
        counts = {names[name]: n for name, n in summary["objectTypeCounts"].items() if name != "Root objects"}
        assert Counter(one.type for one in objects) == counts, path
        for kind, key in ((PathObjectType.ANNOTATION, "annotation"), (PathObjectType.DETECTION, "detection")):
            classes = Counter(one.class_name or "Unclassified" for one in objects if one.type is kind)
            if kind is PathObjectType.DETECTION:
                classes += Counter(
                    one.class_name or "Unclassified" for one in objects if one.type is PathObjectType.CELL
                )
            assert classes == summary[f"{key}ClassificationCounts"], path
    assert len(files) == 146


def test_the_demo_has_the_positions_that_were_drawn(shared_data: Path) -> None:
    folder = shared_data / "qupath" / "demo_v0.5.1"
    truth = json.loads((folder / "prompts.json").read_text(encoding="utf-8"))
    (image,) = read_project(folder).images
    found = image.prompts(AUTO)
    clicks = {(p.signal.point.x, p.signal.point.y, p.class_name) for p in found.prompts if isinstance(p.signal, Click)}
    assert clicks == {tuple(click) for click in truth["clicks"]}
    squiggles = {prompt.signal for prompt in found.prompts if isinstance(prompt.signal, Squiggle)}
    assert squiggles == {Squiggle((tuple(Point(x, y) for x, y in one),)) for one in truth["squiggles"].values()}
    assert (len(found.prompts), len({prompt.id for prompt in found.prompts})) == (108, 108)
    assert not found.rejections


def test_edge_cases_come_out_as_they_were_made(shared_data: Path) -> None:
    first, *others = read_project(shared_data / "qupath" / "edge_cases_v0.5.1").images
    found = first.prompts(AUTO)
    assert Counter((prompt.kind, prompt.role) for prompt in found.prompts) == {
        (ObjectKind.NUCLEUS, Role.SEGMENT): 27,
        (ObjectKind.NUCLEUS, Role.EXCLUDE_ONLY): 4,
        (ObjectKind.GLAND, Role.EXCLUDE_ONLY): 4,
        (ObjectKind.GLAND, Role.SEGMENT): 4,
    }
    assert [(rejection.reason, rejection.detail) for rejection in found.rejections] == [
        (Reason.NO_POINTS, "annotation 'no points'")
    ]
    assert found.left_alone == {"region": 1, "detection": 20, "cell": 1}
    assert {prompt.plane for prompt in found.prompts} == {Plane(), Plane(z=3)}
    classes = {None, "Tumor", "Ignore*", "Tumor: Positive", "Tumeur – épithélium ✓"}
    assert {prompt.class_name for prompt in found.prompts} == classes
    assert len({prompt.id for prompt in found.prompts}) == 39
    assert [len(image.prompts(AUTO).prompts) for image in others] == [5, 5, 5, 0, 1]
    assert [image.refusal is not None for image in (first, *others)] == [False] * 5 + [True]
    assert [image.pixel_size is None for image in (first, *others)] == [False, True, False, False, False, False]


def test_moved_projects_find_the_slides_that_lie_below_them(shared_data: Path) -> None:
    for name in ("big_v0.5.1", "demo_v0.5.1", "tissue_v0.5.1"):
        for image in read_project(shared_data / "qupath" / name).images:
            assert image.find_slide().is_relative_to(shared_data / "qupath" / name / "slides")


def test_projects_of_all_versions_are_read(shared_data: Path) -> None:
    versions = {project.version: len(project.images) for project in projects(shared_data)}
    assert versions.keys() >= {"0.3.2", "0.4.0", "0.5.1", "0.6.0-rc3"}
    assert (versions["0.3.2"], versions["0.6.0-rc3"]) == (434, 107)


def test_the_two_strokes_of_the_tissue_project_are_one_gland(shared_data: Path) -> None:
    image = read_project(shared_data / "qupath" / "tissue_v0.5.1").images[1]
    squiggles = [prompt.signal for prompt in image.prompts(AUTO).prompts if isinstance(prompt.signal, Squiggle)]
    assert sorted(len(squiggle.strokes) for squiggle in squiggles) == [1] * 15 + [2]
