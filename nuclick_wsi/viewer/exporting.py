"""What a user takes away from the page: outlines and prompts as GeoJSON, both for ASAP, a table; or a run's results.

Outlines are computed for all marks at once before this, so each is the one that the command line gives.
"""

import csv
import io
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from asap_bridge.feature_annotations import asap_of_features
from nuclick_wsi.choices import ObjectType
from nuclick_wsi.formats.colors import Color, color_of
from nuclick_wsi.formats.feature_geojson import features_of_geojson
from nuclick_wsi.formats.features import Features
from nuclick_wsi.formats.geojson import feature_collection, importable
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import Instance, Rejection
from nuclick_wsi.json_values import Json
from nuclick_wsi.prompts import Plane
from nuclick_wsi.segmentation.engine import Outcome
from nuclick_wsi.viewer.marks import PageMark


class ExportAs(StrEnum):
    """The kinds of file that the page offers."""

    OUTLINES = "outlines"
    PROMPTS = "prompts"
    ASAP = "asap"
    TABLE = "table"

    @property
    def ending(self) -> str:
        """What the names of such files end in."""
        return {ExportAs.ASAP: ".xml", ExportAs.TABLE: ".csv", ExportAs.PROMPTS: ".prompts.geojson"}.get(
            self, ".outlines.geojson"
        )


@dataclass(frozen=True, slots=True)
class PageResult:
    """The marks of a page with all their outlines.

    Attributes
    ----------
    owners
        The id of the mark that each prompt is of, by its own id.
    decisions
        What the user has decided in review, by the id of the mark: the outlines of rejected marks are left out.
    origin
        Where (0, 0) is on the whole slide, from whose corner ASAP counts.
    """

    marks: Sequence[PageMark]
    outcome: Outcome
    owners: Mapping[str, str]
    decisions: Mapping[str, str]
    class_colors: Mapping[str, Color]
    origin: Point

    @property
    def instances(self) -> list[Instance]:
        """The outlines that the user has not rejected."""
        return [one for one in self.outcome.instances if self.decision(one) != "rejected"]

    def decision(self, one: Instance | Rejection) -> str:
        """Return what the user has decided; empty for nothing."""
        return self.decisions.get(self.owners[one.prompt_id], "")


def exported(result: PageResult, as_: ExportAs) -> bytes:
    """Return a file's content."""
    makers: dict[ExportAs, Callable[[PageResult], bytes]] = {
        ExportAs.OUTLINES: _outlines,
        ExportAs.PROMPTS: prompts_geojson,
        ExportAs.ASAP: _asap,
        ExportAs.TABLE: _table,
    }
    return makers[as_](result)


def _outlines(result: PageResult) -> bytes:
    return orjson.dumps(feature_collection(result.instances, ObjectType.DETECTION, result.class_colors))


def prompts_geojson(result: PageResult) -> bytes:
    """Return the marks as annotations: those that came of one drawing of a file are one again, under its id."""
    drawn: dict[object, list[PageMark]] = {}
    for mark in result.marks:
        is_apart = mark.source is None or not mark.is_click
        key = mark.id if is_apart else (mark.source, mark.class_name, mark.plane)
        drawn.setdefault(key, []).append(mark)
    features = [annotation(marks, result.class_colors) for marks in drawn.values()]
    return orjson.dumps({"type": "FeatureCollection", "features": features})


def annotation(marks: Sequence[PageMark], colors: Mapping[str, Color]) -> Json:
    """Return an annotation of points or lines; several marks are clicks of one class and plane."""
    first = marks[0]
    properties: dict[str, Any] = {"objectType": "annotation"}
    if name := importable(first.drawing.class_name):
        properties["classification"] = {"name": name, "color": list(colors.get(name) or color_of(name))}
    feature = {"type": "Feature", "geometry": _geometry(marks), "properties": properties}
    return feature if first.source is None else {**feature, "id": first.source}


def _geometry(marks: Sequence[PageMark]) -> Json:
    first = marks[0]
    strokes = first.strokes
    geometry: Json
    if len(marks) > 1:
        geometry = {"type": "MultiPoint", "coordinates": [mark.strokes[0][0] for mark in marks]}
    elif first.is_click:
        geometry = {"type": "Point", "coordinates": strokes[0][0]}
    elif len(strokes) == 1:
        geometry = {"type": "LineString", "coordinates": strokes[0]}
    else:
        geometry = {"type": "MultiLineString", "coordinates": strokes}
    if first.plane != Plane():
        geometry["plane"] = {"c": first.plane.c, "z": first.plane.z, "t": first.plane.t}
    return geometry


def _asap(result: PageResult) -> bytes:
    """Return prompts and outlines for ASAP, outlines in groups of results."""
    drawn = features_of_geojson(prompts_geojson(result), "the marks")
    made = features_of_geojson(_outlines(result), "the outlines")
    colors = {**made.class_colors, **drawn.class_colors}
    together = Features([*drawn.features, *made.features], colors)
    return asap_of_features(together.shifted(result.origin)).content


_COLUMNS = ("id", "object", "class", "x", "y", "area_um2", "sureness", "review", "no outline")


def _table(result: PageResult) -> bytes:
    """Return a table with a line for each prompt: its outline's area and sureness, or why there is none."""
    places = {mark.id: mark.strokes[0][0] for mark in result.marks}
    file = io.StringIO(newline="")
    table = csv.writer(file)
    table.writerow(_COLUMNS)
    everything: Collection[Instance | Rejection] = (*result.outcome.instances, *result.outcome.rejections)
    for one in everything:
        x, y = places[result.owners[one.prompt_id]]
        start = (one.prompt_id, one.kind, _plain(one.class_name), x, y)
        if isinstance(one, Instance):
            sureness = "" if one.sureness is None else round(one.sureness, 4)
            table.writerow([*start, round(one.area_um2, 4), sureness, result.decision(one), ""])
        else:
            table.writerow([*start, "", "", result.decision(one), one.reason])
    return file.getvalue().encode()


def _plain(text: str | None) -> str:
    """Return a class's name that no spreadsheet takes for a formula."""
    return f"'{text}" if text and text[0] in "=+-@\t\r" else text or ""
