"""One probability map to one mask: threshold, fill small holes, keep what the prompt touches.

The result is the mask of one prompt's object, or the reason why there is none. All arrays are two-dimensional: one
map of a batch at a time.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from nuclick_wsi.instances import Reason
from nuclick_wsi.segmentation.arrays import Mask, Pixels, Probabilities

_CROSS = ndimage.generate_binary_structure(2, 1)


@dataclass(frozen=True, slots=True)
class MaskRule:
    """How a probability map becomes a mask.

    `threshold` is the least probability of an object's pixel. Parts of fewer than `smallest_px` pixels are no object.
    Holes of at most `fill_holes_px` pixels are filled; 0 keeps every hole. Both count pixels of the map. A signal that
    touches nothing is moved onto an object at most `reach_px` pixels away; 0 leaves it where it is. `adds_strokes` is
    whether what a line adds to its object belongs to it, whatever the network says.
    """

    threshold: float
    smallest_px: int
    fill_holes_px: int
    reach_px: int = 0
    adds_strokes: bool = False

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1:
            raise ValueError(f"a threshold lies above 0 and is at most 1, not {self.threshold}")
        if min(self.smallest_px, self.fill_holes_px, self.reach_px) < 0:
            raise ValueError(
                f"numbers of pixels are 0 or more, not smallest_px={self.smallest_px}, "
                f"fill_holes_px={self.fill_holes_px}, reach_px={self.reach_px}"
            )


def on_object(probabilities: Probabilities, signal: Pixels, rule: MaskRule) -> Pixels:
    """Return a signal that touches its object, or, where it fell just beside, the object's pixel nearest to it.

    The paper's post-processing knows no such step; its jittered clicks lose what lies beside them.

    Parameters
    ----------
    probabilities
        Shape (H, W), float32.
    signal
        Rows and columns of the prompt's own pixels, shape (N, 2); all inside it.
    rule
        Its reach is between the middles of pixels. Where nothing is in reach, the signal stays as it is.
    """
    _require_inside(signal, probabilities.shape)
    if rule.reach_px == 0 or (probabilities[tuple(signal.T)] >= rule.threshold).any():
        return signal
    low = np.maximum(signal.min(axis=0) - rule.reach_px, 0)
    high = signal.max(axis=0) + rule.reach_px + 1
    near = np.argwhere(probabilities[low[0] : high[0], low[1] : high[1]] >= rule.threshold) + low
    if not len(near):
        return signal
    if len(signal) == 1:
        squared = ((near - signal) ** 2).sum(axis=1)
    else:
        # All pairs of a long line's pixels and an object's would take gigabytes.
        squared = np.rint(cKDTree(signal).query(near)[0] ** 2).astype(np.int64)
    nearest = squared.argmin()
    return near[[nearest]] if squared[nearest] <= rule.reach_px**2 else signal


def decode_mask(probabilities: Probabilities, signal: Pixels, rule: MaskRule) -> Mask | Reason:
    """Return the object that a prompt's signal touches, or why there is none.

    This is the paper's post-processing: morphological reconstruction of the thresholded map from the inclusion map
    keeps exactly the connected parts that the inclusion map touches. Small holes of what is kept are filled. A signal
    that touches nothing may lie in a small pale hole: then holes are filled first, which finds the object around it.
    A squiggle whose strokes touch several parts keeps them all: what the user drew as one object stays one object.

    Parameters
    ----------
    probabilities
        Shape (H, W), float32.
    signal
        Rows and columns of the prompt's own pixels in that array, shape (N, 2); all inside it.
    rule
        Threshold and sizes.

    Returns
    -------
    Mask or Reason
        Shape (H, W); or `NO_OBJECT` where nothing lies under the signal, `TOO_SMALL` where every part that does is
        smaller than the rule allows.
    """
    _require_inside(signal, probabilities.shape)
    above = probabilities >= rule.threshold
    box = bounding_box(above)
    if box is None:
        return Reason.NO_OBJECT
    # Labelling is most of the work, so each step works in the box around what is left.
    parts, inner = above[box], inside_box(signal, box)
    if not len(inner):
        return Reason.NO_OBJECT
    if not parts[tuple(inner.T)].any():
        if len(inner) == 1 and not _may_lie_in_hole(parts, inner[0], rule.fill_holes_px):
            return Reason.NO_OBJECT
        parts = fill_small_holes(parts, rule.fill_holes_px)
    touched = keep_touched(parts, inner)
    tight = bounding_box(touched)
    if tight is None:
        return Reason.NO_OBJECT
    whole = fill_small_holes(touched[tight], rule.fill_holes_px)
    kept = keep_touched(whole, inside_box(inner, tight), rule.smallest_px)
    if not kept.any():
        return Reason.TOO_SMALL
    mask = np.zeros(above.shape, dtype=np.bool_)
    mask[box][tight] = kept
    return mask


def without_excluded(probabilities: Probabilities, excluded: Pixels, signal: Pixels, rule: MaskRule) -> Probabilities:
    """Return probabilities that are 0 around what the user says is not the object, where a mask would have it.

    A user clicks the middle of what is wrong. So what goes is a disc about the click that reaches just beyond the
    nearest place outside the mask, and not as far as the prompt's own signal.

    Parameters
    ----------
    probabilities
        Shape (H, W), float32.
    excluded, signal
        Rows and columns of pixels in that array, shape (N, 2): those excluded, and the prompt's own.
    """
    wrong = excluded[probabilities[tuple(excluded.T)] >= rule.threshold]
    if not len(wrong):
        return probabilities
    inside = probabilities >= rule.threshold
    depth = np.full(inside.shape, np.inf) if inside.all() else ndimage.distance_transform_edt(inside)
    left = probabilities.copy()
    radii = np.minimum(depth[tuple(wrong.T)], cKDTree(signal).query(wrong)[0] - 1) + 0.5
    for pixel, radius in zip(wrong.tolist(), radii.tolist(), strict=True):
        _disc(left, pixel, radius, 0)
    return left


def with_added(probabilities: Probabilities, signal: Pixels, rule: MaskRule) -> Probabilities:
    """Return probabilities that are 1 where a line leaves its object, as the network sees it, to add to it.

    A user draws into the middle of what is missing. So what comes is a disc about each pixel of the line that reaches
    back to the object. What lies farther from it than its own radius is no part that is missing, and stays as it is.

    Parameters
    ----------
    probabilities
        Shape (H, W), float32.
    signal
        Rows and columns of the prompt's own pixels in that array, shape (N, 2).
    """
    if not rule.adds_strokes or len(signal) == 1:
        return probabilities
    inside = probabilities >= rule.threshold
    if inside[tuple(signal.T)].all():
        return probabilities
    own = keep_touched(inside, signal)
    if not own.any():
        return probabilities
    distance = ndimage.distance_transform_edt(~own)
    outside = signal[~own[tuple(signal.T)]]
    radii = distance[tuple(outside.T)]
    counted = radii <= math.sqrt(own.sum() / math.pi)
    added = probabilities.copy()
    for pixel, radius in zip(outside[counted].tolist(), radii[counted].tolist(), strict=True):
        _disc(added, pixel, radius + 0.5, 1)
    return added


def _disc(probabilities: Probabilities, pixel: tuple[int, int], radius: float, value: float) -> None:
    """Set a disc about a pixel; one of less than no radius is none."""
    if radius < 0:
        return
    # A line has many pixels, and an array of a large gland millions: each disc is drawn in its own box.
    (row, column), reach = pixel, math.ceil(radius)
    box = np.s_[max(row - reach, 0) : row + reach + 1, max(column - reach, 0) : column + reach + 1]
    rows, columns = np.ogrid[box[0], box[1]]
    part = probabilities[box]
    part[((rows - row) ** 2 + (columns - column) ** 2 <= radius**2)[: part.shape[0], : part.shape[1]]] = value


def keep_touched(mask: Mask, signal: Pixels, smallest_px: int = 1) -> Mask:
    """Return the 4-connected parts of a mask that a signal touches and that are large enough.

    Parameters
    ----------
    mask
        Shape (H, W).
    signal
        Rows and columns in the mask, shape (N, 2); all inside it.
    smallest_px
        Parts of fewer pixels go.
    """
    labels, count = label_parts(mask)
    keep = np.zeros(count + 1, dtype=np.bool_)
    keep[labels[tuple(signal.T)]] = True
    keep[0] = False
    if smallest_px > 1:
        keep &= np.bincount(labels.ravel(), minlength=count + 1) >= smallest_px
    kept: Mask = keep[labels]
    return kept


def label_parts(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Return the number of its 4-connected part for each pixel of a mask, from 1, 0 outside; and how many there are."""
    labels, count = ndimage.label(mask, _CROSS)
    return labels, count


def fill_small_holes(mask: Mask, largest_px: int) -> Mask:
    """Return a mask without its holes of at most `largest_px` pixels.

    A hole is a 4-connected piece of background that does not reach the array's border. Outlines have one interior
    ring for each, so after this no interior ring is as small as that.
    """
    if largest_px == 0:
        return mask
    padded = np.ones((mask.shape[0] + 2, mask.shape[1] + 2), dtype=np.bool_)
    np.logical_not(mask, out=padded[1:-1, 1:-1])
    labels, count = label_parts(padded)
    if count == 1:
        return mask
    fill = np.bincount(labels.ravel(), minlength=count + 1) <= largest_px
    fill[[0, labels[0, 0]]] = False  # the object itself, and the background around it
    filled: Mask = mask | fill[labels[1:-1, 1:-1]]
    return filled


def dilated(mask: Mask) -> Mask:
    """Return a mask with the eight neighbours of its pixels, as far as the array goes."""
    rows = mask.copy()
    rows[1:] |= mask[:-1]
    rows[:-1] |= mask[1:]
    grown = rows.copy()
    grown[:, 1:] |= rows[:, :-1]
    grown[:, :-1] |= rows[:, 1:]
    return grown


def bounding_box(mask: Mask) -> tuple[slice, slice] | None:
    """Return the rows and columns that hold every True pixel of a mask, or None where there is none."""
    rows = np.flatnonzero(mask.any(axis=1))
    if rows.size == 0:
        return None
    columns = np.flatnonzero(mask.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def inside_box(signal: Pixels, box: tuple[slice, slice]) -> Pixels:
    """Return the pixels of a signal that lie in a box, counted from its corner."""
    rows, columns = box
    low, high = (rows.start, columns.start), (rows.stop, columns.stop)
    inside: Pixels = signal[((signal >= low) & (signal < high)).all(axis=1)] - low
    return inside


def _may_lie_in_hole(mask: Mask, pixel: Pixels, largest_px: int) -> bool:
    """Whether a mask lies around a pixel of background, so near that a hole of so many pixels may be there."""
    row, column = pixel.tolist()
    sides = (mask[row, :column][::-1], mask[row, column + 1 :], mask[:row, column][::-1], mask[row + 1 :, column])
    # A hole has the background up to the first pixel on each of the four sides.
    return all(side.any() for side in sides) and sum(int(side.argmax()) for side in sides) < largest_px


def _require_inside(signal: Pixels, shape: tuple[int, ...]) -> None:
    """Refuse a signal that leaves its map: NumPy would read a negative row from the other end."""
    if signal.ndim != 2 or signal.shape[1] != 2 or len(signal) == 0:
        raise ValueError(f"a signal has at least one pixel as (row, column), not shape {signal.shape}")
    low, high = signal.min(0).tolist(), signal.max(0).tolist()
    if min(low) < 0 or high[0] >= shape[0] or high[1] >= shape[1]:
        raise ValueError(f"the signal reaches {signal.min(0)} to {signal.max(0)}, outside its map of shape {shape}")
