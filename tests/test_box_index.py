"""The index of positions finds what a tree of boxes finds, and the route reaches every prompt once."""

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nuclick_wsi.segmentation.box_index import BoxIndex
from nuclick_wsi.segmentation.route import Route


def boxes(seed: int, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and some boxes on a coarse raster, so that edges coincide, with one heap and one far away."""
    rng = np.random.default_rng(seed)
    low = rng.integers(-20, 200, (count, 2)) / 2
    low[: count // 3] = rng.integers(0, 8, (count // 3, 2)) / 2
    low[-1:] *= 1000
    sides = rng.integers(0, 30, (count, 2)) * (rng.random((count, 1)) < 0.2)
    return low, low + sides


@given(st.integers(0, 2**32 - 1), st.integers(0, 300))
def test_the_index_finds_what_a_tree_of_boxes_finds(seed: int, count: int) -> None:
    low, high = boxes(seed, count)
    index, tree = BoxIndex(low, high), shapely.STRtree(shapely.box(*low.T, *high.T))
    for x, y, width, height in np.random.default_rng(seed).integers(-30, 110, (20, 4)).tolist():
        window = np.array([x, y, x + abs(width), y + abs(height)], np.float64)
        assert index.meeting(window).tolist() == sorted(tree.query(shapely.box(*window)).tolist())


@given(st.integers(0, 2**32 - 1), st.integers(0, 300), st.sampled_from([1, 7, 50, 1000]))
def test_a_route_comes_to_every_prompt_once_and_knows_the_last_to_meet_a_box(
    seed: int, count: int, at_once: int
) -> None:
    low, high = boxes(seed, count)
    reach = np.hstack([low * 20 - 64, high * 20 + 64])
    prompts = np.arange(count) + 5
    route = Route.through(prompts, reach, 1.0, at_once)
    assert sorted(np.concatenate([[], *route.regions]).tolist()) == prompts.tolist()
    region_of = {prompt: number for number, region in enumerate(route.regions) for prompt in region.tolist()}
    chosen = np.add(reach[:40], (-1, -1, 1, 1))
    for box, last in zip(chosen, route.last_to_meet(chosen).tolist(), strict=True):
        meeting = shapely.intersects(shapely.box(*box), shapely.box(*reach.T))
        # Cells are known by a box around all of their prompts: it may be later than need be, never earlier.
        assert last >= max(region_of[prompt] for prompt in prompts[meeting].tolist())
