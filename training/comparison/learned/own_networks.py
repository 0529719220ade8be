"""The networks that the papers of the other systems describe, from random weights; a width of 1 is the papers'.

Each maps (N, 5, H, W) to (N, outputs, H, W) logits, with sides that are multiples of 8. iFCN has FCN-8s, and Deep
GrabCut an encoder-decoder as SegNet's: both are in `nuclick_wsi.models.network`.
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn import functional

from nuclick_wsi.models.network.blocks import ConvNorm, scaled

_INPUTS = 5


class ContextNet(nn.Module):
    """Convolutions at full size whose reach doubles from one to the next (Latent Diversity).

    After Q. Chen, J. Xu and V. Koltun, 2017. Its features of VGG-19, which are an input there, are left out.
    """

    def __init__(self, outputs: int = 1, width: float = 1.0) -> None:
        super().__init__()
        channels = scaled(64, width)
        reaches = (1, 2, 4, 8, 16, 32, 64, 1)
        self.layers = nn.Sequential(
            *(ConvNorm(channels if at else _INPUTS, channels, dilation=reach) for at, reach in enumerate(reaches))
        )
        self.head = nn.Conv2d(channels, outputs, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 5 x H x W to N x outputs x H x W."""
        y: torch.Tensor = self.head(self.layers(x))
        return y


class PNet(nn.Module):
    """Five blocks at full size, each of more reach, all of which the last layers see (BIFSeg)."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        channels = scaled(64, width)
        blocks = ((1, 2), (2, 2), (4, 3), (8, 3), (16, 3))
        self.blocks = nn.ModuleList(
            nn.Sequential(
                *(
                    ConvNorm(channels if block or layer else _INPUTS, channels, dilation=reach)
                    for layer in range(layers)
                )
            )
            for block, (reach, layers) in enumerate(blocks)
        )
        self.join = ConvNorm(len(blocks) * channels, 2 * channels, 1)
        self.head = nn.Conv2d(2 * channels, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 5 x H x W to N x 1 x H x W."""
        seen = []
        for block in self.blocks:
            x = block(x)
            seen.append(x)
        y: torch.Tensor = self.head(self.join(torch.cat(seen, dim=1)))
        return y


class PyramidResNet(nn.Module):
    """ResNet-101 with dilation from stride 8 on, and a pyramid of averages at its end (DEXTR)."""

    def __init__(self, width: float = 1.0) -> None:
        super().__init__()
        counts = [scaled(count, width) for count in (64, 256, 512, 1024, 2048)]
        self.stem = ConvNorm(_INPUTS, counts[0], 7)
        stages = zip(pairwise(counts), ((3, 1, 1), (4, 2, 1), (23, 1, 2), (3, 1, 4)), strict=True)
        self.stages = nn.Sequential(
            *(
                nn.Sequential(
                    *(
                        _Bottleneck(given if at == 0 else made, made, stride if at == 0 else 1, reach)
                        for at in range(depth)
                    )
                )
                for (given, made), (depth, stride, reach) in stages
            )
        )
        self.sides = (1, 2, 3, 6)
        part = counts[-1] // len(self.sides)
        self.averages = nn.ModuleList(ConvNorm(counts[-1], part, 1) for _ in self.sides)
        self.join = ConvNorm(2 * counts[-1], counts[-3])
        self.head = nn.Conv2d(counts[-3], 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 5 x H x W to N x 1 x H x W."""
        size = x.shape[-2:]
        y = self.stages(functional.max_pool2d(self.stem(x)[..., ::2, ::2], 3, 2, 1))
        about = [
            functional.interpolate(average(functional.adaptive_avg_pool2d(y, side)), y.shape[-2:], mode="bilinear")
            for average, side in zip(self.averages, self.sides, strict=True)
        ]
        small = self.head(self.join(torch.cat([y, *about], dim=1)))
        return functional.interpolate(small, size, mode="bilinear")


class _Bottleneck(nn.Module):
    """Three convolutions, the middle one on a quarter of the channels, around which the input is led."""

    def __init__(self, inputs: int, outputs: int, stride: int, reach: int) -> None:
        super().__init__()
        few = max(4, outputs // 4)
        self.stride = stride
        self.added = nn.Sequential(
            ConvNorm(inputs, few, 1), ConvNorm(few, few, dilation=reach), ConvNorm(few, outputs, 1, relu=False)
        )
        self.past = nn.Identity() if inputs == outputs else ConvNorm(inputs, outputs, 1, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x inputs x H x W to N x outputs x H / stride x W / stride."""
        x = x[..., :: self.stride, :: self.stride]
        return torch.relu(self.added(x) + self.past(x))
