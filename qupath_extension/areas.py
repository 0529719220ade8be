"""The shapes on an image in QuPath, as features: annotations, detections and cells.

Points and lines are among them: they say where something is.
"""

from collections.abc import Iterable

import numpy as np
import shapely

from nuclick_wsi.formats.features import Feature
from nuclick_wsi.prompts import ObjectKind
from qupath_extension.features import shape_of
from qupath_extension.qpdata.hierarchy import PathObject, PathObjectType
from qupath_extension.qpdata.rois import Roi, RoiKind

_CORNERS = 720
"""Of the polygon that stands for an ellipse: off by a hundred-thousandth of its width."""


def outlined_features(objects: Iterable[PathObject], kind: ObjectKind) -> tuple[list[Feature], list[Feature]]:
    """Return what a user drew (annotations), and what a program found (detections and cells).

    A cell stands for its nucleus or its whole, as `kind` says, and for no gland.
    """
    drawn: list[Feature] = []
    detected: list[Feature] = []
    for one in objects:
        roi = _roi(one, kind)
        shape = _shape(roi) if roi is not None else None
        if roi is not None and shape is not None:
            feature = Feature(shape, one.id, one.name, one.class_name, plane=roi.plane)
            (drawn if one.type is PathObjectType.ANNOTATION else detected).append(feature)
    return drawn, detected


def _roi(one: PathObject, kind: ObjectKind) -> Roi | None:
    if one.type is PathObjectType.CELL:
        return {ObjectKind.NUCLEUS: one.nucleus, ObjectKind.CELL: one.roi}.get(kind)
    return one.roi if one.type in (PathObjectType.ANNOTATION, PathObjectType.DETECTION) else None


def _shape(roi: Roi) -> shapely.Geometry | None:
    if roi.kind is not RoiKind.ELLIPSE:
        return shape_of(roi)
    low, high = roi.vertices.min(axis=0), roi.vertices.max(axis=0)
    angles = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    round_ = np.column_stack((np.cos(angles), np.sin(angles)))
    return shapely.Polygon((low + high) / 2 + round_ * (high - low) / 2)
