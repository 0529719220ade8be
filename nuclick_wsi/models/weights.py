"""Model files: a network's weights and its card in one safetensors file.

They are loaded from a file or by the name of a shipped model, ready to predict, and saved.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import nn

from nuclick_wsi.errors import ModelError
from nuclick_wsi.models.card import METADATA_KEY, ModelCard, find_model, read_card
from nuclick_wsi.models.network import build
from nuclick_wsi.shared_files import Stamp, replace_if_unchanged


@dataclass(frozen=True, slots=True)
class Model:
    """A network with its card.

    Attributes
    ----------
    network
        In evaluation mode, on the CPU, float32.
    sha256
        Of the whole file, in hexadecimal: what a run's record names.
    """

    card: ModelCard
    network: nn.Module
    sha256: str
    path: Path


def load_model(model: str | Path) -> Model:
    """Load a shipped model by name, or a model file.

    Raises
    ------
    ModelError
        The file is missing, is no model, or its weights do not fit its card.
    """
    path = find_model(model)
    card = read_card(path)
    try:
        tensors = safetensors.torch.load_file(path)
    except (SafetensorError, OSError, KeyError, ValueError) as error:
        raise ModelError(f"{path} is damaged ({error}). Fetch it again.") from error
    with torch.device("meta"):  # which takes no memory, however large a network the card names
        _require_fit(_network_of(card, path).state_dict(), tensors, str(path))
    network = _network_of(card, path)
    fill(network, tensors, str(path))
    return Model(card, network, hashlib.sha256(path.read_bytes()).hexdigest(), path)


def save_model(
    path: str | Path, network: nn.Module, card: ModelCard, half: bool = False, seen: Stamp | None = None
) -> None:
    """Write a model file, whole or not at all.

    Parameters
    ----------
    half
        Store the weights as float16, half the size; they are float32 again when loaded.
    seen
        The file that is to be replaced, as it was read; None where there was none.

    Raises
    ------
    ModelError
        A weight is not a finite number, or too large for float16.
    FileChangedError
        The file is not what was seen, or there is one by now.
    ResultError
        The file cannot be written.
    """
    tensors = {name: _stored(tensor, half) for name, tensor in network.state_dict().items()}
    for name, tensor in tensors.items():
        if not torch.isfinite(tensor).all():
            raise ModelError(f"{path}: entry {name} has values that are not finite, so it is not written.")
    content = safetensors.torch.save(tensors, metadata={METADATA_KEY: card.to_json()})
    replace_if_unchanged(Path(path), content, seen)


def replace_card(path: Path, card: ModelCard) -> None:
    """Give a model file another card, whole or not at all; its weights stay as they are, bit by bit.

    Raises
    ------
    ModelError
        The file cannot be read.
    FileChangedError
        Another program saves it at this moment.
    ResultError
        It cannot be written.
    """
    try:
        old = path.read_bytes()
        tensors = safetensors.torch.load(old)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} is damaged or cannot be read ({error}). Fetch it again.") from error
    replace_if_unchanged(path, safetensors.torch.save(tensors, metadata={METADATA_KEY: card.to_json()}), Stamp.of(old))


def fill(network: nn.Module, tensors: Mapping[str, torch.Tensor], source: str) -> None:
    """Load tensors into a network and set it to evaluation.

    Raises
    ------
    ModelError
        Naming the first entry, in the network's order, that is missing or has another shape, or one too many.
    """
    expected = network.state_dict()
    _require_fit(expected, tensors, source)
    network.load_state_dict({name: tensors[name].to(tensor.dtype) for name, tensor in expected.items()})
    network.eval()


def _require_fit(expected: Mapping[str, torch.Tensor], tensors: Mapping[str, torch.Tensor], source: str) -> None:
    for name, tensor in expected.items():
        if name not in tensors:
            raise ModelError(f"{source} does not fit its network: entry {name} is missing.")
        if tensors[name].shape != tensor.shape:
            seen, wanted = list(tensors[name].shape), list(tensor.shape)
            raise ModelError(f"{source} does not fit its network: entry {name} has shape {seen}, not {wanted}.")
    for name in tensors:
        if name not in expected:
            raise ModelError(f"{source} does not fit its network: it has no place for entry {name}.")


def _network_of(card: ModelCard, path: Path) -> nn.Module:
    """Return the untrained network that a card describes."""
    try:
        return build(card.architecture, card.config)
    except ValueError as error:
        raise ModelError(f"{path}: {error}. A newer version of nuclick-wsi may know it.") from error


def _stored(tensor: torch.Tensor, half: bool) -> torch.Tensor:
    """Return a tensor as it is kept on disk."""
    kept = tensor.detach().cpu().contiguous()
    return kept.half() if half and kept.is_floating_point() else kept
