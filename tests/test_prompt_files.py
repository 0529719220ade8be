import contextlib
import gzip
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nuclick_wsi.errors import PromptError
from nuclick_wsi.formats.prompt_files import read_prompts
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import PromptSet, Reason
from nuclick_wsi.prompts import Click, ObjectChoice, ObjectKind, Plane, Role, Squiggle
from nuclick_wsi.scale import PixelSize

UUID = "6423a977-ffff-48db-affc-cd11632010f0"
AUTO = ObjectChoice.AUTO


def feature(kind: str, coordinates: Any, **properties: Any) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": UUID,
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"objectType": "annotation", **properties},
    }


def read(tmp_path: Path, content: Any, name: str = "prompts.geojson") -> PromptSet:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return read_prompts(path, AUTO)


def clicked(found: PromptSet) -> list[tuple[float, float]]:
    return [(p.signal.point.x, p.signal.point.y) for p in found.prompts if isinstance(p.signal, Click)]


POINT = feature("Point", [1, 2])


@pytest.mark.parametrize(
    "content",
    [
        {"type": "FeatureCollection", "features": [POINT]},
        [POINT],
        POINT,
        POINT["geometry"],
        [[POINT]],
        {"type": "FeatureCollection", "features": [{"type": "FeatureCollection", "features": [POINT]}]},
    ],
)
def test_all_that_qupath_reads_as_geojson_is_read(content: Any, tmp_path: Path) -> None:
    assert clicked(read(tmp_path, content)) == [(1, 2)]


@pytest.mark.parametrize("name", ["a.json", "a.GEOJSON"])
def test_the_ending_may_be_written_either_way(name: str, tmp_path: Path) -> None:
    assert clicked(read(tmp_path, POINT, name)) == [(1, 2)]


def test_a_byte_order_mark_is_no_hindrance(tmp_path: Path) -> None:
    assert clicked(read(tmp_path, b"\xef\xbb\xbf" + json.dumps(POINT).encode())) == [(1, 2)]


def test_gzip_and_zip_are_unpacked(tmp_path: Path) -> None:
    data = json.dumps(POINT).encode()
    assert clicked(read(tmp_path, gzip.compress(data), "a.geojson.gz")) == [(1, 2)]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("one.geojson", data)
        archive.writestr("two.json", data)
        archive.writestr("readme.txt", "no prompts")
    assert clicked(read_prompts(tmp_path / "a.zip", AUTO)) == [(1, 2), (1, 2)]


def test_points_are_clicks_and_lines_are_squiggles(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        [
            feature("MultiPoint", [[1, 2], [3, 4, 99]]),
            feature("LineString", [[0, 0], [5, 5]]),
            feature("MultiLineString", [[[0, 0], [5, 0]], [[9, 9], [9, 4]]]),
            {
                **POINT,
                "geometry": {"type": "GeometryCollection", "geometries": [POINT["geometry"], POINT["geometry"]]},
            },
        ],
    )
    assert clicked(found) == [(1, 2), (3, 4), (1, 2), (1, 2)]
    glands = [prompt.signal for prompt in found.prompts if prompt.kind is ObjectKind.GLAND]
    assert glands == [
        Squiggle(((Point(0, 0), Point(5, 5)),)),
        Squiggle(((Point(0, 0), Point(5, 0)), (Point(9, 4), Point(9, 9)))),
    ]


@pytest.mark.parametrize(
    ("classification", "class_name"),
    [
        ("Tumor: Positive", "Tumor: Positive"),
        ({"name": "Tumor", "color": [200, 0, 0]}, "Tumor"),
        ({"names": ["Tumor", "Positive"], "color": [200, 0, 0]}, "Tumor: Positive"),
        ("Tumeur – épithélium ✓", "Tumeur – épithélium ✓"),
        (None, None),
        ({}, None),
        ("", None),
    ],
)
def test_a_class_is_a_name_or_an_object(classification: Any, class_name: str | None, tmp_path: Path) -> None:
    (prompt,) = read(tmp_path, feature("Point", [1, 2], classification=classification)).prompts
    assert prompt.class_name == class_name


IGNORED = {"name": "Ignore*", "color": [180, 180, 180]}


@pytest.mark.parametrize(
    ("classification", "class_name"),
    [
        (json.dumps(IGNORED), "Ignore*"),
        (json.dumps(IGNORED, indent=2), "Ignore*"),
        (str(IGNORED), "Ignore*"),
        (json.dumps({"names": ["Tumor", "Positive"], "color": [1, 2, 3]}), "Tumor: Positive"),
        (json.dumps({"name": "Tumor", "colorRGB": -3670016}), "Tumor"),
        ('["Tumor", "Positive"]', "Tumor: Positive"),
        ("{}", None),
        ("{a class in braces}", "{a class in braces}"),
        ("[x]", "[x]"),
    ],
)
def test_a_class_that_a_tool_for_tables_wrote_as_text_is_the_class(
    classification: str, class_name: str | None, tmp_path: Path
) -> None:
    prompt, *_ = read(tmp_path, feature("Point", [1, 2], classification=classification)).prompts
    assert prompt.class_name == class_name
    assert (prompt.role is Role.EXCLUDE_ONLY) is (class_name == "Ignore*")
    row = "x\ty\tclassification\n1\t2\t" + '"' + classification.replace('"', '""') + '"\n'
    prompt, *_ = read(tmp_path, row, "a.tsv").prompts
    assert prompt.class_name == class_name


@pytest.mark.parametrize("key", ["childObjects", "children"])
def test_children_that_a_tool_for_tables_wrote_as_text_are_read(key: str, tmp_path: Path) -> None:
    parent = feature("Polygon", [[[0, 0], [9, 0], [9, 9], [0, 0]]], **{key: json.dumps([POINT])})
    assert clicked(read(tmp_path, parent)) == [(1, 2)]


def test_properties_as_text_are_properties(tmp_path: Path) -> None:
    content = {**POINT, "properties": json.dumps({"objectType": "detection", "classification": "Tumor"})}
    assert read(tmp_path, content).left_alone == {"detection": 1}


@pytest.mark.parametrize(
    "properties",
    [
        {"classification": {"name": "Tumor", "color": [200, 10, 0]}},
        {"classification": {"name": "Tumor", "colorRGB": -3667456}},
        {"classification": {"name": "Tumor", "color": -3667456}},
        {"classification": {"name": "Tumor", "color": [200.0, 10.0, 0.0]}},
        {"classification": {"name": "Tumor", "color": "#c80a00"}},
        {"classification": json.dumps({"name": "Tumor", "color": [200, 10, 0]})},
        {"classification": {"name": "Tumor"}, "color": [200, 10, 0]},
        {"classification": "Tumor", "color": [200, 10, 0]},
        {"classification": "Tumor", "colorRGB": -3667456},
    ],
)
def test_the_colour_of_a_class_is_read_as_all_versions_of_qupath_write_it(
    properties: dict[str, Any], tmp_path: Path
) -> None:
    assert read(tmp_path, feature("Point", [1, 2], **properties)).class_colors == {"Tumor": (200, 10, 0)}


@pytest.mark.parametrize("color", [None, "red", [1, 2], [1, 2, "a"], {}, True, 0.5, "[1,2]"])
def test_what_is_no_colour_is_none(color: Any, tmp_path: Path) -> None:
    found = read(tmp_path, feature("Point", [1, 2], classification={"name": "Tumor", "color": color}))
    assert found.class_colors == {}


def test_a_table_of_points_may_give_colours(tmp_path: Path) -> None:
    found = read(tmp_path, "x\ty\tclass\tcolor\n1\t2\tTumor\t-3667456\n3\t4\t\t-1\n", "a.tsv")
    assert found.class_colors == {"Tumor": (200, 10, 0)}


@pytest.mark.parametrize("name", ["a.geojson", "a.geojsonl", "a.geojsons", "a.ndjson", "a.jsonl", "a.json"])
@pytest.mark.parametrize(("start", "end"), [("", "\n"), ("", "\r\n"), ("\x1e", "\n"), ("\n", "\n\n")])
def test_newline_delimited_geojson_is_read(name: str, start: str, end: str, tmp_path: Path) -> None:
    other = feature("MultiPoint", [[3, 4], [5, 6]], name="ü\u2028")
    text = "".join(f"{start}{json.dumps(one, ensure_ascii=False)}{end}" for one in (POINT, other))
    assert clicked(read(tmp_path, text, name)) == [(1, 2), (3, 4), (5, 6)]


def test_newline_delimited_geojson_may_be_compressed_and_hold_collections(tmp_path: Path) -> None:
    line = json.dumps({"type": "FeatureCollection", "features": [POINT]}).encode()
    assert clicked(read(tmp_path, gzip.compress(line + b"\n" + line), "a.ndjson.gz")) == [(1, 2), (1, 2)]


def test_a_broken_line_of_newline_delimited_geojson_is_named(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="line 2 is not JSON"):
        read(tmp_path, json.dumps(POINT) + "\n" + json.dumps(POINT)[:-9], "a.ndjson")


def test_a_class_to_ignore_only_excludes(tmp_path: Path) -> None:
    found = read(tmp_path, feature("Point", [1, 2], classification="Ignore*")).prompts
    assert [(one.kind, one.role) for one in found] == [
        (ObjectKind.NUCLEUS, Role.EXCLUDE_ONLY),
        (ObjectKind.GLAND, Role.EXCLUDE_ONLY),
    ]


def test_the_plane_is_kept(tmp_path: Path) -> None:
    content = feature("Point", [1, 2])
    content["geometry"]["plane"] = {"c": -1, "z": 3, "t": 1}
    (prompt,) = read(tmp_path, content).prompts
    assert prompt.plane == Plane(z=3, t=1)


def test_other_objects_and_regions_are_counted_and_left_alone(tmp_path: Path) -> None:
    square = [[[0, 0], [1, 0], [1, 1], [0, 0]]]
    found = read(
        tmp_path,
        [
            feature("Polygon", square),
            feature("MultiPolygon", [square]),
            feature("Polygon", square, objectType="cell"),
            feature("Point", [1, 2], objectType="detection"),
            {**POINT, "properties": {"object_type": "tile"}},
            {**POINT, "id": "PathDetectionObject", "properties": {}},
            {**POINT, "geometry": None},
        ],
    )
    assert not found.prompts
    assert found.left_alone == {"region": 3, "cell": 1, "detection": 2, "tile": 1}


@pytest.mark.parametrize("properties", [None, {}, {"objectType": "unknown to QuPath"}, {"isLocked": True}])
def test_without_a_known_type_an_object_is_an_annotation(properties: Any, tmp_path: Path) -> None:
    assert clicked(read(tmp_path, {**POINT, "properties": properties})) == [(1, 2)]


def test_children_of_objects_are_read(tmp_path: Path) -> None:
    parent = feature("Polygon", [[[0, 0], [9, 0], [9, 9], [0, 0]]], childObjects=[POINT])
    found = read(tmp_path, parent)
    assert clicked(found) == [(1, 2)]
    assert found.left_alone == {"region": 1}


def test_empty_and_broken_drawings_are_rejected_by_name(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        '[{"type": "Feature", "geometry": {"type": "MultiPoint", "coordinates": []}, "properties": {"name": "none"}},'
        '{"type": "Feature", "geometry": {"type": "Point", "coordinates": [NaN, 1]}},'
        '{"type": "Feature", "geometry": {"type": "LineString", "coordinates": [[1, 1], [1, 1]]}}]',
    )
    assert [(rejection.reason, rejection.detail) for rejection in found.rejections] == [
        (Reason.NO_POINTS, "feature 1 'none'"),
        (Reason.NOT_FINITE, "feature 2 (nan, 1.0)"),
        (Reason.NO_LENGTH, "feature 3 at (1, 1)"),
    ]


def test_ids_start_from_the_object_and_not_from_its_place_in_the_file(tmp_path: Path) -> None:
    other = {**POINT, "id": "0b480c3c-8ddc-4991-8563-74e9eef4e723"}
    one = {prompt.id for prompt in read(tmp_path, [POINT, other]).prompts}
    assert one == {prompt.id for prompt in read(tmp_path, [other, POINT]).prompts}
    assert len(one) == 2


@pytest.mark.parametrize("object_id", [None, 7, "", "not a uuid", "PathAnnotationObject"])
def test_other_ids_are_ignored_as_qupath_does(object_id: Any, tmp_path: Path) -> None:
    (one,) = read(tmp_path, {**POINT, "id": object_id}).prompts
    (other,) = read(tmp_path, {"type": "Feature", "geometry": POINT["geometry"]}).prompts
    assert one.id == other.id


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("7", "holds a int where GeoJSON has"),
        ('{"type": "Topology"}', "holds type 'Topology'"),
        ("{}", "holds type None"),
        ('{"type": "FeatureCollection", "features": {"a": 1}}', "holds type None"),
        ([POINT, feature("Circle", [1, 2])], "feature 2: its geometry is of type 'Circle'; accepted are Point, "),
        (feature("Point", [1]), r"feature 1: a position is \[1\], not \[x, y\]"),
        (feature("Point", ["a", 2]), "feature 1: could not convert"),
        (feature("Point", None), "feature 1: its coordinates are None, not a list"),
        (feature("LineString", 7), "feature 1: its coordinates are 7, not a list"),
        (feature("LineString", [7]), "feature 1: a position is 7"),
        (feature("MultiLineString", [7]), "feature 1: its coordinates are 7"),
        (feature("Point", [10**400, 2]), "feature 1: "),
        ({"type": "Feature", "geometry": "a"}, "feature 1: its geometry is 'a', not an object"),
        ({"type": "Feature", "geometry": {"type": ["Point"]}}, "feature 1: "),
        (
            {"type": "Feature", "geometry": {"type": "GeometryCollection", "geometries": [3]}},
            "feature 1: its geometry is 3",
        ),
        ({**POINT, "properties": {"objectType": []}}, "feature 1: "),
        ({**POINT, "geometry": {**POINT["geometry"], "plane": {"z": "a"}}}, "feature 1: "),
    ],
)
def test_what_is_no_geojson_is_refused_by_feature(content: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=message) as caught:
        read(tmp_path, content)
    assert "prompts.geojson" in str(caught.value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["Point", "LineString", "x", UUID]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "geometry", "coordinates", "properties", "classification", "id", "features", "plane"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(geometry=json_values, content=json_values)
def test_any_json_is_read_or_refused(geometry: Any, content: Any, tmp_path: Path) -> None:
    for one in (content, {"type": "Feature", "geometry": geometry, "properties": content}):
        with contextlib.suppress(PromptError):
            read(tmp_path, one)


@pytest.mark.parametrize("name", ["a.geojson", "a.csv", "a.zip", "a.geojson.gz"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=f"{name} cannot be read: No such file"):
        read_prompts(tmp_path / name, AUTO)


def test_other_endings_are_refused_with_the_accepted_ones(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=r"a\.xml is not a file of prompts.*\.geojson, \.json.*\.csv"):
        read(tmp_path, "<ASAP/>", "a.xml")


@pytest.mark.parametrize("name", ["a.geojson.gz", "a.zip"])
def test_a_truncated_archive_is_refused(name: str, tmp_path: Path) -> None:
    data = gzip.compress(json.dumps(POINT).encode())
    with pytest.raises(PromptError, match="cut short or no"):
        read(tmp_path, data[:-9], name)


def test_an_archive_without_geojson_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "no prompts")
    with pytest.raises(PromptError, match=r"holds no \.geojson or \.json"):
        read_prompts(tmp_path / "a.zip", AUTO)


@pytest.mark.parametrize(
    "text",
    [
        "x,y\n1.5,2\n3,4\n",
        "X , Y\r\n1.5 , 2\r\n\r\n3 , 4",
        "x;y\n1,5;2\n3;4\n",
        "x\ty\n1,5\t2\n3\t4\n",
        "x;y\n1.5;2\n3;4\n",
        "1.5,2\n3,4\n",
        "1,5;2\n3;4\n",
        "name,y,x\na,2,1.5\nb,4,3\n",
        "\ufeffx,y\n1.5,2\n3,4\n",
        '"x","y"\n"1.5","2"\n"3","4"\n',
    ],
)
def test_tables_of_all_spreadsheets_are_read(text: str, tmp_path: Path) -> None:
    found = read(tmp_path, text, "a.csv")
    assert clicked(found) == [(1.5, 2), (3, 4)]
    assert {prompt.class_name for prompt in found.prompts} == {None}


@pytest.mark.parametrize(
    ("head", "microns"),
    [
        ("Centroid X px,Centroid Y px", None),
        ("centroid x px,CENTROID Y PX", None),
        ("Centroid X µm,Centroid Y µm", 1),
        ("Centroid X μm,Centroid Y μm", 1),
        ("Centroid X um,Centroid Y um", 1),
        ("Centroid X Âµm,Centroid Y Âµm", 1),
        ("x_um,y_um", 1),
        ("X (µm),Y (µm)", 1),
        ("x [micron],y [micron]", 1),
        ("x_nm,y_nm", 1e-3),
        ("x_mm,y_mm", 1e3),
        ("x_px,y_px", None),
        ("X [px],Y [px]", None),
    ],
)
def test_a_tables_unit_is_in_the_names_of_its_columns(head: str, microns: float | None, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{head}\n10,20\n", encoding="utf-8")
    found = read_prompts(tmp_path / "a.csv", AUTO, pixel_size=PixelSize(0.5, 0.25))
    scale = (1, 1) if microns is None else (microns / 0.5, microns / 0.25)
    assert clicked(found) == [pytest.approx((10 * scale[0], 20 * scale[1]))]


def test_pixels_are_preferred_to_microns(tmp_path: Path) -> None:
    found = read(tmp_path, "Centroid X µm,Centroid Y µm,x,y\n1,2,10,20\n", "a.csv")
    assert clicked(found) == [(10, 20)]


QUPATH_TABLE = """Image\tObject type\tName\tClassification\tParent\tROI\tCentroid X px\tCentroid Y px\tNum points
a.svs\tImage\t\t\t\t\tNaN\tNaN\t
a.svs\tAnnotation\t\tTumor\tRoot object (Image)\tPoints\t10\t20\t1
a.svs\tAnnotation\t\tTumor\tRoot object (Image)\tPoints\t30\t40\t7
a.svs\tAnnotation\t\tTumor\tRoot object (Image)\tPolygon\t50\t60\t
a.svs\tDetection\t\tIgnore*\tAnnotation\tPolygon\t70\t80\t
b.svs\tCell\t\tTumor\tAnnotation\tGeometry\t90\t100\t
"""


def test_of_qupaths_tables_objects_of_one_place_are_marks_and_all_else_is_counted(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text(QUPATH_TABLE, encoding="utf-8")
    found = read_prompts(tmp_path / "a.tsv", AUTO, slide=tmp_path / "a.svs")
    # What is to be ignored counts for each kind of object.
    assert list(dict.fromkeys(clicked(found))) == [(10, 20), (70, 80)]
    assert list(dict.fromkeys(prompt.role for prompt in found.prompts)) == [Role.SEGMENT, Role.EXCLUDE_ONLY]
    assert found.left_alone == {
        "without a position": 1,
        "annotation of several points, of which a table has no more than the middle": 1,
        "region": 1,
        "on another slide": 1,
    }


SLIDES_TABLE = "slide,x,y\na/s.svs,1,2\nA\\S.SVS,3,4\nb/s.svs,5,6\nt.svs,7,8\n,9,10\n"


@pytest.mark.parametrize(
    ("slide", "expected"),
    [
        ("a/s.svs", [(1, 2), (3, 4), (9, 10)]),
        ("b/s.svs", [(5, 6), (9, 10)]),
        ("t.svs", [(7, 8), (9, 10)]),
        (Path("far") / "T.svs", [(7, 8), (9, 10)]),
        ("t", [(7, 8), (9, 10)]),
    ],
)
def test_a_table_may_hold_marks_of_several_slides(slide: Any, expected: list[Any], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(SLIDES_TABLE)
    assert clicked(read_prompts(tmp_path / "a.csv", AUTO, slide=slide)) == expected


@pytest.mark.parametrize(
    ("slide", "message"),
    [
        (None, r"marks on 3 slides \(a/s\.svs, b/s\.svs, t\.svs\): say which"),
        ("c/s.svs", r"marks on 2 slides of the name of c/s\.svs \(a/s\.svs, b/s\.svs\): say which"),
    ],
)
def test_marks_of_another_slide_are_never_taken(slide: str | None, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(SLIDES_TABLE)
    with pytest.raises(PromptError, match=message):
        read_prompts(tmp_path / "a.csv", AUTO, slide=slide)


def test_a_slide_without_marks_is_refused_with_those_that_have_some(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,x,y\nt.svs,7,8\n")
    with pytest.raises(PromptError, match=r"has no mark on u\.svs; its slides are t\.svs"):
        read_prompts(tmp_path / "a.csv", AUTO, slide="u.svs")


def test_a_table_in_utf_16_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, "x\ty\tclass\n1\t2\tépithélium\n".encode("utf-16"), "a.txt")
    assert [(prompt.class_name, prompt.kind) for prompt in found.prompts] == [("épithélium", ObjectKind.NUCLEUS)]


@pytest.mark.parametrize("head", ["x,y,class\n", "x,y,Classification\n", ""])
def test_a_third_column_is_the_class(head: str, tmp_path: Path) -> None:
    found = read(tmp_path, head + "1,2,Tumor\n3,4,\n5,6\n7,8,Ignore*\n", "a.csv")
    assert [prompt.class_name for prompt in found.prompts] == ["Tumor", None, None, "Ignore*", "Ignore*"]
    assert found.prompts[3].role is Role.EXCLUDE_ONLY


def test_columns_c_z_t_are_the_plane(tmp_path: Path) -> None:
    found = read(tmp_path, "x,y,z,t\n1,2,3,0\n1,2,,\n", "a.csv")
    assert [prompt.plane for prompt in found.prompts] == [Plane(z=3), Plane()]


def test_equal_lines_of_a_table_have_different_ids(tmp_path: Path) -> None:
    found = read(tmp_path, "x,y\n1,2\n1,2\n", "a.csv")
    assert len({prompt.id for prompt in found.prompts}) == 2


def test_a_position_that_is_not_a_number_is_rejected_by_line(tmp_path: Path) -> None:
    found = read(tmp_path, "x,y\n1,2\nnan,2\n", "a.csv")
    (rejection,) = found.rejections
    assert rejection.reason is Reason.NOT_FINITE
    assert "line 3" in rejection.detail


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a.csv is empty; accepted is a header x, y"),
        ("\n\n", "a.csv is empty"),
        ("Area µm^2,Perimeter µm\n1,2\n", "starts with 'Area µm.2, Perimeter µm'; accepted is"),
        ("Centroid X µm,Centroid Y px\n1,2\n", "starts with 'Centroid X µm, Centroid Y px'; accepted is"),
        ("Centroid X µm,Centroid Y µm\n1,2\n", "has positions in um, and the pixel size of its slide is not known"),
        ("x\n1\n", "starts with 'x'"),
        ("x,y\n1,2\na,4\n", "line 3: x is 'a', not a number"),
        ("x,y\n1\n", "line 2: y is '', not a number"),
        ("x,y\n1_0,4\n", "line 2: x is '1_0'"),
        ("x,y,z\n1,4,b\n", "line 2: z is 'b', not a whole number"),
        ("x;y\n1.234,5;4\n", "line 2: x is '1.234,5'"),
    ],
)
def test_a_wrong_table_is_refused_by_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(PromptError, match=message):
        read(tmp_path, text, "a.csv")


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PromptError, match="is not UTF-8 text"):
        read(tmp_path, b"x,y\n\xff\xd8", "a.csv")


def test_regions_of_a_real_export_are_left_alone(shared_data: Path) -> None:
    found = read_prompts(shared_data / "geojson" / "qupath_0.5.geojson", AUTO)
    assert not found.prompts
    assert found.left_alone == {"region": 3}
    assert read_prompts(shared_data / "geojson" / "qupath_core_polygon.geojson", AUTO).left_alone == {"region": 1}
