"""Positions and extents in slide pixels: finite, half-open, at pixel corners."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuclick_wsi.geometry import Point, Region, Size

NUMBERS = st.floats(-1e6, 1e6)
EXTENTS = st.floats(0, 1e6)
REGIONS = st.builds(Region, NUMBERS, NUMBERS, EXTENTS, EXTENTS)


@given(width=st.integers(1, 500), height=st.integers(1, 500), column=st.integers(0, 499), row=st.integers(0, 499))
def test_a_slide_contains_the_corners_of_its_pixels_and_not_the_far_edges(
    width: int, height: int, column: int, row: int
) -> None:
    slide = Region.of(Size(width, height))
    assert slide.contains(Point(column, row)) == (column < width and row < height)
    assert not slide.contains(Point(width, row))
    assert not slide.contains(Point(column, height))


@given(region=REGIONS, cut=st.floats(0, 1), point=st.builds(Point, NUMBERS, NUMBERS))
def test_two_halves_of_a_region_share_no_point_and_lose_none(region: Region, cut: float, point: Point) -> None:
    middle = region.x + cut * region.width
    right_edge = region.x + region.width
    left = Region(region.x, region.y, middle - region.x, region.height)
    right = Region(middle, region.y, max(right_edge - middle, 0), region.height)
    if left.x + left.width == middle and right.x + right.width == right_edge:  # no rounding in the sums
        assert region.contains(point) == (left.contains(point) + right.contains(point))


@given(st.lists(st.one_of(NUMBERS, st.just(math.nan), st.just(math.inf)), min_size=4, max_size=4))
def test_regions_are_finite_and_never_negative(numbers: list[float]) -> None:
    if all(map(math.isfinite, numbers)) and min(numbers[2:]) >= 0:
        assert Region(*numbers) == Region(*numbers)
    else:
        with pytest.raises(ValueError, match="region"):
            Region(*numbers)


@pytest.mark.parametrize("sides", [(0, 1), (1, 0), (-1, 5)])
def test_a_size_has_at_least_one_pixel(sides: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        Size(*sides)
