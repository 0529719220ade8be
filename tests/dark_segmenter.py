"""A segmenter without a network, for laws that hold whatever the network says: dark pixels are objects.

Its probability depends on the pixel and on nothing else, so that what the engine does to it can be predicted.
"""

from collections.abc import Iterable, Iterator
from datetime import date

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.crops import SignalField, View
from nuclick_wsi.segmentation.segmenter import FixedSegmenters, TileImage


class DarkSegmenter:
    """Probability 1 for black, 0 for white."""

    def __init__(self, card: ModelCard) -> None:
        self.card = card

    def around(self, view: View) -> Window:
        return view.window

    def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, NDArray[np.float32]]]:
        for tile in tiles:
            darkness = (255 - tile.image.mean(axis=2, dtype=np.float32)) / 255
            for view in tile.tile.views:
                yield view, darkness[view.window.slices_in(tile.tile.window)].astype(np.float32)


def card(kind: ObjectKind, crop_size: int, mpp: float) -> ModelCard:
    """A card with the settings that the laws need and no more."""
    return ModelCard(
        name="dark",
        kind=kind,
        architecture="none",
        config={},
        crop_size=crop_size,
        mpp=mpp,
        threshold=0.5,
        smallest_um2=0.5,
        fill_holes_um2=0.0,
        data=(),
        terms="",
        split="",
        limits="",
        created=date(2026, 1, 1),
    )


NUCLEI = FixedSegmenters({ObjectKind.NUCLEUS: DarkSegmenter(card(ObjectKind.NUCLEUS, 64, 0.25))})
BOTH = FixedSegmenters({**NUCLEI.by_kind, ObjectKind.GLAND: DarkSegmenter(card(ObjectKind.GLAND, 64, 0.5))})
