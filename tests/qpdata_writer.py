"""Writes data.qpdata as QuPath does, so that tests need neither QuPath nor its files.

The order of what is written is QuPath's, byte for byte where a test compares it with a real file: a class is described
once and referred to later, and so is a string.
"""

import struct
import uuid
from dataclasses import dataclass, field
from typing import Any

import shapely

NULL, REFERENCE, CLASS_DESC, OBJECT, STRING, ARRAY, CLASS, BLOCK, END = (bytes([code]) for code in range(0x70, 0x79))
STRING_LONG, ENUM = b"\x7c", b"\x7e"
HEADER = b"\xac\xed\x00\x05"
SERIALIZABLE, WRITE_METHOD, EXTERNAL = 2, 3, 12

OBJECTS = "qupath.lib.objects."
PARENTS = {
    "PathRootObject": "PathObject",
    "PathROIObject": "PathObject",
    "PathAnnotationObject": "PathROIObject",
    "PathDetectionObject": "PathROIObject",
    "PathTileObject": "PathROIObject",
    "TMACoreObject": "PathROIObject",
    "PathCellObject": "PathDetectionObject",
    "PathFutureObject": "PathROIObject",
}


@dataclass(frozen=True)
class Roi:
    """A serialization proxy: its kind, and its fields beside the plane as (name, type code, value)."""

    kind: str
    fields: tuple[tuple[str, str, Any], ...]
    c: int = -1
    z: int = 0
    t: int = 0


@dataclass(frozen=True)
class PathClass:
    name: str
    color: int = -3670016
    parent: "PathClass | None" = None


@dataclass
class Drawn:
    """An object of the hierarchy."""

    roi: Roi | None
    type: str = "PathAnnotationObject"
    path_class: PathClass | None = None
    name: str | None = None
    id: str | None = field(default_factory=lambda: str(uuid.uuid4()))
    is_locked: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    children: list["Drawn"] = field(default_factory=list)
    nucleus: Roi | None = None


def points(*positions: tuple[float, float], **plane: int) -> Roi:
    return _vertices("PointsROI", positions, plane)


def polyline(*positions: tuple[float, float], **plane: int) -> Roi:
    return _vertices("PolylineROI", positions, plane)


def polygon(*positions: tuple[float, float], **plane: int) -> Roi:
    return _vertices("PolygonROI", positions, plane)


def line(x: float, y: float, x2: float, y2: float, **plane: int) -> Roi:
    return _ends("LineROI", (x, y, x2, y2), plane)


def rectangle(x: float, y: float, x2: float, y2: float, **plane: int) -> Roi:
    return _ends("RectangleROI", (x, y, x2, y2), plane)


def geometry(shape: shapely.Geometry, **plane: int) -> Roi:
    return Roi("GeometryROI$WKB", (("wkb", "[B", shapely.to_wkb(shape, byte_order=0)),), **plane)


def _vertices(kind: str, positions: tuple[tuple[float, float], ...], plane: dict[str, int]) -> Roi:
    xs, ys = [x for x, _ in positions], [y for _, y in positions]
    return Roi(f"{kind}$", (("x", "[F", xs), ("y", "[F", ys)), **plane)


def _ends(kind: str, ends: tuple[float, float, float, float], plane: dict[str, int]) -> Roi:
    x, y, x2, y2 = ends
    return Roi(f"{kind}$", (("x", "D", x), ("x2", "D", x2), ("y", "D", y), ("y2", "D", y2)), **plane)


class JavaWriter:
    """A stream in the making; handles are given out as Java does."""

    def __init__(self) -> None:
        self.data = bytearray(HEADER)
        self._handles: dict[Any, int] = {}
        self._count = 0

    def remember(self, key: Any) -> None:
        self._handles[key] = self._count
        self._count += 1

    def known(self, key: Any) -> bool:
        if key in self._handles:
            self.data += REFERENCE + struct.pack(">i", 0x7E0000 + self._handles[key])
            return True
        return False

    def text(self, text: str) -> None:
        raw = java_utf8(text)
        self.data += struct.pack(">H", len(raw)) + raw

    def string(self, text: str | None) -> None:
        if text is None:
            self.data += NULL
        elif not self.known(("string", text)):
            raw = java_utf8(text)
            long = len(raw) > 0xFFFF
            self.remember(("string", text))
            self.data += (
                STRING_LONG + struct.pack(">q", len(raw)) if long else STRING + struct.pack(">H", len(raw))
            ) + raw

    def block(self, data: bytes) -> None:
        self.data += BLOCK + bytes([len(data)]) + data

    def class_desc(self, name: str, flags: int = SERIALIZABLE, fields: tuple[tuple[str, str], ...] = ()) -> None:
        """Describe a class without its superclass; the caller goes on with that, or with null."""
        self.data += CLASS_DESC
        self.text(name)
        self.data += struct.pack(">q", 1)
        self.remember(("class", name))
        self.data += bytes([flags]) + struct.pack(">H", len(fields))
        for code, field_name in fields:
            self.data += code[:1].encode()
            self.text(field_name)
            if code[0] in "L[":
                self.string(code)
        self.data += END

    def simple_class(self, name: str, fields: tuple[tuple[str, str], ...] = (), flags: int = SERIALIZABLE) -> None:
        if not self.known(("class", name)):
            self.class_desc(name, flags, fields)
            self.data += NULL

    def boxed(self, value: bool | int | None) -> None:
        if value is None:
            self.data += NULL
        elif not self.known(("boxed", type(value), value)):
            code, name = ("Z", "Boolean") if isinstance(value, bool) else ("I", "Integer")
            self.data += OBJECT
            self.simple_class(f"java.lang.{name}", ((code, "value"),))
            self.remember(("boxed", type(value), value))
            self.data += struct.pack(">?" if code == "Z" else ">i", value)

    def array(self, code: str, values: Any) -> None:
        self.data += ARRAY
        self.simple_class(code)
        self.remember(object())
        self.data += struct.pack(">i", len(values))
        if code == "[B":
            self.data += bytes(values)
        else:
            self.data += struct.pack(f">{len(values)}{code[1].lower()}", *values)

    def strings(self, values: list[str]) -> None:
        self.data += ARRAY
        self.simple_class("[Ljava.lang.Object;")
        self.remember(object())
        self.data += struct.pack(">i", len(values))
        for value in values:
            self.string(value)


class QpdataWriter(JavaWriter):
    """A data.qpdata in the making; `version` 4 writes ids as QuPath's file version 4 does."""

    def __init__(self, version: int = 3, properties: dict[str, str] | None = None) -> None:
        super().__init__()
        self._version = version
        self._properties = properties or {}

    def file(self, objects: list[Drawn]) -> bytes:
        raw = java_utf8(f"Data file version {self._version}")
        self.block(struct.pack(">H", len(raw)) + raw)
        self.string('{"dataVersion":3,"qupathVersion":"0.5.1"}')
        self._image_type()
        self.data += OBJECT
        fields = (("Lqupath/lib/objects/PathObject;", "rootObject"), ("Lqupath/lib/TMAGrid;", "tmaGrid"))
        self.simple_class("qupath.lib.objects.hierarchy.PathObjectHierarchy", fields)
        self.remember(object())
        self._objects(Drawn(None, "PathRootObject", children=objects))
        self.data += NULL
        if self._properties:
            self._hash_map(self._properties)
        self.string("EOF")
        return bytes(self.data)

    def _hash_map(self, texts: dict[str, str]) -> None:
        self.data += OBJECT
        self.simple_class("java.util.HashMap", (("F", "loadFactor"), ("I", "threshold")), WRITE_METHOD)
        self.remember(object())
        self.data += struct.pack(">fi", 0.75, 12)
        self.block(struct.pack(">ii", 16, len(texts)))
        for key, text in texts.items():
            self.string(key)
            self.string(text)
        self.data += END

    def _image_type(self) -> None:
        self.data += ENUM
        self.class_desc("qupath.lib.images.ImageData$ImageType", 0x12)
        self.class_desc("java.lang.Enum", 0x12)
        self.data += NULL
        self.remember(object())
        self.string("BRIGHTFIELD_H_E")

    def _objects(self, root: Drawn) -> None:
        """Write an object and all below it, without recursion, so that tests can nest deeply."""
        waiting: list[Any] = [root]
        while waiting:
            one = waiting.pop()
            if isinstance(one, Drawn) and self.known(("object", id(one))):
                continue
            if isinstance(one, Drawn):
                self._head(one)
                waiting += [("tail", one), *reversed(one.children)]
            else:
                self._tail(one[1])

    def _head(self, one: Drawn) -> None:
        self.data += OBJECT
        self._object_class(one.type)
        self.remember(("object", id(one)))
        self.string(one.name)
        self.boxed(None)
        if self._version >= 4:
            self._java_uuid(one.id or str(uuid.uuid4()))
            self.block(struct.pack(">i", 2))
            self._metadata(one.metadata)
        else:
            self._metadata({**one.metadata, **({"Object ID": one.id} if one.id else {})})
        self.data += NULL
        self.block(struct.pack(">i", len(one.children)))

    def _tail(self, one: Drawn) -> None:
        if one.type != "PathRootObject":
            self.boxed(one.is_locked)
            self._path_class(one.path_class)
            self._roi(one.roi)
            self.block(struct.pack(">d", float("nan")) + (b"\0" if one.type == "TMACoreObject" else b""))
            if one.type == "PathCellObject":
                self._roi(one.nucleus)
        self.data += END

    def _object_class(self, name: str | None) -> None:
        while name is not None:
            if self.known(("class", OBJECTS + name)):
                return
            self.class_desc(OBJECTS + name, EXTERNAL)
            name = PARENTS.get(name)
        self.data += NULL

    def _metadata(self, metadata: dict[str, str]) -> None:
        self.data += OBJECT
        self.simple_class(OBJECTS + "MetadataMap", flags=EXTERNAL)
        self.remember(object())
        self.boxed(1)
        self.strings(list(metadata))
        self.strings(list(metadata.values()))
        self.data += END

    def _java_uuid(self, text: str) -> None:
        self.data += OBJECT
        self.simple_class("java.util.UUID", (("J", "leastSigBits"), ("J", "mostSigBits")))
        self.remember(object())
        most, least = struct.unpack(">qq", uuid.UUID(text).bytes)
        self.data += struct.pack(">qq", least, most)

    def _path_class(self, path_class: PathClass | None) -> None:
        if path_class is None:
            self.data += NULL
        elif not self.known(("path class", path_class)):
            self.data += OBJECT
            name = OBJECTS + "classes.PathClass"
            kinds = (("Ljava/lang/Integer;", "colorRGB"), ("Ljava/lang/String;", "name"), ("Lclass;", "parentClass"))
            self.simple_class(name, kinds)
            self.remember(("path class", path_class))
            self.boxed(path_class.color)
            self.string(path_class.name)
            self._path_class(path_class.parent)

    def _roi(self, roi: Roi | None) -> None:
        if roi is None:
            self.data += NULL
            return
        self.data += OBJECT
        # Java sorts fields: primitive ones by name, then the others by name.
        values = [("c", "I", roi.c), ("t", "I", roi.t), ("z", "I", roi.z), *roi.fields]
        values.sort(key=lambda value: (value[1][0] in "[L", value[0]))
        fields = tuple((code, name) for name, code, _ in values)
        self.simple_class(f"qupath.lib.roi.{roi.kind}SerializationProxy", fields)
        self.remember(object())
        for _, code, value in values:
            if code[0] == "[":
                self.array(code, value)
            else:
                self.data += struct.pack(f">{code.lower()}", value)


def qpdata(*objects: Drawn, version: int = 3, properties: dict[str, str] | None = None) -> bytes:
    return QpdataWriter(version, properties).file(list(objects))


def java_utf8(text: str) -> bytes:
    """Encode as Java does: U+0000 as two bytes, and beyond U+FFFF as two surrogates of three bytes each."""
    units = text.encode("utf-16-be", "surrogatepass")
    characters = (chr(unit) for (unit,) in struct.iter_unpack(">H", units))
    return "".join(characters).encode("utf-8", "surrogatepass").replace(b"\0", b"\xc0\x80")
