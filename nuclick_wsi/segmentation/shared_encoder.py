"""One look, many clicks: the trunk runs once for each block of tissue, the head once for each view.

In go tiles as images with the views they own; out comes one probability crop per view.
"""

import hashlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.models.network import Features, Glance, fused
from nuclick_wsi.models.weights import Model
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.blocks import Place, distance_maps
from nuclick_wsi.segmentation.crops import SignalField, View
from nuclick_wsi.segmentation.segmenter import BATCH_PIXELS, TileImage, inference

_BLOCKS = {"cpu": 1, "mps": 4, "cuda": 16}
"""Blocks that go through the trunk at once."""

_RECENT = 8
"""Blocks whose features are kept, 8 MB each: who corrects a click looks at the same tissue again."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A block's pixels, uint8 (side, side, 3), and the views that it serves, each with its crop's window."""

    window: Window
    image: NDArray[np.uint8]
    views: Sequence[tuple[View, Window]]


class SharedEncoderSegmenter:
    """The one-look network; what it says of a view depends on the view's own block and on nothing beside it.

    Parameters
    ----------
    model
        Weights and card of the architecture `glance`; the network runs with its batch norms folded in.
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
        network = fused(model.network)
        assert isinstance(network, Glance)
        self._network = network.to(device)
        self._turn = turn or nullcontext()
        self._card = model.card
        self._device = device
        self._guard = threading.Lock()
        self._recent: dict[bytes, Features] = {}
        self._batch_size = batch_size or max(1, 2 * BATCH_PIXELS[device.type] // model.card.crop_size**2)

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    def around(self, view: View) -> Window:
        """Return the view's block."""
        return Place.of(view.window).block

    def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, NDArray[np.float32]]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile, block by block."""
        blocks = (block for tile in tiles for block in _blocks(tile))
        while batch := list(islice(blocks, _BLOCKS[self._device.type])):
            yield from self._drawn(batch, field)

    def _drawn(self, blocks: Sequence[_Block], field: SignalField) -> Iterator[tuple[View, NDArray[np.float32]]]:
        """Yield the probabilities of every view of a few blocks."""
        size = self._card.crop_size
        seen = self._looked(blocks)
        asked = iter([(n, view, crop) for n, block in enumerate(blocks) for view, crop in block.views])
        while batch := list(islice(asked, self._batch_size)):
            owners = torch.tensor([owner for owner, _, _ in batch])
            corners = torch.tensor([_corner(crop, blocks[owner].window) for owner, _, crop in batch])
            maps = np.stack(
                [distance_maps(field.signals(v), np.array(_corner(v.window, crop))) for _, v, crop in batch]
            )
            with self._turn, inference(self._device, len(batch), size):
                inputs = (part.to(self._device) for part in (owners, corners, torch.from_numpy(maps)))
                probabilities = torch.sigmoid(self._network.outline(seen, *inputs))[:, 0].cpu().numpy()
            for (_, view, crop), drawn in zip(batch, probabilities, strict=True):
                yield view, drawn[view.window.slices_in(crop)]

    def _looked(self, blocks: Sequence[_Block]) -> Features:
        """Return the features of blocks; those of a block that comes alone may be kept from before."""
        images = np.stack([block.image for block in blocks])
        content = hashlib.blake2b(images.data, digest_size=16).digest()
        with self._guard:
            seen = self._recent.get(content)
        if seen is None:
            with self._turn, inference(self._device, self._batch_size, self._card.crop_size):
                pixels = torch.from_numpy(images).to(self._device).permute(0, 3, 1, 2)
                seen = self._network.look(pixels.float().div_(255))
            if len(blocks) == 1:
                with self._guard:
                    self._recent[content] = seen
                    if len(self._recent) > _RECENT:
                        del self._recent[next(iter(self._recent))]
        return seen


def _blocks(tile: TileImage) -> Iterator[_Block]:
    """Yield the blocks of a tile's views."""
    served: dict[Window, list[tuple[View, Window]]] = {}
    for view in tile.tile.views:
        place = Place.of(view.window)
        served.setdefault(place.block, []).append((view, place.crop))
    for window, views in served.items():
        yield _Block(window, tile.image[window.slices_in(tile.tile.window)], views)


def _corner(inner: Window, outer: Window) -> tuple[int, int]:
    """Return row and column of a window's first pixel in another."""
    return inner.y - outer.y, inner.x - outer.x
