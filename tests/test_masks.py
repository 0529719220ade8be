"""From one probability map to one mask."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import morphology

from nuclick_wsi.instances import Reason
from nuclick_wsi.segmentation.masks import (
    Mask,
    MaskRule,
    Pixels,
    Probabilities,
    bounding_box,
    decode_mask,
    fill_small_holes,
    on_object,
    with_added,
)

LOOSE = MaskRule(threshold=0.5, smallest_px=1, fill_holes_px=0)


def plain_decode(probabilities: Probabilities, signal: Pixels, rule: MaskRule) -> Mask:
    """The paper's steps, one library call each on the whole map: what `decode_mask` must equal."""
    parts = probabilities >= rule.threshold
    inclusion = np.zeros_like(parts)
    inclusion[tuple(signal.T)] = True
    if not (inclusion & parts).any():
        parts = area_closed(parts, rule.fill_holes_px)
    cross = ndimage.generate_binary_structure(2, 1)
    seed = (inclusion & parts).astype(float)
    reached = morphology.reconstruction(seed, parts.astype(float), footprint=cross) > 0
    return area_opened(area_closed(reached, rule.fill_holes_px), rule.smallest_px - 1)


def area_closed(mask: Mask, largest_px: int) -> Mask:
    """A mask without its holes of at most so many pixels; the frame keeps a bay at the border from being one."""
    frame = largest_px + 1
    return ~area_opened(np.pad(~mask, frame, constant_values=True), largest_px)[frame:-frame, frame:-frame]


def area_opened(mask: Mask, largest_px: int) -> Mask:
    """A mask without its 4-connected parts of at most so many pixels, taken away one by one.

    scikit-image's `remove_small_objects` does the same, but its parameter was renamed and shifted by one in 0.26.
    """
    labels, count = ndimage.label(mask)
    opened = mask.copy()
    for label in range(1, count + 1):
        if (labels == label).sum() <= largest_px:
            opened[labels == label] = False
    return opened


@st.composite
def maps(draw: st.DrawFn) -> Probabilities:
    """Smoothed noise: blobs with holes, islands and ragged edges, of any shape."""
    shape = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    smooth = ndimage.gaussian_filter(rng.normal(size=shape), draw(st.sampled_from([0.0, 0.7, 1.5, 3.0])))
    spread = np.ptp(smooth) or 1.0
    probabilities: Probabilities = ((smooth - smooth.min()) / spread).astype(np.float32)
    return probabilities


@st.composite
def prompted_maps(draw: st.DrawFn) -> tuple[Probabilities, Pixels]:
    probabilities = draw(maps())
    rows, columns = probabilities.shape
    pixel = st.tuples(st.integers(0, rows - 1), st.integers(0, columns - 1))
    return probabilities, np.array(draw(st.lists(pixel, min_size=1, max_size=6)))


rules = st.builds(MaskRule, st.sampled_from([0.3, 0.5, 0.7]), st.integers(0, 30), st.integers(0, 30))


@settings(deadline=None, max_examples=300)
@given(prompted_maps(), rules)
def test_the_fast_decoding_equals_the_plain_reference(case: tuple[Probabilities, Pixels], rule: MaskRule) -> None:
    probabilities, signal = case
    expected = plain_decode(probabilities, signal, rule)
    result = decode_mask(probabilities, signal, rule)
    if expected.any():
        assert not isinstance(result, Reason)
        assert result.dtype == np.bool_
        np.testing.assert_array_equal(result, expected)
    else:
        assert result in (Reason.NO_OBJECT, Reason.TOO_SMALL)


@settings(deadline=None)
@given(prompted_maps(), rules)
def test_every_part_holds_a_signal_pixel_and_no_part_or_hole_is_too_small(
    case: tuple[Probabilities, Pixels], rule: MaskRule
) -> None:
    result = decode_mask(*case, rule)
    if isinstance(result, Reason):
        return
    parts, count = ndimage.label(result)
    assert set(range(1, count + 1)) <= set(parts[tuple(case[1].T)].tolist())
    assert np.bincount(parts.ravel())[1:].min() >= rule.smallest_px
    holes = ndimage.label(np.pad(~result, 1, constant_values=True))[0]
    sizes = np.delete(np.bincount(holes.ravel()), [0, holes[0, 0]])
    assert (sizes > rule.fill_holes_px).all()


def two_blobs() -> Probabilities:
    """Two squares of 9 pixels that touch in a corner."""
    probabilities = np.full((8, 8), 0.1, dtype=np.float32)
    probabilities[1:4, 1:4] = 0.9
    probabilities[4:7, 4:7] = 0.8
    return probabilities


def test_parts_that_touch_in_a_corner_only_are_two_objects() -> None:
    mask = decode_mask(two_blobs(), np.array([[2, 2]]), LOOSE)
    assert not isinstance(mask, Reason)
    assert mask.sum() == 9
    assert mask[1:4, 1:4].all()


def test_a_squiggle_over_two_parts_keeps_both() -> None:
    mask = decode_mask(two_blobs(), np.array([[2, 2], [3, 6], [5, 5]]), LOOSE)
    assert not isinstance(mask, Reason)
    assert mask.sum() == 18


ADDING = MaskRule(threshold=0.5, smallest_px=1, fill_holes_px=0, adds_strokes=True)


def row_of(first: int, last: int) -> Pixels:
    return np.array([[20, column] for column in range(first, last + 1)])


def test_a_line_that_leaves_its_object_brings_a_disc_back_to_it() -> None:
    probabilities = np.zeros((40, 60), np.float32)
    probabilities[10:31, 10:31] = 0.8
    added = with_added(probabilities, row_of(20, 38), ADDING)
    rows, columns = np.indices(added.shape)
    expected = [(rows - 20) ** 2 + (columns - column) ** 2 <= (column - 29.5) ** 2 for column in range(31, 39)]
    assert np.array_equal(added, np.where(np.any(expected, axis=0), 1, probabilities))
    assert probabilities.max() == np.float32(0.8)


@pytest.mark.parametrize(
    ("signal", "rule"),
    [
        (row_of(12, 28), ADDING),  # all of it on the object
        (row_of(20, 20), ADDING),
        (row_of(40, 50), ADDING),  # none of it
        (row_of(20, 38), LOOSE),
    ],
)
def test_what_is_no_addition_changes_no_probability(signal: Pixels, rule: MaskRule) -> None:
    probabilities = np.zeros((40, 60), np.float32)
    probabilities[10:31, 10:31] = 0.8
    assert with_added(probabilities, signal, rule) is probabilities


def test_a_line_far_from_its_object_stays_as_it_is() -> None:
    probabilities = np.zeros((40, 60), np.float32)
    probabilities[17:24, 10:17] = 0.8
    added = with_added(probabilities, row_of(13, 55), ADDING)
    assert not added[:, 25:].any()  # the object's radius is 4
    assert added[20, 17:20].all()


def test_a_speck_that_a_squiggle_crosses_is_left_out() -> None:
    probabilities = two_blobs()
    probabilities[0, 7] = 0.9
    mask = decode_mask(probabilities, np.array([[2, 2], [0, 7]]), MaskRule(0.5, 2, 0))
    assert not isinstance(mask, Reason)
    assert mask.sum() == 9


def test_a_click_into_a_small_pale_hole_finds_the_object_around_it() -> None:
    probabilities = two_blobs()
    probabilities[2, 2] = 0.2
    mask = decode_mask(probabilities, np.array([[2, 2]]), MaskRule(0.5, 1, 1))
    assert not isinstance(mask, Reason)
    assert mask[1:4, 1:4].all()
    assert decode_mask(probabilities, np.array([[2, 2]]), LOOSE) is Reason.NO_OBJECT


def test_a_neighbour_beyond_a_small_gap_is_not_taken_in() -> None:
    probabilities = np.full((4, 7), 0.9, dtype=np.float32)
    probabilities[1, 3] = probabilities[2, 3] = 0.1
    probabilities[0, 4] = probabilities[3, 4] = 0.1
    probabilities[0, 5:] = probabilities[3, 5:] = 0.1
    mask = decode_mask(probabilities, np.array([[1, 1]]), MaskRule(0.5, 1, 4))
    assert not isinstance(mask, Reason)
    assert mask.sum() == 14
    assert not mask[1:3, 3:].any()


@settings(deadline=None)
@given(prompted_maps(), st.sampled_from([0.3, 0.5, 0.7]), st.integers(0, 5))
def test_only_a_signal_beside_its_object_is_moved_and_to_the_nearest_pixel(
    case: tuple[Probabilities, Pixels], threshold: float, reach_px: int
) -> None:
    probabilities, signal = case
    above = probabilities >= threshold
    found = on_object(probabilities, signal, MaskRule(threshold, 0, 0, reach_px))
    distance = ndimage.distance_transform_edt(~above)[tuple(signal.T)].min() if above.any() else np.inf
    if 0 < distance <= reach_px:
        assert found.shape == (1, 2)
        assert above[tuple(found[0])]
        assert np.sqrt(((signal - found) ** 2).sum(axis=1).min()) == pytest.approx(distance)
    else:
        np.testing.assert_array_equal(found, signal)


@pytest.mark.parametrize("largest_px", [1, 30, 1000])
def test_a_bay_at_the_border_of_the_map_is_no_hole(largest_px: int) -> None:
    mask = np.ones((5, 5), dtype=np.bool_)
    mask[0, 2] = mask[2, 2] = False
    filled = fill_small_holes(mask, largest_px)
    assert not filled[0, 2]
    assert filled[2, 2]


def test_a_probability_of_exactly_the_threshold_belongs_to_the_object() -> None:
    probabilities = np.full((3, 3), 0.5, dtype=np.float32)
    mask = decode_mask(probabilities, np.array([[1, 1]]), LOOSE)
    assert not isinstance(mask, Reason)
    assert mask.all()


@pytest.mark.parametrize(
    ("pixel", "rule", "reason"),
    [((0, 7), LOOSE, Reason.NO_OBJECT), ((2, 2), MaskRule(0.5, 10, 0), Reason.TOO_SMALL)],
)
def test_a_prompt_without_an_object_gets_the_reason(pixel: tuple[int, int], rule: MaskRule, reason: Reason) -> None:
    assert decode_mask(two_blobs(), np.array([pixel]), rule) is reason


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_map_without_any_object_is_no_object(value: float) -> None:
    probabilities = np.full((4, 4), value, dtype=np.float32)
    assert decode_mask(probabilities, np.array([[1, 1]]), LOOSE) is Reason.NO_OBJECT


@pytest.mark.parametrize("signal", [np.array([[-1, 0]]), np.array([[0, 8]]), np.empty((0, 2), dtype=np.int64)])
def test_a_signal_outside_its_map_is_refused(signal: Pixels) -> None:
    with pytest.raises(ValueError, match="signal"):
        decode_mask(two_blobs(), signal, LOOSE)


@pytest.mark.parametrize(
    "bad", [(0.0, 1, 1), (1.1, 1, 1), (0.5, -1, 1), (0.5, 1, -1), (0.5, 1, 1, -1), (float("nan"), 1, 1)]
)
def test_a_rule_that_makes_no_sense_is_refused(bad: tuple[float, int, int]) -> None:
    with pytest.raises(ValueError, match=r"threshold|pixels"):
        MaskRule(*bad)


def test_the_bounding_box_of_nothing_is_none_and_else_it_is_tight() -> None:
    mask = np.zeros((6, 9), dtype=np.bool_)
    assert bounding_box(mask) is None
    mask[2, 3] = mask[4, 7] = True
    assert bounding_box(mask) == (slice(2, 5), slice(3, 8))
