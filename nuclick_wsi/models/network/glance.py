"""A shared encoder: each block of tissue is encoded once, and a small decoder draws each clicked object in it.

Inputs are RGB blocks and, per prompt, its crop's place in a block with the distances to its own and to the others'
signals. The output are N x 1 x S x S logits, one crop per prompt.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nuclick_wsi.models.network.blocks import MOST_LAYERS, ConvNorm, Residual, Skip, halved
from nuclick_wsi.models.network.efficientnet import Encoder, channels_of
from nuclick_wsi.models.network.parts import cut, doubled, needed_parts
from nuclick_wsi.scale import Window

STRIDE = 2
"""Block pixels per feature; crops begin at multiples of it."""

_REACHES = (1, 2, 2)
"""How far the layers look that work on the features of the encoder, at strides 2, 4 and 8, in pixels of these."""

_SPREADS = (2.0, 8.0)
"""Widths of the bells around a signal, in pixels: the one that picks its features, and the decoder's."""


@dataclass(frozen=True, slots=True)
class GlanceConfig:
    """Channel counts.

    Attributes
    ----------
    trunk
        At strides 1, 2, 4, 8 and 16; with an encoder those at 2 and beyond are what its features are mixed into.
    features
        That the encoder hands to the decoder, at stride 2.
    dilations
        Of the decoder's layers.
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
        if not 0 < len(self.dilations) <= MOST_LAYERS or min(self.dilations) < 1:
            raise ValueError(f"dilations must be 1 to {MOST_LAYERS} numbers from 1, not {self.dilations!r:.60}")
        if not self.far > 0:
            raise ValueError(f"far must be above 0, not {self.far}")
        if self.encoder:
            channels_of(self.encoder)


Pyramid = tuple[torch.Tensor, ...]
"""What an encoder makes of whole blocks: features at strides 2, 4, 8 and 16."""


@dataclass(frozen=True, slots=True)
class EncodedBlocks:
    """The features of one and the same part of B blocks, with what they were made of.

    Attributes
    ----------
    pyramid
        Of the whole blocks: features of another part can be made of it.
    fine
        B x C1 x H x W, in a window of pixels that begins at `corner`.
    coarse
        B x C2 x H/2 x W/2, in the same window.
    part
        The pixels of the blocks that these are the features of; what lies beside it in the window is not theirs.
    corner
        Row and column of the window's first pixel, even numbers.
    """

    pyramid: Pyramid
    fine: torch.Tensor
    coarse: torch.Tensor
    part: Window
    corner: tuple[int, int]

    @classmethod
    def joined(cls, parts: Sequence["EncodedBlocks"]) -> "EncodedBlocks":
        """Return the blocks of several parts as one, on the first one's device."""
        if len(parts) == 1:
            return parts[0]
        first = parts[0]
        there = [part.to(first.fine.device) for part in parts]
        pyramids = zip(*(part.pyramid_on(first.fine.device) for part in parts), strict=True)
        fine, coarse = torch.cat([part.fine for part in there]), torch.cat([part.coarse for part in there])
        return cls(tuple(map(torch.cat, pyramids)), fine, coarse, first.part, first.corner)

    def to(self, device: torch.device) -> "EncodedBlocks":
        """Return the features on a device, as they are if they are there already; the pyramid stays where it is."""
        return EncodedBlocks(self.pyramid, self.fine.to(device), self.coarse.to(device), self.part, self.corner)

    def pyramid_on(self, device: torch.device) -> Pyramid:
        """Return the pyramid on a device, as it is if it is there already."""
        return tuple(features.to(device) for features in self.pyramid)


class Glance(nn.Module):
    """A light network that encodes blocks, and a decoder for crops of their features."""

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
        """Encode blocks and decode the objects of prompts in them.

        Parameters
        ----------
        blocks
            B x 3 x H x W float32, red, green, blue in [0, 1]; H and W multiples of 16.
        owners, corners, distances
            As `decode` takes them.
        """
        return self.decode(self.encode(blocks), owners, corners, distances)

    def encode(self, blocks: torch.Tensor, part: Window | None = None) -> EncodedBlocks:
        """Return the features of a part of blocks, or of all: B x 3 x H x W float32 in [0, 1], H and W multiples of 16.

        Parameters
        ----------
        part
            In pixels of a block. The same features come out for any; a smaller one takes less work.
        """
        return self.features(blocks, self.pyramid(blocks), part)

    def pyramid(self, blocks: torch.Tensor) -> Pyramid:
        """Return the encoder's features of whole blocks, at strides 2, 4, 8 and 16."""
        if hasattr(self, "encoder"):
            return tuple(self.encoder(blocks))
        e2 = self.encode2(nn.functional.pixel_unshuffle(blocks, STRIDE))
        e4 = self.encode4(halved(e2))
        e8 = self.encode8(halved(e4))
        return e2, e4, e8, self.encode16(halved(e8))

    def features(self, blocks: torch.Tensor, pyramid: Pyramid, part: Window | None = None) -> EncodedBlocks:
        """Return the features of a part of blocks, or of all, given what `pyramid` returns of them."""
        whole = Window(0, 0, blocks.shape[3], blocks.shape[2])
        part = part or whole
        at4, at8, at16 = needed_parts(part, whole, _REACHES)
        y = self._lateral(3, pyramid, at16)
        y = self.decode8(_doubled(self.up8(y)) + self._lateral(2, pyramid, doubled(at16)))
        y = cut(y, at8, doubled(at16))
        y = self.decode4(_doubled(self.up4(y)) + self._lateral(1, pyramid, doubled(at8)))
        y = cut(y, at4, doubled(at8))
        y = self.decode2(_doubled(self.up2(y)) + self._lateral(0, pyramid, doubled(at4)))
        window = doubled(doubled(at4))
        return EncodedBlocks(pyramid, self.fine(cut(blocks, window, whole)), y, part, (window.y, window.x))

    def _lateral(self, level: int, pyramid: Pyramid, window: Window) -> torch.Tensor:
        """Return a window of a pyramid's features, mixed where an encoder of another design made them."""
        features = pyramid[level]
        one = cut(features, window, Window(0, 0, features.shape[3], features.shape[2]))
        mixed: torch.Tensor = self.laterals[level](one) if hasattr(self, "encoder") else one
        return mixed

    def decode(
        self, encoded: EncodedBlocks, owners: torch.Tensor, corners: torch.Tensor, distances: torch.Tensor
    ) -> torch.Tensor:
        """Return N x 1 x S x S logits of crops of encoded blocks.

        Parameters
        ----------
        owners
            (N,) int64: the block of each crop.
        corners
            (N, 2) int64: row and column of each crop's upper left pixel in its block, even numbers; the crop lies in
            the part that is encoded.
        distances
            N x 2 x S/2 x S/2 float32: pixels from each feature's middle to the prompt's signal, and to the nearest of
            the other prompts' signals.
        """
        size = distances.shape[-1]
        corners = torch.stack([corners[:, axis] - encoded.corner[axis] for axis in (0, 1)], dim=1)
        coarse = _crops(encoded.coarse, owners, corners // STRIDE, size)
        own, others = distances.clamp(max=self.far).chunk(2, dim=1)
        weight = torch.exp(-((own / _SPREADS[0]) ** 2) / 2)
        under = (coarse * weight).sum((2, 3)) / weight.sum((2, 3)).clamp(min=1e-6)
        scale, shift = self.modulate(under)[:, :, None, None].chunk(2, dim=1)
        bells = [torch.exp(-((d / _SPREADS[1]) ** 2) / 2) for d in (own, others)]
        guidance = [*bells, own / self.far, others / self.far, (own - others) / self.far]
        y = torch.relu((coarse + self.guide(torch.cat(guidance, dim=1))) * (1 + scale) + shift)
        y = nn.functional.pixel_shuffle(self.rise(self.draw(y)), STRIDE)
        fine = _crops(encoded.fine, owners, corners, STRIDE * size)
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
