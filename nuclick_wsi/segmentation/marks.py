"""What is drawn in the maps of many views, as pixels: maps of zeros and ones hold a handful of them each.

`SignalField.marks` makes them; digests and networks that measure distances to signals take them.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.segmentation.arrays import Map, Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """The pixels that are 1 in one map of each of some views; some may come twice.

    Attributes
    ----------
    views
        Of each pixel, the number of its view among these; in rising order.
    pixels
        Row and column in the view, shape (N, 2).
    """

    views: NDArray[np.intp]
    pixels: Pixels

    def joined(self, more: "Marks") -> "Marks":
        """Return these marks and those of other views."""
        views = np.concatenate([self.views, more.views])
        order = np.argsort(views, kind="stable")
        return Marks(views[order], np.concatenate([self.pixels, more.pixels])[order])

    def of_each(self, count: int) -> list[Pixels]:
        """Return the pixels of each of so many views."""
        return np.split(self.pixels, np.searchsorted(self.views, np.arange(1, count)))


def marks_of(maps: Mapping[int, Map]) -> tuple[Marks, Marks]:
    """Return the marks of inclusion and exclusion maps, (2, H, W) of each view, by the numbers of the views."""
    found = []
    for number in (0, 1):
        drawn = [np.argwhere(of_view[number]) for of_view in maps.values()]
        views = np.repeat(np.array(list(maps), np.intp), list(map(len, drawn)))
        found.append(Marks(views, np.concatenate([np.empty((0, 2), np.int64), *drawn])))
    return found[0], found[1]


def packed(marks: tuple[Marks, Marks], count: int, side: int) -> NDArray[np.uint8]:
    """Return both maps of so many views as bits, row by row as `np.packbits` puts them, shape (count, bytes)."""
    bits = np.zeros((count, -(-2 * side * side // 8)), np.uint8)
    for number, of_map in enumerate(marks):
        rows, columns = of_map.pixels.T
        places = (number * side + rows) * side + columns
        np.bitwise_or.at(bits, (of_map.views, places >> 3), (128 >> (places & 7)).astype(np.uint8))
    return bits
