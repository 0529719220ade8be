"""The grid in squares, and which patches have a part in each: masks are compared on small arrays, square by square.

It takes patches. `winners`, `claims` and `groups` go through the squares; no result depends on their size.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.patch import Patch

SIDE = 256
"""Pixels of a square's side."""

Corner: TypeAlias = tuple[int, int]
"""Row and column of a square among squares."""
_Slices: TypeAlias = tuple[slice, slice]


@dataclass(frozen=True, slots=True)
class Part:
    """What a square has of a patch.

    Attributes
    ----------
    index
        The number of the patch.
    own, there
        Rows and columns of the patch's own arrays, and of an array that fills the square.
    """

    index: int
    own: _Slices
    there: _Slices


@dataclass(frozen=True, slots=True, eq=False)
class Squares:
    """The squares that patches have parts in.

    Attributes
    ----------
    parts
        Of each square, the parts in the order of their patches.
    """

    parts: dict[Corner, list[Part]]
    _edges: dict[Corner, NDArray[np.int64]]
    """Of each square, the top, left, bottom and right of its parts."""

    @classmethod
    def of(cls, patches: Sequence[Patch]) -> "Squares":
        """Return the squares of patches."""
        parts: dict[Corner, list[Part]] = {}
        for index, patch in enumerate(patches):
            for corner in corners_of(patch.window):
                parts.setdefault(corner, []).append(part_of(index, patch.window, corner))
        return cls(parts, {})

    def meeting(self, corner: Corner, chosen: Sequence[int]) -> Iterator[Part]:
        """Yield the parts in a square that meet one of those with these places in its list, these among them."""
        if corner not in self._edges:
            places = [part.there for part in self.parts[corner]]
            found = [(rows.start, columns.start, rows.stop, columns.stop) for rows, columns in places]
            self._edges[corner] = np.array(found)
        edges = self._edges[corner]
        meets = np.zeros(len(edges), np.bool_)
        for place in chosen:
            top, left, bottom, right = edges[place].tolist()
            meets |= (edges[:, 0] < bottom) & (edges[:, 2] > top) & (edges[:, 1] < right) & (edges[:, 3] > left)
        parts = self.parts[corner]
        return (parts[place] for place in np.flatnonzero(meets).tolist())


def corners_of(window: Window) -> Iterator[Corner]:
    """Yield the squares that a window has pixels in."""
    for row in range(window.y // SIDE, (window.bottom - 1) // SIDE + 1):
        for column in range(window.x // SIDE, (window.right - 1) // SIDE + 1):
            yield row, column


def part_of(index: int, window: Window, corner: Corner) -> Part:
    """Return what a square has of the patch of this number, which has some of its window there."""
    row, column = corner[0] * SIDE, corner[1] * SIDE
    top, bottom = max(window.y, row), min(window.bottom, row + SIDE)
    left, right = max(window.x, column), min(window.right, column + SIDE)
    own = slice(top - window.y, bottom - window.y), slice(left - window.x, right - window.x)
    return Part(index, own, (slice(top - row, bottom - row), slice(left - column, right - column)))
