"""The network of the NuClick paper (section III-B, Figure 2) at any width.

The input is N x 5 x H x W float32 (red, green, blue in [0, 1], inclusion, exclusion; H and W multiples of 32), the
output N x 1 x H x W logits.
"""

from dataclasses import dataclass

import torch
from torch import nn

from nuclick_wsi.models.network.blocks import ConvNorm, MultiScale, Residual, halved, scaled

MULTI_SCALE = ("encode3", "decode4", "decode2", "encode5")
"""Where multi-scale blocks can be: each is the middle one of three. The paper's Table I counts up to four; the first
three are the network's own, and the fourth carries on their rule of every second level down and up again."""


@dataclass(frozen=True, slots=True)
class NuClickConfig:
    """What may differ between two NuClick networks.

    Attributes
    ----------
    width
        Factor on every channel count of the paper's network.
    last_dilations
        Dilations of the last multi-scale block; the authors' older Keras code has 1, 3, 3, 6.
    multi_scale
        Which of `MULTI_SCALE` are multi-scale blocks; the others are residual ones.
    """

    width: float = 1.0
    last_dilations: tuple[int, int, int, int] = (1, 3, 2, 6)
    multi_scale: tuple[str, ...] = MULTI_SCALE[:3]

    def __post_init__(self) -> None:
        if not 0 < self.width <= 4:
            raise ValueError(f"width must lie in (0, 4], not {self.width}")
        object.__setattr__(self, "last_dilations", tuple(self.last_dilations))
        if len(self.last_dilations) != 4 or min(self.last_dilations) < 1:
            raise ValueError(f"last_dilations must be four numbers from 1, not {self.last_dilations}")
        object.__setattr__(self, "multi_scale", tuple(self.multi_scale))
        if unknown := [name for name in self.multi_scale if name not in MULTI_SCALE]:
            raise ValueError(f"multi_scale takes {', '.join(MULTI_SCALE)}, not {', '.join(map(str, unknown))}")

    def channels(self, paper: int) -> int:
        """Return the channel count that stands for one of the paper's: a multiple of four, for four branches."""
        return scaled(paper, self.width)

    def middle(self, name: str, channels: int) -> nn.Module:
        """Return the middle block of three: a multi-scale one where it is asked for, else a residual one."""
        if name not in self.multi_scale:
            return Residual(channels, channels)
        kernels = (3, 3, 5, 7) if name == "decode2" else (3, 3, 5, 5)
        dilations = {"decode2": self.last_dilations, "decode4": (1, 3, 2, 3)}.get(name, (1, 3, 3, 6))
        return MultiScale(channels, kernels, dilations)


class NuClick(nn.Module):
    """Encoder and decoder of residual and multi-scale blocks; numbers count from full size downwards."""

    def __init__(self, config: NuClickConfig | None = None) -> None:
        super().__init__()
        config = config or NuClickConfig()
        c32, c64, c128, c256, c512, c1024 = (config.channels(32 * 2**i) for i in range(6))
        self.encode1 = nn.Sequential(ConvNorm(5, c64, 7), ConvNorm(c64, c32, 5), ConvNorm(c32, c32))
        self.encode2 = nn.Sequential(Residual(c32, c64), Residual(c64, c64))
        self.encode3 = nn.Sequential(Residual(c64, c128), config.middle("encode3", c128), Residual(c128, c128))
        self.encode4 = nn.Sequential(Residual(c128, c256), Residual(c256, c256), Residual(c256, c256))
        self.encode5 = nn.Sequential(Residual(c256, c512), config.middle("encode5", c512), Residual(c512, c512))
        self.bottom = nn.Sequential(Residual(c512, c1024), Residual(c1024, c1024))
        self.up5 = nn.ConvTranspose2d(c1024, c512, 2, stride=2)
        self.decode5 = nn.Sequential(Residual(2 * c512, c512), Residual(c512, c256))
        self.up4 = nn.ConvTranspose2d(c256, c256, 2, stride=2)
        self.decode4 = nn.Sequential(Residual(2 * c256, c256), config.middle("decode4", c256), Residual(c256, c256))
        self.up3 = nn.ConvTranspose2d(c256, c128, 2, stride=2)
        self.decode3 = nn.Sequential(Residual(2 * c128, c128), Residual(c128, c128))
        self.up2 = nn.ConvTranspose2d(c128, c64, 2, stride=2)
        self.decode2 = nn.Sequential(Residual(2 * c64, c64), config.middle("decode2", c64), Residual(c64, c64))
        self.up1 = nn.ConvTranspose2d(c64, c32, 2, stride=2)
        self.decode1 = nn.Sequential(ConvNorm(2 * c32, c64), ConvNorm(c64, c32), ConvNorm(c32, c32))
        self.head = nn.Conv2d(c32, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 5 x H x W float32 to N x 1 x H x W logits; H and W are multiples of 32."""
        e1 = self.encode1(x)
        e2 = self.encode2(halved(e1))
        e3 = self.encode3(halved(e2))
        e4 = self.encode4(halved(e3))
        e5 = self.encode5(halved(e4))
        y = self.bottom(halved(e5))
        y = self.decode5(torch.cat([self.up5(y), e5], dim=1))
        y = self.decode4(torch.cat([self.up4(y), e4], dim=1))
        y = self.decode3(torch.cat([self.up3(y), e3], dim=1))
        y = self.decode2(torch.cat([self.up2(y), e2], dim=1))
        y = self.decode1(torch.cat([self.up1(y), e1], dim=1))
        logits: torch.Tensor = self.head(y)
        return logits
