"""The paper's loss (equation 1): soft Dice plus adaptively weighted cross-entropy."""

from collections.abc import Callable

import torch
from torch.nn import functional

from nuclick_training.sampling.sampling import OBJECT, OTHERS, UNKNOWN

Loss = Callable[[torch.Tensor, torch.Tensor, float], torch.Tensor]
"""From what a network returns while it is trained, the target, and `FitSettings.largest_alpha` to a mean loss."""


def nuclick_loss(logits: torch.Tensor, target: torch.Tensor, largest_alpha: float = 1.0) -> torch.Tensor:
    """Return the mean loss of a batch.

    The weights are W = alpha^2 G + alpha G~ + 1 with alpha = max(sum G~ / sum G, 1), G the object, G~ the others.
    In crowded crops alpha reaches tens, and masks trained so come out too large (a threshold of 0.7 to 0.8 then
    beats 0.5); `largest_alpha` caps it. At 1, the default, W = G + G~ + 1; at 0 there is no cap, as in the paper.

    The Dice term has the factor two that equation 1 leaves out, so that a perfect mask costs nothing. Unknown
    pixels do not count.

    Parameters
    ----------
    logits
        (N, 1, H, W) float32.
    target
        (N, 1, H, W) integers: BACKGROUND, OBJECT, OTHERS or UNKNOWN.
    """
    wanted, others, known = (target == OBJECT).float(), (target == OTHERS).float(), (target != UNKNOWN).float()
    areas = (1, 2, 3)
    alpha = others.sum(areas, keepdim=True) / wanted.sum(areas, keepdim=True).clamp(min=1)
    alpha = alpha.clamp(1, max(largest_alpha, 1) if largest_alpha else None)
    weights = (alpha**2 * wanted + alpha * others + 1) * known
    entropy = functional.binary_cross_entropy_with_logits(logits, wanted, weight=weights, reduction="sum") / known.sum()
    probability = torch.sigmoid(logits) * known
    overlap = 2 * (probability * wanted).sum(areas) + 1
    dice = 1 - overlap / (probability.sum(areas) + wanted.sum(areas) + 1)
    return dice.mean() + entropy
