"""Wrappers of a segmenter that change what it is told: without neighbours, or with neighbours that did not move.

They keep the engine's `Segmenter` protocol and use nothing else, so they wrap any segmenter.
"""

from collections.abc import Iterable, Iterator, Sequence

from nuclick_wsi.models.card import ModelCard
from nuclick_wsi.prompts import Prompt
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Map, Pixels, Probabilities
from nuclick_wsi.segmentation.crops import SignalField, View
from nuclick_wsi.segmentation.marks import Marks, marks_of
from nuclick_wsi.segmentation.segmenter import Segmenter, Signals, TileImage


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

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, Probabilities]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile."""
        return self._segmenter.predict(tiles, _LonelySignals(field))


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

    def predict(self, tiles: Iterable[TileImage], field: Signals) -> Iterator[tuple[View, Probabilities]]:
        """Yield (view, float32 (size, size) in [0, 1]) for every view of every tile."""
        before = SignalField([self._before[prompt.id] for prompt in field.prompts])
        return self._segmenter.predict(tiles, _SteadySignals(field, before))


class _ChangedSignals:
    """Prompts whose maps are not what is drawn of them."""

    def __init__(self, field: Signals) -> None:
        self._field = field

    @property
    def prompts(self) -> tuple[Prompt, ...]:
        return self._field.prompts

    def signals(self, view: View) -> Map:
        return self._field.signals(view)

    def marks(self, views: Sequence[View]) -> tuple[Marks, Marks]:
        return marks_of({number: self.signals(view) for number, view in enumerate(views)})

    def pixels(self, index: int, grid: Grid) -> Pixels:
        return self._field.pixels(index, grid)


class _LonelySignals(_ChangedSignals):
    """The same prompts with empty exclusion maps."""

    def signals(self, view: View) -> Map:
        signals = super().signals(view)
        signals[1] = 0
        return signals


class _SteadySignals(_ChangedSignals):
    """The same prompts, with the others in the exclusion maps where they were before."""

    def __init__(self, field: Signals, before: Signals) -> None:
        super().__init__(field)
        self._before = before

    def signals(self, view: View) -> Map:
        signals = super().signals(view)
        signals[1] = self._before.signals(view)[1] * (signals[0] == 0)
        return signals
