"""Test-time augmentation: a segmenter that shows each view to its network in all turns and flips, and takes the mean.

It keeps the engine's `Segmenter` protocol and uses nothing else, so it wraps any segmenter.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import Prompt
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Map, Pixels, Probabilities
from nuclick_wsi.segmentation.crops import View
from nuclick_wsi.segmentation.marks import Marks
from nuclick_wsi.segmentation.segmenter import Segmenter, Signals, TileImage
from nuclick_wsi.segmentation.tiles import Tile

_FLIPPED = 4
"""Ways 0 to 3 are quarter turns against the clock; from here on the same after a flip from left to right."""


class EightWays:
    """The mean probability over all eight turns and flips of a view.

    A network that turns its crops itself (`turns` in its configuration) is shown fewer: those that it does not make.
    """

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter
        own_turns = segmenter.card.config.get("turns", 1)
        assert isinstance(own_turns, int), "a card is checked when it is read"
        turns = range(_FLIPPED // own_turns)
        self._ways = [*turns, *(_FLIPPED + turn for turn in turns)]

    @property
    def card(self) -> ModelCard:
        """The card of the wrapped segmenter."""
        return self._segmenter.card

    def around(self, view: View) -> Window:
        """Return the window that the wrapped segmenter needs in all ways together."""
        return Window.union(
            _window_turned_back(self._segmenter.around(_view_turned(view, way)), way) for way in self._ways
        )

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, Probabilities]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile, in order."""
        for tile in tiles:
            total = {view: np.zeros(view.window.shape, np.float32) for view in tile.tile.views}
            for way in self._ways:
                for view, probabilities in self._predict_turned(tile, field, way):
                    total[view] += probabilities / len(self._ways)
            yield from total.items()

    def _predict_turned(self, tile: TileImage, field: Signals, way: int) -> Iterator[tuple[View, Probabilities]]:
        """Yield a tile's views with the probabilities of the turned tile, turned back."""
        original = {_view_turned(view, way): view for view in tile.tile.views}
        image = np.ascontiguousarray(np.moveaxis(_array_turned(np.moveaxis(tile.image, 2, 0), way), 0, 2))
        turned = TileImage(Tile(tile.tile.grid, _window_turned(tile.tile.window, way), tuple(original)), image)
        for view, probabilities in self._segmenter.predict([turned], _TurnedSignals(field, way)):
            yield original[view], _array_turned_back(probabilities, way)


@dataclass(frozen=True, slots=True)
class _TurnedSignals:
    """The same prompts on a grid that is turned about its origin."""

    field: Signals
    way: int

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        return self.field.prompts

    def signals(self, view: View) -> Map:
        return _array_turned(self.field.signals(self._there(view)), self.way)

    def marks(self, views: Sequence[View]) -> tuple[Marks, Marks]:
        included, excluded = self.field.marks([self._there(view) for view in views])
        sides = np.array([view.window.width for view in views])
        return self._in_views(included, sides), self._in_views(excluded, sides)

    def pixels(self, index: int, grid: Grid) -> Pixels:
        return _pixels_turned(self.field.pixels(index, grid), self.way, 0)

    def _there(self, view: View) -> View:
        return replace(view, window=_window_turned_back(view.window, self.way))

    def _in_views(self, marks: Marks, sides: NDArray[np.intp]) -> Marks:
        return Marks(marks.views, _pixels_turned(marks.pixels, self.way, sides[marks.views]))


def _pixels_turned(pixels: Pixels, way: int, sides: NDArray[np.intp] | int) -> Pixels:
    """Return pixels of squares with such sides where they lie once these are turned; 0 turns about the origin."""
    rows, columns = pixels.T
    if way >= _FLIPPED:
        columns = sides - 1 - columns
    for _ in range(way % _FLIPPED):
        rows, columns = sides - 1 - columns, rows
    return np.stack([rows, columns], axis=1)


def _array_turned(array: NDArray[Any], way: int) -> NDArray[Any]:
    """Return an array (..., H, W) turned."""
    flipped = array[..., ::-1] if way >= _FLIPPED else array
    return np.rot90(flipped, way % _FLIPPED, axes=(-2, -1))


def _array_turned_back(array: NDArray[Any], way: int) -> NDArray[Any]:
    upright = np.rot90(array, -(way % _FLIPPED), axes=(-2, -1))
    return upright[..., ::-1] if way >= _FLIPPED else upright


def _view_turned(view: View, way: int) -> View:
    return replace(view, window=_window_turned(view.window, way))


def _window_turned(window: Window, way: int) -> Window:
    """Return where a window of the grid lies once the grid is turned about its origin."""
    if way >= _FLIPPED:
        window = replace(window, x=-window.right)
    for _ in range(way % _FLIPPED):
        window = Window(window.y, -window.right, window.height, window.width)
    return window


def _window_turned_back(window: Window, way: int) -> Window:
    for _ in range(way % _FLIPPED):
        window = Window(-window.bottom, window.x, window.height, window.width)
    return replace(window, x=-window.right) if way >= _FLIPPED else window
