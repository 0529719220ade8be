"""The objects that a model outlined worst, as one picture: tissue, true and predicted outlines, and the prompt."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import shapely
from skimage.measure import find_contours

from nuclick_training.datasets.data import Picture
from nuclick_training.evaluation.plots import as_png, new_figure
from nuclick_training.evaluation.results import ObjectResult
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import Click

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WORST = 24
_COLUMNS = 6
_TRUTH, _PREDICTED, _PROMPT, _NEIGHBOUR = "#00e5ff", "#ffe000", "#ff2bd6", "white"
_SMALLEST_CROP = 48
"""Pixels."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom in pixels of the picture, half-open."""


def worst_first(objects: Sequence[ObjectResult]) -> list[ObjectResult]:
    """Return objects by rising Dice; of equals the largest first."""
    return sorted(objects, key=lambda found: (found.dice, -found.area_um2))


def gallery(objects: Sequence[ObjectResult], picture_of: Callable[[str], Picture]) -> bytes:
    """Draw objects side by side and return the PNG file's content.

    Parameters
    ----------
    picture_of
        Returns the picture of a name, with its true objects.
    """
    rows = -(-len(objects) // _COLUMNS)
    figure = new_figure(2.4 * _COLUMNS, 2.75 * rows + 0.4)
    figure.suptitle("true outline cyan, predicted yellow, prompt pink; other objects white", fontsize=10)
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    pictures = {name: picture_of(name) for name in {found.image for found in objects}}
    for axes in grid:
        axes.set_axis_off()
    for axes, found in zip(grid, objects, strict=False):
        _draw(axes, found, pictures[found.image])
    return as_png(figure)


def _draw(axes: "Axes", found: ObjectResult, picture: Picture) -> None:
    left, top, right, bottom = box = _box_of(found, picture)
    axes.imshow(picture.image[top:bottom, left:right], extent=(left, right, bottom, top), interpolation="nearest")
    own = int(found.prompt.id)
    crop = picture.labels[top:bottom, left:right]
    for number in sorted(set(np.unique(crop).tolist()) - {0, own}):
        _draw_mask(axes, crop == number, box, _NEIGHBOUR, 0.7)
    _draw_mask(axes, crop == own, box, _TRUTH, 1.6)
    if isinstance(found.outcome, Instance):
        for ring in shapely.get_rings(shapely.get_parts(found.outcome.polygon)):
            axes.plot(*shapely.get_coordinates(ring).T, color=_PREDICTED, linewidth=1.4)
    for stroke in found.prompt.signal.strokes:
        points = np.array([(point.x, point.y) for point in stroke])
        marker = "o" if isinstance(found.prompt.signal, Click) else ""
        axes.plot(*points.T, color=_PROMPT, linewidth=1.6, marker=marker, markersize=4)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    why = f"Dice {found.dice:.2f}" if isinstance(found.outcome, Instance) else found.outcome.reason.value
    axes.set_title(f"{found.image} no. {own}\n{found.area_um2:.0f} um2, {why}", fontsize=6.5)


def _draw_mask(axes: "Axes", mask: npt.NDArray[np.bool_], box: Box, color: str, width: float) -> None:
    for line in find_contours(np.pad(mask, 1).astype(float), 0.5):
        axes.plot(line[:, 1] - 0.5 + box[0], line[:, 0] - 0.5 + box[1], color=color, linewidth=width)


def _box_of(found: ObjectResult, picture: Picture) -> Box:
    """Return a square that holds the object, its outline and its prompt with tissue around, as far as there is any."""
    rows, columns = np.nonzero(picture.labels == int(found.prompt.id))
    parts = [(columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)]
    parts += [(point.x, point.y) for stroke in found.prompt.signal.strokes for point in stroke]
    if isinstance(found.outcome, Instance):
        left, top, right, bottom = found.outcome.polygon.bounds
        parts += [(left, top), (right, bottom)]
    low, high = np.min(parts, axis=0), np.max(parts, axis=0)
    half = max(0.7 * float((high - low).max()), _SMALLEST_CROP / 2)
    height, width = picture.labels.shape
    (x, y), size = (low + high) / 2, (width, height)
    left, top = (int(max(0, middle - half)) for middle in (x, y))
    right, bottom = (int(min(side, middle + half + 1)) for side, middle in zip(size, (x, y), strict=True))
    return left, top, right, bottom
