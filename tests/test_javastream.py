import contextlib
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from javaobj.v2 import beans
from javaobj.v2.core import JavaStreamParser
from qpdata_writer import (
    ARRAY,
    BLOCK,
    CLASS,
    END,
    ENUM,
    HEADER,
    NULL,
    OBJECT,
    REFERENCE,
    STRING,
    Drawn,
    JavaWriter,
    java_utf8,
    points,
    polyline,
    qpdata,
)

from qupath_extension.qpdata.javabytes import StreamError
from qupath_extension.qpdata.javastream import JavaStream
from qupath_extension.qpdata.javavalues import JavaClass, JavaEnum, JavaObject, Value


def read(data: bytes) -> list[Value]:
    return list(JavaStream(data))


def only(writer: JavaWriter) -> Any:
    (value,) = read(bytes(writer.data))
    return value


@given(st.text())
def test_strings_survive_java_s_own_utf8(text: str) -> None:
    text = text.encode("utf-16", "replace").decode("utf-16")  # a lone surrogate is no text
    writer = JavaWriter()
    writer.string(text)
    assert only(writer) == text


def test_a_string_beyond_64_kb_is_read() -> None:
    writer = JavaWriter()
    writer.string("gländ " * 20_000)
    assert only(writer) == "gländ " * 20_000


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    assert read(HEADER + STRING + b"\x00\x03" + java_utf8("\ud800")) == ["\ufffd"]


def test_blocks_come_as_bytes_short_and_long() -> None:
    long = bytes(range(256)) * 2
    assert read(HEADER + BLOCK + b"\x02ab" + b"\x7a" + struct.pack(">i", len(long)) + long) == [b"ab", long]


@pytest.mark.parametrize(
    ("code", "values"),
    [
        ("[F", [1.5, -2.25]),
        ("[D", [1e300, 0.1]),
        ("[I", [-(2**31), 7]),
        ("[J", [2**40, -1]),
        ("[S", [-3, 4]),
        ("[B", [1, 127]),
    ],
)
def test_arrays_of_numbers_keep_every_value(code: str, values: list[float]) -> None:
    writer = JavaWriter()
    struct_code = {"J": "q", "S": "h"}.get(code[1], code[1].lower())
    writer.data += ARRAY
    writer.simple_class(code)
    writer.data += struct.pack(f">i{len(values)}{struct_code}", len(values), *values)
    np.testing.assert_array_equal(only(writer), values)


def test_primitive_fields_of_all_types_are_read_superclass_first() -> None:
    writer = JavaWriter()
    writer.data += OBJECT
    writer.class_desc("Sub", 2, (("B", "b"), ("C", "c"), ("D", "d"), ("F", "f"), ("[F", "array")))
    writer.class_desc("Super", 2, (("I", "i"), ("J", "j"), ("S", "s"), ("Z", "z"), ("Ljava/lang/String;", "text")))
    writer.data += NULL
    writer.data += struct.pack(">iqh?", 1, 2, 3, True)
    writer.remember("the object")
    writer.string("up")
    writer.data += struct.pack(">bHdf", -4, 65, 5.5, 6.5)
    writer.array("[F", [7.0])
    made = only(writer)
    assert isinstance(made, JavaObject)
    array = made.fields.pop("array")
    assert made.fields == {"i": 1, "j": 2, "s": 3, "z": True, "text": "up", "b": -4, "c": 65, "d": 5.5, "f": 6.5}
    np.testing.assert_array_equal(array, [7.0])
    assert made.is_a("Super")


def test_what_a_class_writes_by_hand_follows_its_fields() -> None:
    writer = JavaWriter()
    writer.data += OBJECT
    writer.simple_class("java.util.ArrayList", (("I", "size"),), flags=3)
    writer.remember("the list")
    writer.data += struct.pack(">i", 2)
    writer.block(b"\0\0\0\2")
    writer.string("one")
    writer.string("two")
    writer.data += END
    made = only(writer)
    assert made.fields == {"size": 2}
    assert made.contents == [b"\0\0\0\2", "one", "two"]


def test_references_give_back_the_same_object() -> None:
    writer = JavaWriter()
    writer.boxed(7)
    writer.boxed(7)
    first, second = read(bytes(writer.data))
    assert first is second


def test_an_object_may_refer_to_itself() -> None:
    writer = JavaWriter()
    writer.data += OBJECT
    writer.simple_class("Ring", (("LRing;", "next"),))
    writer.remember("ring")
    writer.known("ring")
    ring = only(writer)
    assert ring.fields["next"] is ring


def test_enums_classes_proxies_and_null_are_read() -> None:
    writer = JavaWriter()
    writer.data += ENUM
    writer.class_desc("Type", 0x12)
    writer.class_desc("java.lang.Enum", 0x12)
    writer.data += NULL
    writer.remember("constant")
    writer.string("CELL")
    writer.data += CLASS
    writer.simple_class("java.lang.String")
    writer.remember("class")
    writer.data += OBJECT + b"\x7d" + struct.pack(">i", 1)
    writer.text("java.lang.Runnable")
    writer.remember("proxy class")
    writer.data += END + NULL
    writer.remember("proxy")
    writer.data += NULL
    constant, java_class, proxy, nothing = read(bytes(writer.data))
    assert isinstance(constant, JavaEnum)
    assert (constant.class_name, constant.constant) == ("Type", "CELL")
    assert isinstance(java_class, JavaClass)
    assert java_class.name == "java.lang.String"
    assert isinstance(proxy, JavaObject)
    assert nothing is None


def test_a_reset_forgets_all_handles() -> None:
    writer = JavaWriter()
    writer.string("a")
    data = bytes(writer.data) + b"\x79" * 5_000
    assert read(data + STRING + b"\x00\x01b" + REFERENCE + struct.pack(">i", 0x7E0000)) == ["a", "b", "b"]
    with pytest.raises(StreamError, match="not written"):
        read(data + REFERENCE + struct.pack(">i", 0x7E0000))


def test_nesting_is_not_bounded_by_python_s_stack() -> None:
    depth = 50_000
    writer = JavaWriter()
    for _ in range(depth):
        writer.data += OBJECT
        writer.simple_class("Nest", (("LNest;", "inner"),))
        writer.remember(object())
    writer.data += NULL
    made = only(writer)
    for _ in range(depth):
        made = made.fields["inner"]
    assert made is None


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"PK\x03\x04", "starts with 50 4b 03 04"),
        (HEADER + b"\x01", "unknown mark 0x01, at byte 5 of 5"),
        (HEADER + END, "closes nothing"),
        (HEADER + b"\x7b", "exception"),
        (HEADER + STRING + b"\x00\x05ab", "5 bytes are announced and 2 follow"),
        (HEADER + STRING + b"\x00", "in the middle of a value"),
        (HEADER + STRING + b"\x00\x01\xff", "not Java's UTF-8"),
        (HEADER + b"\x7a\xff\xff\xff\xff", "-1 bytes are announced"),
        (HEADER + REFERENCE + b"\xff\xff\xff\xff", "not written"),
        (HEADER + OBJECT + NULL, "an object without a class"),
        (HEADER + OBJECT + STRING, "a class was expected"),
        (HEADER + b"\x79", "in the middle of a value"),
    ],
)
def test_a_damaged_stream_is_refused_by_byte(data: bytes, message: str) -> None:
    with pytest.raises(StreamError, match=message):
        read(data)


def test_a_class_that_extends_itself_is_refused() -> None:
    writer = JavaWriter()
    writer.data += OBJECT
    writer.class_desc("Ring")
    writer.known(("class", "Ring"))
    with pytest.raises(StreamError, match="its own superclass"):
        read(bytes(writer.data))


SMALL = qpdata(
    Drawn(points((1, 2), (3, 4)), name="clicks", children=[Drawn(polyline((0, 0), (5, 5), (9, 1)))]), version=3
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(tail: bytes) -> None:
    with contextlib.suppress(StreamError):
        read(HEADER + tail)


SMALL_FILES = ("demo_v0.5.1/data/1", "edge_cases_v0.5.1/data/1", "tissue_v0.5.1/data/2", "v0.4.0_foci/data/102")


@pytest.mark.parametrize("name", SMALL_FILES)
def test_another_reader_finds_the_same_values(name: str, shared_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not compared: the order of handles, and what javaobj makes of class descriptions.
    _mend(monkeypatch)
    data = (shared_data / "qupath" / name / "data.qpdata").read_bytes()
    theirs = JavaStreamParser(io.BytesIO(data), []).run()
    assert [_plain(value) for value in read(data)] == [_plain_theirs(value) for value in theirs]


def test_the_writer_of_the_tests_is_understood_by_another_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    _mend(monkeypatch)
    theirs = JavaStreamParser(io.BytesIO(SMALL), []).run()
    assert [_plain(value) for value in read(SMALL)] == [_plain_theirs(value) for value in theirs]


def _mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make javaobj read the contents of an externalizable once, and not once for each superclass."""

    def hierarchy(one: beans.JavaClassDesc, classes: list[beans.JavaClassDesc]) -> None:
        if one.super_class is not None and not one.desc_flags & 4:
            one.super_class.get_hierarchy(classes)
        classes.append(one)

    monkeypatch.setattr(beans.JavaClassDesc, "get_hierarchy", hierarchy)
    monkeypatch.setattr(beans.JavaInstance, "load_from_blockdata", lambda *_: True)


def _plain(value: Any) -> Any:
    if isinstance(value, JavaObject):
        fields = {name: _plain(field) for name, field in value.fields.items()}
        return value.java_class.name, fields, [_plain(item) for item in value.contents]
    if isinstance(value, JavaEnum):
        return value.class_name, value.constant
    if isinstance(value, np.ndarray):
        return value.tolist()
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _plain_theirs(value: Any) -> Any:
    if isinstance(value, beans.JavaInstance):
        parts = value.field_data.values()
        fields = {field.name: _plain_theirs(item) for part in parts for field, item in part.items()}
        return value.classdesc.name, fields, [_plain_theirs(i) for part in value.annotations.values() for i in part]
    if isinstance(value, beans.JavaEnum):
        return value.classdesc.name, str(value.value)
    if isinstance(value, beans.BlockData):
        return value.data
    if isinstance(value, beans.JavaString):
        return str(value)
    if isinstance(value, beans.JavaArray):
        return [_plain_theirs(item) for item in value]
    return value
