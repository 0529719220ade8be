"""Results as GeoJSON that QuPath 0.4 to 0.7 imports as it is: one feature per instance, under the prompt's id.

A cell with its nucleus inside is one feature, under the id of the cell's prompt.
"""

import colorsys
import hashlib
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import orjson
from shapely.geometry import MultiPolygon, Polygon

from nuclick_wsi.cells import nuclei_of_cells
from nuclick_wsi.choices import ObjectType
from nuclick_wsi.files import back_up, write_atomically
from nuclick_wsi.instances import Instance
from nuclick_wsi.marks import MARK, mark_of
from nuclick_wsi.prompts import Plane

Color = tuple[int, int, int]
GENERATOR = "nuclick-wsi"
AREA = "Area µm^2"
"""QuPath's own name for this measurement, so that both fill one column."""
MEAN_PROBABILITY = "NuClick: Mean probability"
NUCLEI = "nuclei"
"""The entry of a collection that says which nucleus, by its prompt's id, is in which cell."""


def feature_collection(
    instances: Iterable[Instance], as_type: ObjectType, colors: Mapping[str, Color], apart: Collection[str] = ()
) -> dict[str, Any]:
    """Return the instances as a GeoJSON FeatureCollection; as detections, cells have their nuclei inside.

    Parameters
    ----------
    instances
        In any order; it decides nothing.
    colors
        Colours of the project's classes; a class without one gets a colour that depends on its name alone.
    apart
        Prompt ids of nuclei that are put into no cell.
    """
    # A plain class before those derived from it: QuPath makes up a colour for a parent that it meets too late.
    ordered = sorted(instances, key=lambda instance: ((instance.class_name or "").count(":"), instance.prompt_id))
    # To QuPath a cell is a detection: no annotation has a nucleus.
    nuclei = nuclei_of_cells(ordered, apart) if as_type is ObjectType.DETECTION else {}
    inside = {nucleus.prompt_id for nucleus in nuclei.values()}
    features = [
        _cell(one, nuclei[one.prompt_id], colors) if one.prompt_id in nuclei else _feature(one, as_type, colors)
        for one in ordered
        if one.prompt_id not in inside
    ]
    collection: dict[str, Any] = {"type": "FeatureCollection", "generator": GENERATOR, "features": features}
    if nuclei:
        collection[NUCLEI] = {cell: nuclei[cell].prompt_id for cell in sorted(nuclei)}
    return collection


def write_results(path: Path, instances: Iterable[Instance], as_type: ObjectType, colors: Mapping[str, Color]) -> bool:
    """Write the results of one image; return False where the file held exactly these already.

    A file in the way that is not ours is copied beside itself first.

    Raises
    ------
    ResultError
        If the folder cannot be written to.
    """
    if path.is_file() and not _is_ours(path):
        back_up(path)
    return write_atomically(path, orjson.dumps(feature_collection(instances, as_type, colors)))


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        return f'"generator":"{GENERATOR}"'.encode() in file.read(200)


def _cell(cell: Instance, nucleus: Instance, colors: Mapping[str, Color]) -> dict[str, Any]:
    feature = _feature(cell, ObjectType.DETECTION, colors)
    # QuPath's own names for a cell's measurements; by the last it is known as ours, as a detection is.
    measurements = {
        f"Nucleus: {AREA}": round(nucleus.area_um2, 4),
        f"Cell: {AREA}": round(cell.area_um2, 4),
        f"{MEAN_PROBABILITY} of nucleus": round(nucleus.mean_probability, 4),
        MEAN_PROBABILITY: round(cell.mean_probability, 4),
        MARK: mark_of(cell.prompt_id, "cell", importable(cell.class_name)),
    }
    feature["properties"] |= {"objectType": "cell", "measurements": measurements}
    return {**feature, "nucleusGeometry": _geometry(nucleus.polygon, nucleus.plane)}


def _feature(instance: Instance, as_type: ObjectType, colors: Mapping[str, Color]) -> dict[str, Any]:
    properties: dict[str, Any] = {"objectType": as_type.value}
    if name := importable(instance.class_name):
        color = colors.get(name) or color_of(name)
        properties["classification"] = {"name": name, "color": list(color)}
    properties["measurements"] = {
        AREA: round(instance.area_um2, 4),
        MEAN_PROBABILITY: round(instance.mean_probability, 4),
        MARK: mark_of(instance.prompt_id, as_type.value, name),
    }
    return {
        "type": "Feature",
        "id": instance.prompt_id,
        "geometry": _geometry(instance.polygon, instance.plane),
        "properties": properties,
    }


def _geometry(polygon: Polygon | MultiPolygon, plane: Plane) -> dict[str, Any]:
    geometry: dict[str, Any]
    if isinstance(polygon, MultiPolygon) and len(polygon.geoms) == 1:
        (polygon,) = polygon.geoms  # QuPath before 0.6 fails on several polygons that are one
    if isinstance(polygon, MultiPolygon):
        geometry = {"type": "MultiPolygon", "coordinates": [_rings(part) for part in polygon.geoms]}
    else:
        geometry = {"type": "Polygon", "coordinates": _rings(polygon)}
    if plane != Plane():
        geometry["plane"] = {"c": plane.c, "z": plane.z, "t": plane.t}
    return geometry


def _rings(polygon: Polygon) -> list[Any]:
    return [ring.coords[:] for ring in (polygon.exterior, *polygon.interiors)]


def importable(class_name: str | None) -> str:
    """Return a class's name without what makes QuPath refuse a file: line breaks, blank parts around a colon."""
    parts = (" ".join(part.splitlines()).strip() for part in (class_name or "").split(":"))
    return ": ".join(part for part in parts if part)


def color_of(class_name: str) -> Color:
    """Return a clear colour that depends on the class's name alone."""
    hue = int.from_bytes(hashlib.sha256(class_name.encode()).digest()[:2]) / 65536
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)
