"""A faster copy of a trained network for inference: batch norms folded, skips merged into their convolutions.

The function computed is the same up to rounding; the copy cannot be trained.
"""

import copy

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from nuclick_wsi.models.network.blocks import ConvNorm, Residual, Skip
from nuclick_wsi.models.network.efficientnet import SameConvNorm


def fused(network: nn.Module) -> nn.Module:
    """Return an inference copy of a network of our blocks; the original is left as it is."""
    folded = _fold(copy.deepcopy(network).eval()).requires_grad_(False)
    # Channels last is a third faster on CPUs and no slower on GPUs.
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def _fold(module: nn.Module) -> nn.Module:
    """Fold a block, or every block below a module."""
    if isinstance(module, ConvNorm):
        return _folded_conv_norm(module)
    if isinstance(module, Residual):
        return nn.Sequential(_folded_conv_norm(module.first), _merged_skip(module.second), nn.ReLU(inplace=True))
    if isinstance(module, Skip):
        return nn.Sequential(_merged_skip(module.added), nn.ReLU(inplace=True))
    if isinstance(module, SameConvNorm):
        return _padding_itself(module)
    for name, child in module.named_children():
        setattr(module, name, _fold(child))
    return module


def _folded_conv_norm(block: ConvNorm) -> nn.Module:
    """Return one convolution with bias for a convolution and its batch norm."""
    conv = fuse_conv_bn_eval(block.conv, block.norm)
    return nn.Sequential(conv, nn.ReLU(inplace=True)) if block.relu else conv


def _padding_itself(block: SameConvNorm) -> nn.Module:
    """Return one convolution that pads as its block does: padding apart writes a larger picture anew.

    Where the block pads less before than after, the kernel has a tap of zeros before: sums stay the same to the bit.
    """
    assert isinstance(block.norm, nn.BatchNorm2d)
    conv = fuse_conv_bn_eval(block.conv, block.norm)
    before, after = block.around[:2]
    assert 0 <= after - before <= 1, f"padding by {before} and {after}"
    if before < after:
        conv.weight = nn.Parameter(nn.functional.pad(conv.weight, (1, 0, 1, 0)))
        conv.kernel_size = (conv.kernel_size[0] + 1, conv.kernel_size[1] + 1)
    conv.padding = (after, after)
    return nn.Sequential(conv, nn.ReLU6(inplace=True)) if block.bounded else conv


def _merged_skip(block: ConvNorm) -> nn.Module:
    """Return a convolution that adds its own input: relu(a + conv(a)) has no activation between the two."""
    conv = fuse_conv_bn_eval(block.conv, block.norm)
    middle = conv.kernel_size[0] // 2
    with torch.no_grad():
        conv.weight[:, :, middle, middle] += torch.eye(conv.out_channels, device=conv.weight.device)
    return conv
