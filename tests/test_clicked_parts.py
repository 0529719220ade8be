"""Clicks that are decoded together have the masks of clicks that are decoded one by one."""

from collections.abc import Iterator

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import Reason
from nuclick_wsi.prompts import Click, ObjectKind, Prompt
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Pixels, Probabilities
from nuclick_wsi.segmentation.clicked_parts import decode_clicks
from nuclick_wsi.segmentation.masks import MaskRule, decode_mask, fill_small_holes, on_object
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.pipeline import gathered

PROMPT = Prompt("a", ObjectKind.NUCLEUS, Click(Point(0, 0)))


def ragged_map(rng: np.random.Generator, largest: int) -> Probabilities:
    """Some blobs, specks and holes of a map of any shape, which often reach its border; some of it at the threshold."""
    noise = ndimage.gaussian_filter(rng.random(rng.integers(1, largest, 2)), rng.choice([0, 0.6, 1.2]))
    level = np.quantile(noise, rng.choice([0, 0.1, 0.3, 0.5, 0.9]))
    found: Probabilities = np.clip(noise - level + 0.5, 0, 1).astype(np.float32)
    return found


def clicked_maps(rng: np.random.Generator) -> Iterator[tuple[Probabilities, Pixels]]:
    """Maps with one pixel of an object in each."""
    while True:
        one = ragged_map(rng, 30)
        if len(above := np.argwhere(one >= 0.5)):
            yield one, above[rng.integers(len(above))]


@given(
    seed=st.integers(0, 2**32 - 1),
    count=st.integers(1, 9),
    smallest=st.sampled_from([0, 1, 3, 20]),
    holes=st.sampled_from([0, 1, 3, 10, 100]),
)
@settings(deadline=None, max_examples=300)
def test_clicks_decoded_together_are_as_decoded_one_by_one(seed: int, count: int, smallest: int, holes: int) -> None:
    rule = MaskRule(0.5, smallest, holes)
    made = clicked_maps(np.random.default_rng(seed))
    maps, clicks = zip(*(next(made) for _ in range(count)), strict=True)
    for one, click, part in zip(maps, clicks, decode_clicks(maps, np.array(clicks), rule), strict=True):
        mask = decode_mask(one, click[None], rule)
        if isinstance(mask, Reason):
            assert (mask, part) == (Reason.TOO_SMALL, None)
            continue
        assert part is not None
        patch = Patch.cropped(PROMPT, Window(0, 0, *mask.shape[::-1]), mask, one, click[None])
        assert Window(part.column, part.row, *part.mask.shape[::-1]) == patch.window
        assert (part.mask.dtype, part.probabilities.dtype) == (np.bool_, np.float32)
        assert np.array_equal(part.mask, patch.mask)
        assert np.array_equal(part.probabilities, patch.probabilities)


def test_a_ring_that_is_open_at_a_corner_only_is_a_hole_and_one_that_is_open_at_a_side_is_none() -> None:
    ring = np.ones((5, 5), np.float32)
    ring[1:4, 1:4] = 0
    cornered, open_at_side = ring.copy(), ring.copy()
    cornered[0, 0] = open_at_side[0, 2] = 0
    parts = decode_clicks([ring, cornered, open_at_side], np.array([[4, 4]] * 3), MaskRule(0.5, 1, 9))
    assert [int(part.mask.sum()) for part in parts if part is not None] == [25, 24, 15]


@given(seed=st.integers(0, 2**32 - 1), holes=st.sampled_from([0, 1, 3, 10, 100]))
@settings(deadline=None, max_examples=300)
def test_a_click_beside_everything_finds_an_object_only_around_a_small_hole(seed: int, holes: int) -> None:
    rng = np.random.default_rng(seed)
    one = ragged_map(rng, 14)
    click = np.array([rng.integers(0, one.shape[0]), rng.integers(0, one.shape[1])])
    filled = fill_small_holes(one >= 0.5, holes)
    found = decode_mask(one, click[None], MaskRule(0.5, 1, holes))
    assert isinstance(found, Reason) != filled[tuple(click)]


@given(seed=st.integers(0, 2**32 - 1), reach=st.integers(0, 6))
@settings(deadline=None)
def test_a_click_is_moved_as_a_line_of_one_pixel_would_be(seed: int, reach: int) -> None:
    rng = np.random.default_rng(seed)
    one = ragged_map(rng, 20)
    click = np.array([[rng.integers(0, one.shape[0]), rng.integers(0, one.shape[1])]])
    rule = MaskRule(0.5, 1, 0, reach)
    moved = on_object(one, click, rule)
    assert np.array_equal(moved, on_object(one, np.repeat(click, 2, axis=0), rule)[: len(moved)])


def test_what_comes_soon_after_each_other_is_gathered_and_nothing_is_lost() -> None:
    assert list(gathered(range(7), 3, 60.0)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(gathered(range(3), 3, -1.0)) == [[0], [1], [2]]
    assert list(gathered([], 3, 60.0)) == []
