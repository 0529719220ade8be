"""Wrappers of a segmenter that change its input: without neighbours, with unmoved neighbours, in eight turns and flips.

They keep the engine's `Segmenter` protocol and use nothing else, so they wrap any segmenter.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import Prompt
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Pixels
from nuclick_wsi.segmentation.crops import SignalField, View
from nuclick_wsi.segmentation.marks import Marks, marks_of
from nuclick_wsi.segmentation.segmenter import Segmenter, TileImage
from nuclick_wsi.segmentation.tiles import Tile

_TURNS = range(8)
"""Quarter turns against the clock, 0 to 3; from 4 on after a flip from left to right."""


class _Wrapper:
    """A segmenter around another one, whose card and windows it passes on."""

    def __init__(self, segmenter: Segmenter) -> None:
        self._segmenter = segmenter

    @property
    def card(self) -> ModelCard:
        """The card of the wrapped segmenter."""
        return self._segmenter.card

    def around(self, view: View) -> Window:
        """Return the window that the wrapped segmenter needs."""
        return self._segmenter.around(view)


class WithoutNeighbours(_Wrapper):
    """Every prompt is segmented as if it were the only one: all exclusion maps are empty (paper, Table X)."""

    def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, NDArray[np.float32]]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile."""
        return self._segmenter.predict(tiles, _LonelySignals(field.prompts))


class NeighboursStay(_Wrapper):
    """Exclusion maps show the others where they were before all were moved (paper, Table VIII).

    Parameters
    ----------
    before
        The prompts before they were moved, with the ids of those that the segmenter will be asked for.
    """

    def __init__(self, segmenter: Segmenter, before: Sequence[Prompt]) -> None:
        super().__init__(segmenter)
        self._before = {prompt.id: prompt for prompt in before}

    def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, NDArray[np.float32]]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile."""
        before = SignalField([self._before[prompt.id] for prompt in field.prompts])
        return self._segmenter.predict(tiles, _SteadySignals(field, before))


class EightWays(_Wrapper):
    """Test-time augmentation: the mean probability over all eight turns and flips of a view."""

    def around(self, view: View) -> Window:
        """Return the window that the wrapped segmenter needs in all eight turns and flips together."""
        return Window.union(
            _window_turned_back(self._segmenter.around(_view_turned(view, turn)), turn) for turn in _TURNS
        )

    def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, NDArray[np.float32]]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile, in order."""
        for tile in tiles:
            total = {view: np.zeros(view.window.shape, np.float32) for view in tile.tile.views}
            for turn in _TURNS:
                for view, probabilities in self._predict_turned(tile, field, turn):
                    total[view] += probabilities / len(_TURNS)
            yield from total.items()

    def _predict_turned(
        self, tile: TileImage, field: SignalField, turn: int
    ) -> Iterator[tuple[View, NDArray[np.float32]]]:
        """Yield a tile's views with the probabilities of the turned tile, turned back."""
        original = {_view_turned(view, turn): view for view in tile.tile.views}
        window = _window_turned(tile.tile.window, turn)
        image = np.ascontiguousarray(np.moveaxis(_turned(np.moveaxis(tile.image, 2, 0), turn), 0, 2))
        turned = TileImage(Tile(tile.tile.grid, window, tuple(original)), image)
        for view, probabilities in self._segmenter.predict([turned], _TurnedSignals(field, turn)):
            yield original[view], _turned_back(probabilities, turn)


class _ChangedSignals(SignalField):
    """Prompts whose maps are not what is drawn of them."""

    def marks(self, views: Sequence[View]) -> tuple[Marks, Marks]:
        return marks_of({number: self.signals(view) for number, view in enumerate(views)})


class _LonelySignals(_ChangedSignals):
    """The same prompts with empty exclusion maps."""

    def signals(self, view: View) -> NDArray[np.float32]:
        signals = super().signals(view)
        signals[1] = 0
        return signals


class _SteadySignals(_ChangedSignals):
    """The same prompts, with the others in the exclusion maps where they were before."""

    def __init__(self, field: SignalField, before: SignalField) -> None:
        super().__init__(field.prompts)
        self._before = before

    def signals(self, view: View) -> NDArray[np.float32]:
        signals = super().signals(view)
        signals[1] = self._before.signals(view)[1] * (signals[0] == 0)
        return signals


class _TurnedSignals(_ChangedSignals):
    """The same prompts on a grid that is turned about its origin."""

    def __init__(self, field: SignalField, turn: int) -> None:
        super().__init__(field.prompts)
        self._field = field
        self._turn = turn

    def signals(self, view: View) -> NDArray[np.float32]:
        there = replace(view, window=_window_turned_back(view.window, self._turn))
        return _turned(self._field.signals(there), self._turn)

    def pixels(self, index: int, grid: Grid) -> Pixels:
        rows, columns = self._field.pixels(index, grid).T
        if self._turn >= 4:
            columns = -1 - columns
        for _ in range(self._turn % 4):
            rows, columns = -1 - columns, rows
        return np.stack([rows, columns], axis=1)


def _view_turned(view: View, turn: int) -> View:
    return replace(view, window=_window_turned(view.window, turn))


def _turned(array: NDArray[Any], turn: int) -> NDArray[Any]:
    """Return an array (..., H, W) turned."""
    flipped = array[..., ::-1] if turn >= 4 else array
    return np.rot90(flipped, turn % 4, axes=(-2, -1))


def _turned_back(array: NDArray[Any], turn: int) -> NDArray[Any]:
    upright = np.rot90(array, -(turn % 4), axes=(-2, -1))
    return upright[..., ::-1] if turn >= 4 else upright


def _window_turned(window: Window, turn: int) -> Window:
    """Return where a window of the grid lies once the grid is turned about its origin."""
    if turn >= 4:
        window = replace(window, x=-window.right)
    for _ in range(turn % 4):
        window = Window(window.y, -window.right, window.height, window.width)
    return window


def _window_turned_back(window: Window, turn: int) -> Window:
    for _ in range(turn % 4):
        window = Window(-window.bottom, window.x, window.height, window.width)
    return replace(window, x=-window.right) if turn >= 4 else window
