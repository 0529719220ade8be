"""Objects of any program as annotations of ASAP: points are dots, lines point sets, polygons polygons.

Positions are in the frame of the whole slide. Ids become part of names, and holes are in sub-groups, for ASAP has no
place for either.
"""

import uuid
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from shapely import LineString, Point, Polygon

from asap_bridge.annotations import UNGROUPED, Annotation, AnnotationType, Group, Points
from asap_bridge.document import write_document
from asap_bridge.names import CarriedName, result_group
from asap_bridge.results import color_of_class, result_rings, rings_of
from asap_bridge.selection import GroupRule, ReadAs, read_as
from asap_bridge.text import safe
from nuclick_wsi.formats.features import WITHOUT_SHAPE, Converted, Feature, Features, Lost
from nuclick_wsi.prompts import Plane

_RULE = GroupRule()
_READ_AS = {
    AnnotationType.DOT: ReadAs.CLICK,
    AnnotationType.POINT_SET: ReadAs.SQUIGGLE,
    AnnotationType.POLYGON: ReadAs.REGION,
}
_NAMESPACE = uuid.UUID("0a6d52a5-04b4-5c7c-8e0a-5f0e94c1a1f7")


@dataclass(frozen=True, slots=True, eq=False)
class _Ring:
    """One annotation's worth of an object."""

    type: AnnotationType
    points: Points
    part: int
    ring: int = 0


def asap_of_features(features: Features) -> Converted:
    """Return a file of ASAP that holds objects, and what it cannot hold of them."""
    lost: Lost = Counter(features.lost)
    annotations: list[Annotation] = []
    written: list[Feature] = []
    for one in features.features:
        if one.geometry.is_empty:
            lost[WITHOUT_SHAPE] += 1
            continue
        before = len(annotations)
        _count_lost(one, lost)
        group = None if one.class_name is None else safe(one.class_name)
        if group == UNGROUPED:
            lost[f'the class "{UNGROUPED}", which means no group in ASAP'] += 1
            group = None
        color = color_of_class(group, features.class_colors)
        annotations += _annotations(one, group, color, len(annotations), lost)
        if len(annotations) > before:
            written.append(one)
    content = write_document(annotations, _groups(annotations))
    return Converted(content, len(written), sum(one.is_result for one in written), len(annotations), lost)


def _annotations(one: Feature, group: str | None, color: str, number: int, lost: Lost) -> Iterator[Annotation]:
    is_surface = all(isinstance(part, Polygon) for part in shapely.get_parts(one.geometry))
    if one.is_result and one.id is not None and is_surface:
        yield from result_rings(one.id, one.geometry, group, color)
        return
    rings = list(_rings(one.geometry, lost))
    identity = one.id
    if identity is None and any(ring.ring for ring in rings):
        # Something must tell which polygon a hole belongs to.
        identity = str(uuid.uuid5(_NAMESPACE, f"{group}|{one.geometry.wkt}"))
    for place, ring in enumerate(rings):
        name = one.name or f"Annotation {number + place}"
        if identity is not None:
            part = ring.part if len(rings) > 1 else 0
            name = str(CarriedName(one.name or "", identity, part, ring.ring))
        annotation = Annotation(safe(name), ring.type, ring.points, _holes(group) if ring.ring else group, color)
        if read_as(annotation, _RULE) is not _READ_AS[ring.type]:
            lost[f"what shapes of the class {group!r} are: a run goes by the group's name"] += 1
        yield annotation


def _rings(geometry: shapely.Geometry, lost: Lost) -> Iterator[_Ring]:
    for part, one in enumerate(_parts(geometry), start=1):
        match one:
            case Point():
                yield _Ring(AnnotationType.DOT, _single(one), part)
            case LineString():
                yield _Ring(AnnotationType.POINT_SET, _single(one), part)
            case Polygon():
                for place, points in enumerate(rings_of(one)):
                    yield _Ring(AnnotationType.POLYGON, points, part, place)
            case _:
                lost[f"shapes of type {one.geom_type}"] += 1


def _parts(geometry: shapely.Geometry) -> Iterator[shapely.Geometry]:
    """Yield the single parts of a geometry that are not empty, out of collections of collections too."""
    waiting = [geometry]
    while waiting:
        one = waiting.pop()
        if one.geom_type.startswith("Multi") or one.geom_type == "GeometryCollection":
            waiting += reversed(shapely.get_parts(one).tolist())
        elif not one.is_empty:
            yield one


def _single(geometry: shapely.Geometry) -> Points:
    points: Points = shapely.get_coordinates(geometry).astype(np.float32)
    return points


def _holes(group: str | None) -> str:
    """Return the name of the sub-group that holds the holes of a group's polygons."""
    return "holes" if group is None else f"{group} holes"


def _groups(annotations: Iterable[Annotation]) -> list[Group]:
    """Return the groups that annotations name, parents before their sub-groups."""
    colors = {one.group: one.color for one in annotations if one.group is not None}
    parents: dict[str, str | None] = dict.fromkeys(colors)
    for one in annotations:
        carried = CarriedName.parse(one.name)
        if one.group is not None and carried is not None and carried.ring:
            parents[one.group] = one.group.removesuffix("holes").rstrip() or None
        if one.group is not None and one.group.startswith(result_group(None, holes=True)):
            parents[one.group] = one.group.replace(result_group(None, holes=True), result_group(None), 1)
    ordered = sorted(colors, key=lambda group: parents[group] is not None)
    return [Group(group, parents[group], colors[group]) for group in ordered]


def _count_lost(one: Feature, lost: Lost) -> None:
    if one.measurements:
        lost["objects' measurements"] += 1
    if one.plane != Plane():
        lost["which plane of the slide an object is on"] += 1
