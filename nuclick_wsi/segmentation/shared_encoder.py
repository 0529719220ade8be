"""The segmenter of networks with a shared encoder: it encodes each block of tissue once, and decodes each view in it.

It takes tiles as images with the views that belong to them, and yields one probability crop per view.
"""

import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray

from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.models.network import EncodedBlocks, Glance, fused
from nuclick_wsi.models.weights import Model
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Pixels, Probabilities
from nuclick_wsi.segmentation.blocks import BlockPlace, distances_in, stacked
from nuclick_wsi.segmentation.compute import BATCH_PIXELS, Compute, Portions, batches_of, probabilities_of
from nuclick_wsi.segmentation.crops import View
from nuclick_wsi.segmentation.marks import Marks
from nuclick_wsi.segmentation.segmenter import Signals, TileImage

_BLOCKS = {"cpu": 1, "mps": 4, "cuda": 16}
"""Blocks that are encoded at once."""

_RECENT = 16
"""Blocks that are kept encoded, up to 6 MB each: a user who corrects a click needs the same block again."""

_ROUND = 16
"""Parts of blocks begin and end at multiples of so many pixels: the fewer shapes, the fewer layers are made ready, and
torch takes its other way of convolving for pictures smaller than these, which rounds in another order."""


@dataclass(frozen=True, slots=True)
class _Block:
    """A block's pixels, uint8 (side, side, 3), and its views, each with its crop's window."""

    window: Window
    image: NDArray[np.uint8]
    views: Sequence[tuple[View, Window]]


@dataclass(frozen=True, slots=True)
class _Crop:
    """A view with the window that the network draws for it, and which of several blocks it lies in."""

    view: View
    window: Window
    block: Window
    owner: int

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of the crop's first pixel in its block."""
        return _corner(self.window, self.block)


class _Encoding:
    """A few blocks that are encoded once where their crops lie, by the first of several threads that need them."""

    def __init__(self, blocks: Sequence[_Block], encode: Callable[[Sequence[_Block], Window], EncodedBlocks]) -> None:
        self._blocks, self._encode = blocks, encode
        self._guard = threading.Lock()
        self._encoded: EncodedBlocks | None = None

    def get(self) -> EncodedBlocks:
        """Return the blocks encoded."""
        with self._guard:
            if self._encoded is None:
                self._encoded = self._encode(self._blocks, _part_of(self._blocks))
            return self._encoded


class SharedEncoderSegmenter:
    """Networks with a shared encoder; the result of a view depends on its own block and on nothing beside it.

    Parameters
    ----------
    model
        Weights and card of the architecture `glance`; the network runs with its batch norms folded in.
    """

    def __init__(self, model: Model, compute: Compute) -> None:
        self._networks = {device: _fused(model).to(device) for device in compute.devices}
        self._compute = compute
        self._portions, self._block_portions = Portions(), Portions()
        self._card = model.card
        default = max(1, 2 * BATCH_PIXELS[compute.device.type] // model.card.crop_size**2)
        self._batch_size = compute.batch_size or default
        self._guard = threading.Lock()
        self._recent: dict[bytes, EncodedBlocks] = {}

    @property
    def card(self) -> ModelCard:
        """What the model is."""
        return self._card

    def around(self, view: View) -> Window:
        """Return the view's block."""
        return BlockPlace.of(view.window).block

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, Probabilities]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile, block by block."""
        blocks = (block for tile in tiles for block in _blocks(tile))
        work = (each for few in batches_of(blocks, _BLOCKS[self._compute.device.type]) for each in self._batches(few))
        for found in self._compute.map(partial(self._predicted, field), work):
            yield from found

    def _batches(self, blocks: Sequence[_Block]) -> Iterator[tuple["_Encoding", list[_Crop]]]:
        """Yield the crops of a few blocks in batches, each with these blocks."""
        encoding = _Encoding(blocks, self._encoded)
        crops = [_Crop(view, crop, block.window, n) for n, block in enumerate(blocks) for view, crop in block.views]
        for batch in batches_of(crops, self._batch_size):
            yield encoding, batch

    def _predicted(
        self, field: Signals, work: tuple["_Encoding", list[_Crop]]
    ) -> list[tuple[View, NDArray[np.float32]]]:
        """Return the probabilities of a batch of crops, each with its view."""
        encoding, batch = work
        decoded = chain.from_iterable(self._portions.each(partial(self._decoded, encoding.get(), field), batch))
        return [
            (crop.view, probabilities[crop.view.window.slices_in(crop.window)])
            for crop, probabilities in zip(batch, decoded, strict=True)
        ]

    def _decoded(self, encoded: EncodedBlocks, field: Signals, crops: Sequence[_Crop]) -> NDArray[np.float32]:
        """Return the probabilities of crops of the blocks: float32 (N, H, W)."""
        places = [torch.tensor([crop.owner for crop in crops]), torch.tensor([crop.corner for crop in crops])]
        signals = [torch.from_numpy(stacked(drawn)) for drawn in _by_map(crops, field)]
        with self._compute.inference() as device:
            owners, corners, *drawn = (part.to(device) for part in (*places, *signals))
            distances = torch.stack([distances_in(pixels, crops[0].window.width) for pixels in drawn], dim=1)
            return probabilities_of(self._networks[device].decode(encoded.to(device), owners, corners, distances))

    def _encoded(self, blocks: Sequence[_Block], part: Window) -> EncodedBlocks:
        """Return a part of blocks encoded; one that comes alone may be kept from before, as a whole or in part."""
        images = np.stack([block.image for block in blocks])
        content = hashlib.blake2b(images.data, digest_size=16).digest()
        with self._guard:
            known = self._recent.get(content)
        if known is not None and known.part.contains(part):
            return known
        encoded = self._encode(images, part) if known is None else self._more_of(known, images, part)
        if len(blocks) == 1:
            self._keep(content, encoded)
        return encoded

    def _encode(self, images: NDArray[np.uint8], part: Window) -> EncodedBlocks:
        encode = partial(self._encoded_at_once, part)
        return EncodedBlocks.joined(list(self._block_portions.each(encode, list(images))))

    def _encoded_at_once(self, part: Window, images: Sequence[NDArray[np.uint8]]) -> EncodedBlocks:
        with self._compute.inference() as device:
            return self._networks[device].encode(_pixels(np.stack(images), device), part)

    def _more_of(self, known: EncodedBlocks, images: NDArray[np.uint8], part: Window) -> EncodedBlocks:
        """Return what is known of a block, and a part of it beside, without encoding it again."""
        both = Window.union([known.part, part])
        with self._compute.inference() as device:
            return self._networks[device].features(_pixels(images, device), known.pyramid_on(device), both)

    def _keep(self, content: bytes, encoded: EncodedBlocks) -> None:
        with self._guard:
            self._recent[content] = encoded
            if len(self._recent) > _RECENT:
                del self._recent[next(iter(self._recent))]


def _part_of(blocks: Sequence[_Block]) -> Window:
    """Return a part that holds all crops of some blocks, in pixels of a block, between multiples of `_ROUND`."""
    corners = [(crop.width, *_corner(crop, block.window)) for block in blocks for _, crop in block.views]
    edges = np.array([(left, top, left + width, top + width) for width, top, left in corners])
    left, top = (edges[:, :2].min(axis=0) // _ROUND * _ROUND).tolist()
    right, bottom = (-(-edges[:, 2:].max(axis=0) // _ROUND) * _ROUND).tolist()
    return Window(left, top, right - left, bottom - top)


def _pixels(images: NDArray[np.uint8], device: torch.device) -> torch.Tensor:
    """Return uint8 images (N, H, W, 3) on a device: N x 3 x H x W float32 in [0, 1], widened there."""
    return torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float().div_(255)


def _by_map(crops: Sequence[_Crop], field: Signals) -> Iterator[list[Pixels]]:
    """Yield the signals of crops, all that include and all that exclude: row and column in the crop."""
    moved = np.array([_corner(crop.view.window, crop.window) for crop in crops])
    for marks in field.marks([crop.view for crop in crops]):
        yield Marks(marks.views, marks.pixels + moved[marks.views]).of_each(len(crops))


def _fused(model: Model) -> Glance:
    """Return a model's network with its batch norms folded in."""
    network = fused(model.network)
    assert isinstance(network, Glance)
    return network


def _blocks(tile: TileImage) -> Iterator[_Block]:
    """Yield the blocks of a tile's views."""
    served: dict[Window, list[tuple[View, Window]]] = {}
    for view in tile.tile.views:
        place = BlockPlace.of(view.window)
        served.setdefault(place.block, []).append((view, place.crop))
    for window, views in served.items():
        yield _Block(window, tile.image[window.slices_in(tile.tile.window)], views)


def _corner(inner: Window, outer: Window) -> tuple[int, int]:
    """Return row and column of a window's first pixel in another."""
    return inner.y - outer.y, inner.x - outer.x
