"""Pairing the outlines of cells and of their nuclei, which QuPath holds as one object."""

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np
import shapely

from nuclick_wsi.instances import Instance, InstancesInOrder
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.scale import DECIMALS


def nuclei_of_cells(instances: Collection[Instance], apart: Collection[str] = ()) -> dict[str, Instance]:
    """Return the nucleus of each cell that has one, by the cell's prompt id, cut off where the cell ends.

    A nucleus lies in the cell that has more than half of its area; cells of one plane share no pixel, so there is one
    at most. A cell with several nuclei has none here, and neither has one whose nucleus is of another class.

    Parameters
    ----------
    apart
        Prompt ids of nuclei that count, but are to stay outlines of their own.
    """
    # Only where both are there do all of them have to be in memory.
    kinds = instances.kinds if isinstance(instances, InstancesInOrder) else {one.kind for one in instances}
    if not {ObjectKind.CELL, ObjectKind.NUCLEUS} <= kinds:
        return {}
    by_plane: dict[Plane, list[Instance]] = {}
    for one in instances:
        by_plane.setdefault(one.plane, []).append(one)
    found = {}
    for members in by_plane.values():
        for cell, nucleus in _pairs(members):
            if nucleus.class_name == cell.class_name and nucleus.prompt_id not in apart:
                found[cell.prompt_id] = _clipped(nucleus, cell)
    return found


def _pairs(instances: Iterable[Instance]) -> Iterable[tuple[Instance, Instance]]:
    """Yield each cell that has exactly one nucleus with that nucleus; all of one plane."""
    members = list(instances)
    cells = [one for one in members if one.kind is ObjectKind.CELL]
    nuclei = [one for one in members if one.kind is ObjectKind.NUCLEUS]
    if not cells or not nuclei:
        return
    outlines, inner = (np.array([one.polygon for one in some], object) for some in (cells, nuclei))
    nucleus, cell = shapely.STRtree(outlines).query(inner, predicate="intersects")
    shared = shapely.area(shapely.intersection(inner[nucleus], outlines[cell]))
    inside = shared > shapely.area(inner[nucleus]) / 2
    owners, first, counts = np.unique(cell[inside], return_index=True, return_counts=True)
    for owner, place in zip(owners[counts == 1].tolist(), first[counts == 1].tolist(), strict=True):
        yield cells[owner], nuclei[int(nucleus[inside][place])]


def _clipped(nucleus: Instance, cell: Instance) -> Instance:
    """Return the part of a nucleus that lies in a cell, valid with coordinates of 0.01 px as all outlines are."""
    if cell.polygon.covers(nucleus.polygon):
        return nucleus
    shared = shapely.intersection(nucleus.polygon, cell.polygon, grid_size=10**-DECIMALS)
    surfaces = [part for part in shapely.get_parts(shared) if isinstance(part, shapely.Polygon)]
    polygon = shapely.transform(shapely.MultiPolygon(surfaces), lambda corners: np.round(corners, DECIMALS))
    return replace(nucleus, polygon=polygon, area_um2=nucleus.area_um2 * polygon.area / nucleus.polygon.area)
