"""How much of each stain an object has: colour deconvolution of the slide's pixels inside its outline."""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from nuclick_wsi.errors import SlideError
from nuclick_wsi.exports.numbered import Numbered
from nuclick_wsi.exports.rasterize import Raster, pixels_of
from nuclick_wsi.scale import Grid, PixelSize, Window
from nuclick_wsi.slides.resample import grid_for, read_window
from nuclick_wsi.slides.slide import Slide

STAINS = ("hematoxylin", "eosin", "dab")
"""In the order of scikit-image's `rgb2hed`, which takes the stains apart (Ruifrok and Johnston 2001)."""

READ_AT_UM = 0.5
"""The pixel size that colours are measured at; coarser slides are read as they are."""

_CELL = 1024
"""Side in pixels of the lattice by which objects are grouped, to be read together."""

Intensities = tuple[float, ...]
"""Of one object, for each of `STAINS`: the mean of its pixels."""


def stain_intensities(slide: Slide, pixel_size: PixelSize, objects: Iterable[Numbered]) -> dict[int, Intensities]:
    """Return the mean intensity of each stain by an object's number.

    Objects that have no pixel of that size, and those where the slide cannot be read, are left out.

    Parameters
    ----------
    pixel_size
        Of level 0.
    """
    grid = grid_for(slide.info, pixel_size, max(READ_AT_UM, pixel_size.mean))
    found: dict[int, Intensities] = {}
    for members in _grouped(objects, grid):
        found.update(_of_group(slide, grid, members))
    return found


def _grouped(objects: Iterable[Numbered], grid: Grid) -> Iterator[list[tuple[Numbered, Window]]]:
    """Yield the objects that lie in one cell of a lattice, each with the window of its bounding box."""
    cells: dict[tuple[int, int], list[tuple[Numbered, Window]]] = {}
    for one in objects:
        left, top, right, bottom = (edge / grid.downsample for edge in one.instance.polygon.bounds)
        window = Window(math.floor(left), math.floor(top), 1, 1)
        box = Window.union([window, Window(math.ceil(right) - 1, math.ceil(bottom) - 1, 1, 1)])
        cells.setdefault((window.y // _CELL, window.x // _CELL), []).append((one, box))
    for cell in sorted(cells):
        yield cells[cell]


def _of_group(slide: Slide, grid: Grid, members: list[tuple[Numbered, Window]]) -> Iterator[tuple[int, Intensities]]:
    from skimage.color import rgb2hed  # noqa: PLC0415  (0.3 s, for those who measure)

    whole = Window.union([window for _, window in members])
    try:
        pixels = read_window(slide, grid, whole)
    except SlideError:
        return
    for one, window in members:
        drawn = pixels_of(one.instance.polygon, Raster(window, grid.downsample))
        if drawn is not None:
            place, mask = drawn
            inside = pixels[window.slices_in(whole)][place][mask]
            yield one.number, tuple(np.mean(rgb2hed(inside[None]), axis=(0, 1)).tolist())
