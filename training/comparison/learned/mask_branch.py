"""The mask branch of Mask R-CNN (K. He et al., 2017), for a box that the user draws instead of one that is detected.

As in the paper of NuClick, after Agustsson et al., 2019: features of the box are resampled to a small grid, and a few
convolutions draw a mask of 28 x 28 there. What finds objects by itself is left out; so are classes.
"""

import torch
from torch import nn
from torch.nn import functional

from nuclick_wsi.models.network.blocks import ConvNorm
from nuclick_wsi.models.network.efficientnet import Encoder

_CHANNELS = 64
_GRID = 14
_SAMPLES = 2
"""Along each side of a cell of the grid."""
_OUTSIDE = -8.0
"""Logit beyond the box."""


class MaskBranch(nn.Module):
    """Draws the mask of the object in a box."""

    def __init__(self, encoder: str = "lite0") -> None:
        super().__init__()
        self.encoder = Encoder(encoder)
        self.laterals = nn.ModuleList(nn.Conv2d(channels, _CHANNELS, 1) for channels in self.encoder.channels[1:])
        self.smooth = ConvNorm(_CHANNELS, _CHANNELS)
        self.draw = nn.Sequential(*(ConvNorm(_CHANNELS, _CHANNELS) for _ in range(4)))
        self.enlarge = nn.ConvTranspose2d(_CHANNELS, _CHANNELS, 2, stride=2)
        self.head = nn.Conv2d(_CHANNELS, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 5 x H x W, with the inside of the box in the last channel, to N x 1 x H x W logits."""
        levels = [lateral(each) for lateral, each in zip(self.laterals, self.encoder(x[:, :3])[1:], strict=True)]
        y = levels.pop()
        for finer in reversed(levels):
            y = finer + functional.interpolate(y, scale_factor=2.0, mode="nearest")
        scale, middle = _box_of(x[:, 4])
        fine = _GRID * _SAMPLES
        there = functional.affine_grid(_affine(scale, middle), [len(x), 1, fine, fine], align_corners=False)
        inside = functional.avg_pool2d(
            functional.grid_sample(self.smooth(y), there, padding_mode="border", align_corners=False), _SAMPLES
        )
        small = self.head(functional.relu(self.enlarge(self.draw(inside))))
        back = functional.affine_grid(_affine(1 / scale, -middle / scale), list(x[:, :1].shape), align_corners=False)
        pasted = functional.grid_sample(small, back, padding_mode="border", align_corners=False)
        return torch.where(x[:, 4:] > 0, pasted, _OUTSIDE)


def _box_of(inside: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return half the size (N, 2) and the middle of the box of each map (N, H, W), x before y, in -1 to 1."""
    halves, middles = [], []
    for axis in (1, 2):
        hit = (inside > 0).any(dim=axis).float()
        low, high = hit.argmax(dim=1), hit.shape[1] - hit.flip(1).argmax(dim=1)
        halves.append((high - low) / hit.shape[1])
        middles.append((high + low) / hit.shape[1] - 1)
    return torch.stack(halves, 1), torch.stack(middles, 1)


def _affine(scale: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
    """Return (N, 2, 3): places times scale, plus shift."""
    return torch.cat([torch.diag_embed(scale), shift[:, :, None]], dim=2)
