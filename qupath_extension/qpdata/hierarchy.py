"""The objects of one image: data.qpdata as annotations, detections, cells, each with its class and what was drawn.

It interprets the values that `javastream` reads. The order in which QuPath writes an object is in
docs/qupath-format.md; `_Contents` follows it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path

from nuclick_wsi.errors import ProjectError
from qupath_extension.json_files import advice
from qupath_extension.qpdata.contents import Contents, metadata_of, packed_color, stored_uuid
from qupath_extension.qpdata.javastream import JavaStream
from qupath_extension.qpdata.javavalues import JavaObject, Value
from qupath_extension.qpdata.rois import Roi, read_roi

Color = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


class PathObjectType(StrEnum):
    """QuPath's types of objects, in the words of its GeoJSON; the root is not handed out."""

    ANNOTATION = "annotation"
    DETECTION = "detection"
    CELL = "cell"
    TILE = "tile"
    TMA_CORE = "tmaCore"
    OTHER = "object"


@dataclass(frozen=True, slots=True, eq=False)
class PathObject:
    """One object of the hierarchy.

    Attributes
    ----------
    id
        QuPath's UUID; None in files from before 0.4, which have none.
    parent
        The index of the parent in `ImageData.objects`; None under the root.
    class_name
        The full name, "Tumor: Positive" for Positive under Tumor; None without a class.
    nucleus
        A cell's second outline.
    """

    type: PathObjectType
    id: str | None
    parent: int | None
    name: str | None
    class_name: str | None
    is_locked: bool
    metadata: Mapping[str, str]
    roi: Roi | None
    nucleus: Roi | None = None


@dataclass(frozen=True, slots=True)
class ImageData:
    """What QuPath has saved of one image.

    Attributes
    ----------
    objects
        Parents before children.
    class_colors
        Of the objects' classes.
    properties
        What scripts have noted of the image, as far as it is text.
    """

    objects: tuple[PathObject, ...]
    class_colors: Mapping[str, Color]
    properties: Mapping[str, str] = field(default_factory=dict)


_ROOT = "qupath.lib.objects.PathRootObject"
_ROI_OBJECT = "qupath.lib.objects.PathROIObject"
_HIERARCHY = "qupath.lib.objects.hierarchy.PathObjectHierarchy"
# A cell is a detection and so is a tile: the more special ones come first.
_TYPES = {
    "qupath.lib.objects.PathCellObject": PathObjectType.CELL,
    "qupath.lib.objects.PathTileObject": PathObjectType.TILE,
    "qupath.lib.objects.PathAnnotationObject": PathObjectType.ANNOTATION,
    "qupath.lib.objects.PathDetectionObject": PathObjectType.DETECTION,
    "qupath.lib.objects.TMACoreObject": PathObjectType.TMA_CORE,
}


def read_image_data(path: Path) -> ImageData:
    """Read a data.qpdata; what is damaged after its objects counts as absent.

    Raises
    ------
    ProjectError
        The file cannot be read, is none of QuPath's, is cut short or damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ProjectError(f"{path} cannot be read: {error.strerror}. {advice(path)}") from error
    try:
        stream = iter(JavaStream(data))
        found = _Reader().read(_root_of(stream))
    except ValueError as error:
        raise ProjectError(f"{path} cannot be read: {error}. {advice(path)}") from error
    return replace(found, properties=_properties_in(stream))


def _properties_in(rest: Iterator[Value]) -> dict[str, str]:
    """Return the texts in the map of properties that may follow the objects."""
    try:
        maps = [one for one in rest if isinstance(one, JavaObject) and one.is_a("java.util.HashMap")]
    except ValueError:
        return {}
    found: dict[str, str] = {}
    for java in maps:
        values = [item for item in java.contents if not isinstance(item, bytes)]
        pairs = zip(values[::2], values[1::2], strict=False)
        found.update({key: text for key, text in pairs if isinstance(key, str) and isinstance(text, str)})
    return found


def _root_of(stream: Iterator[Value]) -> JavaObject:
    for value in stream:
        if isinstance(value, JavaObject) and value.java_class.name == _HIERARCHY:
            root = value.fields.get("rootObject")
            if isinstance(root, JavaObject):
                return root
    raise ValueError("it holds no objects of QuPath")


class _Reader:
    """One pass over a hierarchy; classes are shared by many objects and named once."""

    def __init__(self) -> None:
        self._class_names: dict[JavaObject, str | None] = {}
        self._class_colors: dict[str, Color] = {}

    def read(self, root: JavaObject) -> ImageData:
        objects: list[PathObject] = []
        seen: set[JavaObject] = set()
        # A stack and no recursion: nothing bounds how deep a user nests annotations.
        waiting: list[tuple[JavaObject, int | None]] = [(root, None)]
        while waiting:
            java, parent = waiting.pop()
            if java in seen:
                raise ValueError("it is in the hierarchy twice")
            seen.add(java)
            contents = Contents(java)
            head = _Head(contents)
            index = parent
            if java.is_a(_ROI_OBJECT):
                index = len(objects)
                objects.append(self._object(java, head, contents, parent))
            waiting += [(child, index) for child in reversed(head.children)]
        return ImageData(tuple(objects), self._class_colors)

    def _object(self, java: JavaObject, head: "_Head", contents: Contents, parent: int | None) -> PathObject:
        object_type = _type_of(java)
        locked = contents.value()
        is_locked = isinstance(locked, JavaObject) and locked.fields.get("value") is True
        # Files from before the lock was kept start with the class.
        is_lock = isinstance(locked, JavaObject) and locked.is_a("java.lang.Boolean")
        java_class = contents.value() if is_lock else locked
        roi = _roi(contents.value())
        contents.double()  # the class's probability
        nucleus = _roi(contents.value()) if object_type is PathObjectType.CELL else None
        return PathObject(
            object_type,
            head.id,
            parent,
            head.name,
            self._class_name(java_class),
            is_locked,
            head.metadata,
            roi,
            nucleus,
        )

    def _class_name(self, java: Value) -> str | None:
        if not isinstance(java, JavaObject):
            return None
        if java not in self._class_names:
            name = ": ".join(reversed(list(_class_parts(java)))) or None
            self._class_names[java] = name
            color = packed_color(java.fields.get("colorRGB"))
            if name is not None and color is not None:
                self._class_colors[name] = color
        return self._class_names[java]


class _Head:
    """What every object starts with: name, colour, id and metadata, measurements, children."""

    def __init__(self, contents: Contents) -> None:
        name = contents.value()
        self.name = name if isinstance(name, str) else None
        contents.value()  # a colour of its own
        third = contents.value()
        self.id = stored_uuid(third)
        if self.id is not None:
            # Since version 4 of the file: the id, how many values follow, and these.
            values = [contents.value() for _ in range(contents.integer())]
            self.metadata = next(filter(None, map(metadata_of, values)), {})
        else:
            self.metadata = metadata_of(third)
            self.id = stored_uuid(self.metadata.pop("Object ID", None))
            if isinstance(third, JavaObject) and third.is_a("qupath.lib.objects.MetadataMap"):
                contents.value()  # the measurements; without metadata they came third
        self.children = list(_children(contents))


def _children(contents: Contents) -> Iterator[JavaObject]:
    for _ in range(contents.integer()):
        child = contents.value()
        if not isinstance(child, JavaObject):
            raise ValueError("a child that is no object")
        yield child


def _type_of(java: JavaObject) -> PathObjectType:
    return next((kind for name, kind in _TYPES.items() if java.is_a(name)), PathObjectType.OTHER)


def _roi(value: Value) -> Roi | None:
    return read_roi(value) if isinstance(value, JavaObject) else None


def _class_parts(java: JavaObject) -> Iterator[str]:
    """Yield the names of a class and of those it is derived from."""
    seen: set[JavaObject] = set()
    one: Value = java
    while isinstance(one, JavaObject) and one not in seen:
        seen.add(one)
        name = one.fields.get("name")
        if isinstance(name, str):
            yield name
        one = one.fields.get("parentClass")
