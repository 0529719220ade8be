"""Import of published NuClick weights: a `.pth` in the layout of nuclick_torch and TIAToolbox becomes a model file.

Files are read as plain tensors only; nothing in them is ever executed.
"""

import pickle
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import torch

from nuclick_wsi.errors import ModelError
from nuclick_wsi.models.card import DataSource, ModelCard
from nuclick_wsi.models.network import NuClick, NuClickConfig
from nuclick_wsi.models.weights import fill, save_model
from nuclick_wsi.ownership import require_free
from nuclick_wsi.prompts import ObjectKind

Tensors = Mapping[str, torch.Tensor]

# Crop in px, um per px, threshold, smallest object and largest filled hole in px: the authors' settings per kind.
_SETTINGS = {
    ObjectKind.NUCLEUS: (128, 0.25, 0.5, 10, 30),
    ObjectKind.CELL: (256, 0.25, 0.8, 100, 100),
    ObjectKind.GLAND: (512, 0.62, 0.3, 1000, 1000),
}

# Where each stage of our network lies in the public layout.
_STAGES = {
    "encode1.0": "conv_block_1.0",
    "encode1.1": "conv_block_1.1",
    "encode1.2": "conv_block_1.2",
    "encode2": "residual_block_1",
    "encode3.0": "residual_block_2",
    "encode3.1": "multiscale_block_1",
    "encode3.2": "residual_block_3",
    "encode4": "residual_block_4",
    "encode5": "residual_block_5",
    "bottom": "residual_block_6",
    "up5": "conv_transpose_1",
    "decode5": "residual_block_7",
    "up4": "conv_transpose_2",
    "decode4.0": "residual_block_8",
    "decode4.1": "multiscale_block_2",
    "decode4.2": "residual_block_9",
    "up3": "conv_transpose_3",
    "decode3": "residual_block_10",
    "up2": "conv_transpose_4",
    "decode2.0": "residual_block_11",
    "decode2.1": "multiscale_block_3",
    "decode2.2": "residual_block_12",
    "up1": "conv_transpose_5",
    "decode1": "conv_block_2",
    "head": "conv_block_3.conv_bn_relu.0",
}
_BRANCHES = ("conv_block_1", "conv_block_2", "conv_block_3", "conv_block_4")


def import_checkpoint(
    source: str | Path, target: str | Path, kind: ObjectKind, config: NuClickConfig | None = None
) -> ModelCard:
    """Turn a published checkpoint into a model file, and return its card.

    Parameters
    ----------
    source
        A `.pth` with a plain state dict of the paper's network.
    kind
        What the checkpoint was trained on; the file does not say.
    config
        Width and dilations, where they are not the paper's.

    Raises
    ------
    ModelError
        The file is not a checkpoint, would execute code, or is of another network; the first entry that does not
        fit is named.
    SettingsError
        Something is there under the target's name.
    """
    require_free(Path(target))
    source, config = Path(source), config or NuClickConfig()
    tensors = read_checkpoint(source)
    network = NuClick(config)
    names = {public_name(name): name for name in network.state_dict()}
    _check_layout(source, tensors, names, network.state_dict())
    fill(network, {names[name]: tensor for name, tensor in tensors.items()}, str(source))
    card = _card(source, kind, config)
    save_model(target, network, card)
    return card


def read_checkpoint(path: Path) -> dict[str, torch.Tensor]:
    """Read the tensors of a `.pth`, and nothing else.

    Raises
    ------
    ModelError
        The file is missing, is not a checkpoint, or holds more than tensors.
    """
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"{path} cannot be read ({error.strerror or error}).") from error
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path} is not a plain file of tensors: reading it could execute code, so it is refused. Ask its author "
            "for a state dict (torch.save(model.state_dict(), ...))."
        ) from error
    except Exception as error:  # a damaged one leads to anything; it is read without executing what is in it
        raise ModelError(
            f"{path} is not a checkpoint, or is cut short. Accepted is a .pth with a state dict."
        ) from error
    tensors = dict(_tensors_of(content))
    if not tensors:
        raise ModelError(f"{path} holds no named tensors. Accepted is a .pth with a state dict.")
    return tensors


def public_name(name: str) -> str:
    """Return the public layout's name for an entry of our network's state dict."""
    stage = next(stage for stage in _STAGES if name.startswith(f"{stage}."))
    rest = name[len(stage) :]
    rest = re.sub(r"\.branches\.(\d)", lambda branch: f".{_BRANCHES[int(branch[1])]}", rest)
    rest = rest.replace(".first", ".conv_block_1").replace(".second", ".conv_block_2")
    rest = rest.replace(".conv.", ".conv_bn_relu.0.").replace(".norm.", ".conv_bn_relu.1.")
    return _STAGES[stage] + rest


def _tensors_of(content: object) -> Iterator[tuple[str, torch.Tensor]]:
    """Yield the named tensors of a checkpoint, from under `state_dict` and without `module.` where it has these."""
    if isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    for name, tensor in content.items() if isinstance(content, Mapping) else ():
        if isinstance(tensor, torch.Tensor):
            yield str(name).removeprefix("module."), tensor


def _check_layout(source: Path, tensors: Tensors, names: Mapping[str, str], expected: Tensors) -> None:
    """Refuse tensors of another network, in words of the file itself."""
    wanted = {public: list(expected[ours].shape) for public, ours in names.items()}
    seen = {public: list(tensor.shape) for public, tensor in tensors.items()}
    for public in [*wanted, *seen]:
        if wanted.get(public) != seen.get(public):
            raise ModelError(
                f"{source} does not fit the NuClick network: entry {public} is {seen.get(public, 'missing')} and "
                f"should be {wanted.get(public, 'absent')}.{_guess(tensors)} Accepted are checkpoints of the "
                "paper's network as nuclick_torch and TIAToolbox publish it."
            )


def _guess(tensors: Tensors) -> str:
    """Say which published file this looks like, where it can be told."""
    count = sum(t.numel() for name, t in tensors.items() if not re.search(r"running_|num_batches", name))
    if any(name.startswith("upcat_") for name in tensors):
        return " It looks like MONAI's BasicUNet."
    if len(tensors) == 128 and 17_200_000 < count < 17_300_000:
        return " It looks like the U-Net of nuclick_torch."
    if 1_300_000 < count < 1_400_000:
        return " It looks like TIAToolbox's nuclick_light."
    return f" It has {len(tensors)} entries and {count:,} parameters."


def _card(source: Path, kind: ObjectKind, config: NuClickConfig) -> ModelCard:
    """Return the card of an imported checkpoint: what is known of it, and that the rest is not."""
    crop, mpp, threshold, smallest, holes = _SETTINGS[kind]
    return ModelCard(
        name=source.stem,
        kind=kind,
        architecture="nuclick",
        config={"width": config.width, "last_dilations": list(config.last_dilations)},
        crop_size=crop,
        mpp=mpp,
        threshold=threshold,
        smallest_um2=smallest * mpp**2,
        fill_holes_um2=holes * mpp**2,
        data=(DataSource("unknown: the checkpoint does not say", "that of its author"),),
        terms="those of the checkpoint's author",
        split="unknown",
        limits="unknown; not measured by us",
        created=datetime.now(UTC).date(),
    )
