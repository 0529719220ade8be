"""The published network, assembled a second time from its checkpoint's own names; nothing of the package is used."""

import torch
from torch.nn import functional

Tensors = dict[str, torch.Tensor]

RESIDUALS = {
    "residual_block_1": [(32, 64), (64, 64)],
    "residual_block_2": (64, 128),
    "residual_block_3": (128, 128),
    "residual_block_4": [(128, 256), (256, 256), (256, 256)],
    "residual_block_5": [(256, 512), (512, 512), (512, 512)],
    "residual_block_6": [(512, 1024), (1024, 1024)],
    "residual_block_7": [(1024, 512), (512, 256)],
    "residual_block_8": (512, 256),
    "residual_block_9": (256, 256),
    "residual_block_10": [(256, 128), (128, 128)],
    "residual_block_11": (128, 64),
    "residual_block_12": (64, 64),
}
PLAIN = {
    "conv_block_1": [(5, 64, 7), (64, 32, 5), (32, 32, 3)],
    "conv_block_2": [(64, 64, 3), (64, 32, 3), (32, 32, 3)],
}
BRANCHES = {
    "multiscale_block_1": (128, 32, (3, 3, 5, 5), (1, 3, 3, 6)),
    "multiscale_block_2": (256, 64, (3, 3, 5, 5), (1, 3, 2, 3)),
    "multiscale_block_3": (64, 16, (3, 3, 5, 7), (1, 3, 2, 6)),
}
TRANSPOSED = [(1024, 512), (256, 256), (256, 128), (128, 64), (64, 32)]


def random_public_checkpoint(width: float) -> Tensors:
    """A state dict in the public layout, every channel count times `width`, with norms that are not the identity."""
    generator = torch.Generator().manual_seed(3)
    tensors: Tensors = {}

    def channels(paper: int) -> int:
        return paper if paper in (1, 5) else max(4, round(paper * width / 4) * 4)

    def convolution(name: str, inputs: int, outputs: int, kernel: int) -> None:
        shape = (outputs, inputs, kernel, kernel)
        scale = (inputs * kernel * kernel) ** -0.5
        tensors[f"{name}.conv_bn_relu.0.weight"] = torch.randn(shape, generator=generator) * scale
        for entry in ("weight", "bias", "running_mean", "running_var"):
            tensors[f"{name}.conv_bn_relu.1.{entry}"] = torch.rand(outputs, generator=generator) + 0.3
        tensors[f"{name}.conv_bn_relu.1.num_batches_tracked"] = torch.tensor(7)

    def residual(name: str, inputs: int, outputs: int) -> None:
        convolution(f"{name}.conv_block_1", channels(inputs), channels(outputs), 3)
        convolution(f"{name}.conv_block_2", channels(outputs), channels(outputs), 3)

    for name, layers in PLAIN.items():
        for index, (inputs, outputs, kernel) in enumerate(layers):
            convolution(f"{name}.{index}", channels(inputs), channels(outputs), kernel)
    for name, blocks in RESIDUALS.items():
        if isinstance(blocks, tuple):
            residual(name, *blocks)
        else:
            for index, block in enumerate(blocks):
                residual(f"{name}.{index}", *block)
    for name, (inputs, _, kernels, _) in BRANCHES.items():
        for index, kernel in enumerate(kernels, start=1):
            convolution(f"{name}.conv_block_{index}", channels(inputs), channels(inputs) // 4, kernel)
    for index, (inputs, outputs) in enumerate(TRANSPOSED, start=1):
        shape = (channels(inputs), channels(outputs), 2, 2)
        tensors[f"conv_transpose_{index}.weight"] = torch.randn(shape, generator=generator) * channels(inputs) ** -0.5
        tensors[f"conv_transpose_{index}.bias"] = torch.randn(channels(outputs), generator=generator) * 0.1
    head = torch.randn((1, channels(32), 1, 1), generator=generator) * 0.2
    tensors |= {"conv_block_3.conv_bn_relu.0.weight": head, "conv_block_3.conv_bn_relu.0.bias": torch.zeros(1)}
    return tensors


def public_forward(tensors: Tensors, x: torch.Tensor) -> torch.Tensor:
    """What the published network computes with these tensors: N x 5 x H x W to N x 1 x H x W logits."""

    def layer(name: str, x: torch.Tensor, dilation: int = 1) -> torch.Tensor:
        y = functional.conv2d(x, tensors[f"{name}.conv_bn_relu.0.weight"], padding="same", dilation=dilation)
        mean, var, weight, bias = (
            tensors[f"{name}.conv_bn_relu.1.{entry}"] for entry in ("running_mean", "running_var", "weight", "bias")
        )
        return functional.batch_norm(y, mean, var, weight, bias, eps=1.001e-5)

    def plain(name: str, x: torch.Tensor) -> torch.Tensor:
        for index in range(len(PLAIN[name])):
            x = layer(f"{name}.{index}", x).relu()
        return x

    def residual(name: str, x: torch.Tensor) -> torch.Tensor:
        first = layer(f"{name}.conv_block_1", x)
        return (first + layer(f"{name}.conv_block_2", first)).relu()

    def residuals(name: str, x: torch.Tensor) -> torch.Tensor:
        for index in range(len(RESIDUALS[name])):
            x = residual(f"{name}.{index}", x)
        return x

    def multiscale(name: str, x: torch.Tensor) -> torch.Tensor:
        dilations = BRANCHES[name][3]
        return torch.cat([layer(f"{name}.conv_block_{i}", x, d).relu() for i, d in enumerate(dilations, 1)], 1)

    def up(index: int, x: torch.Tensor, skip: torch.Tensor) -> torch.Tensor:
        weight, bias = tensors[f"conv_transpose_{index}.weight"], tensors[f"conv_transpose_{index}.bias"]
        return torch.cat([functional.conv_transpose2d(x, weight, bias, stride=2), skip], 1)

    def pool(x: torch.Tensor) -> torch.Tensor:
        return functional.max_pool2d(x, 2)

    c1 = plain("conv_block_1", x)
    c2 = residuals("residual_block_1", pool(c1))
    c3 = residual("residual_block_3", multiscale("multiscale_block_1", residual("residual_block_2", pool(c2))))
    c4 = residuals("residual_block_4", pool(c3))
    c5 = residuals("residual_block_5", pool(c4))
    y = residuals("residual_block_6", pool(c5))
    y = residuals("residual_block_7", up(1, y, c5))
    y = residual("residual_block_8", up(2, y, c4))
    y = residual("residual_block_9", multiscale("multiscale_block_2", y))
    y = residuals("residual_block_10", up(3, y, c3))
    y = residual("residual_block_11", up(4, y, c2))
    y = residual("residual_block_12", multiscale("multiscale_block_3", y))
    y = plain("conv_block_2", up(5, y, c1))
    return functional.conv2d(
        y, tensors["conv_block_3.conv_bn_relu.0.weight"], tensors["conv_block_3.conv_bn_relu.0.bias"]
    )
