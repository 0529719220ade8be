"""Measures of an outline, in microns: of the polygon itself, not of the pixels in it."""

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_wsi.exports.rasterize import Polygonal
from nuclick_wsi.scale import PixelSize


@dataclass(frozen=True, slots=True)
class ShapeMeasures:
    """What an outline measures.

    Attributes
    ----------
    major_axis_um, minor_axis_um
        Full axes of the ellipse that has the polygon's second moments.
    circularity
        4 pi area / perimeter^2: 1 for a disc, less for all else.
    solidity
        Area divided by that of the convex hull.
    """

    area_um2: float
    perimeter_um: float
    major_axis_um: float
    minor_axis_um: float
    circularity: float
    solidity: float

    @classmethod
    def of(cls, polygon: Polygonal, pixel_size: PixelSize) -> "ShapeMeasures":
        """Return the measures of a polygon in slide pixels; holes count."""
        scaled = shapely.transform(polygon, lambda places: places * (pixel_size.x_um, pixel_size.y_um))
        area, perimeter = float(scaled.area), float(scaled.length)
        major, minor = _axes(scaled)
        return cls(
            area_um2=area,
            perimeter_um=perimeter,
            major_axis_um=major,
            minor_axis_um=minor,
            circularity=4 * math.pi * area / perimeter**2,
            solidity=area / float(scaled.convex_hull.area),
        )


def _axes(polygon: Polygonal) -> tuple[float, float]:
    """Return major and minor axis of the ellipse with the same second moments, in the polygon's unit."""
    middle = shapely.get_coordinates(polygon.centroid)[0]
    parts = polygon.geoms if isinstance(polygon, shapely.MultiPolygon) else [polygon]
    # The sign of a ring's area says on which side it is filled: one way around outside, the other way in holes.
    rings = [ring for part in map(shapely.geometry.polygon.orient, parts) for ring in (part.exterior, *part.interiors)]
    moments = sum(_second_moments(shapely.get_coordinates(ring) - middle) for ring in rings) / polygon.area
    small, large = np.linalg.eigvalsh(moments)
    # A full axis of an ellipse is four standard deviations long.
    return 4 * math.sqrt(max(large, 0.0)), 4 * math.sqrt(max(small, 0.0))


def _second_moments(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the integrals of xx, xy and yy over what a closed ring encloses, as a 2 x 2 matrix (Green's theorem)."""
    (x, y), (next_x, next_y) = ring[:-1].T, ring[1:].T
    cross = x * next_y - next_x * y
    xx = (cross * (x * x + x * next_x + next_x * next_x)).sum() / 12
    yy = (cross * (y * y + y * next_y + next_y * next_y)).sum() / 12
    xy = (cross * (x * next_y + 2 * x * y + 2 * next_x * next_y + next_x * y)).sum() / 24
    return np.array([[xx, xy], [xy, yy]])
