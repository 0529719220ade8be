"""From tiles and prompts to probabilities: the device, the precision and the batches.

A segmenter takes tiles as images with the views that belong to them, and yields one probability crop per view. The
engine knows the `Segmenter` protocol alone, so networks of another shape can stand behind it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from nuclick_wsi.errors import DeviceError
from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.models.devices import stay_on_one_core, usable_cores
from nuclick_wsi.models.network import fused
from nuclick_wsi.models.weights import Model
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Probabilities
from nuclick_wsi.segmentation.crops import SignalField, Tile, View
from nuclick_wsi.segmentation.pipeline import ordered_map

Item = TypeVar("Item")
Result = TypeVar("Result")

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
        Held while a batch goes through the network: where several requests share a GPU, one goes at a time.
    threads
        That compute batches side by side on a CPU, one core each; None for all cores that this process may use. The
        network's layers are small: threads inside of them would mostly wait for each other, most of all where other
        programs run too. No result depends on it. A GPU has one.
    """

    device: torch.device
    batch_size: int | None = None
    turn: AbstractContextManager[object] = NO_TURN
    threads: int | None = None

    def map(self, work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
        """Yield `work(item)` for every item, in order, computed side by side."""
        threads = 1 if self.device.type != "cpu" else self.threads or usable_cores()
        return ordered_map(work, items, threads if threads > 1 else 0)


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
        views = ((view, tile) for tile in tiles for view in tile.tile.views)

        def predicted(batch: Sequence[tuple[View, TileImage]]) -> list[tuple[View, Probabilities]]:
            crops = np.stack([_network_input(view, tile, field) for view, tile in batch])
            return list(zip((view for view, _ in batch), self._probabilities(crops), strict=True))

        for found in self._compute.map(predicted, batches_of(views, self._batch_size)):
            yield from found

    def _probabilities(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return float32 (N, H, W) for crops of float32 (N, H, W, 5)."""
        device = self._compute.device
        with self._compute.turn, inference(device, len(crops), crops.shape[1]):
            batch = torch.from_numpy(crops).permute(0, 3, 1, 2).to(device)  # channels last, as the network is
            result: NDArray[np.float32] = torch.sigmoid(self._network(batch))[:, 0].cpu().numpy()
        return result


def batches_of(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yield so many successive items at a time, fewer at the end."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch


@contextmanager
def inference(device: torch.device, crops: int, size: int) -> Iterator[None]:
    """Compute without gradients, on one core of a CPU; a device without memory becomes a `DeviceError`.

    That one core is all that this process' torch uses from then on: `Compute.threads` run beside each other instead.
    """
    if device.type == "cpu":
        stay_on_one_core()
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
