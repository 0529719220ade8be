"""Results as annotations of ASAP: polygons in groups of their own, holes in sub-groups, each named after its prompt."""

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import shapely
from shapely import Polygon

from asap_bridge.annotations import DEFAULT_COLOR, Annotation, AnnotationType, Rgb, color_text
from asap_bridge.names import ResultName, digest_of, result_group
from nuclick_wsi.formats.colors import color_of
from nuclick_wsi.instances import Instance


def annotations_of_instance(instance: Instance, color: str) -> Iterator[Annotation]:
    """Yield an instance's outlines, each followed by its holes."""
    yield from result_rings(
        instance.prompt_id, instance.polygon, instance.class_name, color, sureness=instance.sureness
    )


def result_rings(
    prompt_id: str, polygon: shapely.Geometry, class_name: str | None, color: str, *, sureness: float | None = None
) -> Iterator[Annotation]:
    """Yield the rings of a result, of one polygon or several, each under the name that says what it is."""
    surfaces = [one for one in shapely.get_parts(polygon) if not one.is_empty]
    for part, one in enumerate(surfaces, start=1):
        for ring, points in enumerate(rings_of(one)):
            name = ResultName(prompt_id, part, ring, digest_of(AnnotationType.POLYGON, points), sureness)
            group = result_group(class_name, holes=ring > 0)
            yield Annotation(str(name), AnnotationType.POLYGON, points, group, color)


def rings_of(polygon: Polygon) -> Iterable[np.ndarray]:
    """Return the exterior of a polygon and its holes as float32 of shape (n, 2), not closed."""
    return [shapely.get_coordinates(ring)[:-1].astype(np.float32) for ring in (polygon.exterior, *polygon.interiors)]


def color_of_class(class_name: str | None, colors: Mapping[str, Rgb]) -> str:
    """Return the colour of a class's results: that of the user's group, else one that depends on the name alone."""
    if class_name is None:
        return DEFAULT_COLOR
    return color_text(colors.get(class_name) or color_of(class_name))
