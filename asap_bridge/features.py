"""ASAP's annotations as objects of any program: what each is, and rings under one id put together again.

Positions are in the frame of the whole slide. `feature_annotations` is the reverse.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import shapely
from shapely import LineString, MultiLineString, MultiPoint, MultiPolygon, Point, Polygon

from asap_bridge.annotations import Annotation, AnnotationType, rgb_of
from asap_bridge.document import Document
from asap_bridge.names import GROUP, CarriedName, ResultName, is_result_group, outer_group
from asap_bridge.selection import GroupRule, ReadAs, read_as, stroke_of
from asap_bridge.splines import spline_outline
from nuclick_wsi.formats.features import Feature, Features, Lost

_Key: TypeAlias = tuple[str, ReadAs, str | None]
"""Pieces of one object have the same id, are read alike, and are in groups of one class."""


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """One annotation with what its name says of the object that it belongs to."""

    annotation: Annotation
    reading: ReadAs
    class_name: str | None
    id: str | None = None
    name: str | None = None
    part: int = 0
    ring: int = 0

    @property
    def is_result(self) -> bool:
        return self.reading is ReadAs.RESULT


def features_of(document: Document, rule: GroupRule) -> Features:
    """Return what a file holds; points, lines and polygons as a run would read it."""
    lost: Lost = Counter()
    parents = {group.name: group.parent for group in document.groups}
    nested = [name for name, parent in parents.items() if parent is not None and "hole" not in name.lower()]
    if nested:
        lost["groups inside other groups"] = len(nested)
    features: list[Feature] = []
    for pieces in _objects(document.annotations, rule, parents, lost):
        if (geometry := _geometry(pieces, lost)) is not None:
            first = pieces[0]
            features.append(Feature(geometry, first.id, first.name, first.class_name, first.is_result))
    colors = {group.name: rgb for group in document.groups if (rgb := rgb_of(group.color)) is not None}
    return Features(_without_holes(features, parents, lost), colors, lost)


def _objects(
    annotations: Iterable[Annotation], rule: GroupRule, parents: dict[str, str | None], lost: Lost
) -> Iterable[list[_Piece]]:
    """Return the pieces of each object, in the order of the file."""
    objects: dict[_Key | int, list[_Piece]] = {}
    for number, one in enumerate(annotations):
        if one.type is AnnotationType.NONE or not len(one.points):
            lost["annotations without a shape"] += 1
            continue
        piece = _piece(one, rule, parents)
        key = number if piece.id is None else (piece.id, piece.reading, piece.class_name)
        objects.setdefault(key, []).append(piece)
    return objects.values()


def _piece(one: Annotation, rule: GroupRule, parents: dict[str, str | None]) -> _Piece:
    reading = read_as(one, rule)
    if (result := ResultName.parse(one.name)) is not None:
        class_name = _class_of_results(one.group)
        return _Piece(one, ReadAs.RESULT, class_name, result.prompt_id, None, result.part, result.ring)
    if reading is ReadAs.RESULT:
        # The user's own, drawn in a group of results.
        plain = replace(one, group=_class_of_results(one.group))
        return _Piece(plain, read_as(plain, rule), plain.group, name=one.name)
    if (carried := CarriedName.parse(one.name)) is not None:
        group = parents.get(one.group or "") if carried.ring else one.group
        return _Piece(one, reading, group, carried.id, carried.name or None, carried.part, carried.ring)
    return _Piece(one, reading, one.group, name=one.name)


def _class_of_results(group: str | None) -> str | None:
    """Return the class that a group of results is for; the group itself where the user has moved one there."""
    if not is_result_group(group):
        return group
    return outer_group(group or "").removeprefix(GROUP).removeprefix(": ") or None


def _geometry(pieces: Sequence[_Piece], lost: Lost) -> shapely.Geometry | None:
    match pieces[0].reading:
        case ReadAs.CLICK:
            points = np.concatenate([piece.annotation.points for piece in pieces]).astype(np.float64).round(2)
            return Point(points[0]) if len(points) == 1 else MultiPoint(points)
        case ReadAs.SQUIGGLE:
            return _lines(pieces, lost)
    return _polygons(pieces, lost)


def _lines(pieces: Sequence[_Piece], lost: Lost) -> shapely.Geometry | None:
    strokes = [stroke_of(piece.annotation).round(2) for piece in pieces]
    lines = [LineString(stroke) for stroke in strokes if len(stroke) > 1]
    if len(lines) < len(strokes):
        lost["squiggles of one point"] += len(strokes) - len(lines)
    if not lines:
        return None
    return lines[0] if len(lines) == 1 else MultiLineString(lines)


def _polygons(pieces: Sequence[_Piece], lost: Lost) -> shapely.Geometry | None:
    """Return an object's polygons with their holes, valid after rounding: QuPath refuses a file with others."""
    rings: dict[tuple[int, int], np.ndarray] = {}
    for place, piece in enumerate(pieces):
        key = (piece.part, piece.ring) if piece.part else (-place, 0)
        points = piece.annotation.points.astype(np.float64)
        if piece.annotation.type is AnnotationType.SPLINE:
            points = spline_outline(points)
            lost["curves of splines, which become short lines"] += 1
        rings[key] = points.round(2)
    outer = [key for key in rings if key[1] == 0]
    holes = {part: [rings[key] for key in sorted(rings) if key[0] == part and key[1] > 0] for part, _ in outer}
    polygons = [Polygon(rings[key], holes[key[0]]) for key in outer if len(rings[key]) > 2]
    valid = [_valid(polygon, lost) for polygon in polygons]
    parts = [part for one in valid for part in shapely.get_parts(one) if isinstance(part, Polygon) and part.area]
    if not parts:
        lost["polygons without an area"] += 1
        return None
    return parts[0] if len(parts) == 1 else MultiPolygon(parts)


def _valid(polygon: Polygon, lost: Lost) -> shapely.Geometry:
    if polygon.is_valid:
        return polygon
    lost["polygons that cross themselves, which become several"] += 1
    return shapely.set_precision(shapely.make_valid(polygon), 0.01)


def _without_holes(features: Sequence[Feature], parents: dict[str, str | None], lost: Lost) -> list[Feature]:
    """Cut the polygons of groups for holes out of those that they lie in, which is how ASAP's users write holes."""
    result = list(features)
    holes = {place for place, one in enumerate(features) if _is_hole(one, parents)}
    taken = set()
    tree = shapely.STRtree([one.geometry for one in features])
    for place in sorted(holes):
        hole = features[place]
        outer = parents[hole.class_name or ""]
        for index in sorted(tree.query(hole.geometry, "within").tolist()):
            one = result[index]
            if one.class_name == outer and index not in holes and one.geometry.contains_properly(hole.geometry):
                result[index] = replace(one, geometry=one.geometry.difference(hole.geometry))
                taken.add(place)
                break
        else:
            lost["that a polygon was a hole: it lies in none of its group"] += 1
    return [one for place, one in enumerate(result) if place not in taken]


def _is_hole(one: Feature, parents: dict[str, str | None]) -> bool:
    group = one.class_name or ""
    return "hole" in group.lower() and parents.get(group) is not None and isinstance(one.geometry, Polygon)
