"""BIFSeg's refinement (G. Wang et al., 2018): the network's last layer is fitted to the one image at hand.

What it is already sure of teaches it, and so do the user's squiggle and what lies outside of the box. The original also
regularises the mask by a graph cut between the rounds, which is left out here.
"""

import copy
import math

import torch
from torch import nn

_UNSURE = (0.2, 0.7)
"""Probabilities of pixels that teach nothing."""
_SCRIBBLE_WEIGHT = 5.0
_ROUNDS = 4
_STEPS = 5
_RATE = 2e-3


def refined(network: nn.Module, seen: torch.Tensor, scribble: torch.Tensor) -> torch.Tensor:
    """Return the probabilities (1, 1, S, S) of a network whose head was fitted to one window; the network stays.

    Parameters
    ----------
    network
        Folded or not, in evaluation mode. Its last layer is `head`, with a channel for each pixel of a square that it
        draws at once.
    seen
        (1, 5, S, S): the window, with the inside of the box as its first map.
    scribble
        (1, 1, S, S) bool: the user's squiggle.
    """
    features: list[torch.Tensor] = []
    last = network.get_submodule("head")
    hook = last.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    with torch.no_grad():
        probability = torch.sigmoid(network(seen))
    hook.remove()
    head = copy.deepcopy(last).requires_grad_(True)
    optimizer = torch.optim.Adam(head.parameters(), lr=_RATE)
    outside = seen[:, 3:4] == 0
    for _ in range(_ROUNDS):
        taught = ((probability > 0.5) | scribble) & ~outside
        sure = (probability < _UNSURE[0]) | (probability > _UNSURE[1])
        weight = torch.where(scribble, _SCRIBBLE_WEIGHT, (sure | outside).float())
        for _ in range(_STEPS):
            logits = _drawn(head, features[0])
            loss = nn.functional.binary_cross_entropy_with_logits(logits, taught.float(), weight)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            probability = torch.sigmoid(_drawn(head, features[0]))
    return probability


def _drawn(head: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """Return the logits (1, 1, S, S) of a last layer, each of whose places draws a square of pixels."""
    squares: torch.Tensor = head(features)
    return nn.functional.pixel_shuffle(squares, math.isqrt(squares.shape[1]))
