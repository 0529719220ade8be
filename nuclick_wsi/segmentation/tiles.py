"""From views to tiles: what is read of a slide at once. It decides no result."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.crops import View

_SLIDE_TILE = 256
"""Side of the squares that most slides are compressed in, in pixels of a level."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A unit of reading: views that share one cell of a fixed lattice, and the window that holds what they show."""

    grid: Grid
    window: Window
    views: tuple[View, ...]


_Members = Sequence[tuple[View, Window]]
"""Views, each with the window of what its network needs to see."""


def plan_tiles(
    views: Sequence[View], cell: int, around: Callable[[View], Window] = lambda view: view.window
) -> list[Tile]:
    """Group views into tiles, each view in exactly one, coarsest grids last and then row by row.

    Views that lie far apart in a cell have tiles of their own: what lies between them is not worth reading.

    Parameters
    ----------
    views
        In any order.
    cell
        Side of a lattice cell in grid pixels. It decides how much is read at once, and no result.
    around
        The pixels that the network needs to see for a view; views that need the same come into the same tile.
    """
    cells: dict[tuple[float, int, int], list[tuple[View, Window]]] = {}
    for view in views:
        window = around(view)
        row, column = (
            math.floor(centre / cell) for centre in (window.y + window.height / 2, window.x + window.width / 2)
        )
        cells.setdefault((view.grid.downsample, row, column), []).append((view, window))
    return [tile for _, members in sorted(cells.items(), key=_key) for tile in _tiles(members)]


def halves(tile: Tile, around: Callable[[View], Window]) -> tuple[Tile, Tile] | None:
    """Divide a tile across its longer side, to read it in smaller windows; None where all its views need the same.

    Views that need the same pixels stay together, as in `plan_tiles`.
    """
    parts = _halves([(view, around(view)) for view in tile.views])
    return None if parts is None else (_tile(parts[0]), _tile(parts[1]))


def _tiles(members: _Members) -> Iterator[Tile]:
    """Yield the tile of some views with their windows, or those of its halves where these take less reading."""
    whole, parts = _tile(members), _halves(members)
    if parts is None or sum(_reading(_tile(part).window) for part in parts) >= _reading(whole.window):
        yield whole
    else:
        yield from chain.from_iterable(map(_tiles, parts))


def _reading(window: Window) -> int:
    """Return the pixels that are decoded for a window, as a mean over its places, where a slide's tiles are squares."""
    return (window.width + _SLIDE_TILE) * (window.height + _SLIDE_TILE)


def _halves(members: _Members) -> tuple[_Members, _Members] | None:
    """Divide views with their windows across the longer side of all; None where all have the same window."""
    windows = {window for _, window in members}
    if len(windows) == 1:
        return None
    by_x = max(window.x for window in windows) - min(window.x for window in windows)
    by_y = max(window.y for window in windows) - min(window.y for window in windows)
    order = sorted(windows, key=lambda one: (one.x, one.y) if by_x > by_y else (one.y, one.x))
    first = set(order[: len(order) // 2])
    return [one for one in members if one[1] in first], [one for one in members if one[1] not in first]


def _tile(members: _Members) -> Tile:
    views, windows = zip(*members, strict=True)
    return Tile(views[0].grid, Window.union(windows), views)


def _key(item: tuple[tuple[float, int, int], object]) -> tuple[float, int, int]:
    return item[0]
