"""A network for squiggles: an encoder that has learned from photographs, and a light decoder that sees the strokes.

The input is N x 5 x H x W float32 (red, green, blue in [0, 1], inclusion, exclusion; H and W multiples of 32), the
output N x 1 x H x W logits. The encoder sees the tissue alone; every level of the decoder is shown both maps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from nuclick_wsi.models.network.blocks import MOST_LAYERS, ConvNorm, Skip
from nuclick_wsi.models.network.efficientnet import Encoder, channels_of

_SIGNALS = 2
_STRIDE = 2
"""Of the finest features. All that comes in at full size is folded into their channels, and logits are unfolded from
them: full size is where most of the time would go."""


@dataclass(frozen=True, slots=True)
class SquiggleConfig:
    """What may differ between two networks for squiggles.

    Attributes
    ----------
    encoder
        lite0, lite1 or lite2.
    decoder
        Channels at strides 16, 8, 4 and 2.
    raw
        Channels made of the crop itself, at stride 2.
    dilations
        Of the layers at stride 16: how far a stroke is seen.
    turns
        By how many right angles a crop is turned, each looked at by itself, once the network has learned; their mean
        counts. 1, 2 or 4.
    """

    encoder: str = "lite0"
    decoder: tuple[int, int, int, int] = (128, 80, 48, 32)
    raw: int = 16
    dilations: tuple[int, ...] = (2, 4, 8)
    turns: int = 1

    def __post_init__(self) -> None:
        channels_of(self.encoder)
        object.__setattr__(self, "decoder", tuple(self.decoder))
        object.__setattr__(self, "dilations", tuple(self.dilations))
        if len(self.decoder) != 4 or min(*self.decoder, self.raw) < 1:
            raise ValueError(f"decoder must be four numbers from 1, and raw one, not {self.decoder} and {self.raw}")
        if not 0 < len(self.dilations) <= MOST_LAYERS or min(self.dilations) < 1:
            raise ValueError(f"dilations must be 1 to {MOST_LAYERS} numbers from 1, not {self.dilations!r:.60}")
        if self.turns not in (1, 2, 4):
            raise ValueError(f"turns must be 1, 2 or 4, not {self.turns!r:.60}")


class SquiggleNet(nn.Module):
    """Encoder on the tissue, decoder on its features and on the signal maps, pooled to every level."""

    def __init__(self, config: SquiggleConfig | None = None) -> None:
        super().__init__()
        config = config or SquiggleConfig()
        self.turns = config.turns
        self.encoder = Encoder(config.encoder)
        e2, e4, e8, e16 = self.encoder.channels
        c16, c8, c4, c2 = config.decoder
        self.bottom = nn.Sequential(ConvNorm(e16 + _SIGNALS, c16), *(Skip(c16, each) for each in config.dilations))
        self.up8 = nn.Conv2d(c16, c8, 1)
        self.decode8 = nn.Sequential(ConvNorm(c8 + e8 + _SIGNALS, c8), Skip(c8))
        self.up4 = nn.Conv2d(c8, c4, 1)
        self.decode4 = nn.Sequential(ConvNorm(c4 + e4 + _SIGNALS, c4), Skip(c4))
        self.up2 = nn.Conv2d(c4, c2, 1)
        self.raw = ConvNorm((3 + _SIGNALS) * _STRIDE**2, config.raw)
        self.decode2 = nn.Sequential(ConvNorm(c2 + e2 + _SIGNALS + config.raw, c2), Skip(c2))
        self.head = nn.Conv2d(c2, _STRIDE**2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 5 x H x W float32 to N x 1 x H x W logits; H and W are multiples of 32."""
        if self.training or self.turns == 1:
            return self._look(x)
        looks = [_turned(self._look(_turned(x, angle)), -angle) for angle in range(0, 4, 4 // self.turns)]
        return torch.stack(looks).mean(dim=0)

    def _look(self, x: torch.Tensor) -> torch.Tensor:
        """Return the logits of crops as they lie."""
        s2, s4, s8, s16 = _pooled(x[:, 3:])
        e2, e4, e8, e16 = self.encoder(x[:, :3])
        y = self.bottom(torch.cat([e16, s16], dim=1))
        y = self.decode8(torch.cat([_doubled(self.up8(y)), e8, s8], dim=1))
        y = self.decode4(torch.cat([_doubled(self.up4(y)), e4, s4], dim=1))
        raw = self.raw(nn.functional.pixel_unshuffle(x, _STRIDE))
        y = self.decode2(torch.cat([_doubled(self.up2(y)), e2, s2, raw], dim=1))
        return nn.functional.pixel_shuffle(self.head(y), _STRIDE)


def _turned(x: torch.Tensor, angle: int) -> torch.Tensor:
    """Return pictures turned by right angles, in the order of memory that is fastest on CPUs, whatever their number."""
    return torch.rot90(x, angle, (2, 3)).contiguous(memory_format=torch.channels_last)


def _pooled(signals: torch.Tensor) -> Sequence[torch.Tensor]:
    """Return signal maps at strides 2, 4, 8 and 16: a stroke stays a stroke however coarse the level."""
    levels = [signals]
    for _ in range(4):
        levels.append(nn.functional.max_pool2d(levels[-1], 2))
    return levels[1:]


def _doubled(x: torch.Tensor) -> torch.Tensor:
    larger: torch.Tensor = nn.functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return larger
