"""Slide pixels at the network's pixel size: which level to read, and one resampling with a proper filter.

It reads windows of the grid as RGB pixels. The colour of a grid pixel never depends on the window that it is read in.
"""

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import Grid, PixelSize, Window
from nuclick_wsi.slides.slide import Level, Slide, SlideInfo

LEVEL_TOLERANCE = 0.05
"""How far a level's own pixel size may be from the network's to be taken as it is: pixels stay as sharp as they are,
and networks are trained with larger changes of scale than this."""

_FINER = 1.01
"""A level still counts as fine enough when it is coarser than asked for by rounding only."""

_STEPS = 256
"""Ratios are whole multiples of 1/256. Pillow keeps a box in single precision, which holds such numbers exactly up to
65,536 px, so that every window gives the same weights; the pixel size moves by 0.2 % at most when downsampling."""

_LOBES = 3
"""Lanczos reaches three output pixels to either side when it shrinks, three input pixels when it enlarges."""

_FILTER = Image.Resampling.LANCZOS

_MOST_PIXELS = 1 << 24
"""Pixels of a level that are held at once: 48 MiB."""

_WHITE = 255


def grid_for(info: SlideInfo, pixel_size: PixelSize, target_mpp: float) -> Grid:
    """Return the grid on which a slide is shown to a network.

    Parameters
    ----------
    info
        The slide.
    pixel_size
        Of its level 0, in microns; see `nuclick_wsi.slides.slide.resolve_pixel_size`.
    target_mpp
        Microns per pixel that the network was trained at.

    Returns
    -------
    Grid
        With a downsample of exactly a level's, where that is within 5 % of the network's; else of a level's times a
        multiple of 1/256. Below 1 where the slide is coarser than the network's pixels.
    """
    wanted = target_mpp / pixel_size.mean
    nearest = min((level.downsample for level in info.levels), key=lambda own: abs(math.log(own / wanted)))
    if abs(nearest / wanted - 1) > LEVEL_TOLERANCE:
        own = info.levels[choose_level(info.levels, wanted)].downsample
        nearest = own * max(1, round(wanted / own * _STEPS)) / _STEPS
    return Grid(nearest, pixel_size.area_um2 * nearest * nearest)


def choose_level(levels: Sequence[Level], downsample: float) -> int:
    """Return the index of the coarsest level that is still at least as fine as a downsample."""
    fine_enough = [index for index, level in enumerate(levels) if level.downsample <= downsample * _FINER]
    return max(fine_enough, key=lambda index: levels[index].downsample, default=0)


def read_window(slide: Slide, grid: Grid, window: Window) -> NDArray[np.uint8]:
    """Read a window of the grid from the level that suits it; white outside the slide.

    Parameters
    ----------
    slide
        The slide to read; grid and window are in its frame.
    grid
        The pixel size to read at.
    window
        In whole grid pixels; it may reach beyond the slide.

    Returns
    -------
    array of shape (height, width, 3), uint8
        Red, green, blue. A pixel is the same in every window that has it: exactly so on a grid of `grid_for`, within
        two grey levels on others.

    Raises
    ------
    SlideError
        If the file cannot be read there.
    """
    pixels = np.full((*window.shape, 3), _WHITE, np.uint8)
    resampler = _Resampler(slide, grid)
    inside = window.intersection(resampler.extent)
    if inside is not None:
        for strip in resampler.strips(inside):
            pixels[strip.slices_in(window)] = resampler.read(strip)
    return pixels


class _Resampler:
    """One level of a slide, seen on a grid."""

    def __init__(self, slide: Slide, grid: Grid) -> None:
        info = slide.info
        self._slide = slide
        self._index = choose_level(info.levels, grid.downsample)
        self._level = info.levels[self._index]
        self._ratio = _rounded(grid.downsample / self._level.downsample)
        self._shift = _rounded(self._level.shift_x), _rounded(self._level.shift_y)
        self.extent = grid.extent(info.size)
        # Up to here the kernel takes pixels: those of the slide, and the white rest of its last grid pixel.
        self._end = tuple(
            math.ceil(side * self._ratio + shift)
            for side, shift in zip((self.extent.width, self.extent.height), self._shift, strict=True)
        )
        self._margin = math.ceil(_LOBES * max(self._ratio, 1)) + 1

    def strips(self, window: Window) -> Iterator[Window]:
        """Cut a window into strips of whole rows, each small enough to hold its level's pixels in memory."""
        columns = math.ceil(window.width * self._ratio) + 2 * self._margin
        rows = max(1, math.floor((_MOST_PIXELS / columns - 2 * self._margin) / self._ratio))
        for top in range(window.y, window.bottom, rows):
            yield Window(window.x, top, window.width, min(rows, window.bottom - top))

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Read a window inside the slide's extent, with all that the filter needs around it."""
        if self._ratio == 1 and self._shift == (0, 0):
            return self._slide.read(self._index, window.x, window.y, Size(window.width, window.height))
        left, x0, x1, right = self._reach(window.x, window.right, 0)
        top, y0, y1, bottom = self._reach(window.y, window.bottom, 1)
        source = self._slide.read(self._index, left, top, Size(right - left, bottom - top))
        # Columns first, always: in one call Pillow takes the cheaper order, which depends on the window's shape, and
        # what lies between the passes is cut to 0..255.
        image = Image.fromarray(source)
        image = image.resize((window.width, image.height), _FILTER, (x0 - left, 0, x1 - left, image.height))
        image = image.resize((window.width, window.height), _FILTER, (0, y0 - top, window.width, y1 - top))
        return np.asarray(image)

    def _reach(self, start: int, stop: int, axis: int) -> tuple[int, float, float, int]:
        """Return where grid pixels [start, stop) begin and end in level pixels, between the first and last to read."""
        first, last = start * self._ratio + self._shift[axis], stop * self._ratio + self._shift[axis]
        return (
            max(0, math.floor(first) - self._margin),
            first,
            last,
            min(self._end[axis], math.ceil(last) + self._margin),
        )


def _rounded(value: float) -> float:
    """Return the multiple of 1/256 that a number is but for rounding errors, else the number."""
    rounded = round(value * _STEPS) / _STEPS
    return rounded if math.isclose(value, rounded, rel_tol=1e-9, abs_tol=1e-9) else value
