"""The same ten objects by every system: one column each, the truth cyan and the system's outline yellow."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from skimage.measure import find_contours

from nuclick_training.comparison.bench import Scene
from nuclick_training.comparison.system import Piece
from nuclick_training.evaluation.plots import as_png, new_figure
from nuclick_training.sampling.squiggles import Mask

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OBJECTS = 10
_TRUTH, _FOUND = "#00e5ff", "#ffe000"

Pieces = Sequence[Sequence[Piece | None]]
"""Per scene and mark."""


def sheet(scenes: Sequence[Scene], drawn: Sequence[tuple[str, Pieces]]) -> bytes:
    """Return the PNG file's content: a row per system, a column per object, drawn alike from all."""
    places = [(scene, mark) for scene, one in enumerate(scenes) for mark in range(len(one.marks))]
    chosen = [places[at] for at in np.linspace(0, len(places) - 1, min(OBJECTS, len(places))).astype(int)]
    figure = new_figure(1.5 * len(chosen), 1.65 * len(drawn) + 0.3)
    grid = figure.subplots(len(drawn), len(chosen), squeeze=False)
    for row, (name, pieces) in zip(grid, drawn, strict=True):
        row[0].set_title(name, fontsize=8, loc="left")
        for axes, (scene, mark) in zip(row, chosen, strict=True):
            axes.set_axis_off()
            _draw(axes, scenes[scene], mark, pieces[scene][mark])
    return as_png(figure)


def _draw(axes: "Axes", scene: Scene, at: int, piece: Piece | None) -> None:
    mark = scene.marks[at]
    low, high = mark.box[:2], mark.box[2:]
    half = 0.8 * float((high - low).max())
    left, top = (int(value) for value in np.maximum((low + high) / 2 - half, 0))
    part = scene.picture.image[top : top + int(2 * half), left : left + int(2 * half)]
    axes.imshow(part, extent=(left, left + part.shape[1], top + part.shape[0], top), interpolation="nearest")
    rows, columns = slice(top, top + part.shape[0]), slice(left, left + part.shape[1])
    _outline(axes, scene.labels[rows, columns] == mark.number, (left, top), _TRUTH)
    if piece is not None:
        _outline(axes, piece.mask, (piece.column, piece.row), _FOUND)
    axes.set(xlim=(left, left + part.shape[1]), ylim=(top + part.shape[0], top))


def _outline(axes: "Axes", mask: Mask, corner: tuple[int, int], color: str) -> None:
    for line in find_contours(np.pad(mask, 1).astype(float), 0.5):
        axes.plot(line[:, 1] - 0.5 + corner[0], line[:, 0] - 0.5 + corner[1], color=color, linewidth=1.2)
