"""One look, many clicks: a trunk sees a block of tissue once, and a small head draws each clicked object in it.

In go RGB blocks and, per prompt, its crop's place in a block with the distances to its own and to the others' signals;
out come N x 1 x S x S logits, one crop per prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nuclick_wsi.models.network.blocks import ConvNorm, Residual, Skip, halved
from nuclick_wsi.models.network.efficientnet import Encoder, channels_of

STRIDE = 2
"""Block pixels per feature; crops begin at multiples of it."""

_SPREADS = (2.0, 8.0)
"""Widths of the bells around a signal, in pixels: the one that picks its features, and the one that the head sees."""


@dataclass(frozen=True, slots=True)
class GlanceConfig:
    """Channel counts.

    Attributes
    ----------
    trunk
        At strides 1, 2, 4, 8 and 16; with an encoder those at 2 and beyond are what its features are mixed into.
    features
        That the trunk hands to the head, at stride 2.
    dilations
        Of the head's layers.
    far
        Distances above this are all the same, in pixels.
    encoder
        lite0, lite1 or lite2: an encoder that can start from ImageNet's weights; empty for a small one of its own.
    """

    trunk: tuple[int, int, int, int, int] = (8, 24, 48, 96, 160)
    features: int = 32
    dilations: tuple[int, ...] = (1, 2, 4, 2, 1)
    far: float = 32.0
    encoder: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "trunk", tuple(self.trunk))
        object.__setattr__(self, "dilations", tuple(self.dilations))
        if len(self.trunk) != 5 or min(self.trunk) < 1:
            raise ValueError(f"trunk must be five numbers from 1, not {self.trunk}")
        if self.features < 4 or self.features % 4:
            raise ValueError(f"features must be a multiple of four, not {self.features}")
        if not self.dilations or min(self.dilations) < 1:
            raise ValueError(f"dilations must be numbers from 1, not {self.dilations}")
        if not self.far > 0:
            raise ValueError(f"far must be above 0, not {self.far}")
        if self.encoder:
            channels_of(self.encoder)


@dataclass(frozen=True, slots=True)
class Features:
    """What the trunk saw of B blocks of H x W pixels.

    Attributes
    ----------
    fine
        B x C1 x H x W.
    coarse
        B x C2 x H/2 x W/2.
    """

    fine: torch.Tensor
    coarse: torch.Tensor


class Glance(nn.Module):
    """A light encoder-decoder for blocks, and a head for crops of its features."""

    def __init__(self, config: GlanceConfig | None = None) -> None:
        super().__init__()
        config = config or GlanceConfig()
        c1, c2, c4, c8, c16 = config.trunk
        c = config.features
        self.far = config.far
        self.fine = ConvNorm(3, c1)
        if config.encoder:
            self.encoder = Encoder(config.encoder)
            mixed = zip(self.encoder.channels, config.trunk[1:], strict=True)
            self.laterals = nn.ModuleList(ConvNorm(given, made, 1) for given, made in mixed)
        else:
            self.encode2 = nn.Sequential(ConvNorm(3 * STRIDE**2, c2), Residual(c2, c2))
            self.encode4 = Residual(c2, c4)
            self.encode8 = nn.Sequential(Residual(c4, c8), Skip(c8))
            self.encode16 = nn.Sequential(Residual(c8, c16), Residual(c16, c16))
        self.up8, self.decode8 = nn.Conv2d(c16, c8, 1), nn.Sequential(ConvNorm(c8, c8), Skip(c8))
        self.up4, self.decode4 = nn.Conv2d(c8, c4, 1), nn.Sequential(ConvNorm(c4, c4), Skip(c4))
        self.up2, self.decode2 = nn.Conv2d(c4, c2, 1), ConvNorm(c2, c)
        self.guide = ConvNorm(5, c, relu=False)
        self.modulate = nn.Linear(c, 2 * c)
        self.draw = nn.Sequential(*(Skip(c, dilation) for dilation in config.dilations))
        self.rise = nn.Conv2d(c, c, 3, padding=1)
        self.sharpen = ConvNorm(c // STRIDE**2 + c1, 16)
        self.head = nn.Conv2d(16, 1, 1)

    def forward(
        self, blocks: torch.Tensor, owners: torch.Tensor, corners: torch.Tensor, distances: torch.Tensor
    ) -> torch.Tensor:
        """Look at blocks and draw the objects of prompts in them.

        Parameters
        ----------
        blocks
            B x 3 x H x W float32, red, green, blue in [0, 1]; H and W multiples of 16.
        owners, corners, distances
            As `outline` takes them.
        """
        return self.outline(self.look(blocks), owners, corners, distances)

    def look(self, blocks: torch.Tensor) -> Features:
        """Return the features of blocks: B x 3 x H x W float32 in [0, 1], H and W multiples of 16."""
        e2, e4, e8, y = self._encoded(blocks)
        y = self.decode8(_doubled(self.up8(y)) + e8)
        y = self.decode4(_doubled(self.up4(y)) + e4)
        y = self.decode2(_doubled(self.up2(y)) + e2)
        return Features(self.fine(blocks), y)

    def _encoded(self, blocks: torch.Tensor) -> Sequence[torch.Tensor]:
        """Return features of blocks at strides 2, 4, 8 and 16."""
        if hasattr(self, "encoder"):
            return [mix(made) for mix, made in zip(self.laterals, self.encoder(blocks), strict=True)]
        e2 = self.encode2(nn.functional.pixel_unshuffle(blocks, STRIDE))
        e4 = self.encode4(halved(e2))
        e8 = self.encode8(halved(e4))
        return e2, e4, e8, self.encode16(halved(e8))

    def outline(
        self, seen: Features, owners: torch.Tensor, corners: torch.Tensor, distances: torch.Tensor
    ) -> torch.Tensor:
        """Return N x 1 x S x S logits of crops of the features.

        Parameters
        ----------
        owners
            (N,) int64: the block of each crop.
        corners
            (N, 2) int64: row and column of each crop's upper left pixel in its block, even numbers.
        distances
            N x 2 x S/2 x S/2 float32: pixels from each feature's middle to the prompt's signal, and to the nearest of
            the other prompts' signals.
        """
        size = distances.shape[-1]
        coarse = _crops(seen.coarse, owners, corners // STRIDE, size)
        own, others = distances.clamp(max=self.far).chunk(2, dim=1)
        weight = torch.exp(-((own / _SPREADS[0]) ** 2) / 2)
        under = (coarse * weight).sum((2, 3)) / weight.sum((2, 3)).clamp(min=1e-6)
        scale, shift = self.modulate(under)[:, :, None, None].chunk(2, dim=1)
        bells = [torch.exp(-((d / _SPREADS[1]) ** 2) / 2) for d in (own, others)]
        guidance = [*bells, own / self.far, others / self.far, (own - others) / self.far]
        y = torch.relu((coarse + self.guide(torch.cat(guidance, dim=1))) * (1 + scale) + shift)
        y = nn.functional.pixel_shuffle(self.rise(self.draw(y)), STRIDE)
        fine = _crops(seen.fine, owners, corners, STRIDE * size)
        logits: torch.Tensor = self.head(self.sharpen(torch.cat([y, fine], dim=1)))
        return logits


def _crops(features: torch.Tensor, owners: torch.Tensor, corners: torch.Tensor, size: int) -> torch.Tensor:
    """Cut N x C x size x size out of B x C x H x W: one gather of whole pixels, which is fast both ways."""
    _, channels, height, width = features.shape
    steps = torch.arange(size, device=features.device)
    rows, columns = (corners[:, axis, None] + steps for axis in (0, 1))
    pixels = ((owners[:, None] * height + rows) * width)[:, :, None] + columns[:, None, :]
    flat = features.permute(0, 2, 3, 1).reshape(-1, channels)
    return flat.index_select(0, pixels.flatten()).view(*pixels.shape, channels).permute(0, 3, 1, 2)


def _doubled(x: torch.Tensor) -> torch.Tensor:
    """Repeat every pixel."""
    return nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
