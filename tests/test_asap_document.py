"""ASAP's files: read and written by ASAP's own rules, edited without touching anything else, refused in words."""

import codecs
from pathlib import Path

import numpy as np
import pytest
from asap_files import Asap, annotation, dots, group, listed, made, same, write_asap
from hypothesis import given, settings
from hypothesis import strategies as st

from asap_bridge.annotations import Annotation, AnnotationType, Group, color_text, rgb_of
from asap_bridge.checks import _any, _plain
from asap_bridge.document import Document, Edit, read_document, write_document
from asap_bridge.parsing import UnfinishedError, parse
from nuclick_wsi.errors import PromptError

COUNTS = {
    AnnotationType.NONE: (0, 5),
    AnnotationType.DOT: (1, 1),
    AnnotationType.POLYGON: (3, 9),
    AnnotationType.SPLINE: (3, 9),
    AnnotationType.POINT_SET: (0, 9),
    AnnotationType.MEASUREMENT: (2, 2),
    AnnotationType.RECTANGLE: (4, 4),
}
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))
names = texts.filter(lambda name: name != "None")
positions = st.floats(-1e6, 1e6, width=32)
colors = st.tuples(*[st.integers(0, 255)] * 3).map(color_text)
keys = st.from_regex(r"[A-Za-z][A-Za-z0-9._-]{0,8}", fullmatch=True)


@st.composite
def contents(draw: st.DrawFn) -> tuple[list[Annotation], list[Group]]:
    """Groups, of which some lie in earlier ones, and annotations of all types in them or in none."""
    groups: list[Group] = []
    for name in draw(st.lists(names, unique=True, max_size=4)):
        parent = draw(st.sampled_from([None, *(one.name for one in groups)]))
        groups.append(Group(name, parent, draw(colors), draw(st.dictionaries(keys, texts, max_size=3))))
    annotations = []
    for kind in draw(st.lists(st.sampled_from(AnnotationType), max_size=8)):
        low, high = COUNTS[kind]
        points = draw(st.lists(st.tuples(positions, positions), min_size=low, max_size=high))
        inside = draw(st.sampled_from([None, *(one.name for one in groups)]))
        array = np.array(points, np.float32).reshape(-1, 2)
        annotations.append(Annotation(draw(texts), kind, array, inside, draw(colors)))
    return annotations, groups


def assert_same(document: Document, annotations: list[Annotation], groups: list[Group]) -> None:
    assert len(document.annotations) == len(annotations)
    assert all(same(a, b) for a, b in zip(document.annotations, annotations, strict=True))
    assert list(document.groups) == groups


@settings(deadline=None)
@given(contents())
def test_what_is_written_is_read_again_with_all_types_groups_and_attributes(
    content: tuple[list[Annotation], list[Group]],
) -> None:
    data = write_document(*content)
    assert_same(Document(parse(data, "x")), *content)


@settings(deadline=None)
@given(contents(), st.data())
def test_an_edit_changes_what_it_names_and_taking_it_back_leaves_no_trace(
    content: tuple[list[Annotation], list[Group]], data: st.DataObject
) -> None:
    annotations, groups = content
    document = Document(parse(write_document(annotations, groups), "x"))
    added = [made(AnnotationType.DOT, [(1, 2)], "new", "ours")]
    text = document.edited(Edit(add=added, add_groups=listed("ours")))
    after = Document(parse(text, "x"))
    assert_same(after, [*annotations, *added], [*groups, *listed("ours")])
    back = after.edited(Edit(drop=[len(annotations)], drop_groups=[len(groups)]))
    assert back == document.parsed.data or not (annotations and groups)
    assert_same(Document(parse(back, "x")), annotations, groups)
    gone = data.draw(st.sets(st.sampled_from(range(len(annotations))))) if annotations else set()
    left = [one for index, one in enumerate(annotations) if index not in gone]
    assert_same(Document(parse(document.edited(Edit(drop=gone)), "x")), left, groups)


@pytest.mark.parametrize("name", ["all_types.xml", "glands_polygon.xml"])
def test_real_files_are_read_and_written_with_equal_values(shared_data: Path, name: str, tmp_path: Path) -> None:
    document = read_document(shared_data / "asap" / name)
    assert len(document.annotations) == {"all_types.xml": 5, "glands_polygon.xml": 1}[name]
    (tmp_path / name).write_bytes(write_document(document.annotations, document.groups))
    assert_same(read_document(tmp_path / name), list(document.annotations), list(document.groups))
    ours, theirs = Asap(tmp_path / name), Asap(shared_data / "asap" / name)
    assert (ours.annotations, ours.groups) == (theirs.annotations, theirs.groups)


def test_real_numbers_are_written_in_the_digits_of_asap(shared_data: Path) -> None:
    original = (shared_data / "asap" / "all_types.xml").read_bytes()
    document = Document(parse(original, "x"))
    assert write_document(document.annotations, document.groups).split() == original.split()


def test_what_is_not_known_is_carried_through(tmp_path: Path) -> None:
    path = write_asap(tmp_path / "a.xml", [annotation("Dot", [(1, 2)])])
    strange = path.read_bytes().replace(
        b"<Annotations>", b'<!-- a comment --><Author name="x"/>\r\n<Annotations kind="y"><Note>&lt;</Note>'
    )
    document = Document(parse(strange.replace(b"Color=", b'Mine="1" Color='), "x"))
    text = document.edited(Edit(add=[made(AnnotationType.DOT, [(3, 4)])]))
    start = text.index(b'\n\t\t<Annotation Name="a"')
    end = text.index(b"</Annotation>", start) + len(b"</Annotation>")
    assert text[:start] + text[end:] == document.parsed.data


@pytest.mark.parametrize(
    "outer",
    [
        "<ASAP_Annotations/>",
        "<ASAP_Annotations></ASAP_Annotations>",
        "<ASAP_Annotations><Annotations/><!-- <AnnotationGroups/> --></ASAP_Annotations>",
        "<ASAP_Annotations><AnnotationGroups /><Annotations a='>' /></ASAP_Annotations>",
    ],
)
def test_lists_that_are_empty_or_missing_can_be_added_to(outer: str) -> None:
    document = Document(parse(outer.encode(), "x"))
    assert not document.annotations
    added = [made(AnnotationType.DOT, [(3, 4)], group="g")]
    text = document.edited(Edit(add=added, add_groups=listed("g")))
    assert_same(Document(parse(text, "x")), added, listed("g"))


def test_decimal_commas_are_read_and_kept() -> None:
    text = write_document([made(AnnotationType.MEASUREMENT, [(1.5, 2.25), (3, 4.125)])], [])
    commas = text.replace(b"1.5", b"1,5").replace(b"2.25", b"2,25").replace(b"4.125", b"4,125")
    document = Document(parse(commas, "x"))
    assert document.annotations[0].points.tolist() == [[1.5, 2.25], [3, 4.125]]
    added = document.edited(Edit(add=[made(AnnotationType.DOT, [(0.5, 7)])]))
    assert b'X="0,5" Y="7"' in added


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_other_encodings_are_read(encoding: str) -> None:
    text = write_document([made(AnnotationType.DOT, [(1, 2)], "Drüse")], []).decode()
    declared = text.replace('version="1.0"', f'version="1.0" encoding="{encoding}"')
    document = Document(parse(declared.encode(encoding), "x"))
    assert document.annotations[0].name == "Drüse"
    again = Document(parse(document.edited(Edit(add=[made(AnnotationType.DOT, [(1, 2)], "é✓")])), "x"))
    assert [one.name for one in again.annotations] == ["Drüse", "é✓"]


def test_a_byte_order_mark_moves_nothing() -> None:
    data = codecs.BOM_UTF8 + write_document([made(AnnotationType.DOT, [(1, 2)])], listed("g"))
    document = Document(parse(data, "x"))
    assert document.edited(Edit(drop=[0], drop_groups=[0])).count(b"<Annotation ") == 0


def test_coordinates_are_put_in_their_order() -> None:
    text = write_document([made(AnnotationType.POINT_SET, [(1, 1), (2, 2), (3, 3)])], []).decode()
    swapped = text.replace('Order="0"', 'Order="x"').replace('Order="2"', 'Order="0"').replace('Order="x"', 'Order="2"')
    points = Document(parse(swapped.encode(), "x")).annotations[0].points
    assert points.tolist() == [[3, 3], [2, 2], [1, 1]]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 99), positions, positions)))
def test_the_fast_reading_of_coordinates_equals_the_plain_one(rows: list[tuple[int, float, float]]) -> None:
    coordinates = [["Order", str(order), "X", f"{x:.9g}", "Y", f"{y:.9g}"] for order, x, y in rows]
    if rows:
        assert _plain(coordinates) == _any(coordinates)
    shuffled = [[*row[4:], *row[:4]] for row in coordinates]
    assert not rows or _plain(shuffled) is None
    assert _any(shuffled) == _any(coordinates)


POLYGON = annotation("Polygon", [(0, 0), (5, 0), (5, 5)], "mine")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("<?xml", "ceci <?xml"), "is not XML"),
        (("</ASAP_Annotations>", ""), "is not XML"),
        (("<ASAP_", "<!DOCTYPE x><ASAP_"), "has a DOCTYPE"),
        (("<ASAP_", '<!DOCTYPE x [<!ENTITY a "b">]><ASAP_'), "has a DOCTYPE"),
        (("<ASAP_", '<!DOCTYPE x SYSTEM "file:///etc/passwd"><ASAP_'), "has a DOCTYPE"),
        (('Name="mine"', 'Name="&a;"'), "is not XML: undefined entity"),
        (("ASAP_Annotations", "Annotations_of_another"), "its root is <Annotations_of_another>"),
        (('PartOfGroup="None"', 'PartOfGroup="lost"'), "'mine' (number 1) is part of the group 'lost'"),
        (('PartOfGroup="None" ', ""), "it has no PartOfGroup"),
        (('Order="1"', 'Order="2"'), "numbered by Order from 0 to 2, and 2 is there 2 times"),
        (('Order="1"', 'Order="7"'), "numbered by Order from 0 to 2, and 1 is missing"),
        (('Order="1" ', ""), "a coordinate has no Order"),
        (('Order="1"', 'Order="-1"'), "a coordinate's Order is '-1'"),
        (('X="5"', 'X="wide"'), "a coordinate is 'wide'; accepted are numbers such as 1024.5"),
        (('X="5"', 'X="1_0"'), "a coordinate is '1_0'"),
        (('X="5"', 'X=""'), "a coordinate is ''"),
        (('X="5"', 'X="nan"'), "both must be finite numbers"),
        (('X="5"', 'X="1e39"'), "both must be finite numbers"),
        (('Type="Polygon"', 'Type="polygon"'), "its Type is 'polygon'; accepted are None, Dot, Polygon"),
        (('Type="Polygon"', 'Type="Dot"'), "a Dot of 3 points; it needs exactly 1"),
        (('Type="Polygon"', 'Type="Rectangle"'), "a Rectangle of 3 points; it needs exactly 4"),
        (('\n\t\t\t\t<Coordinate Order="2" X="5" Y="5" />', ""), "a Polygon of 2 points; it needs at least 3"),
        (("<AnnotationGroups>", '<AnnotationGroups><Group Name="a" PartOfGroup="b"/>'), "'a' is part of 'b'"),
        (("<AnnotationGroups>", '<AnnotationGroups><Group Name="a" PartOfGroup="a"/>'), "lies inside itself"),
    ],
)
def test_what_asap_could_not_open_is_refused_by_name(change: tuple[str, str], words: str, tmp_path: Path) -> None:
    path = write_asap(tmp_path / "slide.xml", [POLYGON])
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(PromptError) as caught:
        read_document(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_every_beginning_of_a_file_is_known_as_one_that_may_be_being_written(tmp_path: Path) -> None:
    content = write_asap(tmp_path / "a.xml", [POLYGON, *dots((1, 2), group="Größe ✓")], [group("Größe ✓")]).read_bytes()
    for end in range(len(content.rstrip())):
        with pytest.raises(UnfinishedError):
            parse(content[:end], "a.xml")


def test_a_file_that_is_not_the_text_it_claims_is_refused(tmp_path: Path) -> None:
    for encoding in ("shift_jis", "no-such-encoding"):
        text = f'<?xml version="1.0" encoding="{encoding}"?><ASAP_Annotations/>'.encode()
        (tmp_path / "a.xml").write_bytes(text + b"\xff")
        with pytest.raises(PromptError, match=f"is not the {encoding} text"):
            read_document(tmp_path / "a.xml")
    with pytest.raises(PromptError, match="cannot be read"):
        read_document(tmp_path / "none.xml")


def test_annotations_of_one_name_are_told_apart_because_asap_makes_them(tmp_path: Path) -> None:
    # ASAP counts on from the number of annotations: delete one, save, load, draw another, and two have one name.
    path = write_asap(tmp_path / "a.xml", [annotation("Dot", [(1, 2)]), annotation("Dot", [(3, 4)])], [group("g")])
    assert [one.points.tolist() for one in read_document(path).annotations] == [[[1, 2]], [[3, 4]]]


def test_names_that_xml_cannot_hold_are_made_such_that_it_can() -> None:
    text = write_document([made(AnnotationType.DOT, [(1, 2)], "a\x00b\ud800c\x1f")], [])
    assert Document(parse(text, "x")).annotations[0].name == "a\ufffdb\ufffdc\ufffd"


def test_colors_are_read_and_written() -> None:
    assert rgb_of("#F4FA58") == (244, 250, 88)
    assert color_text((244, 250, 88)) == "#f4fa58"
    assert rgb_of("yellow") is None
