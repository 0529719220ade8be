"""The encoder of EfficientNet-Lite (Tan and Le 2019; the Lite variants of Google 2020): its first five stages.

The input is B x 3 x H x W float32, red, green and blue in [0, 1], H and W multiples of 16; the outputs are features at
strides 2, 4, 8 and 16. Training starts from weights learned on ImageNet (`nuclick_training.fitting.pretrained`).
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import nn

_KERNELS, _STRIDES, _EXPANSIONS = (3, 3, 5, 3, 5), (1, 2, 2, 2, 1), (1, 6, 6, 6, 6)
"""Of the five stages; the stride is that of a stage's first block."""
_STEM = 32
_CHANNELS: Mapping[str, tuple[int, ...]] = {
    "lite0": (16, 24, 40, 80, 112),
    "lite1": (16, 24, 40, 80, 112),
    "lite2": (16, 24, 48, 88, 120),
}
_BLOCKS: Mapping[str, tuple[int, ...]] = {"lite0": (1, 2, 2, 3, 3), "lite1": (1, 3, 3, 4, 4), "lite2": (1, 3, 3, 4, 4)}
_TAPS = (0, 1, 2, 4)
"""Stages whose features are returned: the last one at each stride."""
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_EPSILON = 1e-3


def channels_of(size: str) -> tuple[int, ...]:
    """Return the channels of the features at strides 2, 4, 8 and 16; ValueError where the size is unknown."""
    if size not in _CHANNELS:
        raise ValueError(f"encoder must be one of {', '.join(_CHANNELS)}, not {size!r}")
    return tuple(_CHANNELS[size][tap] for tap in _TAPS)


class SameConvNorm(nn.Module):
    """Convolution as TensorFlow pads it, batch norm, and ReLU6 if asked for; `folding` knows a faster form."""

    def __init__(self, conv: nn.Conv2d, bounded: bool) -> None:
        super().__init__()
        self.conv = conv
        self.norm: nn.Module = nn.BatchNorm2d(conv.out_channels, eps=_EPSILON)
        self.bounded = bounded
        # Pictures of even size: the first pixel of a strided convolution lies under the kernel's middle or just left.
        kernel, stride = int(conv.kernel_size[0]), int(conv.stride[0])
        before, after = (kernel - stride) // 2, (kernel - stride + 1) // 2
        self.around = (before, after, before, after)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """B x inputs x H x W to B x outputs x H/stride x W/stride."""
        y: torch.Tensor = self.norm(self.conv(nn.functional.pad(x, self.around) if any(self.around) else x))
        return nn.functional.relu6(y, inplace=True) if self.bounded else y


class InvertedResidual(nn.Module):
    """Widen, convolve every channel on its own, narrow again; the input is added where its shape allows."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expand = _pointwise(inputs, wide, bounded=True) if expansion > 1 else nn.Identity()
        self.spread = SameConvNorm(nn.Conv2d(wide, wide, kernel, stride, groups=wide, bias=False), bounded=True)
        self.project = _pointwise(wide, outputs, bounded=False)
        self.skips = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """B x inputs x H x W to B x outputs x H/stride x W/stride."""
        y: torch.Tensor = self.project(self.spread(self.expand(x)))
        return y.add_(x) if self.skips else y


class Encoder(nn.Module):
    """EfficientNet-Lite up to stride 16."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, size: str) -> None:
        super().__init__()
        self.size, self.channels = size, channels_of(size)
        self.register_buffer("mean", torch.tensor(_MEAN).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).view(3, 1, 1), persistent=False)
        self.stem = SameConvNorm(nn.Conv2d(3, _STEM, 3, 2, bias=False), bounded=True)
        shapes = zip(pairwise((_STEM, *_CHANNELS[size])), _BLOCKS[size], strict=True)
        self.stages = nn.ModuleList(_stage(n, given, made, count) for n, ((given, made), count) in enumerate(shapes))

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Return the features at strides 2, 4, 8 and 16 of B x 3 x H x W float32 in [0, 1]."""
        x = self.stem((images - self.mean) / self.std)
        made = []
        for stage in self.stages:
            x = stage(x)
            made.append(x)
        return [made[tap] for tap in _TAPS]


def _stage(number: int, inputs: int, outputs: int, count: int) -> nn.Sequential:
    kernel, stride, expansion = _KERNELS[number], _STRIDES[number], _EXPANSIONS[number]
    first = InvertedResidual(inputs, outputs, kernel, stride, expansion)
    return nn.Sequential(first, *(InvertedResidual(outputs, outputs, kernel, 1, expansion) for _ in range(count - 1)))


def _pointwise(inputs: int, outputs: int, bounded: bool) -> SameConvNorm:
    return SameConvNorm(nn.Conv2d(inputs, outputs, 1, bias=False), bounded)
