"""Objects as QuPath's GeoJSON, in both directions: annotations of all shapes, and results of runs among them."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import orjson
import shapely
from shapely.geometry import mapping, shape

from nuclick_wsi.choices import ObjectType
from nuclick_wsi.errors import PromptError
from nuclick_wsi.formats.colors import Color, color_of
from nuclick_wsi.formats.earlier_results import GENERATOR, NUCLEI
from nuclick_wsi.formats.features import WITHOUT_SHAPE, Converted, Feature, Features, Lost
from nuclick_wsi.formats.geojson import MEAN_PROBABILITY, importable
from nuclick_wsi.formats.geojson_parts import (
    class_color_of,
    class_name_of,
    features_in,
    object_id,
    parse_json,
    plane_of,
)
from nuclick_wsi.json_values import Json, encodable, object_at
from nuclick_wsi.prompts import Plane

RESULT = "NuClick"
"""The name of a result that comes without the measurements of a run."""

_UNREADABLE = (
    ValueError,
    TypeError,
    OverflowError,
    AttributeError,
    IndexError,
    RecursionError,
    shapely.errors.ShapelyError,
)
"""What a shape that is none leads to."""

_KINDS = {"annotation", "detection"}
"""The types of QuPath that say no more than "a shape"."""


def features_of_geojson(data: bytes, source: str) -> Features:
    """Return the objects of a GeoJSON file.

    Raises
    ------
    PromptError
        It is not GeoJSON; the message names the feature.
    """
    content = parse_json(data, source)
    is_ours = isinstance(content, dict) and content.get("generator") == GENERATOR
    nuclei = object_at(content, NUCLEI) if is_ours else {}
    found: list[Feature] = []
    colors: dict[str, Color] = {}
    lost: Lost = Counter()
    for number, one in enumerate(features_in(content, source), start=1):
        try:
            feature = _feature(one, is_ours, lost)
            nucleus = _nucleus(one, feature, nuclei, lost)
        except KeyError as error:
            raise PromptError(f"{source}, feature {number}: its geometry has no {error}.") from error
        except _UNREADABLE as error:
            raise PromptError(f"{source}, feature {number}: its geometry cannot be read ({error}).") from error
        if feature is not None:
            found.append(feature)
            color = class_color_of(one)
            if feature.class_name is not None and color is not None:
                colors[feature.class_name] = color
        if nucleus is not None:
            found.append(nucleus)
    return Features(found, colors, lost)


def geojson_of_features(features: Features) -> Converted:
    """Return objects as a FeatureCollection that QuPath imports; shapes are valid after rounding to 0.01 px."""
    lost: Lost = Counter(features.lost)
    shaped = [one for one in features.features if not one.geometry.is_empty]
    if len(shaped) < len(features.features):
        lost[WITHOUT_SHAPE] += len(features.features) - len(shaped)
    # A plain class before those derived from it, as in the files of results.
    ordered = sorted(shaped, key=lambda one: (one.class_name or "").count(":"))
    content = orjson.dumps(
        {"type": "FeatureCollection", "features": [_json(one, features.class_colors) for one in ordered]}
    )
    return Converted(content, len(shaped), sum(one.is_result for one in shaped), len(shaped), lost)


def _feature(one: Json, is_ours: bool, lost: Lost) -> Feature | None:
    properties = object_at(one, "properties")
    geometry = one.get("geometry")
    if geometry is None:
        lost[WITHOUT_SHAPE] += 1
        return None
    read = shapely.force_2d(shape(geometry))
    kind = properties.get("objectType", properties.get("object_type", "annotation"))
    if kind not in _KINDS:
        lost[f"that an object is a {encodable(str(kind)):.40}"] += 1
    name = properties.get("name")
    measurements = _measurements(properties.get("measurements"))
    return Feature(
        geometry=read,
        id=object_id(one),
        name=name if isinstance(name, str) and name != RESULT else None,
        class_name=class_name_of(one),
        is_result=is_ours or name == RESULT or MEAN_PROBABILITY in measurements,
        plane=plane_of(geometry),
        measurements=measurements,
    )


def _nucleus(one: Json, cell: Feature | None, nuclei: Json, lost: Lost) -> Feature | None:
    """Return the nucleus of a cell as a result of its own, where a run made the cell."""
    if cell is None or "nucleusGeometry" not in one:
        return None
    if cell.id not in nuclei:
        lost["nuclei inside cells"] += 1
        return None
    return replace(cell, geometry=shapely.force_2d(shape(one["nucleusGeometry"])), id=str(nuclei[cell.id]))


def _measurements(found: Any) -> tuple[str, ...]:
    """Return the names of measurements; QuPath 0.2 wrote a list of names with values."""
    if isinstance(found, list):
        return tuple(str(one.get("name")) for one in found if isinstance(one, dict))
    return tuple(found) if isinstance(found, dict) else ()


def _json(one: Feature, colors: Mapping[str, Color]) -> dict[str, Any]:
    kind = ObjectType.DETECTION if one.is_result else ObjectType.ANNOTATION
    properties: dict[str, Any] = {"objectType": kind.value}
    if name := RESULT if one.is_result else one.name:
        properties["name"] = name
    if class_name := importable(one.class_name):
        color = colors.get(one.class_name or "") or color_of(class_name)
        properties["classification"] = {"name": class_name, "color": list(color)}
    geometry: dict[str, Any] = dict(mapping(one.geometry))
    if one.plane != Plane():
        geometry["plane"] = {"c": one.plane.c, "z": one.plane.z, "t": one.plane.t}
    feature: dict[str, Any] = {"type": "Feature", "geometry": geometry, "properties": properties}
    return feature if one.id is None else {**feature, "id": one.id}
