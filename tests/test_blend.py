"""Several looks at one object become one probability map."""

from itertools import permutations
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Probabilities
from nuclick_wsi.segmentation.blend import blend, resample_probabilities

Look = tuple[Window, Probabilities]

ENDLESS = Window(-(10**9), -(10**9), 2 * 10**9, 2 * 10**9)


@st.composite
def looks(draw: st.DrawFn) -> list[Look]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    windows = [
        Window(*(draw(st.integers(-6, 6)) for _ in range(2)), *(draw(st.integers(1, 12)) for _ in range(2)))
        for _ in range(draw(st.integers(1, 5)))
    ]
    return [(window, rng.random(window.shape, dtype=np.float32)) for window in windows]


@settings(deadline=None)
@given(looks(), st.integers())
def test_the_order_of_crops_does_not_change_a_bit(crops: list[Look], seed: int) -> None:
    shuffled = Random(seed).sample(crops, len(crops))
    (window, blended), (window_too, blended_too) = blend(crops), blend(shuffled)
    assert window == window_too
    np.testing.assert_array_equal(blended, blended_too)


def test_even_sums_that_round_differently_in_another_order_come_out_alike() -> None:
    # Added up from the left, the two smallest vanish; added to each other first, they tip a tie upwards.
    values = [1.0, 2.0**-24, 2.0**-53, 2.0**-53]
    pixel = Window(0, 0, 1, 1)
    results = {
        float(blend([(pixel, np.full((1, 1), value, np.float32)) for value in order])[1][0, 0])
        for order in permutations(values)
    }
    assert len(results) == 1


@settings(deadline=None)
@given(looks())
def test_a_blend_lies_between_the_crops_and_is_zero_where_there_is_none(crops: list[Look]) -> None:
    union, blended = blend(crops)
    low, high = np.ones(union.shape, np.float32), np.zeros(union.shape, np.float32)
    for window, probabilities in crops:
        place = window.slices_in(union)
        low[place], high[place] = np.minimum(low[place], probabilities), np.maximum(high[place], probabilities)
    seen = low <= high
    assert blended.dtype == np.float32
    assert (blended[seen] >= low[seen]).all()
    assert (blended[seen] <= high[seen]).all()
    assert (blended[~seen] == 0).all()


def test_each_crop_counts_most_in_its_own_middle() -> None:
    left = Window(0, 0, 8, 4), np.zeros((4, 8), np.float32)
    right = Window(4, 0, 8, 4), np.ones((4, 8), np.float32)
    window, blended = blend([left, right])
    assert window == Window(0, 0, 12, 4)
    across = blended[1]
    assert (across[:4] == 0).all()
    assert (across[8:] == 1).all()
    assert (np.diff(across[3:9]) > 0).all()
    assert across[4:8] + across[7:3:-1] == pytest.approx(np.ones(4))


grids = st.floats(0.2, 40)
factors = st.one_of(st.sampled_from([1.0, 2.0, 4.0]), st.floats(1, 8))


@settings(deadline=None)
@given(grids, factors, st.integers(-50, 50_000), st.integers(1, 20), st.integers(1, 20))
def test_resampling_a_slope_gives_the_slope_at_the_centres(
    downsample: float, factor: float, start: int, height: int, width: int
) -> None:
    fine, coarse = Grid(downsample, 1.0), Grid(downsample * factor, factor**2)
    source = Window(start, -3, width, height)
    slope = np.full(source.shape, (np.arange(width) + 0.5) / 32, dtype=np.float32)
    window, resampled = resample_probabilities(slope, coarse, source, fine, ENDLESS)
    assert resampled.shape == window.shape
    centres = (np.arange(window.x, window.right) + 0.5) / factor - start
    expected = np.clip(centres, 0.5, width - 0.5) / 32
    np.testing.assert_allclose(resampled, np.broadcast_to(expected, window.shape), atol=1e-5)


@settings(deadline=None)
@given(grids, factors, st.integers(-50, 50_000), st.integers(1, 20), st.integers(1, 20))
def test_windows_that_tile_the_coarse_grid_tile_the_fine_one(
    downsample: float, factor: float, start: int, one: int, two: int
) -> None:
    fine, coarse = Grid(downsample, 1.0), Grid(downsample * factor, factor**2)
    left, right = Window(start, 0, one, 1), Window(start + one, 0, two, 1)
    parts = [resample_probabilities(np.ones((1, w.width), np.float32), coarse, w, fine, ENDLESS) for w in (left, right)]
    assert parts[0][0].right == parts[1][0].x
    assert all((part == 1).all() for _, part in parts)


def test_twice_as_fine_is_bilinear_with_the_border_held() -> None:
    values = np.array([[0.0, 1.0]], np.float32)
    window, resampled = resample_probabilities(values, Grid(2.0, 4.0), Window(3, 5, 2, 1), Grid(1.0, 1.0), ENDLESS)
    assert window == Window(6, 10, 4, 2)
    np.testing.assert_array_equal(resampled, [[0, 0.25, 0.75, 1]] * 2)


def test_on_the_same_grid_nothing_changes() -> None:
    values = np.random.default_rng(1).random((3, 4), dtype=np.float32)
    window, resampled = resample_probabilities(values, Grid(0.7, 1.0), Window(1, 2, 4, 3), Grid(0.7, 1.0), ENDLESS)
    assert window == Window(1, 2, 4, 3)
    np.testing.assert_array_equal(resampled, values)


@settings(deadline=None)
@given(st.floats(1.0, 5.0), st.integers(-20, 20), st.integers(1, 200), st.integers(-30, 60), st.integers(1, 50))
def test_only_what_lies_on_the_slide_is_resampled(factor: float, start: int, side: int, left: int, width: int) -> None:
    values = np.random.default_rng(side).random((side, 7), dtype=np.float32)
    coarse, fine, source = Grid(factor, 1.0), Grid(1.0, 1.0), Window(3, start, 7, side)
    whole, everything = resample_probabilities(values, coarse, source, fine, ENDLESS)
    slide = Window(left, left, width, width)
    if (wanted := whole.intersection(slide)) is not None:
        window, part = resample_probabilities(values, coarse, source, fine, slide)
        assert window == wanted
        np.testing.assert_array_equal(part, everything[window.slices_in(whole)])
