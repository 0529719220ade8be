"""Outlines between pixels: where they run, what they share, and how little they need for it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from test_stitch import named

from nuclick_wsi.geometry import Size
from nuclick_wsi.runs.patch_codec import decode, encode
from nuclick_wsi.scale import Grid, Window
from nuclick_wsi.segmentation.contours.draw import ContourRule, draw_contours, draw_pixel_edges
from nuclick_wsi.segmentation.contours.outlines import Outline
from nuclick_wsi.segmentation.masks import label_parts
from nuclick_wsi.segmentation.patch import Patch

RULE = ContourRule(0.5, 0.1)
LARGE = Size(10_000_000, 10_000_000)
GRID = Grid(1.0, 1.0)
SIGNAL = np.zeros((0, 2), np.int64)


@st.composite
def tissue(draw: st.DrawFn, most: int = 6) -> list[Patch]:
    """Patches without a common pixel, many of them side by side or corner to corner, with holes and several parts.

    Their probabilities are noise that mostly, but not always, agrees with the masks.
    """
    shape = draw(st.integers(1, 24)), draw(st.integers(1, 24))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    blur = draw(st.sampled_from([0.0, 0.8, 2.0]))
    layers = [ndimage.gaussian_filter(rng.normal(size=shape), blur) for _ in range(draw(st.integers(1, most)) + 1)]
    labels = np.argmax(layers, axis=0)
    corner = draw(st.tuples(st.integers(0, 50_000), st.integers(0, 50_000)))
    window = Window(*corner, *shape[::-1])
    patches = []
    for label in np.unique(labels[labels > 0]).tolist():
        margin = ndimage.gaussian_filter((labels == label) - 0.5, 0.7) + rng.normal(size=shape) * 0.1
        probabilities = np.clip(0.5 + margin, 0, 1).astype(np.float32)
        patches.append(
            Patch.cropped(named(f"{rng.integers(1000)}-{label}"), window, labels == label, probabilities, SIGNAL)
        )
    return patches


def drawn(patches: Sequence[Patch], grid: Grid = GRID, size: Size = LARGE, tolerance: float = 0.1) -> dict:
    outlines = draw_contours(patches, [], grid, size, replace(RULE, tolerance=tolerance))
    return {patch.prompt.id: outline for patch, outline in zip(patches, outlines, strict=True)}


def middles_in(shape: Outline, window: Window, downsample: float) -> np.ndarray:
    rows, columns = np.mgrid[window.y : window.bottom, window.x : window.right] + 0.5
    return shapely.contains_xy(shape, columns * downsample, rows * downsample)


downsamples = st.one_of(st.sampled_from([0.5, 1.0, 2.0, 8.0]), st.floats(0.25, 40))


@settings(deadline=None, max_examples=100)
@given(tissue(), downsamples, st.sampled_from([0, 0.1, 0.5]))
def test_outlines_are_valid_after_rounding_and_have_the_middles_parts_and_holes_of_their_masks(
    patches: list[Patch], downsample: float, tolerance: float
) -> None:
    shapes = drawn(patches, Grid(downsample, 1.0), tolerance=tolerance)
    for patch in patches:
        shape = shapes[patch.prompt.id]
        assert shape.is_valid, shapely.is_valid_reason(shape)
        coordinates = shapely.get_coordinates(shape)
        np.testing.assert_array_equal(coordinates, np.round(coordinates, 2))
        np.testing.assert_array_equal(middles_in(shape, patch.window, downsample), patch.mask)
        labels, parts = label_parts(patch.mask)
        assert len(shapely.get_parts(shape)) == parts
        for label, part in enumerate(shapely.get_parts(shape), start=1):
            _, background = label_parts(np.pad(labels != label, 1, constant_values=True))
            assert len(part.interiors) == background - 1


@settings(deadline=None, max_examples=50)
@given(tissue(), st.sampled_from([0, 0.1, 1.0]))
def test_an_outline_differs_from_its_mask_by_less_than_half_a_pixel(patches: list[Patch], tolerance: float) -> None:
    shapes = drawn(patches, tolerance=tolerance)
    for patch in patches:
        shape, edges = shapes[patch.prompt.id].boundary, draw_pixel_edges(patch, GRID, LARGE).boundary
        # No place of the outline is as far as that from the edges of the mask's pixels.
        dense = shapely.get_coordinates(shapely.segmentize(shape, 0.05))
        assert shapely.distance(shapely.points(dense), edges).max() < 0.5
        # No edge of a pixel has its middle as far as that from the outline. The corners of a staircase lie up to
        # 0.71 px from the straight line that made it, so they do not count.
        sides = shapely.get_coordinates(shapely.segmentize(edges, 1.0))
        corners = shapely.get_coordinates(shapely.segmentize(edges, 0.5))
        middles = corners[(corners % 1 != 0).any(axis=1)]
        assert len(sides)
        assert shapely.distance(shapely.points(middles), shape).max() < 0.5


@settings(deadline=None, max_examples=50)
@given(tissue(), downsamples)
def test_neighbours_share_their_border_without_overlap_or_gap(patches: list[Patch], downsample: float) -> None:
    shapes = list(drawn(patches, Grid(downsample, 1.0)).values())
    union = shapely.union_all(shapes)
    total = sum(shape.area for shape in shapes)
    assert union.area == pytest.approx(total, abs=1e-9 * total)
    for index, one in enumerate(shapes):
        for other in shapes[index + 1 :]:
            assert not one.relate_pattern(other, "2********")
    # What encloses no background encloses no gap: every hole of the union holds the middle of a pixel of nobody.
    for hole in shapely.get_rings(shapely.get_parts(union)):
        inside = shapely.Polygon(hole)
        left, top, right, bottom = (int(bound / downsample) for bound in inside.bounds)
        assert middles_in(inside, Window(left, top, right - left + 1, bottom - top + 1), downsample).any()


@settings(deadline=None, max_examples=40)
@given(tissue(), st.randoms(use_true_random=False))
def test_order_and_what_else_is_drawn_change_nothing(patches: list[Patch], random: object) -> None:
    everything = drawn(patches)
    shuffled = list(patches)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert drawn(shuffled) == everything
    for one in patches:
        beside = [other for other in patches if other is not one and one.touches(other)]
        assert draw_contours([one], beside, GRID, LARGE, RULE) == [everything[one.prompt.id]]


@settings(deadline=None, max_examples=40)
@given(tissue())
def test_a_patch_that_was_kept_as_bytes_has_the_same_outline(patches: list[Patch]) -> None:
    recalled = [decode(patch.prompt, encode(patch)) for patch in patches]
    assert drawn(recalled) == drawn(patches)  # type: ignore[arg-type]


def disc(x: float, y: float, radius: float, side: int = 64, softness: float = 0.7) -> Patch:
    """A disc whose edge a network is as sure of as of a straight one."""
    rows, columns = np.mgrid[:side, :side] + 0.5
    probabilities = (1 / (1 + np.exp((np.hypot(columns - x, rows - y) - radius) / softness))).astype(np.float32)
    return Patch.cropped(named(f"{x} {y}"), Window(0, 0, side, side), probabilities >= 0.5, probabilities, SIGNAL)


@pytest.mark.parametrize("tolerance", [0, 0.1, 0.3])
def test_an_outline_follows_the_threshold_between_pixels_within_the_tolerance(tolerance: float) -> None:
    (shape,) = drawn([disc(30.3, 31.6, 20.4)], tolerance=tolerance).values()
    edge = shapely.Point(30.3, 31.6).buffer(20.4, quad_segs=200).boundary
    assert shapely.hausdorff_distance(shape.boundary, edge, densify=0.01) < tolerance + 0.05
    assert shape.area == pytest.approx(np.pi * 20.4**2, rel=2e-3, abs=tolerance * edge.length / 2)


@pytest.mark.parametrize(("radius", "tolerance", "share"), [(10, 0.1, 0.52), (25, 0.1, 0.36), (25, 0.3, 0.25)])
def test_a_round_outline_has_so_many_of_the_vertices_of_its_pixels_edges(
    radius: float, tolerance: float, share: float
) -> None:
    patch = disc(32, 31.5, radius)
    (shape,) = drawn([patch], tolerance=tolerance).values()
    assert len(shape.exterior.coords) <= share * len(draw_pixel_edges(patch, GRID, LARGE).exterior.coords)


def test_a_slanted_edge_is_straight() -> None:
    rows, columns = np.mgrid[:40, :40] + 0.5
    for slope in (0.1, 0.37, 1.0):
        probabilities = (1 / (1 + np.exp((rows - 12.3 - slope * columns) / 0.6))).astype(np.float32)
        patch = Patch.cropped(named("a"), Window(7, 9, 40, 40), probabilities >= 0.5, probabilities, SIGNAL)
        (shape,) = drawn([patch], tolerance=0.02).values()
        slanted = [x for x, _ in shape.exterior.coords if 10 < x < 30]
        assert len(slanted) <= 2


def test_a_border_between_two_runs_where_both_are_as_probable() -> None:
    columns = np.arange(20, dtype=np.float64) + 0.5
    left = np.tile((1 / (1 + np.exp(columns - 10.8))).astype(np.float32), (20, 1))
    right = np.tile((1 / (1 + np.exp(9.9 - columns))).astype(np.float32), (20, 1))
    window = Window(0, 0, 20, 20)
    one = Patch.cropped(named("a"), window, left > right, left, SIGNAL)
    other = Patch.cropped(named("b"), window, left <= right, right, SIGNAL)
    shapes = drawn([one, other], size=Size(20, 20))
    assert shapes["a"].bounds[2] == pytest.approx(10.35, abs=0.011)
    assert shapes["a"].bounds[2] == shapes["b"].bounds[0]
    assert shapes["a"].area + shapes["b"].area == pytest.approx(400)


@pytest.mark.parametrize(("width", "height"), [(20, 20), (19.3, 18.6), (19.02, 18.01)])
def test_a_mask_at_the_slide_s_edge_ends_on_the_edge(width: float, height: float) -> None:
    downsample = 100.0
    size = Size(round(width * downsample), round(height * downsample))
    grid = Grid(downsample, 1.0)
    extent = grid.extent(size)
    whole = np.ones(extent.shape, np.bool_)
    patch = Patch.cropped(named("a"), extent, whole, whole.astype(np.float32), SIGNAL)
    assert drawn([patch], grid, size)["a"].equals(shapely.box(0, 0, size.width, size.height))
    half = whole.copy()
    half[: extent.height // 2] = False
    sure = np.where(half, 0.9, 0.1).astype(np.float32)
    patch = Patch.cropped(named("a"), extent, half, sure, SIGNAL)
    shape = drawn([patch], grid, size)["a"]
    assert shape.equals(shapely.box(0, extent.height // 2 * downsample, size.width, size.height))
