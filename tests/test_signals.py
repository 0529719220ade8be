"""Guiding signals are exact, and depend on neither direction nor order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Pixels
from nuclick_wsi.segmentation.signals import exclusion_map, guiding_signals, inclusion_map, rasterize

coordinate = st.floats(-20, 60, allow_nan=False, width=32)
stroke = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=6).map(np.array)


def test_a_click_is_the_pixel_that_holds_it():
    assert rasterize([np.array([[3.999, 7.0]])]).tolist() == [[7, 3]]
    assert rasterize([np.array([[-0.5, 2.2]])]).tolist() == [[2, -1]]


@pytest.mark.parametrize(
    ("points", "pixels"),
    [
        ([(0.5, 0.5), (3.5, 0.5)], [[0, 0], [0, 1], [0, 2], [0, 3]]),
        ([(0.5, 0.5), (2.5, 2.5)], [[0, 0], [1, 1], [2, 2]]),
        ([(0.5, 0.5), (4.5, 2.5)], [[0, 0], [1, 1], [1, 2], [2, 3], [2, 4]]),
        ([(1.2, 1.2), (1.9, 1.9)], [[1, 1]]),
        ([(2.5, 0.5), (0.5, 0.5), (0.5, 1.5)], [[0, 0], [0, 1], [0, 2], [1, 0]]),
    ],
)
def test_strokes_are_lines_one_pixel_wide(points, pixels):
    assert rasterize([np.array(points)]).tolist() == pixels


@given(st.lists(stroke, min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_drawing_is_the_same_backwards_and_in_any_order(strokes):
    backwards = [points[::-1] for points in reversed(strokes)]
    assert np.array_equal(rasterize(strokes), rasterize(backwards))


@given(stroke)
@settings(max_examples=60, deadline=None)
def test_a_stroke_is_one_connected_line_through_its_vertices_without_repeats(points):
    pixels = rasterize([points])
    assert len(np.unique(pixels, axis=0)) == len(pixels)
    drawn = np.zeros((100, 100), bool)
    drawn[tuple((pixels + 30).T)] = True
    assert ndimage.label(drawn, np.ones((3, 3)))[1] == 1
    vertices = np.floor(points[:, ::-1]).astype(int)
    assert {tuple(vertex) for vertex in vertices} <= {tuple(pixel) for pixel in pixels}


@given(stroke.filter(lambda points: len(points) == 2))
@settings(max_examples=60, deadline=None)
def test_a_line_has_as_many_pixels_as_its_longer_side(points):
    (r0, c0), (r1, c1) = np.floor(points[:, ::-1]).astype(int)
    assert len(rasterize([points])) == max(abs(r1 - r0), abs(c1 - c0)) + 1


def test_the_inclusion_map_is_clipped_to_the_crop():
    drawn = inclusion_map(np.array([[0, 0], [3, 3], [4, 0], [-1, 2]]), 4)
    assert drawn.dtype == np.float32
    assert np.argwhere(drawn).tolist() == [[0, 0], [3, 3]]


def test_every_other_object_leaves_one_pixel_however_much_it_drew():
    line = np.stack([np.full(9, 5), np.arange(9)], axis=1)
    drawn = exclusion_map([line, np.array([[1, 1]])], 16)
    assert np.argwhere(drawn).tolist() == [[1, 1], [5, 4]]


def test_the_pixel_of_another_object_is_the_middle_of_what_lies_inside_the_crop():
    line = np.stack([np.full(20, 5), np.arange(-10, 10)], axis=1)  # columns 0 to 9 are inside: the middle is 4.5
    assert np.argwhere(exclusion_map([line], 16)).tolist() == [[5, 4]]
    assert not exclusion_map([line - (100, 0)], 16).any()


def test_the_pixel_lies_on_the_signal_even_where_its_middle_does_not():
    ring = np.array([[r, c] for r in range(9) for c in range(9) if max(abs(r - 4), abs(c - 4)) == 4])
    (found,) = np.argwhere(exclusion_map([ring], 16)).tolist()
    assert found in ring.tolist()
    assert found == [0, 4]  # four are equally near: the upper one


@given(st.lists(stroke, min_size=1, max_size=5), st.randoms())
@settings(max_examples=40, deadline=None)
def test_exclusion_does_not_depend_on_any_order(strokes, random):
    others = [rasterize([points]) for points in strokes]
    shuffled = [pixels[random.sample(range(len(pixels)), len(pixels))] for pixels in others]
    random.shuffle(shuffled)
    assert np.array_equal(exclusion_map(others, 32), exclusion_map(shuffled, 32))


def test_inclusion_wins_where_two_objects_were_clicked_on_one_pixel():
    signals = guiding_signals(np.array([[4, 4]]), [np.array([[4, 4]]), np.array([[2, 2]])], 8)
    assert np.argwhere(signals[0]).tolist() == [[4, 4]]
    assert np.argwhere(signals[1]).tolist() == [[2, 2]]


@given(
    st.lists(st.tuples(*[st.floats(-300, 300)] * 2), min_size=1, max_size=6),
    st.integers(-200, 200),
    st.integers(-200, 200),
    st.integers(1, 80),
)
def test_lines_drawn_for_a_window_have_their_pixels_there(
    points: list[tuple[float, float]], x: int, y: int, side: int
) -> None:
    window = Window(x, y, side, side)

    def inside(pixels: Pixels) -> list[list[int]]:
        low, high = (window.y, window.x), (window.bottom, window.right)
        return pixels[((pixels >= low) & (pixels < high)).all(axis=1)].tolist()

    stroke = [np.array(points)]
    assert inside(rasterize(stroke, window)) == inside(rasterize(stroke))


def test_a_line_across_all_slides_is_drawn_as_far_as_a_window_shows_it() -> None:
    ends = np.array([[-1e8, -1e8], [1e8, 1e8 + 40]])
    drawn = rasterize([ends], Window(1000, 1000, 96, 96))
    assert 90 <= len(drawn) <= 100
    assert np.abs(drawn - 1050).max() < 150
