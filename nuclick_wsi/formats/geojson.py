"""Results as GeoJSON that QuPath 0.4 to 0.7 imports as it is: one feature per instance, under the prompt's id.

A cell with its nucleus inside is one feature, under the id of the cell's prompt.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPolygon, Polygon

from nuclick_wsi.accepted import all_of, one_of
from nuclick_wsi.choices import ObjectType
from nuclick_wsi.formats.cells import NucleiOfCells, nuclei_of_cells
from nuclick_wsi.formats.colors import Color, color_of
from nuclick_wsi.formats.earlier_results import GENERATOR, NOTHING, NUCLEI, Earlier
from nuclick_wsi.formats.marks import MARK, mark_of
from nuclick_wsi.instances import Instance, Instances, InstancesInOrder, order_in_files
from nuclick_wsi.ownership import Origin, ResultPlace, choose_place, find_ours, origin_of
from nuclick_wsi.prompts import Plane
from nuclick_wsi.seals import SealedContent, write_sealed
from nuclick_wsi.shared_files import write_if_unchanged

AREA = "Area µm^2"
"""QuPath's own name for this measurement, so that both fill one column."""
MEAN_PROBABILITY = "NuClick: Mean probability"
SURENESS = "NuClick: Sureness"
"""The Dice that the outline is estimated to reach."""
_AS_TYPE = "What outlines become"
_AT_ONCE = 256
"""Features that are made into text at once."""


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
    written = ResultFeatures.of(list(instances), one_of(ObjectType, as_type, _AS_TYPE), colors, apart)
    features = list(written.features())
    for feature in features:
        for name in feature.keys() & {"geometry", "nucleusGeometry"}:
            feature[name]["coordinates"] = _listed(feature[name]["coordinates"])
    collection = {"type": "FeatureCollection", "generator": GENERATOR, "features": features}
    return {**collection, NUCLEI: written.nuclei_by_cell} if written.nuclei else collection


def write_results(
    path: Path | str,
    instances: Iterable[Instance],
    as_type: ObjectType = ObjectType.DETECTION,
    colors: Mapping[str, Color] = MappingProxyType({}),
    source: str = "",
) -> ResultPlace:
    """Write the results of one image; return where they are.

    Only results of the same source are replaced, and a copy of them is kept where they were edited since.

    Parameters
    ----------
    as_type
        What QuPath makes of them.
    colors
        Red, green and blue of classes by name; a class without one gets a colour that depends on its name alone.
    source
        What the results are made from, as `source_name` says it.

    Raises
    ------
    ResultError
        If the folder cannot be written to, or another program saves the file at this moment.
    """
    place = results_place(Path(path), source)
    put_results(place, all_of(Instance, instances, "The instances"), as_type, colors)
    return place


def results_place(wanted: Path, source: str) -> ResultPlace:
    """Return where the results of a source go; an edited file of results is copied beside itself first."""
    return choose_place(wanted, source, _origin)


def find_results(wanted: Path, source: str) -> Path:
    """Return where the results of a source are; the name that they would have where there are none."""
    return find_ours(wanted, source, _origin) or wanted


def put_results(
    place: ResultPlace,
    instances: Collection[Instance],
    as_type: ObjectType,
    colors: Mapping[str, Color],
    earlier: Earlier = NOTHING,
) -> None:
    """Write the results of one image into their place, as `write_results` does.

    Parameters
    ----------
    earlier
        What stays of an earlier run; none of `instances` answers the same prompt.
    """
    written = ResultFeatures.of(instances, one_of(ObjectType, as_type, _AS_TYPE), colors)
    write_if_unchanged(place.path, lambda path: write_sealed(path, _parts(written, place.seal, earlier)), place.seen)


def _parts(written: "ResultFeatures", seal: str, earlier: Earlier) -> Iterator[bytes]:
    """Yield the parts of a file of results: one of 480 MB is never in memory as a whole."""
    head = orjson.dumps({"type": "FeatureCollection", "generator": GENERATOR, "seal": seal})
    yield head[:-1] + b',"features":['
    features, is_first = chain(written.features(), earlier.features), True
    while few := list(islice(features, _AT_ONCE)):
        yield (b"" if is_first else b",") + orjson.dumps(few, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
        is_first = False
    yield b"]"
    if nuclei := {**written.nuclei_by_cell, **earlier.nuclei}:
        yield b"," + orjson.dumps({NUCLEI: {cell: nuclei[cell] for cell in sorted(nuclei)}})[1:-1]
    yield b"}"


@dataclass(frozen=True, slots=True)
class ResultFeatures:
    """The features of some instances.

    Attributes
    ----------
    instances
        In the order in which files hold them; gone through again each time that the features are.
    nuclei
        Those inside of cells.
    """

    instances: Instances
    as_type: ObjectType
    colors: Mapping[str, Color]
    nuclei: NucleiOfCells

    @classmethod
    def of(
        cls,
        instances: Collection[Instance],
        as_type: ObjectType,
        colors: Mapping[str, Color],
        apart: Collection[str] = (),
    ) -> "ResultFeatures":
        """Return the features of instances in any order; as detections, cells have their nuclei inside."""
        # To QuPath a cell is a detection: no annotation has a nucleus.
        ordered = _in_order(instances)
        nuclei = nuclei_of_cells(ordered, apart) if as_type is ObjectType.DETECTION else NucleiOfCells()
        return cls(ordered, as_type, colors, nuclei)

    @property
    def nuclei_by_cell(self) -> dict[str, str]:
        """The prompt id of the nucleus in each cell that has one, by that of the cell."""
        return {cell: self.nuclei.names[cell] for cell in sorted(self.nuclei)}

    def features(self) -> Iterator[dict[str, Any]]:
        """Yield one feature for each instance, but for nuclei that are inside of a cell's; each ring is an array."""
        inside = set(self.nuclei.names.values())
        for one in self.instances:
            if one.prompt_id in self.nuclei:
                yield _cell(one, self.nuclei[one.prompt_id], self.colors)
            elif one.prompt_id not in inside:
                yield _feature(one, self.as_type, self.colors)


def _in_order(instances: Collection[Instance]) -> Instances:
    """Return instances in the order in which files hold them; a million that are, stay where they are."""
    if isinstance(instances, InstancesInOrder):
        return instances
    keys = map(order_in_files, instances)
    if isinstance(instances, Sequence) and all(one <= other for one, other in pairwise(keys)):
        return instances
    return sorted(instances, key=order_in_files)


def _origin(content: SealedContent, source: str) -> Origin:
    """Return where a file is from; versions without seals made files that name the generator alone."""
    if f'"generator":"{GENERATOR}"'.encode() in content.head and b'"seal":' not in content.head:
        return Origin.EDITED
    return origin_of(content, source)


def _cell(cell: Instance, nucleus: Instance, colors: Mapping[str, Color]) -> dict[str, Any]:
    feature = _feature(cell, ObjectType.DETECTION, colors)
    # QuPath's own names for a cell's measurements; by the last the reader knows it as a result.
    measurements = {
        f"Nucleus: {AREA}": round(nucleus.area_um2, 4),
        f"Cell: {AREA}": round(cell.area_um2, 4),
        f"{MEAN_PROBABILITY} of nucleus": round(nucleus.mean_probability, 4),
        MEAN_PROBABILITY: round(cell.mean_probability, 4),
        **_sureness(nucleus, f"{SURENESS} of nucleus"),
        **_sureness(cell, SURENESS),
        MARK: mark_of(cell.prompt_id, "cell", importable(cell.class_name)),
    }
    feature["properties"] |= {"objectType": "cell", "measurements": measurements}
    return {**feature, "nucleusGeometry": _geometry(nucleus.polygon, nucleus.plane)}


def _sureness(instance: Instance, name: str) -> dict[str, float]:
    """Return a measurement, or none where the model does not say how sure it is."""
    return {} if instance.sureness is None else {name: round(instance.sureness, 4)}


def _feature(instance: Instance, as_type: ObjectType, colors: Mapping[str, Color]) -> dict[str, Any]:
    properties: dict[str, Any] = {"objectType": as_type.value}
    if name := importable(instance.class_name):
        color = colors.get(instance.class_name or "") or colors.get(name) or color_of(name)
        properties["classification"] = {"name": name, "color": list(color)}
    properties["measurements"] = {
        AREA: round(instance.area_um2, 4),
        MEAN_PROBABILITY: round(instance.mean_probability, 4),
        **_sureness(instance, SURENESS),
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


def _rings(polygon: Polygon) -> list[NDArray[np.float64]]:
    return [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]


def _listed(coordinates: Any) -> list[Any]:
    """Return nested lists of rings with the rings as lists too, which take the time of a file and more."""
    return [ring.tolist() if isinstance(ring, np.ndarray) else _listed(ring) for ring in coordinates]


def importable(class_name: str | None) -> str:
    """Return a class's name without what makes QuPath refuse a file: line breaks, blank parts around a colon."""
    parts = (" ".join(part.splitlines()).strip() for part in (class_name or "").split(":"))
    return ": ".join(part for part in parts if part)
