"""The rows of a table that are marks, a few bytes each: a table may have a million, and a drawing of each takes 500."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import overload

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.formats.drawings import Drawing, Mark
from nuclick_wsi.prompts import Plane

Kind = tuple[str, str | None, Plane]
"""What many rows have in common: slide, empty where they say none, class and plane."""


@dataclass(slots=True)
class TableRows:
    """The rows so far: positions in the unit of the table, numbers of lines, and what each is."""

    source: str
    positions: "array[float]" = field(default_factory=lambda: array("d"))
    lines: "array[int]" = field(default_factory=lambda: array("q"))
    kinds: list[Kind] = field(default_factory=list)
    _known: dict[Kind, Kind] = field(default_factory=dict)

    def add(self, line: int, x: float, y: float, kind: Kind) -> None:
        """Add the row of a line."""
        self.positions.extend((x, y))
        self.lines.append(line)
        self.kinds.append(self._known.setdefault(kind, kind))

    def __len__(self) -> int:
        return len(self.lines)

    @property
    def slides(self) -> tuple[str, ...]:
        """What the rows call their slides, each once, in their order."""
        return tuple(dict.fromkeys(slide for slide, _, _ in self._known if slide))

    def on(self, slides: Sequence[str], scale: NDArray[np.float64]) -> "TableDrawings":
        """Return the drawings of the rows that name one of some slides, positions times a scale of x and of y."""
        chosen = np.flatnonzero(np.fromiter((slide in slides for slide, _, _ in self.kinds), bool, len(self)))
        positions = np.frombuffer(self.positions, np.float64).reshape(-1, 2)[chosen] * scale
        return TableDrawings(self, chosen, positions)


class TableDrawings(Sequence[Drawing]):
    """Drawings of one point each, made when they are asked for."""

    def __init__(self, rows: TableRows, chosen: NDArray[np.intp], positions: NDArray[np.float64]) -> None:
        self._rows, self._chosen, self._positions = rows, chosen, positions

    def __len__(self) -> int:
        return len(self._chosen)

    def __iter__(self) -> Iterator[Drawing]:
        return map(self._drawing, range(len(self)))

    @overload
    def __getitem__(self, index: int) -> Drawing: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Drawing]: ...
    def __getitem__(self, index: int | slice) -> Drawing | Sequence[Drawing]:
        if isinstance(index, slice):
            return TableDrawings(self._rows, self._chosen[index], self._positions[index])
        return self._drawing(range(len(self))[index])

    def _drawing(self, number: int) -> Drawing:
        row = int(self._chosen[number])
        _, class_name, plane = self._rows.kinds[row]
        label = f"{self._rows.source}, line {self._rows.lines[row]}"
        return Drawing(Mark.POINTS, (self._positions[number : number + 1],), label, None, class_name, plane)
