"""From tiles and prompts to probabilities: the network's input, in batches.

A segmenter takes tiles as images with the views that belong to them, and yields one probability crop per view. The
engine knows the `Segmenter` protocol alone, so networks of another shape can stand behind it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.models.network import fused
from nuclick_wsi.models.weights import Model
from nuclick_wsi.prompts import ObjectKind, Prompt
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Map, Pixels, Probabilities
from nuclick_wsi.segmentation.compute import BATCH_PIXELS, Compute, Portions, batches_of, probabilities_of
from nuclick_wsi.segmentation.crops import View
from nuclick_wsi.segmentation.marks import Marks
from nuclick_wsi.segmentation.tiles import Tile


@dataclass(frozen=True, slots=True)
class TileImage:
    """A tile and its pixels: uint8 (height, width, 3) RGB, as large as the tile's window."""

    tile: Tile
    image: NDArray[np.uint8]


class Signals(Protocol):
    """What is drawn of prompts in the maps of views; the prompts' own is `crops.SignalField`."""

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        """All prompts; a view names its own by its index."""
        ...

    def signals(self, view: View) -> Map:
        """Return the inclusion and the exclusion map of a view: float32 (2, size, size)."""
        ...

    def marks(self, views: Sequence[View]) -> tuple[Marks, Marks]:
        """Return the pixels that are 1 in the inclusion and in the exclusion maps of some views, at least one."""
        ...

    def pixels(self, index: int, grid: Grid) -> Pixels:
        """Return a prompt's signal on a grid: int (N, 2), row and column, each pixel once."""
        ...


class Segmenter(Protocol):
    """Turns views into probabilities; the same for a view whatever tile, batch or order it comes in."""

    @property
    def card(self) -> ModelCard:
        """What the model is: its kind of object, crop size, pixel size and settings."""
        ...

    def around(self, view: View) -> Window:
        """Return the window of the view's grid whose pixels decide the view's probabilities."""
        ...

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, Probabilities]]:
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
        self._networks = {device: fused(model.network).to(device) for device in compute.devices}
        self._portions = Portions()

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    def around(self, view: View) -> Window:
        """Return the view's own window: the network sees nothing else."""
        return view.window

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, Probabilities]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile, in order."""
        views = ((view, tile) for tile in tiles for view in tile.tile.views)

        def predicted(batch: Sequence[tuple[View, TileImage]]) -> list[tuple[View, Probabilities]]:
            crops = _network_inputs(batch, field)
            found = chain.from_iterable(self._portions.each(self._probabilities, list(crops)))
            return list(zip((view for view, _ in batch), found, strict=True))

        for found in self._compute.map(predicted, batches_of(views, self._batch_size)):
            yield from found

    def _probabilities(self, crops: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        """Return float32 (N, H, W) for N crops of uint8 (H, W, 5)."""
        sent = torch.from_numpy(np.stack(crops))
        with self._compute.inference() as device:
            # Widened on the device: a quarter of the bytes goes there. Channels are last, as in the network.
            batch = sent.to(device).permute(0, 3, 1, 2).float()
            batch[:, :3] /= 255
            return probabilities_of(self._networks[device](batch))


def _network_inputs(batch: Sequence[tuple[View, TileImage]], field: Signals) -> NDArray[np.uint8]:
    """Return the five channels of views, last: red, green and blue, and their two maps of zeros and ones.

    uint8 (N, size, size, 5).
    """
    views = [view for view, _ in batch]
    crops = np.zeros((len(batch), *views[0].window.shape, 5), np.uint8)
    for crop, (view, tile) in zip(crops, batch, strict=True):
        crop[..., :3] = tile.image[view.window.slices_in(tile.tile.window)]
    for channel, marks in enumerate(field.marks(views), start=3):
        crops[marks.views, *marks.pixels.T, channel] = 1
    return crops
