"""Pixel sizes, windows and the grid."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuclick_wsi.geometry import Point, Size
from nuclick_wsi.scale import Grid, PixelSize, Window

downsamples = st.floats(0.2, 40)
offsets = st.integers(-1000, 200_000)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    return Window(*(draw(st.integers(-8, 8)) for _ in range(2)), *(draw(st.integers(1, 8)) for _ in range(2)))


def pixels(window: Window) -> set[tuple[int, int]]:
    return {(x, y) for x in range(window.x, window.right) for y in range(window.y, window.bottom)}


@pytest.mark.parametrize("bad", [0.0, -0.25, math.nan, math.inf])
def test_a_pixel_size_or_a_grid_that_is_not_a_positive_number_is_refused(bad: float) -> None:
    with pytest.raises(ValueError, match="positive"):
        PixelSize(0.25, bad)
    with pytest.raises(ValueError, match="downsample"):
        Grid(bad, 1.0)
    with pytest.raises(ValueError, match="um2"):
        Grid(1.0, bad)


def test_the_area_of_a_pixel_that_is_not_square_is_the_product_of_its_sides() -> None:
    size = PixelSize(0.2, 0.3)
    assert size.area_um2 == pytest.approx(0.06)
    assert size.mean == pytest.approx(0.25)


def test_an_empty_window_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one pixel"):
        Window(0, 0, 0, 5)


@given(windows(), windows())
def test_windows_intersect_and_contain_as_sets_of_pixels_do(a: Window, b: Window) -> None:
    shared = a.intersection(b)
    assert (pixels(shared) if shared else set()) == pixels(a) & pixels(b)
    assert a.contains(b) == (pixels(b) <= pixels(a))
    assert shared == b.intersection(a)


@given(windows(), windows())
def test_the_slices_of_a_window_pick_its_own_pixels_from_an_array_of_the_other(a: Window, b: Window) -> None:
    rows, columns = np.mgrid[b.y : b.bottom, b.x : b.right]
    if not b.contains(a):
        with pytest.raises(ValueError, match="does not lie inside"):
            a.slices_in(b)
        return
    part = a.slices_in(b)
    assert rows[part].shape == a.shape
    assert set(zip(columns[part].ravel(), rows[part].ravel(), strict=True)) == pixels(a)


@given(downsamples, offsets, offsets, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_slide_point_lies_in_the_grid_pixel_that_it_is_said_to_lie_in(
    downsample: float, column: int, row: int, across: float, down: float
) -> None:
    grid = Grid(downsample, 0.0625)
    assert grid.pixel_of(Point((column + across) * downsample, (row + down) * downsample)) == (column, row)


def test_points_left_of_the_slide_fall_into_negative_pixels() -> None:
    assert Grid(2.0, 1.0).pixel_of(Point(-0.1, -2.1)) == (-1, -2)


@settings(deadline=None)
@given(downsamples, offsets, st.lists(st.integers(0, 600), min_size=2, max_size=20, unique=True))
def test_corners_that_differ_stay_in_order_and_differ_after_rounding(
    downsample: float, offset: int, corners: list[int]
) -> None:
    ordered = np.array(sorted(corners)) + offset
    on_slide = Grid(downsample, 1.0).to_slide(ordered)
    assert (np.diff(on_slide) > 0).all()
    assert on_slide == pytest.approx(ordered * downsample, abs=0.00501)
    assert on_slide.tolist() == [round(value, 2) for value in on_slide.tolist()]


def test_an_area_in_microns_becomes_the_nearest_number_of_pixels() -> None:
    grid = Grid(1.0, 0.0625)
    assert [grid.um2_to_px(area) for area in (0.0, 0.625, 0.65, 0.66)] == [0, 10, 10, 11]


@given(
    downsample=st.floats(0.2, 40),
    size=st.builds(Size, st.integers(1, 200_000), st.integers(1, 200_000)),
)
def test_every_column_and_row_of_the_extent_has_a_part_of_the_slide_that_rounding_leaves(
    downsample: float, size: Size
) -> None:
    grid = Grid(downsample, 1.0)
    extent = grid.extent(size)
    left, top = grid.to_slide(np.array([extent.right - 1, extent.bottom - 1]))
    assert left < size.width
    assert top < size.height
    right, bottom = grid.to_slide(np.array([extent.right, extent.bottom]))
    assert right >= size.width - 0.01
    assert bottom >= size.height - 0.01


def test_the_union_of_windows_is_the_smallest_that_contains_them_all() -> None:
    windows = [Window(3, -2, 4, 5), Window(-1, 0, 2, 9), Window(4, 1, 1, 1)]
    union = Window.union(windows)
    assert union == Window(-1, -2, 8, 11)
    assert all(union.contains(window) for window in windows)
    assert Window.union(windows[:1]) == windows[0]
