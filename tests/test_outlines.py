"""Exact outlines along the edges of pixels."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.arrays import Mask
from nuclick_wsi.segmentation.contours.outlines import outline, trace_rings

downsamples = st.one_of(st.sampled_from([0.2, 1.0, 2.0, 40.0]), st.floats(0.2, 40))


@st.composite
def masks(draw: st.DrawFn) -> Mask:
    """Noise at several scales, from single pixels to blobs with holes; never empty."""
    shape = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), draw(st.sampled_from([0.0, 0.6, 1.5])))
    mask: Mask = smooth >= np.quantile(smooth, draw(st.sampled_from([0.1, 0.4, 0.6, 0.9])))
    return mask


@st.composite
def connected_masks(draw: st.DrawFn) -> Mask:
    """The largest 4-connected part of such noise."""
    labels = ndimage.label(draw(masks()))[0]
    largest: Mask = labels == np.bincount(labels.ravel())[1:].argmax() + 1
    return largest


def placed(mask: Mask, x: int = 0, y: int = 0) -> Window:
    return Window(x, y, mask.shape[1], mask.shape[0])


def rasterized(geometry: shapely.Geometry, window: Window, downsample: float) -> Mask:
    """The pixels of a window whose centre lies in a geometry."""
    rows, columns = np.mgrid[window.y : window.bottom, window.x : window.right] + 0.5
    inside: Mask = shapely.contains_xy(geometry, columns * downsample, rows * downsample)
    return inside


@settings(deadline=None, max_examples=300)
@given(masks(), downsamples, st.integers(-200, 200_000), st.integers(-200, 200_000))
def test_an_outline_is_valid_after_rounding_and_gives_its_mask_back(
    mask: Mask, downsample: float, x: int, y: int
) -> None:
    window = placed(mask, x, y)
    geometry = outline(mask, window, Grid(downsample, 1.0))
    assert geometry.is_valid, shapely.is_valid_reason(geometry)
    np.testing.assert_array_equal(rasterized(geometry, window, downsample), mask)
    coordinates = shapely.get_coordinates(geometry)
    np.testing.assert_array_equal(coordinates, np.round(coordinates, 2))
    # Each edge may move by half of 0.01 px, and a tie of the last bit.
    assert geometry.area == pytest.approx(mask.sum() * downsample**2, abs=0.00501 * geometry.length + 1e-3)


@settings(deadline=None)
@given(masks())
def test_on_the_grid_itself_area_and_perimeter_are_exact(mask: Mask) -> None:
    geometry = outline(mask, placed(mask), Grid(1.0, 1.0))
    padded = np.pad(mask, 1).astype(int)
    assert geometry.area == mask.sum()
    assert geometry.length == np.abs(np.diff(padded, axis=0)).sum() + np.abs(np.diff(padded, axis=1)).sum()


@settings(deadline=None)
@given(masks())
def test_every_part_is_one_polygon_and_every_hole_one_interior_ring(mask: Mask) -> None:
    geometry = outline(mask, placed(mask), Grid(1.0, 1.0))
    parts = list(shapely.get_parts(geometry))
    labels, count = ndimage.label(mask)
    assert len(parts) == count
    for label in range(1, count + 1):
        background, pieces = ndimage.label(np.pad(labels != label, 1, constant_values=True))
        part = parts[label - 1]
        assert len(part.interiors) == pieces - 1
        holes = sorted(shapely.Polygon(ring).area for ring in part.interiors)
        assert holes == sorted(np.delete(np.bincount(background.ravel()), [0, background[0, 0]]).tolist())


@settings(deadline=None)
@given(connected_masks())
def test_rings_turn_at_each_corner_visit_none_twice_and_have_the_mask_on_their_left(mask: Mask) -> None:
    for number, ring in enumerate(trace_rings(mask)):
        assert len({tuple(corner) for corner in ring.tolist()}) == len(ring)
        steps = np.diff(ring, axis=0, append=ring[:1])
        assert ((steps == 0).sum(axis=1) == 1).all()
        assert ((steps[:, 0] == 0) != (np.roll(steps, 1, axis=0)[:, 0] == 0)).all()
        assert shapely.LinearRing(ring).is_ccw == (number == 0)


@settings(deadline=None)
@given(masks(), st.integers(0, 1000), st.integers(0, 1000))
def test_moving_a_mask_moves_its_outline(mask: Mask, x: int, y: int) -> None:
    grid = Grid(2.0, 1.0)
    here, there = outline(mask, placed(mask), grid), outline(mask, placed(mask, x, y), grid)
    moved = shapely.get_coordinates(here) + (2.0 * x, 2.0 * y)  # noqa: RUF005 - a sum of arrays
    np.testing.assert_array_equal(shapely.get_coordinates(there), moved)


def test_one_pixel_is_one_square() -> None:
    square = outline(np.ones((1, 1), dtype=np.bool_), Window(3, 5, 1, 1), Grid(4.0, 1.0))
    assert square.equals(shapely.box(12, 20, 16, 24))
    assert shapely.get_num_coordinates(square) == 5


def test_a_hole_that_touches_the_exterior_in_a_corner_stays_a_hole() -> None:
    mask = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=np.bool_)
    polygon = outline(mask, placed(mask), Grid(1.0, 1.0))
    assert polygon.is_valid
    assert [shapely.Polygon(hole).area for hole in polygon.interiors] == [1.0]
    assert polygon.exterior.is_simple


def test_parts_that_touch_in_a_corner_are_two_polygons() -> None:
    mask = np.eye(2, dtype=np.bool_)
    geometry = outline(mask, placed(mask), Grid(1.0, 1.0))
    assert isinstance(geometry, shapely.MultiPolygon)
    assert geometry.is_valid
    assert [part.area for part in geometry.geoms] == [1.0, 1.0]


def test_a_ring_inside_the_hole_of_another_is_its_own_polygon() -> None:
    mask = np.ones((9, 9), dtype=np.bool_)
    mask[1:8, 1:8] = False
    mask[3:6, 3:6] = True
    mask[4, 4] = False
    geometry = outline(mask, placed(mask), Grid(0.7, 1.0))
    assert geometry.is_valid
    assert [len(part.interiors) for part in geometry.geoms] == [1, 1]


def test_an_empty_mask_or_one_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="empty"):
        trace_rings(np.zeros((3, 3), dtype=np.bool_))
    with pytest.raises(ValueError, match="empty"):
        outline(np.zeros((3, 3), dtype=np.bool_), Window(0, 0, 3, 3), Grid(1.0, 1.0))
    with pytest.raises(ValueError, match="does not fill"):
        outline(np.ones((3, 3), dtype=np.bool_), Window(0, 0, 4, 3), Grid(1.0, 1.0))


def test_several_parts_are_refused_as_one_set_of_rings() -> None:
    with pytest.raises(ValueError, match="several"):
        trace_rings(np.array([[1, 0, 1]], dtype=np.bool_))
