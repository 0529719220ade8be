"""Drawings out of GeoJSON as QuPath exports it: a FeatureCollection, an array, one Feature, or a bare geometry.

Only annotations are drawings; other objects and regions are counted. What QuPath writes and reads is followed, not
all of RFC 7946.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.errors import PromptError
from nuclick_wsi.formats.colors import Color
from nuclick_wsi.formats.drawings import Drawing, Found, marks_of
from nuclick_wsi.formats.geojson_parts import (
    REGIONS,
    SINGLE,
    class_color_of,
    class_name_of,
    features_in,
    list_at,
    object_id,
    parse_json,
    plane_of,
)
from nuclick_wsi.json_values import Json, object_at

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
    return drawings_of_content(parse_json(data, source), source)


def drawings_of_content(content: Any, source: str) -> Found:
    """Return what GeoJSON holds that is parsed already; as `drawings_of_geojson`."""
    drawings: list[Drawing] = []
    left_alone: Counter[str] = Counter()
    colors: dict[str, Color] = {}
    for number, feature in enumerate(features_in(content, source), start=1):
        try:
            label = _left_alone(feature)
            drawing = None if label else _drawing(feature, number)
        except (ValueError, TypeError, OverflowError, RecursionError) as error:
            raise PromptError(f"{source}, feature {number}: {error}.") from error
        if drawing is None:
            left_alone[label or "region"] += 1
            continue
        drawings.append(drawing)
        color = class_color_of(feature)
        if drawing.class_name is not None and color is not None:
            colors[drawing.class_name] = color
    return Found(tuple(drawings), left_alone, colors)


def _left_alone(feature: Json) -> str | None:
    """Return what an object is, if it is none that a user draws; what QuPath does not know is an annotation to it."""
    properties = object_at(feature, "properties")
    old = _OLD_TYPES.get(str(feature.get("id")), "annotation")
    kind = properties.get("objectType", properties.get("object_type", old))
    return kind if kind in _OTHERS else None


def _drawing(feature: Json, number: int) -> Drawing | None:
    geometry = feature.get("geometry")
    if geometry is None:
        return None
    marks = marks_of(_leaves(geometry))
    if marks is None:
        return None
    mark, parts = marks
    name = object_at(feature, "properties").get("name")
    label = f"feature {number}" + (f" {name!r}" if isinstance(name, str) else "")
    return Drawing(mark, parts, label, object_id(feature), class_name_of(feature), plane_of(geometry))


def _leaves(geometry: Json) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield type and positions of the single parts of a geometry."""
    waiting = [geometry]
    while waiting:
        one = waiting.pop()
        if not isinstance(one, dict):
            raise ValueError(f"its geometry is {one!r:.40}, not an object")
        kind = one.get("type")
        coordinates = list_at(one, "coordinates")
        if kind == "GeometryCollection":
            waiting += reversed(list_at(one, "geometries"))
        elif kind in REGIONS:
            yield kind, np.empty((0, 2))
        elif kind == "Point":
            yield kind, _positions([coordinates] if coordinates else [])
        elif kind == "MultiLineString":
            yield from (("LineString", _positions(line)) for line in coordinates)
        elif kind in SINGLE:
            yield SINGLE[kind], _positions(coordinates)
        else:
            raise ValueError(f"its geometry is of type {kind!r}; accepted are {', '.join((*SINGLE, *REGIONS))}")


def _positions(coordinates: Any) -> NDArray[np.float64]:
    """Return positions as an array of shape (n, 2); a third coordinate is not the plane in QuPath, and is dropped."""
    if not isinstance(coordinates, list):
        raise ValueError(f"its coordinates are {coordinates!r:.40}, not a list")
    for position in coordinates:
        if not isinstance(position, list) or len(position) < 2:
            raise ValueError(f"a position is {position!r:.40}, not [x, y]")
    return np.array([position[:2] for position in coordinates], np.float64).reshape(-1, 2)
