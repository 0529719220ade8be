"""QuPath's regions of interest as values: what was drawn, where, and on which plane.

They are made from the serialization proxies of data.qpdata. Vertices are kept as they are in the file, mostly float32.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_wsi.prompts import Plane
from qupath_extension.qpdata.javavalues import JavaObject


class RoiKind(StrEnum):
    """QuPath's kinds, in its own words; `OTHER` is one of an older or newer version."""

    POINTS = "Points"
    LINE = "Line"
    POLYLINE = "Polyline"
    POLYGON = "Polygon"
    RECTANGLE = "Rectangle"
    ELLIPSE = "Ellipse"
    GEOMETRY = "Geometry"
    OTHER = "Other"


@dataclass(frozen=True, slots=True, eq=False)
class Roi:
    """What was drawn of one object.

    Attributes
    ----------
    x, y
        Vertices in slide pixels (level 0), shape (n,). Lines, rectangles and ellipses have two: the ends, or two
        opposite corners of the bounds. Polygons are not closed. Empty for geometries.
    geometry
        What a ROI of kind `GEOMETRY` is, however many parts it has; None for all other kinds.
    """

    kind: RoiKind
    plane: Plane
    x: NDArray[Any]
    y: NDArray[Any]
    geometry: shapely.Geometry | None = None

    @property
    def vertices(self) -> NDArray[np.float64]:
        """The vertices as one float64 array of shape (n, 2), columns x and y."""
        return np.column_stack((self.x, self.y)).astype(np.float64)


_NONE = np.empty(0)
_KINDS = {kind.value: kind for kind in RoiKind}


def read_roi(proxy: JavaObject) -> Roi:
    """Return the value of one of QuPath's serialization proxies.

    Raises
    ------
    ValueError
        A field that its kind needs is missing or of another type, or a geometry is none.
    """
    kind = _kind(proxy.java_class.name)
    plane = Plane(*(_integer(proxy, name) for name in "czt"))
    if kind in (RoiKind.POINTS, RoiKind.POLYLINE, RoiKind.POLYGON):
        x, y = _numbers(proxy, "x"), _numbers(proxy, "y")
        if x.shape != y.shape:
            raise ValueError(f"a {kind} with {len(x)} x for {len(y)} y")
        return Roi(kind, plane, x, y)
    if kind in (RoiKind.LINE, RoiKind.RECTANGLE, RoiKind.ELLIPSE):
        return Roi(kind, plane, _ends(proxy, "x", "x2"), _ends(proxy, "y", "y2"))
    if kind is RoiKind.GEOMETRY:
        return Roi(kind, plane, _NONE, _NONE, _geometry(_numbers(proxy, "wkb").tobytes()))
    return Roi(kind, plane, _NONE, _NONE)


def _kind(class_name: str) -> RoiKind:
    """Return the kind: "qupath.lib.roi.PointsROI$SerializationProxy" is Points."""
    name = class_name.rpartition(".")[2].partition("$")[0].removesuffix("ROI")
    return _KINDS.get(name, RoiKind.OTHER)


def _integer(proxy: JavaObject, name: str) -> int:
    value = proxy.fields.get(name, -1 if name == "c" else 0)
    if not isinstance(value, int):
        raise ValueError(f"{proxy.java_class.name} has no whole number {name}")
    return value


def _numbers(proxy: JavaObject, name: str) -> NDArray[Any]:
    value = proxy.fields.get(name)
    if not isinstance(value, np.ndarray):
        raise ValueError(f"{proxy.java_class.name} has no numbers {name}")
    return value


def _ends(proxy: JavaObject, first: str, second: str) -> NDArray[np.float64]:
    ends = proxy.fields.get(first), proxy.fields.get(second)
    if not all(isinstance(end, float) for end in ends):
        raise ValueError(f"{proxy.java_class.name} has no numbers {first} and {second}")
    return np.array(ends, np.float64)


def _geometry(wkb: bytes) -> shapely.Geometry:
    try:
        return shapely.from_wkb(wkb)
    except shapely.errors.ShapelyError as error:
        raise ValueError(f"a geometry that is none ({error})") from error
