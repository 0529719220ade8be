"""Fewer vertices for paths through gates, within a tolerance.

Paths are places with a gate at each; they become paths of few straight lines through the same gates. A line goes on as
long as some direction leads it from its start through all gates and past all places within the tolerance. Where
gates touch no other gates and paths did not cross before, they do not cross after.
"""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Vectors: TypeAlias = NDArray[np.float64]
"""Positions or directions: all x, then all y, shape (2, N)."""
Numbers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]


_ASLANT = 0.5
"""How far a vertex may leave its place along its gate: never more than the tolerance divided by this."""


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Paths one after the other: their places, the ends of the gate at each, and how many places each path has.

    A gate is a straight piece on which its place lies; one without length is passed exactly there.
    """

    places: Vectors
    least: Vectors
    most: Vectors
    sizes: Numbers


def straighten(paths: Paths, tolerance: float) -> tuple[Vectors, Numbers]:
    """Return the vertices of all paths, one path after the other, and how many each has.

    Every vertex lies on a gate and about within the tolerance of the path there, and every place within the tolerance
    of its line. Paths begin and end at their first and last place. All take their steps together, and none depends on
    another.

    Parameters
    ----------
    paths
        Each of two places or more, of which no two that follow each other are the same.
    tolerance
        In the unit of the places.
    """
    gates = _Gates.of(paths, tolerance).in_rows()
    lines = _Lines.along(paths)
    vertices, of_path = [lines.here], [lines.path]
    while len(lines.path):
        leads = lines.pass_gates(gates, tolerance)
        ends, turns = leads & (lines.at == lines.end), ~leads
        vertices += [paths.places[:, lines.end[ends]], lines.best[:, turns]]
        of_path += [lines.path[ends], lines.path[turns]]
        lines.here = np.where(turns, lines.best, lines.here)
        lines.at = np.where(turns, lines.best_at, lines.at) + 1
        lines.is_new = turns
        if ends.any():
            lines = lines.only(~ends)
    found = np.concatenate(of_path)
    order = np.argsort(found, kind="stable")
    return np.concatenate(vertices, axis=1)[:, order], np.bincount(found, minlength=len(paths.sizes))


@dataclass(frozen=True, slots=True, eq=False)
class _Gates:
    """The places of all paths and their gates; paths end in gates without length.

    `along` leads from one end of a gate to the other, `own` is the share of it at which the place lies, and `reach`
    the share that the tolerance is.
    """

    place: Vectors
    least: Vectors
    along: Vectors
    own: NDArray[np.float64]
    reach: NDArray[np.float64]

    @classmethod
    def of(cls, paths: Paths, tolerance: float) -> "_Gates":
        least, along = paths.least.copy(), paths.most - paths.least
        ends = np.cumsum(paths.sizes) - 1
        least[:, ends], along[:, ends] = paths.places[:, ends], 0
        length = np.sqrt(_dot(along, along))
        own = _ratio(_dot(paths.places - least, along), length * length, 0)
        # Where a path crosses a gate aslant, a vertex may go further along the gate than away from the path.
        tangent = np.roll(paths.places, -1, axis=1) - np.roll(paths.places, 1, axis=1)
        away = np.abs(_cross(tangent, along))
        away = np.maximum(away, _ASLANT * length * np.sqrt(_dot(tangent, tangent)))
        reach = _ratio(tolerance * np.sqrt(_dot(tangent, tangent)), away, np.inf)
        return cls(paths.places, least, along, own, reach)

    def in_rows(self) -> Vectors:
        """Return all that is known of each gate side by side, shape (N, 8): it is looked up at one place in memory."""
        return np.concatenate([self.place, self.least, self.along, self.own[None], self.reach[None]]).T.copy()

    @classmethod
    def at(cls, rows: Vectors, places: Numbers) -> "_Gates":
        """Return the gates at some places of `in_rows`."""
        found = rows.take(places, axis=0).T.copy()
        return cls(found[:2], found[2:4], found[4:6], found[6], found[7])


@dataclass(slots=True, eq=False)
class _Lines:
    """The line that each unfinished path is on: from `here` to the gate `at`, in a direction from `right` to `left`.

    `best` is the last place where it may end, `best_at` the gate of that; `is_new` says that no gate is passed yet.
    """

    path: Numbers
    end: Numbers
    at: Numbers
    here: Vectors
    right: Vectors
    left: Vectors
    best: Vectors
    best_at: Numbers
    is_new: Flags

    @classmethod
    def along(cls, paths: Paths) -> "_Lines":
        begin = np.cumsum(paths.sizes) - paths.sizes
        here = paths.places[:, begin]
        new = np.ones(len(begin), np.bool_)
        return cls(np.arange(len(begin)), begin + paths.sizes - 1, begin + 1, here, here, here, here, begin, new)

    def only(self, chosen: Flags) -> "_Lines":
        return _Lines(*(getattr(self, name).compress(chosen, axis=-1) for name in self.__slots__))

    def pass_gates(self, gates: Vectors, tolerance: float) -> Flags:
        """Go on to the next gates, where some direction leads there; return where one does."""
        gate = _Gates.at(gates, self.at)
        first = self.is_new
        ahead = gate.least - self.here
        leads = self._narrow(ahead, ahead + gate.along, first)
        away = gate.place - self.here
        leads &= self._narrow(*self._tangents(away, tolerance), np.zeros_like(first))
        leads |= first
        share = self._nearest(ahead, gate)
        near = np.abs(share - gate.own) <= gate.reach
        better = leads & (near | first)
        # The first gate after a turn can always be reached at its place, whatever rounding says.
        best = np.where(near, gate.least + share * gate.along, gate.place)
        self.best = np.where(better, best, self.best)
        self.best_at = np.where(better, self.at, self.best_at)
        return leads

    def _narrow(self, one: Vectors, other: Vectors, anew: Flags) -> Flags:
        """Keep of the directions those between two more, or take these anew; return whether any is left."""
        turned = _cross(one, other) < 0
        right, left = np.where(turned, other, one), np.where(turned, one, other)
        ahead = _dot(self.right + self.left, one + other) > 0
        self.right = np.where(anew | (_cross(self.right, right) > 0), right, self.right)
        self.left = np.where(anew | (_cross(self.left, left) < 0), left, self.left)
        return anew | (ahead & (_cross(self.right, self.left) >= 0))

    def _tangents(self, away: Vectors, tolerance: float) -> tuple[Vectors, Vectors]:
        """Return the directions past either side of places so far away, at the tolerance; from within it, all."""
        distance = np.sqrt(_dot(away, away))
        within = distance <= tolerance
        sine = _ratio(np.full_like(distance, tolerance), distance, 1)
        cosine = np.sqrt(np.maximum(1 - sine * sine, 0))
        along, across = away * cosine, np.stack([away[1], -away[0]]) * sine
        return np.where(within, self.right, along + across), np.where(within, self.left, along - across)

    def _nearest(self, ahead: Vectors, gate: _Gates) -> NDArray[np.float64]:
        """Return at which share of a gate the lines in these directions come nearest to its place."""
        one, other = (_ratio(_cross(way, ahead), _cross(gate.along, way), 0) for way in (self.right, self.left))
        return np.clip(np.clip(gate.own, np.minimum(one, other), np.maximum(one, other)), 0, 1)


def _cross(one: Vectors, other: Vectors) -> NDArray[np.float64]:
    area: NDArray[np.float64] = one[0] * other[1] - one[1] * other[0]
    return area


def _dot(one: Vectors, other: Vectors) -> NDArray[np.float64]:
    product: NDArray[np.float64] = one[0] * other[0] + one[1] * other[1]
    return product


def _ratio(part: NDArray[np.float64], whole: NDArray[np.float64], otherwise: float) -> NDArray[np.float64]:
    """Return part by whole, and something else where the whole is nothing."""
    ratio: NDArray[np.float64] = np.divide(part, whole, out=np.full_like(whole, otherwise), where=whole != 0)
    return ratio
