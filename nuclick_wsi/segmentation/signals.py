"""Guiding signals: the maps that show the user's clicks and squiggles to the network (paper, section III-C).

Strokes in crop pixels become inclusion and exclusion maps. Inference and training draw by these rules alone.
Crop pixels: x to the right, y down; pixel (row, col) covers [col, col + 1) x [row, row + 1).
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Map, Pixels

Strokes = Sequence[npt.NDArray[np.floating]]

NONE: Pixels = np.empty((0, 2), np.int64)

REACH = 0.75
"""The part of a crop's side that a squiggle may span before its crop is scaled down or tiled: the gland goes on
beyond its squiggle, and the network needs to see where it ends."""


def rasterize(strokes: Strokes, window: Window | None = None) -> Pixels:
    """Draw strokes one pixel wide, 8-connected; every pixel comes once, in order of row and column.

    A line joins the pixels of successive points; drawn backwards it has the same pixels.

    Parameters
    ----------
    strokes
        Each (M, 2), x and y in crop pixels, M >= 1; one point is one pixel. They may leave the crop.
    window
        What is wanted; some pixels outside may come too, and all do without one.

    Returns
    -------
    pixels
        (N, 2) int64, row and column; negative ones and ones past the crop are kept.
    """
    if len(strokes) == 1 and len(strokes[0]) == 1:
        return np.floor(strokes[0][:, ::-1]).astype(np.int64)
    drawn = [_stroke_pixels(np.floor(stroke[:, ::-1]).astype(np.int64), window) for stroke in strokes]
    return _each_once(np.concatenate(drawn))


def _each_once(pixels: Pixels) -> Pixels:
    """Return `np.unique(pixels, axis=0)`, which takes three times as long and keeps all other threads waiting."""
    ordered = pixels[np.lexsort((pixels[:, 1], pixels[:, 0]))]
    is_first = np.ones(len(ordered), np.bool_)
    is_first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    first: Pixels = ordered[is_first]
    return first


def middle_of(pixels: Pixels) -> Pixels:
    """Return the middle of the bounding box of a signal's (N, 2) pixels, as row and column; a crop is drawn around it.

    A click's own pixel is its middle.
    """
    middle: Pixels = (pixels.min(axis=0) + pixels.max(axis=0) + 1) // 2
    return middle


def inclusion_map(pixels: Pixels, size: int) -> Map:
    """Return the (size, size) float32 map that is 1 on the pixels of an object's own signal, else 0."""
    return _map_of(_inside(pixels, size), size)


def exclusion_map(others: Sequence[Pixels], size: int, spots: Pixels = NONE) -> Map:
    """Return the (size, size) float32 map that is 1 on one pixel of every other object's signal, else 0.

    The pixel is the one inside the crop that is nearest the middle of the signal's pixels inside the crop; ties go to
    the upper, then to the left one. A signal wholly outside leaves no trace.

    Parameters
    ----------
    others
        Per other object its rasterized pixels, (N, 2) int64 row and column.
    spots
        Those of all other objects that leave one pixel each, together: thousands of clicks may be in a crop.
    """
    drawn = inclusion_map(spots, size)
    if others:
        pixels = np.concatenate(others)
        within = _within(pixels, size)
        if within.any():
            owners = np.repeat(np.arange(len(others)), [len(other) for other in others])
            rows, columns = most_central(pixels[within], owners[within]).T
            drawn[rows, columns] = 1
    return drawn


def guiding_signals(pixels: Pixels, others: Sequence[Pixels], size: int, spots: Pixels = NONE) -> Map:
    """Return inclusion and exclusion map as (2, size, size) float32; where both would be 1, inclusion wins."""
    signals = np.empty((2, size, size), np.float32)
    signals[0] = inclusion_map(pixels, size)
    signals[1] = exclusion_map(others, size, spots)
    signals[1, signals[0] > 0] = 0
    return signals


def _stroke_pixels(points: Pixels, window: Window | None) -> Pixels:
    """Return the pixels of the lines between successive pixels, (M, 2) to (N, 2); corners come twice."""
    if len(points) == 1:
        return points
    swap = (points[:-1, 0] > points[1:, 0]) | ((points[:-1, 0] == points[1:, 0]) & (points[:-1, 1] > points[1:, 1]))
    starts = np.where(swap[:, None], points[1:], points[:-1])
    ends = np.where(swap[:, None], points[:-1], points[1:])
    steps = np.maximum(np.abs(ends - starts).max(axis=1), 1)
    first, last = np.zeros_like(steps), steps
    if window is not None:
        first, last = _steps_inside(starts, ends, window)
        meets = first <= last
        starts, ends, steps, first, last = (part[meets] for part in (starts, ends, steps, first, last))
    counts = last - first + 1
    line = np.repeat(np.arange(len(starts)), counts)
    step = np.arange(len(line)) - np.repeat(np.cumsum(counts) - counts - first, counts)
    # Whole numbers only, from the upper end of every line: rounding cannot depend on the direction of drawing.
    along = (2 * step[:, None] * (ends - starts)[line] + steps[line, None]) // (2 * steps[line, None])
    drawn: Pixels = starts[line] + along
    return drawn


def _steps_inside(starts: Pixels, ends: Pixels, window: Window) -> tuple[Pixels, Pixels]:
    """Return the first and the last step of each line that may lie in a window; the first is larger where none does.

    Along its longer axis a line goes on by one pixel with every step.
    """
    longer = np.abs(ends - starts).argmax(axis=1)
    line = np.arange(len(starts))
    start, end = starts[line, longer], ends[line, longer]
    low, high = np.array([(window.y, window.x), (window.bottom - 1, window.right - 1)])[:, longer]
    rises = end >= start
    first = np.where(rises, low - start, start - high)
    last = np.where(rises, high - start, start - low)
    steps = np.maximum(np.abs(end - start), 1)
    return np.clip(first, 0, None), np.minimum(last, steps)


def most_central(pixels: Pixels, owners: Pixels) -> Pixels:
    """Return per owner the pixel nearest the middle of its pixels; all arithmetic is exact.

    Ties go to the upper, then to the left one.

    Parameters
    ----------
    pixels
        (N, 2) row and column.
    owners
        (N,) numbers in rising order: the owner of each pixel.
    """
    begins = np.flatnonzero(np.diff(owners, prepend=-1))
    counts = np.diff(np.append(begins, len(owners)))
    group = np.repeat(np.arange(len(begins)), counts)
    sums = np.add.reduceat(pixels, begins, axis=0)
    distance = ((pixels * counts[group, None] - sums[group]) ** 2).sum(axis=1)
    nearest = np.flatnonzero(distance == np.minimum.reduceat(distance, begins)[group])
    order = nearest[np.lexsort((pixels[nearest, 1], pixels[nearest, 0], group[nearest]))]
    central: Pixels = pixels[order[np.flatnonzero(np.diff(group[order], prepend=-1))]]
    return central


def _within(pixels: Pixels, size: int) -> npt.NDArray[np.bool_]:
    """Return which pixels lie in the crop."""
    return np.asarray(((pixels >= 0) & (pixels < size)).all(axis=1))


def _inside(pixels: Pixels, size: int) -> Pixels:
    """Return the pixels that lie in the crop."""
    return pixels[_within(pixels, size)]


def _map_of(pixels: Pixels, size: int) -> Map:
    """Return the map that is 1 on the pixels, all of them inside."""
    drawn = np.zeros((size, size), np.float32)
    drawn[pixels[:, 0], pixels[:, 1]] = 1
    return drawn
