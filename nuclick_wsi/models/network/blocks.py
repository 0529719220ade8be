"""The blocks that our networks are made of; `folding` knows a faster form of each for inference.

Sums and ReLUs write over a norm's output, which no gradient needs: in training, memory is what they cost.
"""

from collections.abc import Sequence

import torch
from torch import nn

# The published NuClick weights were trained with Keras' epsilon; it takes part in every folded norm.
_EPSILON = 1.001e-5

MOST_LAYERS = 64
"""That a card may ask for: each takes memory before it is known whether the file has weights for it."""


class ConvNorm(nn.Module):
    """Convolution without bias, batch norm, ReLU if asked for; the picture keeps its size."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, dilation: int = 1, relu: bool = True) -> None:
        super().__init__()
        # The padding is explicit: ONNX Runtime fails on padding="same" with dilation.
        padding = dilation * (kernel - 1) // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)
        nn.init.xavier_uniform_(self.conv.weight)
        self.norm = nn.BatchNorm2d(outputs, eps=_EPSILON)
        self.relu = relu

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x inputs x H x W to N x outputs x H x W."""
        y: torch.Tensor = self.norm(self.conv(x))
        return torch.relu_(y) if self.relu else y


class Residual(nn.Module):
    """Two convolutions, the second one around a skip that starts after the first."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = ConvNorm(inputs, outputs, relu=False)
        self.second = ConvNorm(outputs, outputs, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x inputs x H x W to N x outputs x H x W."""
        y: torch.Tensor = self.first(x)
        return torch.relu_(self.second(y).add_(y))


class MultiScale(nn.Module):
    """Four parallel convolutions of different reach, a quarter of the channels each, concatenated."""

    def __init__(self, channels: int, kernels: Sequence[int], dilations: Sequence[int]) -> None:
        super().__init__()
        pairs = zip(kernels, dilations, strict=True)
        self.branches = nn.ModuleList(ConvNorm(channels, channels // 4, k, d) for k, d in pairs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x channels x H x W to the same shape."""
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Skip(nn.Module):
    """One convolution around which its own input is led."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.added = ConvNorm(channels, channels, dilation=dilation, relu=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x channels x H x W to the same shape."""
        return torch.relu_(self.added(x).add_(x))


def halved(x: torch.Tensor) -> torch.Tensor:
    """Max-pool by two."""
    return nn.functional.max_pool2d(x, 2)


def scaled(channels: int, width: float) -> int:
    """Return a share of a channel count, as a multiple of four."""
    return max(4, round(channels * width / 4) * 4)
