"""Positions and extents on a slide.

Everything here is in *slide pixels*: pixels of level 0, x to the right, y down, integers at pixel corners. A pixel
(i, j) covers [i, i + 1) x [j, j + 1); regions are half-open in the same way.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Point:
    """A position in slide pixels (level 0)."""

    x: float
    y: float

    def __post_init__(self) -> None:
        try:
            is_finite = math.isfinite(self.x) and math.isfinite(self.y)
        except TypeError as error:
            raise ValueError(f"a point needs two numbers, Point(x, y), not ({self.x!r}, {self.y!r})") from error
        if not is_finite:
            raise ValueError(f"a point needs finite coordinates, not ({self.x}, {self.y})")

    @classmethod
    def of(cls, value: object) -> "Point":
        """Return a point from itself, or from any pair (x, y); ValueError for anything else."""
        if isinstance(value, cls):
            return value
        try:
            x, y = map(float, value)  # type: ignore[call-overload]  # what it is shows in the error
        except (TypeError, ValueError) as error:
            raise ValueError(f"a point is Point(x, y) or a pair (x, y) of numbers, not {value!r:.80}") from error
        return cls(x, y)


@dataclass(frozen=True, slots=True)
class Size:
    """Width and height in whole pixels of the frame that the name says."""

    width: int
    height: int

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise ValueError(f"a size needs at least one pixel each way, not {self.width} x {self.height}")


@dataclass(frozen=True, slots=True)
class Region:
    """A half-open rectangle [x, x + width) x [y, y + height) in slide pixels (level 0)."""

    x: float
    y: float
    width: float
    height: float

    def __post_init__(self) -> None:
        if not all(math.isfinite(value) for value in (self.x, self.y, self.width, self.height)):
            raise ValueError(f"a region needs finite numbers, not {self}")
        if self.width < 0 or self.height < 0:
            raise ValueError(f"a region cannot have a negative extent: {self.width} x {self.height}")

    @classmethod
    def of(cls, size: Size) -> "Region":
        """Return the region of a whole slide."""
        return cls(0, 0, size.width, size.height)

    def contains(self, point: Point) -> bool:
        """Whether a point lies inside; the left and top edges belong to the region, the others do not."""
        return self.x <= point.x < self.x + self.width and self.y <= point.y < self.y + self.height
