"""Corrective marks: what a user adds who sees an outline go wrong, drawn from a network's present error.

Where an outline has too much, the user clicks what is not the object (class `Ignore*`); where something is missing, a
further stroke is merged into the prompt. `corrected` adds one such mark to each example of a batch.
"""

from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage

from nuclick_training.sampling.batches import Batch
from nuclick_training.sampling.sampling import BACKGROUND, OBJECT, OTHERS
from nuclick_training.sampling.squiggles import Mask, depth_of
from nuclick_wsi.segmentation.arrays import Pixels
from nuclick_wsi.segmentation.blocks import distances_to
from nuclick_wsi.segmentation.signals import rasterize


def corrected(batch: Batch, probabilities: torch.Tensor, rng: np.random.Generator, share: float = 0.8) -> Batch:
    """Return a batch in which most examples with a visible error have one more mark, in the middle of that error.

    Parameters
    ----------
    probabilities
        (N, 1, S, S) float32: what a network makes of the batch as it is.
    share
        Of the examples with an error; the others stay as they are.
    """
    drawn, target = (each[:, 0].cpu().numpy() for each in (probabilities >= 0.5, batch.target))
    signals = batch.inputs[-1].clone()
    for index in np.flatnonzero(rng.random(len(target)) < share):
        mark = corrective_mark(drawn[index], target[index], rng)
        if mark is not None:
            _add(signals[index], *mark)
    return Batch((*batch.inputs[:-1], signals), batch.target)


def corrective_mark(
    drawn: Mask, target: np.ndarray, rng: np.random.Generator, least_depth: float = 1
) -> tuple[bool, Pixels] | None:
    """Return whether something is missing, not too much, and the pixels that a user would mark.

    None where no error is deep enough.

    Parameters
    ----------
    drawn
        (S, S) bool: the present mask.
    target
        (S, S) uint8: BACKGROUND, OBJECT, OTHERS or UNKNOWN; what is unknown is no error.
    least_depth
        Of an error that is marked: its middle lies so many pixels from where the mask is right. At 1 every error is.
    """
    missing = _largest_error(~drawn & (target == OBJECT))
    too_much = _largest_error(drawn & ((target == BACKGROUND) | (target == OTHERS)))
    deepest, _ = max(missing.size, too_much.size)
    if not deepest or deepest < least_depth:
        return None
    if missing.size <= too_much.size:
        return False, too_much.middle[[int(rng.integers(len(too_much.middle)))]]
    ends = missing.middle[rng.integers(len(missing.middle), size=2)]
    line = rasterize([ends[:, ::-1] + 0.5])
    on_object = target[tuple(line.T)] == OBJECT
    return True, line if on_object.mean() >= 0.75 else ends[:1]


class _Error(NamedTuple):
    """One error: how deep it is and of how many pixels, and its (N, 2) deepest pixels, row and column."""

    size: tuple[float, int]
    middle: Pixels


def _largest_error(wrong: Mask) -> _Error:
    """Return the deepest of the connected parts of a mask of errors; of parts as deep as it the one of most pixels."""
    depth = depth_of(wrong)
    deepest = depth.max()
    regions, count = ndimage.label(wrong, np.ones((3, 3)))
    if not count:
        return _Error((0.0, 0), np.empty((0, 2), np.int64))
    areas = np.bincount(regions.ravel())
    found = np.unique(regions[depth == deepest])
    largest = found[areas[found].argmax()]
    return _Error((float(deepest), int(areas[largest])), np.argwhere((regions == largest) & (depth >= 0.6 * deepest)))


def _add(signals: torch.Tensor, missing: bool, pixels: Pixels) -> None:
    """Add a mark to one example's signals: five channels of a crop, or two distance maps of a block's crop."""
    if len(signals) == 2:
        own = 0 if missing else 1
        nearer = torch.from_numpy(distances_to(pixels, 2 * signals.shape[-1])).to(signals.device)
        signals[own] = torch.minimum(signals[own], nearer)
        return
    rows, columns = pixels.T
    if missing:
        signals[3, rows, columns], signals[4, rows, columns] = 1, 0
    else:
        signals[4, rows, columns] = (signals[3, rows, columns] == 0).to(signals.dtype)
