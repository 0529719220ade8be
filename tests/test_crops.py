"""Prompts to views, views to tiles: who is seen where."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nuclick_wsi.choices import GlandMode
from nuclick_wsi.geometry import Point
from nuclick_wsi.prompts import Click, ObjectKind, Prompt, Role, Squiggle
from nuclick_wsi.scale import Grid
from nuclick_wsi.segmentation.crops import CropSpec, SignalField, plan_views
from nuclick_wsi.segmentation.marks import packed
from nuclick_wsi.segmentation.signals import REACH, guiding_signals
from nuclick_wsi.segmentation.tiles import plan_tiles

GRID = Grid(2.0, 0.25)
SPEC = CropSpec(128, 0.5)


def click(x: float, y: float, name: str = "", role: Role = Role.SEGMENT) -> Prompt:
    return Prompt(name or f"{x} {y}", ObjectKind.NUCLEUS, Click(Point(x, y)), role=role)


def squiggle(*points: tuple[float, float]) -> Prompt:
    return Prompt(str(points), ObjectKind.GLAND, Squiggle((tuple(Point(*p) for p in points),)))


def test_a_clicks_pixel_is_the_middle_of_its_crop() -> None:
    field = SignalField([click(101.9, 41.2)])
    (view,) = plan_views(field, GRID, SPEC, GlandMode.CROP)
    inclusion, exclusion = field.signals(view)
    assert np.argwhere(inclusion).tolist() == [[64, 64]]
    assert not exclusion.any()
    assert (view.window.x + 64, view.window.y + 64) == (50, 20)


def test_neighbours_in_the_crop_exclude_and_others_do_not() -> None:
    field = SignalField(
        [click(100, 100), click(110, 100), click(100, 98), click(100 + 2 * 64, 100), click(90, 100 - 2 * 65)]
    )
    _, exclusion = field.signals(plan_views(field, GRID, SPEC, GlandMode.CROP)[0])
    assert sorted(np.argwhere(exclusion).tolist()) == [[63, 64], [64, 69]]


def test_what_only_excludes_is_seen_but_not_looked_at() -> None:
    field = SignalField([click(100, 100), click(104, 100, role=Role.EXCLUDE_ONLY)])
    views = plan_views(field, GRID, SPEC, GlandMode.CROP)
    assert [view.prompt for view in views] == [0]
    assert field.signals(views[0])[1].sum() == 1


def test_another_squiggle_leaves_one_pixel_in_the_exclusion_map() -> None:
    field = SignalField([squiggle((0, 0), (40, 0)), squiggle((0, 30), (40, 30), (60, 50))])
    views = plan_views(field, GRID, SPEC, GlandMode.CROP)
    assert [field.signals(view)[1].sum() for view in views] == [1, 1]


@pytest.mark.parametrize("downsample", [1.0, 3.3])
def test_the_maps_among_many_squiggles_are_those_of_drawing_each_in_every_crop(downsample: float) -> None:
    rng, grid = np.random.default_rng(7), Grid(downsample, 1.0)
    lines = [rng.uniform(0, 600, 2) + rng.normal(0, rng.choice([2, 9, 60]), (9, 2)).cumsum(axis=0) for _ in range(60)]
    field = SignalField([squiggle(*line.tolist()) for line in lines])
    drawn = [field.pixels(index, grid) for index in range(len(lines))]
    for view in plan_views(field, grid, CropSpec(64, downsample), GlandMode.TILED):
        corner = np.array([view.window.y, view.window.x])
        others = [pixels - corner for index, pixels in enumerate(drawn) if index != view.prompt]
        expected = guiding_signals(drawn[view.prompt] - corner, others, 64)
        assert np.array_equal(field.signals(view), expected)


def test_a_squiggle_too_long_for_its_crop_is_scaled_down_until_it_fits() -> None:
    field = SignalField([squiggle((0, 0), (1000, 300))])
    (view,) = plan_views(field, GRID, SPEC, GlandMode.CROP)
    pixels = np.argwhere(field.signals(view)[0])
    assert view.window.shape == (128, 128)
    assert abs(np.ptp(pixels[:, 1]) + 1 - REACH * 128) <= 2
    assert view.grid.downsample > GRID.downsample


def test_tiling_covers_every_pixel_of_a_long_squiggle_at_the_models_own_pixel_size() -> None:
    field = SignalField([squiggle((0, 0), (1000, 300), (700, 900))])
    views = plan_views(field, GRID, SPEC, GlandMode.TILED)
    assert len(views) > 4
    assert {view.grid for view in views} == {GRID}
    seen = set()
    for view in views:
        drawn = np.argwhere(field.signals(view)[0]) + np.array([view.window.y, view.window.x])
        seen |= {tuple(pixel) for pixel in drawn}
    assert seen == {tuple(p) for p in field.pixels(0, GRID)}


def test_a_short_squiggle_is_seen_once_in_both_modes() -> None:
    field = SignalField([squiggle((10, 10), (60, 90))])
    assert plan_views(field, GRID, SPEC, GlandMode.TILED) == plan_views(field, GRID, SPEC, GlandMode.CROP)


@given(
    points=st.lists(st.tuples(st.integers(0, 8000), st.integers(0, 8000)), min_size=1, max_size=30, unique=True),
    cell=st.integers(1, 3000),
)
def test_every_view_lies_in_exactly_one_tile(points: list[tuple[int, int]], cell: int) -> None:
    views = plan_views(SignalField([click(x, y) for x, y in points]), GRID, SPEC, GlandMode.CROP)
    tiles = plan_tiles(views, cell)
    assert sorted(view.prompt for tile in tiles for view in tile.views) == list(range(len(points)))
    assert all(tile.window.contains(view.window) for tile in tiles for view in tile.views)
    assert all(side < cell + 128 + 1 for tile in tiles for side in tile.window.shape)


@given(shift=st.tuples(st.integers(-500, 500), st.integers(-500, 500)))
def test_shifting_prompts_by_whole_grid_pixels_shifts_their_views(shift: tuple[int, int]) -> None:
    dx, dy = (2 * step for step in shift)
    here = SignalField([click(100.5, 90.25), squiggle((300, 300), (1700, 800))])
    there = SignalField([click(100.5 + dx, 90.25 + dy), squiggle((300 + dx, 300 + dy), (1700 + dx, 800 + dy))])
    for one, other in zip(
        plan_views(here, GRID, SPEC, GlandMode.TILED), plan_views(there, GRID, SPEC, GlandMode.TILED), strict=True
    ):
        assert (one.window.x + shift[0], one.window.y + shift[1]) == (other.window.x, other.window.y)
        assert np.array_equal(here.signals(one), there.signals(other))


def test_views_far_apart_in_a_cell_are_read_apart_and_near_ones_together() -> None:
    points = [(100, 100), (130, 90), (900, 140), (880, 900)]
    views = plan_views(SignalField([click(x, y) for x, y in points]), GRID, SPEC, GlandMode.CROP)
    tiles = plan_tiles(views, 1024)
    assert sorted([view.prompt for view in tile.views] for tile in tiles) == [[0, 1], [2], [3]]
    everywhere = [(x, y) for x in range(64, 1024, 128) for y in range(64, 1024, 128)]
    views = plan_views(SignalField([click(x, y) for x, y in everywhere]), GRID, SPEC, GlandMode.CROP)
    assert len(plan_tiles(views, 1024)) == 1


@given(
    seed=st.integers(0, 2**32 - 1),
    clicks=st.integers(0, 60),
    lines=st.integers(0, 4),
    mode=st.sampled_from(GlandMode),
    size=st.sampled_from([33, 64]),
)
@settings(deadline=None)
def test_the_marks_and_the_bits_of_many_views_are_those_of_their_maps(
    seed: int, clicks: int, lines: int, mode: GlandMode, size: int
) -> None:
    rng, grid = np.random.default_rng(seed), Grid(1.3, 1.0)
    roles = [Role.SEGMENT, Role.SEGMENT, Role.NEIGHBOUR, Role.EXCLUDE_ONLY]
    # On a coarse raster, so that some lie on one pixel and some on a crop's edge.
    spots = [
        click(*(rng.integers(-20, 140, 2) * 1.3).tolist(), str(number), roles[rng.integers(4)])
        for number in range(clicks)
    ]
    drawn = [
        squiggle(*(rng.uniform(0, 180, 2) + rng.normal(0, 30, (4, 2)).cumsum(axis=0)).tolist()) for _ in range(lines)
    ]
    field = SignalField([click(50, 50), *spots, *drawn])
    views = plan_views(field, grid, CropSpec(size, 1.3), mode)
    maps = [field.signals(view) for view in views]
    found = field.marks(views)
    for number, marks in enumerate(found):
        for pixels, drawn_map in zip(marks.of_each(len(views)), maps, strict=True):
            assert np.array_equal(np.unique(pixels, axis=0), np.argwhere(drawn_map[number]))
    bits = packed(found, len(views), size)
    assert all(np.array_equal(row, np.packbits(of_view > 0)) for row, of_view in zip(bits, maps, strict=True))
