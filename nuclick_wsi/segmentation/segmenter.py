"""From tiles and prompts to probabilities: the device, the precision and the batches.

In go tiles as images with the views they own; out comes one probability crop per view, in the order of the views.
The engine knows the `Segmenter` protocol alone, so networks of another shape can stand behind it.
"""

from collections.abc import Iterable, Iterator
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
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.crops import SignalField, Tile, View

BATCH_PIXELS = {"cpu": 8 * 128 * 128, "mps": 32 * 128 * 128, "cuda": 256 * 128 * 128}
"""Pixels in a batch. More are slower on a CPU, which then spends its time on page faults, and gain little on a GPU."""


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

    def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, NDArray[np.float32]]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile."""
        ...


class CropSegmenter:
    """The paper's network: one crop with its two signal maps per view, in batches that cross tiles.

    Parameters
    ----------
    model
        Weights and card; the network runs with its batch norms folded in.
    device
        As `devices.choose_device` returns it.
    batch_size
        Crops per batch; None for what suits the device and the crop's size.
    turn
        Held while a batch goes through the network: where several share a device, one goes at a time.
    """

    def __init__(
        self,
        model: Model,
        device: torch.device,
        batch_size: int | None = None,
        turn: AbstractContextManager[object] | None = None,
    ) -> None:
        self._turn = turn or nullcontext()
        self._card = model.card
        self._device = device
        self._batch_size = batch_size or max(1, BATCH_PIXELS[device.type] // model.card.crop_size**2)
        self._network = fused(model.network).to(device)

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    def around(self, view: View) -> Window:
        """Return the view's own window: the network sees nothing else."""
        return view.window

    def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, NDArray[np.float32]]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile, in order."""
        crops = ((view, _network_input(view, tile, field)) for tile in tiles for view in tile.tile.views)
        while batch := list(islice(crops, self._batch_size)):
            probabilities = self._probabilities(np.stack([crop for _, crop in batch]))
            yield from zip((view for view, _ in batch), probabilities, strict=True)

    def _probabilities(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return float32 (N, H, W) for crops of float32 (N, H, W, 5)."""
        with self._turn, inference(self._device, len(crops), crops.shape[1]):
            batch = torch.from_numpy(crops).permute(0, 3, 1, 2).to(self._device)  # channels last, as the network is
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
