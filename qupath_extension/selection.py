"""Which of an image's objects are prompts: annotations of points and of lines. All others are left alone.

They become drawings, which `nuclick_wsi.formats.drawings` turns into prompts by one rule for all sources.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_wsi.formats.drawings import Drawing, Found, Mark, Parts, marks_of, prompts_of_drawings
from nuclick_wsi.instances import PromptSet
from nuclick_wsi.prompts import ObjectChoice
from qupath_extension.qpdata.hierarchy import PathObject, PathObjectType
from qupath_extension.qpdata.rois import Roi, RoiKind


def prompts_of(objects: Iterable[PathObject], choice: ObjectChoice) -> PromptSet:
    """Return the prompts among the objects of one image, and what was left alone by type.

    Locked annotations are prompts like others, for a prompt is never changed.
    """
    found = drawings_of(objects)
    return prompts_of_drawings(found.drawings, choice, found.left_alone)


def drawings_of(objects: Iterable[PathObject]) -> Found:
    """Return what is drawn in points or lines among the objects of one image, and what was left alone by type."""
    drawings: list[Drawing] = []
    left_alone: Counter[str] = Counter()
    for one in objects:
        if one.type is not PathObjectType.ANNOTATION:
            left_alone[one.type.value] += 1
        elif (drawing := drawing_of(one)) is None:
            left_alone["region"] += 1
        else:
            drawings.append(drawing)
    return Found(tuple(drawings), left_alone)


def drawing_of(one: PathObject) -> Drawing | None:
    """Return an annotation's points or lines; None for a region, or for no shape at all."""
    marks = _marks(one.roi) if one.roi is not None else None
    if one.roi is None or marks is None:
        return None
    mark, parts = marks
    label = f"annotation {one.name or one.id or 'without a name'!r}"
    return Drawing(mark, parts, label, one.id, one.class_name, one.roi.plane)


def _marks(roi: Roi) -> tuple[Mark, Parts] | None:
    if roi.kind is RoiKind.POINTS:
        return Mark.POINTS, (roi.vertices,)
    if roi.kind in (RoiKind.LINE, RoiKind.POLYLINE):
        return Mark.LINES, (roi.vertices,)
    return marks_of(_leaves(roi.geometry)) if roi.geometry is not None else None


def _leaves(geometry: shapely.Geometry) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield the single parts of a geometry, out of collections of collections too."""
    waiting = [geometry]
    while waiting:
        one = waiting.pop()
        if one.geom_type.startswith("Multi") or one.geom_type == "GeometryCollection":
            waiting += reversed(shapely.get_parts(one).tolist())
        else:
            yield one.geom_type, shapely.get_coordinates(one)
