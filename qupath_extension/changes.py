"""Planning what a run changes among an image's objects: which are added, replaced, removed or left as they are.

An object that a run has written and the user has changed since is the user's, and is left as it is. Nothing is read
or written here.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeAlias

import orjson
import shapely

from nuclick_wsi.formats.geojson_parts import class_name_of, plane_of
from nuclick_wsi.json_values import Json
from nuclick_wsi.runs.written_objects import WrittenObject
from qupath_extension.qpdata.hierarchy import PathObject, PathObjectType
from qupath_extension.qpdata.rois import Roi, RoiKind

Packed: TypeAlias = bytes
"""A feature as text: hundreds of thousands of them as values would take several times as much."""
_NEARLY_PX = 0.02
"""How far apart two outlines may be that are the same: QuPath keeps most vertices in single precision."""


class Why(StrEnum):
    """How the user has changed an object of an earlier run, in the words that a user sees."""

    LOCKED = "locked"
    CONVERTED = "made another type of object"
    RECLASSIFIED = "given another class"
    EDITED = "given another outline"
    NAMED = "given another name"
    UNKNOWN = "not known to be as it was written"


@dataclass(slots=True)
class Changes:
    """What is to be done.

    Attributes
    ----------
    add, replace
        Packed features to write, by id; an object of the same id that is there goes.
    remove
        Ids of objects whose prompts have no outline any more.
    kept
        Objects of earlier runs that the user has changed, and how, by prompt id.
    written
        The records to keep of all objects that are neither added nor replaced.
    """

    add: dict[str, Packed] = field(default_factory=dict)
    replace: dict[str, Packed] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    kept: dict[str, Why] = field(default_factory=dict)
    written: dict[str, list[WrittenObject]] = field(default_factory=dict)

    @property
    def new(self) -> dict[str, Packed]:
        """All features to write."""
        return self.add | self.replace

    def new_content(self) -> bytes:
        """Return them as a GeoJSON FeatureCollection."""
        return b'{"type":"FeatureCollection","features":[' + b",".join(self.new.values()) + b"]}"

    @property
    def obsolete(self) -> list[str]:
        """The ids of all objects that go."""
        return [*self.remove, *self.replace]


def packed(feature: Json) -> Packed:
    """Return a feature as text."""
    # Copied: what orjson returns keeps the room of several times its length from being used again.
    return bytes(memoryview(orjson.dumps(feature, option=orjson.OPT_SERIALIZE_NUMPY)))


def written_object_of(one: PathObject, feature: Packed | None) -> WrittenObject:
    """Return the record of an object as it is now, written for a feature."""
    properties = json.dumps([one.type.value, one.class_name, one.name, one.is_locked])
    shape = _shape(one.roi) if one.nucleus is None else _shape(one.roi) + _shape(one.nucleus)
    return WrittenObject(shape, properties, digest(feature) if feature else b"")


def digest(feature: Packed) -> bytes:
    """Return a digest of a feature, in whatever order it says things."""
    return hashlib.sha256(orjson.dumps(orjson.loads(feature), option=orjson.OPT_SORT_KEYS)).digest()


def plan_changes(
    objects: Iterable[PathObject],
    written: Mapping[str, Sequence[WrittenObject]],
    features: Iterable[Json],
    spared: Collection[str],
) -> Changes:
    """Return what has to be done so that the features are there and nothing of the user's is lost.

    Parameters
    ----------
    objects
        All that there are.
    written
        The records of what earlier runs wrote, by id.
    features
        What there is to be, each with its prompt's id; gone through once, and packed at once.
    spared
        Prompts that are there but were not asked for: what was written for them stays.
    """
    plan = _Plan(objects, written)
    wanted = {feature["id"]: packed(feature) for feature in features}
    for identity, feature in wanted.items():
        plan.want(identity, feature)
    for identity in written.keys() - wanted.keys():
        plan.want_gone(identity, spared=identity in spared)
    return plan.changes


class _Plan:
    """The changes so far."""

    def __init__(self, objects: Iterable[PathObject], written: Mapping[str, Sequence[WrittenObject]]) -> None:
        self.changes = Changes()
        self._written = written
        self._found: dict[str, list[PathObject]] = {}
        self._regions: set[bytes] = set()
        for one in objects:
            if one.id is not None:
                self._found.setdefault(one.id, []).append(one)
            if one.type is PathObjectType.ANNOTATION and one.id not in written:
                self._regions.add(_shape(one.roi))

    def want(self, identity: str, feature: Packed) -> None:
        """Have an object for a feature."""
        found, written = self._found.get(identity, []), list(self._written.get(identity, ()))
        matches = [_matching(one, written) for one in found]
        if not found and any(one.shape in self._regions for one in written):
            self._keep(identity, Why.CONVERTED)  # QuPath gives the annotation that it makes of a detection a new id
        elif not found:
            self.changes.add[identity] = feature
        elif not written and _all_look_like(found, orjson.loads(feature)):
            self.changes.unchanged.append(identity)  # imported, or from before the journal was lost
            self.changes.written[identity] = [written_object_of(one, feature) for one in found]
        elif None in matches:
            self._keep(identity, _why(found, written))
        elif all(match is not None and match.feature == digest(feature) for match in matches):
            self.changes.unchanged.append(identity)
            self.changes.written[identity] = written
        else:
            self.changes.replace[identity] = feature

    def want_gone(self, identity: str, spared: bool) -> None:
        """Have no object for a prompt that has no outline, unless it was not asked for."""
        found, written = self._found.get(identity, []), list(self._written[identity])
        if spared:
            self.changes.written[identity] = written
        elif any(_matching(one, written) is None for one in found):
            # The user's from now on: no record of it is kept.
            self.changes.kept[identity] = _why(found, written)
        elif found:
            self.changes.remove.append(identity)

    def _keep(self, identity: str, why: Why) -> None:
        self.changes.kept[identity] = why
        self.changes.written[identity] = list(self._written.get(identity, ()))


def _matching(one: PathObject, written: Iterable[WrittenObject]) -> WrittenObject | None:
    """Return the record that an object still agrees with."""
    now = written_object_of(one, None)
    return next((one for one in written if (one.shape, one.properties) == (now.shape, now.properties)), None)


def _why(found: Sequence[PathObject], written: Sequence[WrittenObject]) -> Why:
    """Return what the user did to the first object that is no longer as it was written."""
    one = next(one for one in found if _matching(one, written) is None)
    if one.is_locked:
        return Why.LOCKED
    if not written:
        return Why.UNKNOWN
    kind, class_name, name, _ = json.loads(written[-1].properties)
    if one.type.value != kind:
        return Why.CONVERTED
    if one.class_name != class_name:
        return Why.RECLASSIFIED
    return Why.NAMED if one.name != name else Why.EDITED


def _shape(roi: Roi | None) -> bytes:
    """Return a digest of an outline as the file has it."""
    if roi is None:
        return b""
    outline = shapely.to_wkb(roi.geometry) if roi.geometry is not None else roi.vertices.tobytes()
    return hashlib.sha256(repr(roi.plane).encode() + outline).digest()


def _all_look_like(found: Iterable[PathObject], feature: Json) -> bool:
    return all(_looks_like(one, feature) for one in found)


def _looks_like(one: PathObject, feature: Json) -> bool:
    """Whether an object of unknown origin is what a run would write."""
    if one.is_locked or one.roi is None or one.type.value != feature["properties"]["objectType"]:
        return False
    if (one.class_name, one.roi.plane) != (class_name_of(feature), plane_of(feature["geometry"])):
        return False
    return _is_nearly(one.roi, feature["geometry"]) and _is_nearly(one.nucleus, feature.get("nucleusGeometry"))


def _is_nearly(roi: Roi | None, geometry: Json | None) -> bool:
    if roi is None or geometry is None:
        return roi is None and geometry is None
    region, wanted = _region(roi), shapely.geometry.shape(geometry)
    if region is None or not region.is_valid:
        return False
    return bool(region.symmetric_difference(wanted).area <= _NEARLY_PX * wanted.length)


def _region(roi: Roi) -> shapely.Geometry | None:
    if roi.kind is RoiKind.POLYGON and len(roi.vertices) >= 3:
        return shapely.Polygon(roi.vertices)
    if roi.kind is RoiKind.RECTANGLE:
        return shapely.box(*roi.vertices.min(axis=0), *roi.vertices.max(axis=0))
    return roi.geometry
