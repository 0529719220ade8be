"""The networks that the paper's Table I compares with: U-Net, SegNet and FCN-8s, by one encoder-decoder.

The input is N x 5 x H x W float32 as for the paper's network, the output N x 1 x H x W logits; H and W are multiples of
32.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import nn
from torch.nn import functional

from nuclick_wsi.models.network.blocks import ConvNorm, scaled

_VGG16 = ((64, 128, 256, 512, 512), (2, 2, 3, 3, 3))
_LEVELS = {"unet": ((64, 128, 256, 512), (2, 2, 2, 2)), "segnet": _VGG16, "fcn": _VGG16}
"""Channels and number of convolutions of each level, from full size downwards."""
_INPUTS = 5
_ADDED_SCORES = 2


@dataclass(frozen=True, slots=True)
class BaselineConfig:
    """Which network, and a factor on all its channel counts."""

    design: str
    width: float = 1.0

    def __post_init__(self) -> None:
        if self.design not in _LEVELS:
            raise ValueError(f"design must be one of {', '.join(_LEVELS)}, not {self.design!r}")
        if not 0 < self.width <= 4:
            raise ValueError(f"width must lie in (0, 4], not {self.width}")


class _Level(NamedTuple):
    """What a level of the encoder was given and made, and where the largest of each four values was."""

    given: torch.Tensor
    made: torch.Tensor
    places: torch.Tensor


class Baseline(nn.Module):
    """Levels of convolutions with max-pooling between, and a way back up that differs between the designs."""

    def __init__(self, config: BaselineConfig) -> None:
        super().__init__()
        counts, convolutions = _LEVELS[config.design]
        channels = [_INPUTS, *(scaled(count, config.width) for count in counts)]
        last = channels[-1]
        levels = list(zip(pairwise(channels), convolutions, strict=True))
        self.encode = nn.ModuleList(_convolutions(given, made, n) for (given, made), n in levels)
        upwards = levels[::-1]
        self.bottom: nn.Module
        if config.design == "unet":
            self.bottom = _convolutions(last, 2 * last, 2)
            inputs = [2 * last, *channels[:1:-1]]  # twice the outputs, but where a width rounds the counts
            self.decode = nn.ModuleList(
                _Concatenate(given, made, n) for given, ((_, made), n) in zip(inputs, upwards, strict=True)
            )
            self.head: nn.Module = nn.Conv2d(channels[1], 1, 1)
        elif config.design == "segnet":
            self.bottom = nn.Identity()
            # The mirror image of the encoder, but for the five channels that it began with.
            outputs = [*channels[-2:0:-1], channels[1]]
            self.decode = nn.ModuleList(
                _Unpool(made, out, n) for ((_, made), n), out in zip(upwards, outputs, strict=True)
            )
            self.head = nn.Conv2d(channels[1], 1, 1)
        else:
            dense = scaled(4096, config.width)
            self.bottom = nn.Sequential(ConvNorm(last, dense, 7), ConvNorm(dense, dense, 1), nn.Conv2d(dense, 1, 1))
            scores = [_AddScore(given) for (given, _), _ in upwards[:_ADDED_SCORES]]
            self.decode = nn.ModuleList([*scores, *(_Enlarge() for _ in upwards[_ADDED_SCORES:])])
            self.head = nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """N x 5 x H x W float32 to N x 1 x H x W logits; H and W are multiples of 32."""
        levels = []
        for convolutions in self.encode:
            made = convolutions(x)
            pooled, places = functional.max_pool2d(made, 2, return_indices=True)
            levels.append(_Level(x, made, places))
            x = pooled
        x = self.bottom(x)
        for upwards, level in zip(self.decode, reversed(levels), strict=True):
            x = upwards(x, level)
        logits: torch.Tensor = self.head(x)
        return logits


class _Concatenate(nn.Module):
    """U-Net's way (Ronneberger et al. 2015): learned enlarging, then what the encoder had made beside it."""

    def __init__(self, inputs: int, outputs: int, convolutions: int) -> None:
        super().__init__()
        self.enlarge = nn.ConvTranspose2d(inputs, outputs, 2, stride=2)
        self.draw = _convolutions(2 * outputs, outputs, convolutions)

    def forward(self, x: torch.Tensor, level: _Level) -> torch.Tensor:
        """N x inputs x H x W to N x outputs x 2H x 2W."""
        drawn: torch.Tensor = self.draw(torch.cat([self.enlarge(x), level.made], dim=1))
        return drawn


class _Unpool(nn.Module):
    """SegNet's way (Badrinarayanan et al. 2017): every value goes back to where it was the largest."""

    def __init__(self, inputs: int, outputs: int, convolutions: int) -> None:
        super().__init__()
        self.draw = nn.Sequential(
            *(ConvNorm(inputs, inputs) for _ in range(convolutions - 1)), ConvNorm(inputs, outputs)
        )

    def forward(self, x: torch.Tensor, level: _Level) -> torch.Tensor:
        """N x inputs x H x W to N x outputs x 2H x 2W."""
        drawn: torch.Tensor = self.draw(functional.max_unpool2d(x, level.places, [2, 2]))
        return drawn


class _AddScore(nn.Module):
    """FCN-8s' way (Long et al. 2015): scores of what a level was given are added to enlarged scores from below."""

    def __init__(self, given: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(given, 1, 1)

    def forward(self, x: torch.Tensor, level: _Level) -> torch.Tensor:
        """N x 1 x H x W to N x 1 x 2H x 2W."""
        score: torch.Tensor = self.score(level.given)
        return _enlarged(x) + score


class _Enlarge(nn.Module):
    """Scores become twice as wide, and nothing is added."""

    def forward(self, x: torch.Tensor, _: _Level) -> torch.Tensor:
        """N x C x H x W to N x C x 2H x 2W."""
        return _enlarged(x)


def _enlarged(x: torch.Tensor) -> torch.Tensor:
    larger: torch.Tensor = functional.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
    return larger


def _convolutions(inputs: int, outputs: int, count: int) -> nn.Sequential:
    return nn.Sequential(ConvNorm(inputs, outputs), *(ConvNorm(outputs, outputs) for _ in range(count - 1)))
