"""How far the outlines of two instance maps are apart, object by object: GlaS' Hausdorff distance.

From two maps and the partner of every object: one distance in pixels per object.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

Pixels = npt.NDArray[np.intp]
LabelMap = npt.NDArray[np.integer]


def object_distances(map_one: LabelMap, map_two: LabelMap, partner: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Return the Hausdorff distance of every object of one map to its partner in the other.

    The distance is between the sets of pixels, not their outlines: the farthest that a pixel of either object is from
    the other object.

    Parameters
    ----------
    partner
        (N,) per object of the first map, its number rising: the index of an object of the second, again by rising
        number, or -1 for the one at the smallest Hausdorff distance. Where the second map is empty, the distance is
        the diagonal of the map, which no distance in it exceeds.

    Returns
    -------
    distances
        (N,) in pixels.
    """
    one, two = _Shapes.of(map_one), _Shapes.of(map_two)
    if not two.pixels:
        return np.full(len(partner), np.hypot(*map_one.shape))
    return np.array(
        [
            _distance(one, index, two, int(other)) if other >= 0 else _distance_to_nearest(one, index, two)
            for index, other in enumerate(partner)
        ]
    )


@dataclass(frozen=True, slots=True)
class _Shapes:
    """The objects of one map by rising number: their pixels as (N, 2) row and column, and where they reach.

    `indices` has the index of the object at each pixel of the map, -1 for none.
    """

    indices: npt.NDArray[np.intp]
    pixels: list[Pixels]
    edges: Pixels
    """(T, 4): lowest row and column, highest row and column."""
    trees: dict[int, cKDTree] = field(default_factory=dict)

    @classmethod
    def of(cls, labels: LabelMap) -> "_Shapes":
        rows, columns = np.nonzero(labels)
        numbers, index = np.unique(labels[rows, columns], return_inverse=True)
        indices = np.full(labels.shape, -1, np.intp)
        indices[rows, columns] = index
        order = np.argsort(index, kind="stable")
        places = np.stack([rows, columns], axis=1)[order]
        pixels = np.split(places, np.cumsum(np.bincount(index, minlength=len(numbers)))[:-1]) if len(numbers) else []
        edges = np.array([[*own.min(axis=0), *own.max(axis=0)] for own in pixels], np.intp).reshape(-1, 4)
        return cls(indices, pixels, edges)

    def tree(self, index: int) -> cKDTree:
        """Return an object's pixels for look-up; of those only the outer ones, for the nearest is always one."""
        if index not in self.trees:
            own = self.pixels[index]
            inner = np.ones(len(own), bool)
            for step in ((-1, 0), (1, 0), (0, -1), (0, 1)):
                beside = own + step
                inside = ((beside >= 0) & (beside < self.indices.shape)).all(axis=1)
                inner &= inside
                inner[inside] &= self.indices[tuple(beside[inside].T)] == index
            self.trees[index] = cKDTree(own[~inner])
        return self.trees[index]


def _distance(one: _Shapes, index: int, two: _Shapes, other: int) -> float:
    """Return the Hausdorff distance of two objects."""
    return max(_farthest(one, index, two, other), _farthest(two, other, one, index))


def _farthest(of: _Shapes, index: int, to: _Shapes, other: int) -> float:
    """Return how far the farthest pixel of one object is from another."""
    own = of.pixels[index]
    outside = own[to.indices[tuple(own.T)] != other]
    return float(to.tree(other).query(outside)[0].max()) if len(outside) else 0.0


def _distance_to_nearest(one: _Shapes, index: int, two: _Shapes) -> float:
    """Return the smallest Hausdorff distance of an object to any of the other map.

    No distance is smaller than that between the sides of the bounding boxes, so most objects need no closer look.
    """
    least = np.abs(two.edges - one.edges[index]).max(axis=1)
    best = np.inf
    for other in np.argsort(least, kind="stable").tolist():
        if least[other] >= best:
            break
        best = min(best, _distance(one, index, two, other))
    return float(best)
