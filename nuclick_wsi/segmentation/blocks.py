"""The block of tissue that a shared encoder encodes for a view, the view's crop in it, and its distances to signals.

Blocks lie on a fixed lattice of the network's grid, each as wide as its cell and a crop: what is clicked in a cell
lies with its whole crop in that cell's block, so a view's result depends on nothing but its block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nuclick_wsi.models.network import STRIDE
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Map, Pixels

PITCH = 128
"""Side of a lattice cell in grid pixels: larger ones cost a lone click more, smaller ones many clicks."""

_NO_SIGNAL = 1e4
"""The distance to a signal that is not there."""

_NOWHERE = -1e6
"""Row and column of a pixel that is further away than that."""


@dataclass(frozen=True, slots=True)
class BlockPlace:
    """Where a view lies in its block.

    Attributes
    ----------
    block
        The window of the block.
    crop
        The window that the network draws: the view's, begun at an even pixel of the block and `STRIDE` pixels wider.
    """

    block: Window
    crop: Window

    @classmethod
    def of(cls, view: Window) -> "BlockPlace":
        """Return where a square view lies."""
        half = view.width // 2
        left, top = ((middle // PITCH) * PITCH - half for middle in (view.x + half, view.y + half))
        side = PITCH + view.width
        x, y = (corner - (corner - begin) % STRIDE for corner, begin in ((view.x, left), (view.y, top)))
        wider = view.width + STRIDE
        return cls(Window(left, top, side, side), Window(x, y, wider, wider))


def distance_maps(signals: Map, corner: Pixels) -> NDArray[np.float32]:
    """Return float32 (2, F, F): pixels from the middle of each of the crop's features to each map's nearest signal.

    Parameters
    ----------
    signals
        (2, S, S): inclusion and exclusion map of a view. What lies outside the view leaves no trace.
    corner
        Row and column of the view's first pixel in its crop, which is `STRIDE` pixels wider.
    """
    side = signals.shape[1] + STRIDE
    return np.stack([distances_to(np.argwhere(drawn) + corner, side) for drawn in signals])


def distances_to(pixels: Pixels, side: int) -> NDArray[np.float32]:
    """Return float32 (F, F): pixels from the middle of each of a crop's features to the nearest of some pixels.

    Parameters
    ----------
    pixels
        (N, 2) row and column in the crop; of none, everything is far away.
    side
        Of the crop, in pixels.
    """
    middles = np.arange((STRIDE - 1) / 2, side, STRIDE, dtype=np.float32)
    if not len(pixels):
        return np.full((len(middles), len(middles)), _NO_SIGNAL, np.float32)
    rows, columns = ((middles[:, None] - pixels[:, axis].astype(np.float32)) ** 2 for axis in (0, 1))
    nearest: NDArray[np.float32] = np.sqrt((rows[:, None, :] + columns[None, :, :]).min(axis=2))
    return nearest


def stacked(signals: Sequence[Pixels]) -> NDArray[np.float32]:
    """Return the pixels of N signals in one array for `distances_in`: float32 (N, K, 2), filled up with far ones."""
    longest = max(1, *map(len, signals))
    rows = np.full((len(signals), longest, 2), _NOWHERE, np.float32)
    for row, pixels in zip(rows, signals, strict=True):
        row[: len(pixels)] = pixels
    return rows


def distances_in(pixels: torch.Tensor, side: int) -> torch.Tensor:
    """Return what `distances_to` does, up to the last bit, for N signals at once, on their device.

    Parameters
    ----------
    pixels
        N x K x 2, as `stacked` makes them.
    side
        Of the crops, in pixels.

    Returns
    -------
    distances
        N x F x F float32.
    """
    middles = torch.arange((STRIDE - 1) / 2, side, STRIDE, device=pixels.device)
    if pixels.shape[1] > side:
        rows, columns = _rows_by_column(pixels, middles, side)
    else:
        rows, columns = ((middles - pixels[..., axis, None]) ** 2 for axis in (0, 1))
    nearest = torch.full((len(pixels), len(middles), len(middles)), _NO_SIGNAL**2, device=pixels.device)
    # One pixel or column of every signal at a time: all at once would not fit where a line has hundreds.
    for row, column in zip(rows.unbind(1), columns.unbind(1), strict=True):
        torch.minimum(nearest, row[:, :, None] + column[:, None, :], out=nearest)
    return nearest.sqrt_()


def _rows_by_column(pixels: torch.Tensor, middles: torch.Tensor, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return squared distances from middles to the nearest pixel in each column of N signals, along rows and columns.

    Thousands of clicks in one place exclude each other: they are as many columns as one has. All sums are exact, so
    nothing else comes of it.

    Returns
    -------
    rows, columns
        N x S x F float32, both.
    """
    # Pixels that fill up a signal are marked in a row and a column of their own, which is cut off.
    row, column = torch.where(pixels >= 0, pixels, side).long().unbind(2)
    marked = torch.zeros((len(pixels), side + 1, side + 1), dtype=torch.bool, device=pixels.device)
    marked[torch.arange(len(pixels), device=pixels.device)[:, None], row, column] = True
    marked = marked[:, :side, :side]
    numbers = torch.arange(side, dtype=torch.float32, device=pixels.device)
    above = torch.where(marked, numbers[:, None], _NOWHERE).cummax(1).values[:, middles.floor().long()]
    below = torch.where(marked, numbers[:, None], -_NOWHERE).flip(1).cummin(1).values.flip(1)[:, middles.ceil().long()]
    rows = torch.minimum(middles[:, None] - above, below - middles[:, None]) ** 2
    columns = ((middles - numbers[:, None]) ** 2).expand(len(pixels), -1, -1)
    return rows.transpose(1, 2), columns
