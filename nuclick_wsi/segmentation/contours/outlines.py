"""A mask to its exact outline: polygons with holes that run along the edges of pixels.

The mask of one instance, with its window on the grid, becomes geometry in slide pixels, rounded to 0.01 px and valid
after it. A mask pixel (row i, column j) covers the square [j, j + 1] x [i, i + 1].
"""

from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy import ndimage

from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Mask
from nuclick_wsi.segmentation.masks import label_parts

Outline: TypeAlias = shapely.Polygon | shapely.MultiPolygon

Ring: TypeAlias = NDArray[np.int64]
"""Corners of a closed path as x, y, shape (N, 2); the first corner is not repeated, none lies on a straight edge."""

# Around every corner of the pixel lattice lie four pixels. Their sum says what the outline does there.
_NORTH_WEST, _NORTH_EAST, _SOUTH_WEST, _SOUTH_EAST = 1, 2, 4, 8
_FALLING = _NORTH_WEST + _SOUTH_EAST
_RISING = _NORTH_EAST + _SOUTH_WEST
_VISITS = np.array([{1: 1, 3: 1}.get(code.bit_count(), 0) for code in range(16)], dtype=np.int64)
_VISITS[[_FALLING, _RISING]] = 2
"""How often the outline turns at a lattice corner: once around one or three pixels, twice on a checkerboard."""


def outline(mask: Mask, window: Window, grid: Grid) -> Outline:
    """Return the outline of a mask in slide pixels, one polygon for each 4-connected part.

    Rounding keeps the geometry valid: the edges are horizontal and vertical, and the map from the grid keeps corners
    apart and in order along each axis. The area is the number of pixels times the square of the downsample, but for
    the rounding.

    Parameters
    ----------
    mask
        Shape (H, W), with at least one pixel set.
    window
        Where the mask sits, in grid pixels.
    grid
        The frame of the window.
    """
    if mask.shape != window.shape:
        raise ValueError(f"a mask of shape {mask.shape} does not fill a window of shape {window.shape}")
    labels, count = label_parts(mask)
    if count <= 1:
        return _polygon(mask, window.x, window.y, grid)
    parts = []
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        part = labels[rows, columns] == label
        parts.append(_polygon(part, window.x + columns.start, window.y + rows.start, grid))
    return shapely.MultiPolygon(parts)


def trace_rings(mask: Mask) -> list[Ring]:
    """Return the exterior of a 4-connected mask, then its holes, each as the corners where its path turns.

    Where two pixels of the mask touch in a corner only, the path passes between the two background pixels: as the
    mask is 4-connected, these lie on different sides, so no ring touches itself; a hole may touch the exterior or
    another hole in a point. With y down, exteriors run clockwise on the screen and holes the other way; shapely,
    whose y is up, calls the exteriors counter-clockwise.

    Parameters
    ----------
    mask
        Shape (H, W), one 4-connected part.

    Raises
    ------
    ValueError
        If the mask is empty or has several parts.
    """
    found = trace_all_rings(mask)
    if not found:
        raise ValueError("an empty mask has no outline")
    if [is_exterior for _, is_exterior in found] != [True] + [False] * (len(found) - 1):
        raise ValueError("the mask has several 4-connected parts; trace each on its own")
    return [ring for ring, _ in found]


def trace_all_rings(mask: Mask) -> list[tuple[Ring, bool]]:
    """Return every ring of a mask of any number of parts, as `trace_rings` does, and whether it is an exterior.

    They come in the order of their top left corners, row by row. An exterior starts there and runs right; a hole
    ends there.
    """
    codes = _corner_codes(mask)
    corners, down = _link_turns(codes)
    turns = np.stack([corners % codes.shape[1], corners // codes.shape[1]], axis=1)
    rings = []
    for path in _walk(down):
        # The path starts at the ring's top left corner and runs right: the mask below it means an exterior.
        is_exterior = bool(codes.flat[corners[path[0]]] & _SOUTH_EAST)
        rings.append((turns[path if is_exterior else path[::-1]], is_exterior))
    return rings


def _polygon(mask: Mask, x: int, y: int, grid: Grid) -> shapely.Polygon:
    """Return the polygon of one 4-connected mask whose top left pixel is (x, y) on the grid."""
    rings = [shapely.linearrings(grid.to_slide(np.add(ring, (x, y)))) for ring in trace_rings(mask)]
    return shapely.polygons(rings[0], holes=rings[1:] or None)


def _corner_codes(mask: Mask) -> NDArray[np.uint8]:
    """Return which of the four pixels around each lattice corner are set, shape (H + 1, W + 1)."""
    padded = np.zeros((mask.shape[0] + 2, mask.shape[1] + 2), dtype=np.uint8)
    padded[1:-1, 1:-1] = mask
    upper = padded[:, :-1] + 2 * padded[:, 1:]
    codes: NDArray[np.uint8] = upper[:-1] + 4 * upper[1:]
    return codes


def _link_turns(codes: NDArray[np.uint8]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return every turn of the outline, and for each the turn at the other end of its vertical edge.

    Along a row of the lattice the outline's edges begin and end in turn, so sorted by row the turns pair up as the
    ends of horizontal edges: 0 with 1, 2 with 3. Sorted by column they pair up as the ends of vertical edges.

    Returns
    -------
    corners
        Flat index into `codes` of each turn, sorted; a checkerboard corner occurs twice, first as the end of the edge
        from the left, then as the start of the edge to the right.
    down
        Index of the turn at the other end of the vertical edge.
    """
    visits = _VISITS[codes.ravel()]
    places = np.flatnonzero(visits)
    corners = np.repeat(places, visits[places])
    y, x = np.divmod(corners, codes.shape[1])
    # Of the two turns at a checkerboard corner, one ends the edge from above and one starts the edge below. Around
    # the background pixels of a falling diagonal the edge from the left goes on below, so it sorts last.
    second = np.zeros(corners.size, dtype=np.int64)
    second[1:] = corners[1:] == corners[:-1]
    second ^= codes.ravel()[corners] == _FALLING
    by_column = np.argsort((x * codes.shape[0] + y) * 2 + second)
    down = np.empty_like(by_column)
    down[by_column[0::2]], down[by_column[1::2]] = by_column[1::2], by_column[0::2]
    return corners, down


def _walk(down: NDArray[np.int64]) -> list[list[int]]:
    """Return the closed paths through all turns: a horizontal edge to the right or left, a vertical edge, and on."""
    other_end = down.tolist()
    seen = bytearray(len(other_end))
    paths = []
    for start in range(0, len(other_end), 2):
        path: list[int] = []
        turn = start
        while not seen[turn]:
            across = turn ^ 1
            seen[turn] = seen[across] = True
            path += (turn, across)
            turn = other_end[across]
        if path:
            paths.append(path)
    return paths
