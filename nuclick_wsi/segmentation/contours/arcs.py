"""Rings cut where borders meet: each piece of border between two nodes is an arc, the same from both of its sides.

From a walk and its borders it makes paths along all arcs, and joins their vertices to rings again. Where an arc has an
instance on either side, both walk it in one direction, so both get the same vertices.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.segmentation.contours.borders import Borders, Places, Walk
from nuclick_wsi.segmentation.contours.stack import Stack
from nuclick_wsi.segmentation.contours.straighten import Flags, Numbers, Paths, Vectors

_LONGEST = 64
"""Steps of a piece: arcs are cut in pieces that are straightened side by side, or a long ring would take long."""


@dataclass(frozen=True, slots=True, eq=False)
class Arcs:
    """The pieces of all arcs, ring by ring in the ring's direction.

    Attributes
    ----------
    paths
        One along each piece.
    rings
        Of each piece, the ring that it belongs to.
    is_reversed
        Of each piece, whether its path goes against the ring's direction.
    """

    paths: Paths
    rings: Numbers
    is_reversed: Flags

    @classmethod
    def of(cls, walk: Walk, borders: Borders, stack: Stack, count: int) -> "Arcs":
        """Return the arcs of the rings that the first so many steps of a walk make."""
        stops = _Stops.along(walk, borders, count)
        begins = np.flatnonzero(stops.is_break)
        rings = stops.rings[begins]
        sizes = np.bincount(stops.rings)
        firsts, sizes = (np.cumsum(sizes) - sizes)[rings], sizes[rings]
        is_last = np.append(rings[1:] != rings[:-1], True)
        nexts = np.where(is_last, begins[np.searchsorted(rings, rings)] + sizes, np.append(begins[1:], 0))
        steps = nexts - begins
        # A node is never followed by another, so the next stop names the patch on the other side of the whole arc.
        other = stops.neighbours[firsts + (begins + 1 - firsts) % sizes]
        own = walk.owners[np.searchsorted(walk.rings, rings)]
        is_reversed = (other >= 0) & (stack.ranks[own] > stack.ranks[other])
        # A path that comes back to where it began has no direction to go in, so it becomes two.
        parts = np.maximum(-(-steps // _LONGEST), np.where(steps == sizes, 2, 1))
        arc = np.repeat(np.arange(len(steps)), parts)
        number = np.arange(len(arc)) - (np.cumsum(parts) - parts)[arc]
        number = np.where(is_reversed[arc], parts[arc] - 1 - number, number)
        low, high = (number * steps[arc] // parts[arc], (number + 1) * steps[arc] // parts[arc])
        piece = np.repeat(np.arange(len(arc)), high - low + 1)
        along = np.arange(len(piece)) - (np.cumsum(high - low + 1) - (high - low + 1))[piece] + low[piece]
        arc_of = arc[piece]
        along = np.where(is_reversed[arc_of], steps[arc_of] - along, along)
        index = firsts[arc_of] + (begins[arc_of] - firsts[arc_of] + along) % sizes[arc_of]
        paths = Paths(stops.places[index].T, stops.least[index].T, stops.most[index].T, high - low + 1)
        return cls(paths, rings[arc], is_reversed[arc])

    def joined(self, vertices: Vectors, sizes: Numbers) -> tuple[Places, Numbers]:
        """Return the vertices of rings, ring by ring, each once, and the ring of each.

        Parameters
        ----------
        vertices, sizes
            Those of the paths, as `straighten` returns them.
        """
        kept = sizes - 1  # the last vertex is the first of the next piece
        piece = np.repeat(np.arange(len(sizes)), kept)
        along = np.arange(len(piece)) - (np.cumsum(kept) - kept)[piece]
        begins = (np.cumsum(sizes) - sizes)[piece]
        index = begins + np.where(self.is_reversed[piece], sizes[piece] - 1 - along, along)
        return vertices[:, index].T, self.rings[piece]


@dataclass(frozen=True, slots=True, eq=False)
class _Stops:
    """All places that rings pass, ring by ring: the edges of pixels, and the nodes between them.

    `is_break` marks where arcs begin: nodes, and one stop of each ring without a node.
    """

    rings: Numbers
    neighbours: Numbers
    places: Places
    least: Places
    most: Places
    is_break: Flags

    @classmethod
    def along(cls, walk: Walk, borders: Borders, count: int) -> "_Stops":
        has_node = borders.is_node[borders.corners[:count]]
        step = np.repeat(np.arange(len(has_node)), 1 + has_node)
        is_node = np.zeros(len(step), np.bool_)
        is_node[np.flatnonzero(has_node) + np.cumsum(has_node)[has_node] - 1] = True
        nodes, edges = borders.nodes[borders.corners[step]], borders.edges[step]
        places, least, most = (
            np.where(is_node[:, None], nodes, of_edges[edges])
            for of_edges in (borders.places, borders.least, borders.most)
        )
        neighbours = np.where(is_node, -1, borders.neighbours[step])
        is_break = is_node.copy()
        is_break[_first_of_rings_without(is_node, walk.rings[step], borders.keys[edges])] = True
        return cls(walk.rings[step], neighbours, places, least, most, is_break)


def _first_of_rings_without(is_node: Flags, rings: Numbers, keys: NDArray[np.int64]) -> Numbers:
    """Return the stop with the smallest key of each ring that has no node."""
    begins = np.searchsorted(rings, np.arange(rings[-1] + 1))
    smallest = np.minimum.reduceat(keys, begins)
    without = ~np.logical_or.reduceat(is_node, begins)
    found: Numbers = np.flatnonzero((keys == smallest[rings]) & without[rings])
    return found
