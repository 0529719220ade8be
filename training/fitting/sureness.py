"""How sure a model's outlines are: what it expects of validation objects, calibrated against the Dice they reach.

A network and validation batches go in; the pairs of numbers that a model's card keeps come out.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import spearmanr
from torch import nn

from nuclick_training.sampling.batches import Batch
from nuclick_training.sampling.sampling import OBJECT, UNKNOWN
from nuclick_wsi.models.card import Calibration, ModelCard
from nuclick_wsi.models.network import STRIDE, fused
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.arrays import Mask, Pixels, Probabilities
from nuclick_wsi.segmentation.masks import MaskRule, decode_mask, on_object
from nuclick_wsi.segmentation.settings import MaskSettings, mask_rule
from nuclick_wsi.segmentation.sureness import expected_dice

FEWEST = 20
"""Outlines that a mean is taken of, at least: less say nothing about the next one."""
_PARTS = (0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75)
"""Where outlines, in the order of what is expected of them, are divided: finest among those that are worth a look."""
_SIGNAL_REACH = 0.75
"""A signal pixel lies nearer than this to the middle of its feature, and no farther one does."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """One outlined validation object.

    Attributes
    ----------
    probabilities, mask
        (S, S) float32 and bool: of its crop.
    dice
        Of the mask with the true object; unknown pixels do not count.
    """

    probabilities: Probabilities
    mask: Mask
    dice: float


def decoded(network: nn.Module, batches: Sequence[Batch], card: ModelCard) -> Iterator[Decoded]:
    """Yield every example that gets an outline, decoded by the engine's own rule."""
    rule = mask_rule(card, MaskSettings(), Grid(1.0, card.mpp**2))
    network = fused(network)
    device = next(network.parameters()).device
    for batch in batches:
        with torch.inference_mode():
            drawn = torch.sigmoid(network(*batch.to(device).inputs))[:, 0].cpu().numpy()
        for index, target in enumerate(batch.target[:, 0].numpy()):
            mask = _mask(drawn[index], signal_pixels(batch, index), rule)
            if mask is not None:
                yield Decoded(drawn[index], mask, _dice(mask, target))


def calibration_of(expected: npt.ArrayLike, reached: npt.ArrayLike) -> Calibration:
    """Return the Dice that is reached where so much is expected, as pairs that rise; empty where there are too few.

    Outlines in the order of what is expected of them are divided into parts, whose means are the pairs; means that fall
    are joined. Where nothing is expected nothing is reached.
    """
    pairs = np.stack([np.asarray(expected, float), np.asarray(reached, float)], axis=1)
    pairs = pairs[np.argsort(pairs[:, 0], kind="stable")]
    edges = [0]
    for edge in (*(round(share * len(pairs)) for share in _PARTS), len(pairs)):
        if edge - edges[-1] >= FEWEST and (len(pairs) - edge >= FEWEST or edge == len(pairs)):
            edges.append(edge)
    parts = [pairs[start:end] for start, end in itertools.pairwise(edges)]
    joined: list[npt.NDArray[np.float64]] = []
    for part in parts:
        joined.append(part)
        while len(joined) > 1 and joined[-2][:, 1].mean() >= joined[-1][:, 1].mean():
            joined[-2:] = [np.concatenate(joined[-2:])]
    means = [part.mean(axis=0).round(4).tolist() for part in joined]
    return ((0.0, 0.0), *((x, y) for x, y in means)) if means else ()


def calibrated(network: nn.Module, batches: Sequence[Batch], card: ModelCard) -> tuple[Calibration, float]:
    """Return a model's calibration, and how well the order of what is expected is that of what is reached.

    Returns
    -------
    calibration, correlation
        As a card keeps it; Spearman's rank correlation with the Dice of the same objects, NaN where it is not defined.
    """
    found = [(expected_dice(one.mask, one.probabilities), one.dice) for one in decoded(network, batches, card)]
    expected, reached = np.array(found).reshape(-1, 2).T
    varied = len(set(expected)) > 1 and len(set(reached)) > 1
    correlation = float(spearmanr(expected, reached).statistic) if varied else float("nan")
    return calibration_of(expected, reached), correlation


def signal_pixels(batch: Batch, index: int) -> Pixels:
    """Return the pixels of an example's own signal, row and column, (N, 2).

    Of a network that is shown distances they are known to a feature of `STRIDE` pixels: all of these are returned.
    """
    signals = batch.inputs[-1][index].numpy()
    if len(batch.inputs) == 1:
        return np.argwhere(signals[3] > 0)
    corners = np.argwhere(signals[0] < _SIGNAL_REACH) * STRIDE
    within = np.argwhere(np.ones((STRIDE, STRIDE), bool))
    return (corners[:, None] + within).reshape(-1, 2)


def _mask(probabilities: Probabilities, signal: Pixels, rule: MaskRule) -> Mask | None:
    mask = decode_mask(probabilities, on_object(probabilities, signal, rule), rule)
    return mask if isinstance(mask, np.ndarray) else None


def _dice(mask: Mask, target: npt.NDArray[np.uint8]) -> float:
    mask, wanted = mask & (target != UNKNOWN), target == OBJECT
    return float(2 * (mask & wanted).sum() / max(mask.sum() + wanted.sum(), 1))
