"""What a user drew in QuPath, as objects of any program."""

from collections import Counter
from collections.abc import Iterable, Mapping

import shapely
from shapely import LineString, MultiPoint, Polygon

from nuclick_wsi.formats.colors import Color
from nuclick_wsi.formats.features import Feature, Features, Lost
from qupath_extension.qpdata.hierarchy import PathObject, PathObjectType
from qupath_extension.qpdata.rois import Roi, RoiKind


def features_of(objects: Iterable[PathObject], class_colors: Mapping[str, Color]) -> Features:
    """Return the annotations of one image; objects of other types are counted as lost."""
    found: list[Feature] = []
    lost: Lost = Counter()
    for one in objects:
        if one.type is not PathObjectType.ANNOTATION:
            lost[f"objects that are no annotations: {one.type.value}"] += 1
            continue
        geometry = shape_of(one.roi) if one.roi is not None else None
        if one.roi is None or geometry is None:
            lost[f"annotations of shape {one.roi.kind.value if one.roi else 'none'}"] += 1
            continue
        found.append(Feature(geometry, one.id, one.name, one.class_name, plane=one.roi.plane))
    return Features(found, class_colors, lost)


def shape_of(roi: Roi) -> shapely.Geometry | None:
    """Return the shape of a region of interest; None for those without corners, and where there is nothing."""
    vertices = roi.vertices
    match roi.kind:
        case RoiKind.GEOMETRY:
            return roi.geometry
        case RoiKind.POINTS if len(vertices):
            return MultiPoint(vertices)
        case RoiKind.LINE | RoiKind.POLYLINE if len(vertices) > 1:
            return LineString(vertices)
        case RoiKind.POLYGON if len(vertices) > 2:
            return Polygon(vertices)
        case RoiKind.RECTANGLE:
            return shapely.box(*vertices.min(axis=0), *vertices.max(axis=0))
    return None
