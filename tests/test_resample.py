import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_slides import ArraySource, array_slide, noise, shrunk, smooth_image
from PIL import Image

from nuclick_wsi.geometry import Region, Size
from nuclick_wsi.scale import Grid, PixelSize, Window
from nuclick_wsi.slides import resample
from nuclick_wsi.slides.readers.framed import FramedSlide, true_downsample
from nuclick_wsi.slides.resample import choose_level, grid_for, read_window
from nuclick_wsi.slides.slide import Frame, Level

QUARTER = PixelSize(0.25, 0.25)
NOISE = noise(301, 223)
NOISY = array_slide(NOISE, shrunk(NOISE, 2), shrunk(NOISE, 4))


def grid(downsample):
    return Grid(downsample, 1.0)


def whole(slide, downsample):
    size = slide.info.size
    return Window(0, 0, math.ceil(size.width / downsample), math.ceil(size.height / downsample))


def differences(one, other):
    return np.abs(one.astype(int) - other.astype(int))


@pytest.mark.parametrize(
    ("target", "downsample"),
    [(0.25, 1), (0.26, 1), (0.24, 1), (0.5, 2), (0.487, 2), (1, 4), (1.04, 4), (0.125, 0.5), (2, 8), (0.75, 3)],
)
def test_a_grid_takes_a_level_as_it_is_where_its_pixels_are_within_five_percent(target, downsample):
    made = grid_for(NOISY.info, QUARTER, target)
    assert made.downsample == downsample
    assert made.pixel_area_um2 == pytest.approx((downsample * 0.25) ** 2)


@given(st.floats(0.06, 8), st.floats(0.1, 1))
def test_a_grid_has_the_networks_pixel_size_to_five_percent_when_shrinking(target, mpp):
    made = grid_for(NOISY.info, PixelSize(mpp, mpp), target)
    tolerance = 0.05 if made.downsample >= 0.25 else 0.1
    assert made.downsample * mpp == pytest.approx(target, rel=tolerance)


@given(st.floats(0.06, 8))
def test_a_grids_ratio_to_its_level_is_a_multiple_of_one_256th(target):
    made = grid_for(NOISY.info, QUARTER, target)
    level = NOISY.info.levels[choose_level(NOISY.info.levels, made.downsample)]
    assert (made.downsample / level.downsample * 256).is_integer()


def test_a_slide_coarser_than_the_network_is_upsampled_and_the_grid_says_so():
    assert grid_for(NOISY.info, PixelSize(0.5, 0.5), 0.25).downsample == 0.5
    assert grid_for(NOISY.info, PixelSize(0.26, 0.26), 0.25).downsample == 1


@pytest.mark.parametrize(
    ("downsample", "index"), [(0.5, 0), (1, 0), (1.9, 0), (2, 1), (3.9, 1), (3.97, 2), (4, 2), (7, 2), (16, 3), (99, 3)]
)
def test_the_level_is_the_coarsest_that_is_fine_enough(downsample, index):
    size = Size(9, 9)
    assert choose_level([Level(own, size) for own in (1.0, 2.0, 4.0003, 16.002)], downsample) == index


@pytest.mark.parametrize(("downsample", "level"), [(1, 0), (2, 1), (4, 2)])
def test_a_grid_on_a_level_gives_that_levels_own_pixels(downsample, level):
    size = NOISY.info.levels[level].size
    seen = read_window(NOISY, grid(downsample), Window(0, 0, size.width, size.height))
    assert np.array_equal(seen, NOISY.read(level, 0, 0, size))


@pytest.mark.parametrize("downsample", [0.5, 1.5, 2.5, 3])
def test_a_whole_slide_is_resampled_as_pillow_does_it(downsample):
    image = noise(300, 240)
    slide = array_slide(image)
    window = whole(slide, downsample)
    # In two steps, because Pillow chooses the order of its passes by the shape of the picture.
    expected = Image.fromarray(image).resize((window.width, 240), Image.Resampling.LANCZOS)
    expected = expected.resize((window.width, window.height), Image.Resampling.LANCZOS)
    assert np.array_equal(read_window(slide, grid(downsample), window), np.asarray(expected))


def windows(columns, rows):
    side = st.integers(1, 60)
    return st.builds(Window, st.integers(-30, columns), st.integers(-30, rows), side, side)


@settings(deadline=None, max_examples=300)
@given(st.floats(0.06, 4), windows(150, 120), windows(150, 120))
def test_two_windows_agree_exactly_where_they_overlap_on_a_grid_for_a_network(target, one, other):
    made = grid_for(NOISY.info, QUARTER, target)
    shared = one.intersection(other)
    if shared is not None:
        first, second = (read_window(NOISY, made, window)[shared.slices_in(window)] for window in (one, other))
        assert np.array_equal(first, second)


@settings(deadline=None, max_examples=300)
@given(st.floats(0.3, 7), windows(150, 120), windows(150, 120))
def test_two_windows_agree_within_two_grey_levels_on_any_grid(downsample, one, other):
    shared = one.intersection(other)
    if shared is not None:
        parts = [read_window(NOISY, grid(downsample), window)[shared.slices_in(window)] for window in (one, other)]
        assert differences(*parts).max() <= 2


@settings(deadline=None)
@given(st.sampled_from([0.5, 1, 1.7, 2, 3.1, 4]), windows(320, 240))
def test_pixels_without_any_part_of_the_slide_are_white(downsample, window):
    seen = read_window(NOISY, grid(downsample), window)
    slide = whole(NOISY, downsample).intersection(window)
    if slide is not None:
        seen[slide.slices_in(window)] = 255
    assert seen.min() == 255


@pytest.mark.parametrize("downsample", [2, 4, 5, 8, 2.75, 4.4])
def test_reading_from_a_coarse_level_equals_reading_from_level_0(downsample):
    image = smooth_image(640, 480, period=96)
    levels, plain = array_slide(image, shrunk(image, 2), shrunk(image, 4)), array_slide(image)
    window = whole(plain, downsample)
    assert choose_level(levels.info.levels, downsample) > 0
    seen, expected = (read_window(slide, grid(downsample), window) for slide in (levels, plain))
    # The outermost pixels differ more: where the kernel is cut off, it leans towards the inside.
    inner = (slice(3, -3), slice(3, -3))
    assert differences(seen[inner], expected[inner]).max() <= 2
    # This is no weak test: half a pixel of the grid aside is off by more.
    aside = np.asarray(
        Image.fromarray(expected).resize(
            (window.width - 1, window.height), box=(0.5, 0, window.width - 0.5, window.height)
        )
    )
    assert differences(seen[:, :-1][inner], aside[inner]).max() > 4


@pytest.mark.parametrize("downsample", [2.5, 4, 10])
def test_a_level_whose_downsample_is_no_whole_number_is_read_in_place(downsample):
    image = smooth_image(1000, 750, period=120)
    coarse = shrunk(image.repeat(2, axis=0).repeat(2, axis=1), 5)
    levels, plain = array_slide(image, coarse), array_slide(image)
    assert [level.downsample for level in levels.info.levels] == [1, 2.5]
    window = whole(plain, downsample)
    seen, expected = (read_window(slide, grid(downsample), window)[3:-3, 3:-3] for slide in (levels, plain))
    assert differences(seen, expected).max() <= 2


@pytest.mark.parametrize(
    ("full", "level", "downsample"),
    [
        (Size(574, 433), Size(287, 216), 2),
        (Size(46000, 32914), Size(11500, 8228), 4),
        (Size(46000, 32914), Size(11500, 8229), 4),
        (Size(300, 250), Size(37, 31), 8),
        (Size(1000, 750), Size(400, 300), 2.5),
        (Size(1000, 1000), Size(330, 330), 1000 / 330),
        (Size(3, 5), Size(3, 5), 1),
        (Size(7, 9000), Size(1, 1125), 8),
    ],
)
def test_the_true_downsample_is_the_whole_number_that_explains_both_sides(full, level, downsample):
    assert true_downsample(full, level) == pytest.approx(downsample)


def test_upsampled_pixels_stay_in_place():
    image = smooth_image(200, 160)
    seen = read_window(array_slide(image), grid(0.5), Window(0, 0, 400, 320))
    assert differences(shrunk(seen, 2), image).max() <= 2


@pytest.mark.parametrize("downsample", [1, 3, 4, 7])
def test_the_frame_of_the_bounds_is_read_in_place_even_where_it_cuts_through_a_pixel(downsample):
    image = smooth_image(640, 480, period=96)
    bounds = Region(131, 66, 400, 300)
    levels = array_slide(image, shrunk(image, 4), bounds=bounds, frame=Frame.BOUNDS)
    plain = array_slide(image[66:366, 131:531])
    assert levels.info.size == plain.info.size
    window = whole(plain, downsample)
    # Not at the edges: there one of the two sees the slide go on.
    seen, expected = (read_window(slide, grid(downsample), window)[4:-4, 4:-4] for slide in (levels, plain))
    assert differences(seen, expected).max() <= (0 if downsample == 1 else 2)


def test_large_windows_are_read_in_strips_that_fit_in_memory(monkeypatch):
    image = noise(2000, 1600)
    source = ArraySource([image])
    slide = FramedSlide(Path("array"), source, Frame.FULL)
    window = Window(0, 0, 125, 100)
    at_once = read_window(slide, grid(16), window)
    source.read_sizes.clear()
    monkeypatch.setattr(resample, "_MOST_PIXELS", 500_000)
    assert np.array_equal(read_window(slide, grid(16), window), at_once)
    assert len(source.read_sizes) > 5
    assert max(size.width * size.height for size in source.read_sizes) <= 500_000


def test_a_window_beside_the_slide_is_white_and_reads_nothing():
    source = ArraySource([noise(64, 64)])
    slide = FramedSlide(Path("array"), source, Frame.FULL)
    assert read_window(slide, grid(1.5), Window(500, 0, 20, 10)).min() == 255
    assert source.read_sizes == []
