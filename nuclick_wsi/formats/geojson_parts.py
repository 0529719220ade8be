"""The parts of QuPath's GeoJSON that all its readers share: the features of a file, their ids, classes and planes."""

import ast
import json
import uuid
from collections.abc import Iterator
from typing import Any

from nuclick_wsi.errors import PromptError
from nuclick_wsi.formats.colors import Color, read_color
from nuclick_wsi.json_values import Json, object_at
from nuclick_wsi.prompts import Plane

# The type of the single parts of each type.
SINGLE = {"Point": "Point", "MultiPoint": "Point", "LineString": "LineString", "MultiLineString": "LineString"}
REGIONS = ("Polygon", "MultiPolygon")


_NESTED = ("classification", "measurements", "metadata", "color", "childObjects", "children")
"""Properties that hold more than one value, which tools for tables write as a text."""
_LONGEST_PYTHON = 10_000
"""Characters; tools for tables write short lists and dictionaries."""
_BETWEEN = "\x1e"
"""What may stand before each line of a sequence of JSON texts (RFC 8142)."""


def parse_json(data: bytes, source: str) -> Any:
    """Return what a JSON file holds, of several lines a list; PromptError, naming `source`, if it is none."""
    try:
        return json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        lines = _parsed_lines(data, source)
        if lines is not None:
            return lines
        raise PromptError(f"{source} is not JSON: {error}. Export the objects from QuPath as GeoJSON again.") from error


def _parsed_lines(data: bytes, source: str) -> list[Any] | None:
    """Return what newline-delimited JSON holds; None for a file of which the first line is no JSON object."""
    found: list[Any] = []
    text = data.decode("utf-8-sig", errors="replace")
    for number, line in enumerate(text.replace(_BETWEEN, "").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            if not found:
                return None
            raise PromptError(
                f"{source}, line {number} is not JSON: {error}. The lines before are each a whole JSON object."
            ) from error
        if not isinstance(found[0], dict):
            return None
    return found or None


def features_in(content: Any, source: str) -> Iterator[Json]:
    """Yield the features of any GeoJSON that QuPath reads, children of objects too."""
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
            one = _with_structure(one)
            yield one
            properties = object_at(one, "properties")
            waiting.append(properties.get("childObjects", properties.get("children", [])))
        elif kind in (*SINGLE, *REGIONS, "GeometryCollection"):
            yield {"type": "Feature", "geometry": one}
        else:
            seen = f"type {kind!r}" if isinstance(one, dict) else f"a {type(one).__name__}"
            raise PromptError(
                f"{source} holds {seen} where GeoJSON has a FeatureCollection, a list of Features, a Feature or a "
                "geometry. Export the objects from QuPath as GeoJSON."
            )


def object_id(feature: Json) -> str | None:
    """Return the object's UUID; QuPath ignores any other id, which need not be unique."""
    try:
        return str(uuid.UUID(feature.get("id", "")))
    except (ValueError, AttributeError, TypeError):
        return None


def class_name_of(feature: Json) -> str | None:
    """Return the full name of a feature's class; None where it has none."""
    return class_name_in(object_at(feature, "properties").get("classification"))


def class_name_in(classification: Any) -> str | None:
    """Return the class that a value means: a name, its parts, or QuPath's object with either, also where it is text."""
    found = with_structure(classification)
    if isinstance(found, dict):
        found = found.get("names") or found.get("name")
    if isinstance(found, list):
        found = ": ".join(map(str, found))
    return found if isinstance(found, str) and found else None


def class_color_of(feature: Json) -> Color | None:
    """Return the colour of a feature's class, of the feature itself where that says none; None without any."""
    properties = object_at(feature, "properties")
    classification = object_at(properties, "classification")
    values = [one.get(key) for one in (classification, properties) for key in ("color", "colorRGB")]
    return next((color for color in map(read_color, values) if color is not None), None)


def with_structure(value: Any) -> Any:
    """Return what a text holds that is a JSON (or Python) object or list; any other value as it is."""
    if not isinstance(value, str) or not value.lstrip().startswith(("{", "[")):
        return value
    # Python's own parser needs a thousand times the text in memory.
    for parse in (json.loads, ast.literal_eval) if len(value) <= _LONGEST_PYTHON else (json.loads,):
        try:
            found = parse(value.strip())
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
        if isinstance(found, dict | list):
            return found
    return value


def _with_structure(feature: Json) -> Json:
    """Return a feature of which the properties that hold several values are no texts."""
    properties = with_structure(feature.get("properties"))
    if not isinstance(properties, dict):
        return feature
    nested = {key: with_structure(properties[key]) for key in _NESTED if key in properties}
    return {**feature, "properties": {**properties, **nested}}


def plane_of(geometry: Json) -> Plane:
    """Return the plane that a geometry is on."""
    plane = object_at(geometry, "plane")
    default = Plane()
    return Plane(*(int(plane.get(axis, getattr(default, axis))) for axis in "czt"))


def list_at(content: Json, key: str) -> list[Any]:
    """Return a list, empty where there is none; ValueError where there is something else."""
    value = content.get(key, [])
    if not isinstance(value, list):
        raise ValueError(f"its {key} are {value!r:.40}, not a list")
    return value
