"""Pixel sizes, and the two frames of a slide: slide pixels (level 0) and the network's grid.

It converts sizes in microns and positions in slide pixels to whole pixels of the grid, and back. Only this module
multiplies by a ratio or rounds a coordinate.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from numbers import Real

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.geometry import Point, Size

DECIMALS = 2
"""Decimals of a slide coordinate that leaves us: QuPath keeps 0.01 px and refuses what is invalid after it."""


@dataclass(frozen=True, slots=True)
class PixelSize:
    """Width and height of a pixel in microns."""

    x_um: float
    y_um: float

    def __post_init__(self) -> None:
        if not all(isinstance(side, Real) and 0 < side < math.inf for side in (self.x_um, self.y_um)):
            raise ValueError(f"a pixel size needs two positive numbers of microns, not {self.x_um} x {self.y_um}")

    @classmethod
    def of(cls, value: object) -> "PixelSize":
        """Return a pixel size from itself, one number of microns, or two; ValueError for anything else."""
        if isinstance(value, cls):
            return value
        try:
            sides = (value, value) if isinstance(value, Real) else tuple(value)  # type: ignore[arg-type]
            x_um, y_um = map(float, sides)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"a pixel size is PixelSize(x, y), or one or two numbers of microns such as 0.25, not {value!r:.80}"
            ) from error
        return cls(x_um, y_um)

    @property
    def mean(self) -> float:
        """The mean of width and height in microns, for scales that know one number."""
        return (self.x_um + self.y_um) / 2

    @property
    def area_um2(self) -> float:
        """The area of one pixel in square microns."""
        return self.x_um * self.y_um


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open rectangle of whole grid pixels: columns [x, x + width), rows [y, y + height)."""

    x: int
    y: int
    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a window needs at least one pixel each way, not {self.width} x {self.height}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of an array that fills the window."""
        return self.height, self.width

    @property
    def right(self) -> int:
        """The first column to the right of the window."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """The first row below the window."""
        return self.y + self.height

    @property
    def edges(self) -> tuple[int, int, int, int]:
        """Left column, top row, and the first column and row beyond the window."""
        return self.x, self.y, self.right, self.bottom

    def contains(self, other: "Window") -> bool:
        """Whether all of the other window lies inside this one."""
        return self.x <= other.x and self.y <= other.y and other.right <= self.right and other.bottom <= self.bottom

    @property
    def widened(self) -> "Window":
        """The window with the pixels around it."""
        return Window(self.x - 1, self.y - 1, self.width + 2, self.height + 2)

    def intersection(self, other: "Window") -> "Window | None":
        """Return the pixels that both windows have; None where they share none."""
        left, top = max(self.x, other.x), max(self.y, other.y)
        width, height = min(self.right, other.right) - left, min(self.bottom, other.bottom) - top
        return Window(left, top, width, height) if width > 0 and height > 0 else None

    @classmethod
    def union(cls, windows: Iterable["Window"]) -> "Window":
        """Return the smallest window that contains all of these, at least one."""
        lefts, tops, rights, bottoms = zip(*(window.edges for window in windows), strict=True)
        left, top = min(lefts), min(tops)
        return cls(left, top, max(rights) - left, max(bottoms) - top)

    def slices_in(self, other: "Window") -> tuple[slice, slice]:
        """Return the rows and columns of this window in an array that fills the other, which contains it."""
        if not other.contains(self):
            raise ValueError(f"{self} does not lie inside {other}")
        top, left = self.y - other.y, self.x - other.x
        return slice(top, top + self.height), slice(left, left + self.width)


@dataclass(frozen=True, slots=True)
class Grid:
    """The slide resampled to the network's pixel size.

    Grid pixel (i, j) covers slide pixels [i * d, (i + 1) * d) x [j * d, (j + 1) * d), d the downsample: columns first,
    both frames with their origin at the slide's top left corner. The downsample is below 1 on a slide that is coarser
    than the network's pixel size.
    """

    downsample: float
    pixel_area_um2: float

    def __post_init__(self) -> None:
        if not 0 < self.downsample < math.inf:
            raise ValueError(f"a grid needs a positive downsample, not {self.downsample}")
        if not 0 < self.pixel_area_um2 < math.inf:
            raise ValueError(f"a grid needs a positive pixel area in um2, not {self.pixel_area_um2}")

    def position(self, point: Point) -> tuple[float, float]:
        """Return x and y of a slide point on the grid, in grid pixels, integers at pixel corners."""
        return point.x / self.downsample, point.y / self.downsample

    def pixel_of(self, point: Point) -> tuple[int, int]:
        """Return column and row of the grid pixel that holds a slide point."""
        x, y = self.position(point)
        return math.floor(x), math.floor(y)

    def to_slide(self, corners: NDArray[np.integer | np.floating]) -> NDArray[np.float64]:
        """Return positions on the grid, of any shape, in slide pixels rounded to 0.01.

        The map is monotone and the same for x and y. As long as a grid pixel is wider than 0.01 slide pixels, corners
        that differ stay different, so an outline along pixel edges that is valid on the grid is valid on the slide.
        """
        return np.round(corners * self.downsample, DECIMALS)

    def window_of(self, window: Window, source: "Grid") -> Window:
        """Return this grid's pixels that have a part of a window of another grid with the same origin."""
        left, top, right, bottom = (edge * source.downsample / self.downsample for edge in window.edges)
        x, y = math.floor(left), math.floor(top)
        return Window(x, y, math.ceil(right) - x, math.ceil(bottom) - y)

    def coarsened(self, factor: float) -> "Grid":
        """Return the grid whose pixels are `factor` times as wide, with the same origin."""
        return Grid(self.downsample * factor, self.pixel_area_um2 * factor * factor)

    def extent(self, size: Size) -> Window:
        """Return the grid pixels that have a part of a slide of this size, so much of it that rounding leaves some."""
        columns, rows = (
            max(1, math.ceil((side - 10**-DECIMALS / 2) / self.downsample)) for side in (size.width, size.height)
        )
        return Window(0, 0, columns, rows)

    def um2_to_px(self, area: float) -> int:
        """Return an area in square microns as the nearest whole number of grid pixels."""
        return math.floor(area / self.pixel_area_um2 + 0.5)

    def um_to_px(self, length: float) -> int:
        """Return a length in microns as the nearest whole number of grid pixels' mean widths."""
        return math.floor(length / math.sqrt(self.pixel_area_um2) + 0.5)


class AreaUnit(StrEnum):
    """What an area is counted in."""

    SQUARE_MICRONS = "um2"
    GRID_PIXELS = "px"


@dataclass(frozen=True, slots=True)
class Area:
    """An area with its unit, as a user writes it: `8um2`, or `50px` of the network's grid."""

    value: float
    unit: AreaUnit

    def __post_init__(self) -> None:
        if not 0 <= self.value < math.inf:
            raise ValueError(f"an area needs a number of at least 0, not {self.value}")

    @classmethod
    def parse(cls, text: str) -> "Area":
        """Return the area that a text such as `8um2`, `8 µm²` or `50px` names; ValueError for anything else."""
        plain = text.strip().lower().replace("µ", "u").replace("μ", "u").replace("²", "2").replace("^", "")
        for unit in AreaUnit:
            if plain.endswith(unit.value):
                return cls(float(plain.removesuffix(unit.value)), unit)
        raise ValueError(f"an area is a number and a unit, um2 or px, such as 8um2 or 50px, not {text!r}")

    def in_pixels(self, grid: Grid) -> int:
        """Return the area in whole pixels of a grid."""
        if self.unit is AreaUnit.GRID_PIXELS:
            return math.floor(self.value + 0.5)
        return grid.um2_to_px(self.value)
