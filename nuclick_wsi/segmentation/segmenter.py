"""From tiles and prompts to probabilities: the device, the precision and the batches.

A segmenter takes tiles as images with the views that belong to them, and yields one probability crop per view. The
engine knows the `Segmenter` protocol alone, so networks of another shape can stand behind it.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nuclick_wsi.errors import DeviceError
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.models.network import fused
from nuclick_wsi.models.weights import Model
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Probabilities
from nuclick_wsi.segmentation.crops import SignalField, Tile, View

BATCH_PIXELS = {"cpu": 8 * 128 * 128, "mps": 32 * 128 * 128, "cuda": 256 * 128 * 128}
"""Pixels in a batch. More are slower on a CPU, which then spends its time on page faults, and gain little on a GPU."""

NO_TURN: AbstractContextManager[object] = nullcontext()
"""Where one thread alone uses a network, it need not wait for a turn."""


@dataclass(frozen=True, slots=True)
class TileImage:
    """A tile and its pixels: uint8 (height, width, 3) RGB, as large as the tile's window."""

    tile: Tile
    image: NDArray[np.uint8]


class Segmenter(Protocol):
    """Turns views into probabilities; the same for a view whatever tile, batch or order it comes in."""

    @property
    def card(self) -> ModelCard:
        """What the model is: its kind of object, crop size, pixel size and settings."""
        ...

    def around(self, view: View) -> Window:
        """Return the window of the view's grid whose pixels decide the view's probabilities."""
        ...

    def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, Probabilities]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile."""
        ...


class SegmenterSource(Protocol):
    """Provides the segmenter of each kind of object."""

    def segmenter(self, kind: ObjectKind) -> Segmenter:
        """Return the segmenter of a kind."""
        ...


@dataclass(frozen=True, slots=True)
class FixedSegmenters:
    """Provides segmenters that exist already."""

    by_kind: Mapping[ObjectKind, Segmenter]

    def segmenter(self, kind: ObjectKind) -> Segmenter:
        """Return the segmenter of a kind, which must be among them."""
        return self.by_kind[kind]


@dataclass(frozen=True, slots=True)
class Compute:
    """Where a network computes, and how much at once.

    Attributes
    ----------
    device
        As `devices.choose_device` returns it.
    batch_size
        Crops per batch; None for what suits the device and the crop's size.
    turn
        Held while a batch goes through the network: where several threads share a device, one goes at a time.
    """

    device: torch.device
    batch_size: int | None = None
    turn: AbstractContextManager[object] = NO_TURN


class CropSegmenter:
    """The paper's network: one crop with its two signal maps per view, in batches that cross tiles.

    Parameters
    ----------
    model
        Weights and card; the network runs with its batch norms folded in.
    """

    def __init__(self, model: Model, compute: Compute) -> None:
        self._card = model.card
        self._compute = compute
        default = max(1, BATCH_PIXELS[compute.device.type] // model.card.crop_size**2)
        self._batch_size = compute.batch_size or default
        self._network = fused(model.network).to(compute.device)

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    def around(self, view: View) -> Window:
        """Return the view's own window: the network sees nothing else."""
        return view.window

    def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, Probabilities]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile, in order."""
        crops = ((view, _network_input(view, tile, field)) for tile in tiles for view in tile.tile.views)
        while batch := list(islice(crops, self._batch_size)):
            probabilities = self._probabilities(np.stack([crop for _, crop in batch]))
            yield from zip((view for view, _ in batch), probabilities, strict=True)

    def _probabilities(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return float32 (N, H, W) for crops of float32 (N, H, W, 5)."""
        device = self._compute.device
        with self._compute.turn, inference(device, len(crops), crops.shape[1]):
            batch = torch.from_numpy(crops).permute(0, 3, 1, 2).to(device)  # channels last, as the network is
            result: NDArray[np.float32] = torch.sigmoid(self._network(batch))[:, 0].cpu().numpy()
        return result


@contextmanager
def inference(device: torch.device, crops: int, size: int) -> Iterator[None]:
    """Compute without gradients; a device without memory for that many crops becomes a `DeviceError`."""
    try:
        with torch.inference_mode():
            yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(
            f"{device} has no memory for a batch of {crops} crops of {size} px. Try "
            f"--batch-size {max(1, crops // 4)}, or another device with --device."
        ) from error


def _network_input(view: View, tile: TileImage, field: SignalField) -> NDArray[np.float32]:
    """Return the five channels of a view, last: float32 (size, size, 5)."""
    size = view.window.width
    crop = np.empty((size, size, 5), np.float32)
    np.divide(tile.image[view.window.slices_in(tile.tile.window)], 255, out=crop[..., :3], casting="unsafe")
    crop[..., 3], crop[..., 4] = field.signals(view)
    return crop
