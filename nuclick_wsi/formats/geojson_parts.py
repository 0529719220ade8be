"""The parts of QuPath's GeoJSON that all its readers share: the features of a file, their ids, classes and planes."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

from nuclick_wsi.errors import PromptError
from nuclick_wsi.json_values import Json, object_at
from nuclick_wsi.prompts import Plane

# The type of the single parts of each type.
SINGLE = {"Point": "Point", "MultiPoint": "Point", "LineString": "LineString", "MultiLineString": "LineString"}
REGIONS = ("Polygon", "MultiPolygon")


def parse_json(data: bytes, source: str) -> Any:
    """Return what a JSON file holds; PromptError, naming `source`, if it is none."""
    try:
        return json.loads(data.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{source} is not JSON: {error}. Export the objects from QuPath as GeoJSON again.") from error


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
    found = object_at(feature, "properties").get("classification")
    if isinstance(found, dict):
        names = found.get("names")
        found = ": ".join(map(str, names)) if isinstance(names, list) else found.get("name")
    return found if isinstance(found, str) and found else None


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
