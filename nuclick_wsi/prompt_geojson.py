"""Drawings out of GeoJSON as QuPath exports it: a FeatureCollection, an array, one Feature, or a bare geometry.

Only annotations are drawings; other objects and regions are counted. What QuPath writes and reads is followed, not
all of RFC 7946.
"""

import json
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.drawings import Drawing, marks_of
from nuclick_wsi.errors import PromptError
from nuclick_wsi.prompts import Plane

_Json: TypeAlias = dict[str, Any]

# QuPath 0.2 wrote the type of an object as its id.
_OLD_TYPES = {
    "PathAnnotationObject": "annotation",
    "PathCellObject": "cell",
    "PathDetectionObject": "detection",
    "PathRootObject": "root",
    "PathTileObject": "tile",
    "TMACoreObject": "tmaCore",
}
_OTHERS = frozenset(_OLD_TYPES.values()) - {"annotation"}
# The type of the single parts of each type.
_SINGLE = {"Point": "Point", "MultiPoint": "Point", "LineString": "LineString", "MultiLineString": "LineString"}
_REGIONS = ("Polygon", "MultiPolygon")


@dataclass(frozen=True, slots=True)
class Found:
    """The drawings of a file, and how many other objects it holds, by what they are."""

    drawings: tuple[Drawing, ...]
    left_alone: Counter[str]

    def __add__(self, other: "Found") -> "Found":
        return Found(self.drawings + other.drawings, self.left_alone + other.left_alone)


def drawings_of_geojson(data: bytes, source: str) -> Found:
    """Return what a GeoJSON file holds.

    Parameters
    ----------
    source
        What errors call the file.

    Raises
    ------
    PromptError
        It is not GeoJSON; the message names the feature.
    """
    return drawings_of_content(_parsed(data, source), source)


def drawings_of_content(content: Any, source: str) -> Found:
    """Return what GeoJSON holds that is parsed already; as `drawings_of_geojson`."""
    drawings: list[Drawing] = []
    left_alone: Counter[str] = Counter()
    for number, feature in enumerate(_features(content, source), start=1):
        try:
            label = _left_alone(feature)
            drawing = None if label else _drawing(feature, number)
        except (ValueError, TypeError, OverflowError) as error:
            raise PromptError(f"{source}, feature {number}: {error}.") from error
        if drawing is not None:
            drawings.append(drawing)
        else:
            left_alone[label or "region"] += 1
    return Found(tuple(drawings), left_alone)


def _parsed(data: bytes, source: str) -> Any:
    try:
        return json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{source} is not JSON: {error}. Export the objects from QuPath as GeoJSON again.") from error


def _features(content: Any, source: str) -> Iterator[_Json]:
    """Yield the features of whatever QuPath reads, children of objects too."""
    waiting = [content]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += reversed(one)
            continue
        kind = one.get("type") if isinstance(one, dict) else None
        if kind == "FeatureCollection":
            waiting.append(one.get("features", []))
        elif kind == "Feature":
            yield one
            properties = _table(one, "properties")
            waiting.append(properties.get("childObjects", properties.get("children", [])))
        elif kind in (*_SINGLE, *_REGIONS, "GeometryCollection"):
            yield {"type": "Feature", "geometry": one}
        else:
            seen = f"type {kind!r}" if isinstance(one, dict) else f"a {type(one).__name__}"
            raise PromptError(
                f"{source} holds {seen} where GeoJSON has a FeatureCollection, a list of Features, a Feature or a "
                "geometry. Export the objects from QuPath as GeoJSON."
            )


def _left_alone(feature: _Json) -> str | None:
    """Return what an object is, if it is none that a user draws; what QuPath does not know is an annotation to it."""
    properties = _table(feature, "properties")
    old = _OLD_TYPES.get(str(feature.get("id")), "annotation")
    kind = properties.get("objectType", properties.get("object_type", old))
    return kind if kind in _OTHERS else None


def _drawing(feature: _Json, number: int) -> Drawing | None:
    geometry = feature.get("geometry")
    if geometry is None:
        return None
    marks = marks_of(_leaves(geometry))
    if marks is None:
        return None
    mark, parts = marks
    name = _table(feature, "properties").get("name")
    label = f"feature {number}" + (f" {name!r}" if isinstance(name, str) else "")
    return Drawing(mark, parts, label, _id(feature), _class_name(feature), _plane(geometry))


def _leaves(geometry: _Json) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield type and positions of the single parts of a geometry."""
    waiting = [geometry]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict):
            raise ValueError(f"its geometry is {one!r:.40}, not an object")
        kind = one.get("type")
        coordinates = _list(one, "coordinates")
        if kind == "GeometryCollection":
            waiting += reversed(_list(one, "geometries"))
        elif kind in _REGIONS:
            yield kind, np.empty((0, 2))
        elif kind == "Point":
            yield kind, _positions([coordinates] if coordinates else [])
        elif kind == "MultiLineString":
            yield from (("LineString", _positions(line)) for line in coordinates)
        elif kind in _SINGLE:
            yield _SINGLE[kind], _positions(coordinates)
        else:
            raise ValueError(f"its geometry is of type {kind!r}; accepted are {', '.join((*_SINGLE, *_REGIONS))}")


def _positions(coordinates: Any) -> NDArray[np.float64]:
    """Return positions as an array of shape (n, 2); a third coordinate is not the plane in QuPath, and is dropped."""
    if not isinstance(coordinates, list):
        raise ValueError(f"its coordinates are {coordinates!r:.40}, not a list")
    for position in coordinates:
        if not isinstance(position, list) or len(position) < 2:
            raise ValueError(f"a position is {position!r:.40}, not [x, y]")
    return np.array([position[:2] for position in coordinates], np.float64).reshape(-1, 2)


def _id(feature: _Json) -> str | None:
    """Return the object's UUID; QuPath ignores any other id, which need not be unique."""
    try:
        return str(uuid.UUID(feature.get("id", "")))
    except (ValueError, AttributeError, TypeError):
        return None


def _class_name(feature: _Json) -> str | None:
    found = _table(feature, "properties").get("classification")
    if isinstance(found, dict):
        names = found.get("names")
        found = ": ".join(map(str, names)) if isinstance(names, list) else found.get("name")
    return found if isinstance(found, str) and found else None


def _plane(geometry: _Json) -> Plane:
    plane = _table(geometry, "plane")
    default = Plane()
    return Plane(*(int(plane.get(axis, getattr(default, axis))) for axis in "czt"))


def _list(content: _Json, key: str) -> list[Any]:
    value = content.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"its {key} are {value!r:.40}, not a list")
    return value


def _table(content: _Json, key: str) -> _Json:
    value = content.get(key)
    return value if isinstance(value, dict) else {}
