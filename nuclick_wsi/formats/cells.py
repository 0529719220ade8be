"""Pairing the outlines of cells and of their nuclei, which QuPath holds as one object.

Boxes find what may belong together; outlines are looked at a few at a time, for hundreds of thousands are on disk.
"""

from array import array
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from nuclick_wsi.instances import Instance, Instances, InstancesInOrder
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.scale import DECIMALS

_AT_ONCE = 500
"""Cells of which the outlines are in memory."""
_BAND = 512.0
"""Slide pixels: cells are taken in rows as high as this, so that those taken together lie together."""


@dataclass(frozen=True, slots=True, eq=False)
class NucleiOfCells(Mapping[str, Instance]):
    """The nucleus of each cell that has one, by the cell's prompt id, cut off where the cell ends.

    Attributes
    ----------
    names
        The prompt ids of the nuclei, by those of the cells.
    """

    names: dict[str, str] = field(default_factory=dict)
    _instances: Instances = ()
    _places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Of each of these cells and of its nucleus."""

    def __getitem__(self, cell: str) -> Instance:
        place, of_nucleus = self._places[cell]
        return _clipped(self._instances[of_nucleus], self._instances[place])

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def nuclei_of_cells(instances: Instances, apart: Collection[str] = ()) -> NucleiOfCells:
    """Return the nucleus of each cell that has one.

    A nucleus lies in the cell that has more than half of its area; cells of one plane share no pixel, so there is one
    at most. A cell with several nuclei has none here, and neither has one whose nucleus is of another class.

    Parameters
    ----------
    apart
        Prompt ids of nuclei that count, but are to stay outlines of their own.
    """
    kinds = instances.kinds if isinstance(instances, InstancesInOrder) else {one.kind for one in instances}
    if not {ObjectKind.CELL, ObjectKind.NUCLEUS} <= kinds:
        return NucleiOfCells()
    by_plane: dict[Plane, dict[ObjectKind, _Boxes]] = defaultdict(lambda: defaultdict(_Boxes))
    for place, one in enumerate(instances):
        by_plane[one.plane][one.kind].add(place, one)
    names, places = dict[str, str](), dict[str, tuple[int, int]]()
    for members in by_plane.values():
        for both in _pairs(instances, members[ObjectKind.CELL], members[ObjectKind.NUCLEUS]):
            cell, nucleus = (instances[place] for place in both)
            if nucleus.class_name == cell.class_name and nucleus.prompt_id not in apart:
                names[cell.prompt_id], places[cell.prompt_id] = nucleus.prompt_id, both
    return NucleiOfCells(names, instances, places)


class _Boxes:
    """The places of some instances, and the boxes around them."""

    def __init__(self) -> None:
        self._places, self._edges = array("q"), array("d")

    def add(self, place: int, one: Instance) -> None:
        self._places.append(place)
        self._edges.extend(one.polygon.bounds)

    @property
    def places(self) -> NDArray[np.int64]:
        return np.array(self._places, np.int64)

    @property
    def edges(self) -> NDArray[np.float64]:
        """Left, top, right and bottom, shape (n, 4)."""
        return np.array(self._edges).reshape(-1, 4)


def _pairs(instances: Instances, cells: _Boxes, nuclei: _Boxes) -> Iterator[tuple[int, int]]:
    """Yield the place of each cell that has exactly one nucleus with that of the nucleus; all of one plane."""
    edges = cells.edges
    tree = shapely.STRtree(shapely.box(*nuclei.edges.T))
    of_cells, of_nuclei = cells.places, nuclei.places
    order = np.lexsort((edges[:, 0], edges[:, 1] // _BAND))
    for some in np.split(order, range(_AT_ONCE, len(order), _AT_ONCE)):
        cell, nucleus = tree.query(shapely.box(*edges[some].T))
        outlines = _outlines(instances, of_cells[some])
        near, inverse = np.unique(nucleus, return_inverse=True)
        inner = _outlines(instances, of_nuclei[near])
        shared = shapely.area(shapely.intersection(inner[inverse], outlines[cell]))
        inside = shared > shapely.area(inner)[inverse] / 2
        owners, first, counts = np.unique(cell[inside], return_index=True, return_counts=True)
        only = counts == 1
        yield from zip(
            of_cells[some][owners[only]].tolist(), of_nuclei[nucleus[inside][first[only]]].tolist(), strict=True
        )


def _outlines(instances: Instances, places: NDArray[np.int64]) -> NDArray[np.object_]:
    found = np.empty(len(places), object)
    found[:] = [instances[place].polygon for place in places.tolist()]
    return found


def _clipped(nucleus: Instance, cell: Instance) -> Instance:
    """Return the part of a nucleus that lies in a cell, valid with coordinates of 0.01 px as all outlines are."""
    if cell.polygon.covers(nucleus.polygon):
        return nucleus
    shared = shapely.intersection(nucleus.polygon, cell.polygon, grid_size=10**-DECIMALS)
    surfaces = [part for part in shapely.get_parts(shared) if isinstance(part, shapely.Polygon)]
    polygon = shapely.transform(shapely.MultiPolygon(surfaces), lambda corners: np.round(corners, DECIMALS))
    return replace(nucleus, polygon=polygon, area_um2=nucleus.area_um2 * polygon.area / nucleus.polygon.area)
