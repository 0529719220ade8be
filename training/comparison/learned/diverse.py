"""Latent Diversity (Z. Li, Q. Chen and V. Koltun, 2018): several masks for the same clicks, and a choice among them.

A first network draws the masks, and is judged by its best one; the earlier a mask, the more it must be right by itself.
A second, small one sees the image, the maps and all masks, and says which is best.
"""

import torch
from torch import nn

from nuclick_training.sampling.sampling import OBJECT, UNKNOWN
from nuclick_wsi.models.network.blocks import ConvNorm
from nuclick_wsi.models.network.squiggle import SquiggleConfig, SquiggleNet

MASKS = 6
_STRIDE = 2


def drawing_masks() -> nn.Module:
    """Return the squiggle network with a last layer that draws `MASKS` masks."""
    network = SquiggleNet(SquiggleConfig())
    network.head = nn.Conv2d(network.head.in_channels, MASKS * _STRIDE**2, 3, padding=1)
    return network


class DiverseNet(nn.Module):
    """Draws `MASKS` masks of an object, and chooses one.

    Parameters
    ----------
    draw
        (N, 5, H, W) to (N, MASKS, H, W) logits.
    """

    def __init__(self, draw: nn.Module) -> None:
        super().__init__()
        self.draw = draw
        self.judge = nn.Sequential(ConvNorm((5 + MASKS) * 16, 32, 1), ConvNorm(32, 32), ConvNorm(32, 32))
        self.choose = nn.Linear(32, MASKS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 5 x H x W to N x 1 x H x W logits of the chosen masks; while it is trained, to all masks and scores.

        These are N x 2 MASKS x H x W: logits, and behind them each mask's score, the same at every pixel.
        """
        masks = self.draw(x)
        seen = torch.cat([x, torch.sigmoid(masks.detach())], dim=1)
        scores = self.choose(self.judge(nn.functional.pixel_unshuffle(seen, 4)).mean(dim=(2, 3)))
        if self.training:
            return torch.cat([masks, scores[:, :, None, None].expand_as(masks)], dim=1)
        chosen: torch.Tensor = masks[torch.arange(len(masks)), scores.argmax(dim=1)]
        return chosen[:, None]


def diverse_loss(output: torch.Tensor, target: torch.Tensor, _: float) -> torch.Tensor:
    """Return the mean loss of a batch: that of the best masks, of all by their rank, and of the choice.

    Parameters
    ----------
    output
        What `DiverseNet` returns while it is trained.
    target
        (N, 1, H, W) integers: BACKGROUND, OBJECT, OTHERS or UNKNOWN.
    """
    masks, scores = output[:, :MASKS], output[:, MASKS:, 0, 0]
    wanted, known = (target == OBJECT).float(), (target != UNKNOWN).float()
    probability = torch.sigmoid(masks) * known
    entropy = nn.functional.binary_cross_entropy_with_logits(masks, wanted.expand_as(masks), known, reduction="none")
    each = 1 - _jaccard(probability, wanted) + entropy.mean(dim=(2, 3))
    ranked = each @ (0.5 ** torch.arange(1, MASKS + 1, dtype=each.dtype))
    chosen = nn.functional.cross_entropy(scores, each.detach().argmin(dim=1))
    return (each.min(dim=1).values + ranked).mean() + chosen


def _jaccard(probability: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return (N, MASKS): the relaxed Jaccard index of masks with what was wanted."""
    shared, united = torch.minimum(probability, wanted), torch.maximum(probability, wanted)
    return (shared.sum(dim=(2, 3)) + 1) / (united.sum(dim=(2, 3)) + 1)
