"""Test-time augmentation: a segmenter that shows each view to its network in all turns and flips, and takes the mean.

It keeps the engine's `Segmenter` protocol and uses nothing else, so it wraps any segmenter.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Map, Pixels, Probabilities
from nuclick_wsi.segmentation.compute import batches_of
from nuclick_wsi.segmentation.crops import View
from nuclick_wsi.segmentation.marks import Marks
from nuclick_wsi.segmentation.segmenter import Segmenter, Signals, TileImage
from nuclick_wsi.segmentation.tiles import Tile

_FLIPPED = 4
"""Ways 0 to 3 are quarter turns against the clock; from here on the same after a flip from left to right."""

_AT_ONCE = 32
"""Views that are shown in one way before they are shown in the next."""


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
        return Window.union(self._around(view, way) for way in self._ways)

    def _around(self, view: View, way: int) -> Window:
        turned = replace(view, window=_window_turned(view.window, way))
        return _window_turned_back(self._segmenter.around(turned), way)

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, Probabilities]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile."""
        turned = _TurnedSignals(field, self._ways)
        sums: dict[View, tuple[int, Probabilities]] = {}
        for view, probabilities in self._segmenter.predict(self._turned(tiles, turned), turned):
            original, way = turned.original(view)
            # Ways come one after the other, so sums are always made in the same order.
            upright: Probabilities = _array_turned_back(probabilities, way)
            done, total = sums.pop(original, (0, np.zeros_like(upright)))
            done, total = done + 1, total + upright
            if done == len(self._ways):
                yield original, total / np.float32(done)
            else:
                sums[original] = done, total

    def _turned(self, tiles: Iterable[TileImage], signals: "_TurnedSignals") -> Iterator[TileImage]:
        """Yield parts of tiles in all ways, one part after the other: what is done of a large tile is known early."""
        for tile in tiles:
            for window, views in self._parts(tile.tile.views):
                channels = np.moveaxis(tile.image[window.slices_in(tile.tile.window)], 2, 0)
                for way in self._ways:
                    image = np.ascontiguousarray(np.moveaxis(_array_turned(channels, way), 0, 2))
                    turned = tuple(signals.turned(view, way) for view in views)
                    yield TileImage(Tile(tile.tile.grid, _window_turned(window, way), turned), image)

    def _parts(self, views: Sequence[View]) -> Iterator[tuple[Window, Sequence[View]]]:
        """Yield a few views at a time that need the same window, with that window."""
        needing: dict[Window, list[View]] = {}
        for view in views:
            needing.setdefault(self.around(view), []).append(view)
        for window, those in needing.items():
            yield from ((window, few) for few in batches_of(those, _AT_ONCE))


class _TurnedSignals:
    """The same prompts once for each way, on grids that are turned about their origin.

    A view that is turned belongs to another prompt than before: all prompts come once for each way.
    """

    def __init__(self, field: Signals, ways: Sequence[int]) -> None:
        self._field, self._ways = field, ways
        self.prompts = field.prompts * len(ways)

    def turned(self, view: View, way: int) -> View:
        """Return the view that an upright one is, turned."""
        number = self._ways.index(way) * len(self._field.prompts) + view.prompt
        return replace(view, prompt=number, window=_window_turned(view.window, way))

    def original(self, view: View) -> tuple[View, int]:
        """Return the upright view that a turned one was, and the way that it was turned."""
        prompt, way = self._upright(view.prompt)
        return replace(view, prompt=prompt, window=_window_turned_back(view.window, way)), way

    def signals(self, view: View) -> Map:
        original, way = self.original(view)
        return _array_turned(self._field.signals(original), way)

    def marks(self, views: Sequence[View]) -> tuple[Marks, Marks]:
        originals, ways = zip(*map(self.original, views), strict=True)
        included, excluded = self._field.marks(originals)
        sides = np.array([view.window.width for view in views])
        return _marks_turned(included, np.array(ways), sides), _marks_turned(excluded, np.array(ways), sides)

    def pixels(self, index: int, grid: Grid) -> Pixels:
        prompt, way = self._upright(index)
        return _pixels_turned(self._field.pixels(prompt, grid), way, 0)

    def _upright(self, index: int) -> tuple[int, int]:
        number, prompt = divmod(index, len(self._field.prompts))
        return prompt, self._ways[number]


def _marks_turned(marks: Marks, ways: NDArray[np.intp], sides: NDArray[np.intp]) -> Marks:
    """Return marks of views that are turned in these ways, and have these sides."""
    pixels = np.empty_like(marks.pixels)
    for way in np.unique(ways).tolist():
        chosen = ways[marks.views] == way
        pixels[chosen] = _pixels_turned(marks.pixels[chosen], way, sides[marks.views[chosen]])
    return Marks(marks.views, pixels)


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
