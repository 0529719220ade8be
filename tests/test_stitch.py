"""Overlapping masks are settled: each pixel goes to one prompt."""

import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.prompts import Click, ObjectKind, Prompt, Role
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.arrays import Mask, Probabilities
from nuclick_wsi.segmentation.claims import Claims
from nuclick_wsi.segmentation.masks import MaskRule, decode_mask
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.stitch import settle_overlaps

Pixel = tuple[int, int]


def named(name: str) -> Prompt:
    """A prompt of which nothing but its id counts."""
    return Prompt(name, ObjectKind.NUCLEUS, Click(Point(0, 0)))


def on_grid(patch: Patch) -> set[Pixel]:
    return {(row + patch.window.y, column + patch.window.x) for row, column in np.argwhere(patch.mask).tolist()}


def parts_of(pixels: set[Pixel]) -> list[set[Pixel]]:
    """4-connected parts, by walking from pixel to pixel."""
    parts, rest = [], set(pixels)
    while rest:
        part, edge = set(), [rest.pop()]
        while edge:
            row, column = edge.pop()
            part.add((row, column))
            near = {(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)} & rest
            rest -= near
            edge += near
        parts.append(part)
    return parts


def plain_settle(patches: Sequence[Patch], smallest_px: int) -> dict[str, set[Pixel]]:
    """The rule pixel by pixel with sets: what `settle_overlaps` must equal."""
    by_id = {patch.prompt.id: patch for patch in patches}
    signals = {name: {(row, column) for row, column in patch.signal.tolist()} for name, patch in by_id.items()}
    masks = {name: on_grid(patch) for name, patch in by_id.items()}
    claims = {name: set(pixels) for name, pixels in masks.items()}

    def rank(name: str, pixel: Pixel) -> tuple[bool, float, float, int]:
        patch = by_id[name]
        probability = float(patch.probabilities[pixel[0] - patch.window.y, pixel[1] - patch.window.x])
        return pixel in signals[name], probability, -min(math.dist(pixel, own) for own in signals[name]), -int(name)

    def hold() -> dict[str, set[Pixel]]:
        held: dict[str, set[Pixel]] = {name: set() for name in claims}
        for pixel in set().union(*claims.values()):
            owner = max((name for name in claims if pixel in claims[name]), key=lambda name: rank(name, pixel))
            held[owner].add(pixel)
        return held

    def falling(name: str, held: set[Pixel], smallest: int) -> set[Pixel]:
        if held == masks[name]:
            return set()
        fallen = (part for part in parts_of(held) if not part & signals[name] or len(part) < smallest)
        return set().union(*fallen)

    while True:
        held = hold()
        fallen = {name: falling(name, held[name], 1) for name in claims}
        if not any(fallen.values()):
            fallen = {name: falling(name, held[name], smallest_px) for name in claims}
        if not any(fallen.values()):
            return given_back(held, masks, rank)
        claims = {name: claims[name] - fallen[name] for name in claims}


def next_to(pixels: set[Pixel]) -> set[Pixel]:
    return {(row + y, column + x) for row, column in pixels for y, x in ((1, 0), (-1, 0), (0, 1), (0, -1))}


def given_back(
    held: dict[str, set[Pixel]], masks: dict[str, set[Pixel]], rank: Callable[[str, Pixel], object]
) -> dict[str, set[Pixel]]:
    """Let what nobody holds go back to masks that it is connected with."""

    def reached(name: str, pixels: set[Pixel]) -> set[Pixel]:
        return set().union(*(part for part in parts_of(pixels) if part & next_to(held[name])))

    def take(wanted: dict[str, set[Pixel]]) -> bool:
        best = {pixel: max((n for n in wanted if pixel in wanted[n]), key=lambda name: rank(name, pixel))
                for pixel in set().union(*wanted.values())}  # fmt: skip
        came = {name: reached(name, {pixel for pixel, owner in best.items() if owner == name}) for name in wanted}
        for name, pixels in came.items():
            held[name] |= pixels
        return any(came.values())

    while True:
        free = set().union(*masks.values()) - set().union(*held.values())
        wanted = {name: reached(name, masks[name] & free) for name in masks}
        if not any(wanted.values()):
            return held
        if not take(wanted):
            take({name: pixels & next_to(held[name]) for name, pixels in wanted.items()})


@st.composite
def patch_lists(draw: st.DrawFn) -> list[Patch]:
    """Patches in a small space, on few levels of probability, so that they overlap and tie often."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    smooth, levels = draw(st.sampled_from([0.5, 1.5])), draw(st.sampled_from([2, 8, 1000]))
    patches = []
    for number in range(draw(st.integers(0, 7))):
        shape = rng.integers(3, 14, 2)
        x, y = rng.integers(-5, 6, 2).tolist()
        window = Window(x, y, int(shape[1]), int(shape[0]))
        noise = ndimage.gaussian_filter(rng.normal(size=window.shape), smooth)
        probabilities = (np.ceil((0.5 + 0.5 * noise / np.abs(noise).max()) * levels) / levels).astype(np.float32)
        signal = np.stack([rng.integers(0, side, 3) for side in window.shape], axis=1)[: rng.integers(1, 4)]
        mask = decode_mask(probabilities, signal, MaskRule(0.4, 3, 2))
        if not isinstance(mask, Reason):
            name = str(number)
            patches.append(
                Patch.cropped(named(name), window, mask, probabilities, np.add(signal, (window.y, window.x)))
            )
    return patches


def square(name: str, window: Window, probability: float, click: Pixel) -> Patch:
    """A full window of one probability, clicked at a row and column of the grid."""
    shape = window.shape
    return Patch(
        named(name),
        window,
        np.ones(shape, np.bool_),
        np.full(shape, probability, np.float32),
        np.array([click], np.int64),
    )


def settled_pixels(patches: Sequence[Patch], smallest_px: int = 1) -> dict[str, set[Pixel]]:
    return {patch.prompt.id: on_grid(patch) for patch in settle_overlaps(patches, smallest_px)[0]}


@settings(deadline=None, max_examples=300)
@given(patch_lists(), st.integers(0, 12))
def test_settling_equals_the_plain_reference(patches: list[Patch], smallest_px: int) -> None:
    expected = {name: pixels for name, pixels in plain_settle(patches, smallest_px).items() if pixels}
    assert settled_pixels(patches, smallest_px) == expected


@settings(deadline=None)
@given(patch_lists(), st.integers())
def test_the_order_of_patches_changes_nothing(patches: list[Patch], seed: int) -> None:
    shuffled = Random(seed).sample(patches, len(patches))
    (settled, rejected), (settled_too, rejected_too) = settle_overlaps(patches, 5), settle_overlaps(shuffled, 5)
    assert [patch.prompt.id for patch in settled] == sorted(patch.prompt.id for patch in settled_too)
    for patch in settled_too:
        same = next(one for one in settled if one.prompt.id == patch.prompt.id)
        assert same.window == patch.window
        np.testing.assert_array_equal(same.mask, patch.mask)
        np.testing.assert_array_equal(same.probabilities, patch.probabilities)
    assert {(one.prompt_id, one.reason, one.detail) for one in rejected} == {
        (one.prompt_id, one.reason, one.detail) for one in rejected_too
    }


@settings(deadline=None)
@given(patch_lists(), st.integers(0, 12))
def test_no_pixel_is_in_two_masks_and_every_prompt_is_settled_or_rejected(
    patches: list[Patch], smallest_px: int
) -> None:
    before = {patch.prompt.id: on_grid(patch) for patch in patches}
    settled, rejections = settle_overlaps(patches, smallest_px)
    after = {patch.prompt.id: on_grid(patch) for patch in settled}
    assert sum(map(len, after.values())) == len(set().union(*after.values()))
    assert sorted([*after, *(one.prompt_id for one in rejections)]) == sorted(before)
    for patch in settled:
        name = patch.prompt.id
        assert after[name] <= before[name]
        own = {tuple(pixel) for pixel in patch.signal.tolist()}
        assert all(part & own for part in parts_of(after[name]))
        if after[name] != before[name]:
            assert min(map(len, parts_of(after[name]))) >= smallest_px


@settings(deadline=None, max_examples=300)
@given(patch_lists(), st.integers(0, 12))
def test_nobody_is_left_beside_a_pixel_of_its_own_that_nobody_holds(patches: list[Patch], smallest_px: int) -> None:
    after = settled_pixels(patches, smallest_px)
    held = set().union(*after.values())
    for patch in patches:
        if own := after.get(patch.prompt.id):
            assert not (on_grid(patch) - held) & next_to(own)


@settings(deadline=None)
@given(patch_lists())
def test_a_pixel_of_ones_own_signal_is_never_lost_to_a_neighbour(patches: list[Patch]) -> None:
    signals = {patch.prompt.id: {tuple(pixel) for pixel in patch.signal.tolist()} for patch in patches}
    users = Counter(pixel for own in signals.values() for pixel in own)
    after = settled_pixels(patches)
    for patch in patches:
        claimed = {pixel for pixel in signals[patch.prompt.id] & on_grid(patch) if users[pixel] == 1}
        assert claimed <= after.get(patch.prompt.id, set())


@settings(deadline=None)
@given(patch_lists())
def test_settling_twice_changes_nothing(patches: list[Patch]) -> None:
    once, _ = settle_overlaps(patches, 4)
    twice, rejections = settle_overlaps(once, 4)
    assert rejections == []
    assert all(one is two for one, two in zip(once, twice, strict=True))


@settings(deadline=None)
@given(patch_lists())
def test_the_patches_that_come_in_are_not_changed(patches: list[Patch]) -> None:
    before = [(patch.mask.copy(), patch.probabilities.copy()) for patch in patches]
    settle_overlaps(patches, 4)
    for patch, (mask, probabilities) in zip(patches, before, strict=True):
        np.testing.assert_array_equal(patch.mask, mask)
        np.testing.assert_array_equal(patch.probabilities, probabilities)


def test_a_pixel_goes_to_the_higher_probability() -> None:
    after = settled_pixels([square("a", Window(0, 0, 6, 1), 0.7, (0, 0)), square("b", Window(2, 0, 6, 1), 0.8, (0, 7))])
    assert after["a"] == {(0, 0), (0, 1)}
    assert len(after["b"]) == 6


def test_a_tie_goes_to_the_nearer_click_and_then_to_the_smaller_id() -> None:
    after = settled_pixels([square("b", Window(0, 0, 7, 1), 0.8, (0, 0)), square("a", Window(0, 0, 7, 1), 0.8, (0, 6))])
    assert after == {"b": {(0, 0), (0, 1), (0, 2)}, "a": {(0, 3), (0, 4), (0, 5), (0, 6)}}


def test_instances_that_touch_stay_apart_and_as_they_are() -> None:
    patches = [square("a", Window(0, 0, 3, 3), 0.8, (1, 1)), square("b", Window(3, 0, 3, 3), 0.9, (1, 4))]
    settled, rejections = settle_overlaps(patches, 1)
    assert rejections == []
    assert all(one is two for one, two in zip(settled, patches, strict=True))


def test_a_part_that_a_neighbour_cuts_off_goes_back_to_whom_it_was_taken_from() -> None:
    through = square("a", Window(0, 0, 9, 1), 0.8, (0, 0))
    middle = square("b", Window(3, 0, 3, 1), 0.9, (0, 4))
    behind = square("c", Window(6, 0, 3, 1), 0.7, (0, 8))
    after = settled_pixels([through, middle, behind])
    assert {name: len(pixels) for name, pixels in after.items()} == {"a": 3, "b": 3, "c": 3}


def test_what_was_cut_off_by_a_part_that_falls_comes_back() -> None:
    # A bar of the second cuts the first in two. It is reached along a line that the first wins, so it falls to it.
    first, second = square("1", Window(0, 0, 9, 3), 0.6, (1, 0)), square("2", Window(4, 0, 9, 3), 0.5, (1, 12))
    second.mask[[0, 2], 1:] = False
    second.probabilities[:, 0] = 0.9
    after = settled_pixels([first, second])
    assert after["2"] == {(1, column) for column in range(5, 13)}
    assert after["1"] == on_grid(first) - after["2"]


def test_a_prompt_that_becomes_too_small_leaves_no_bite_in_its_neighbour() -> None:
    large = square("large", Window(0, 0, 5, 5), 0.9, (0, 0))
    small = square("small", Window(2, 2, 3, 1), 0.6, (2, 2))
    settled, rejections = settle_overlaps([large, small], 2)
    assert [patch.mask.sum() for patch in settled] == [25]
    assert rejections == [Rejection.of(small.prompt, Reason.TOO_SMALL, rejections[0].detail)]
    assert "1 of its 3 px" in rejections[0].detail


def test_a_prompt_whose_signal_is_anothers_too_can_lose_everything() -> None:
    settled, rejections = settle_overlaps(
        [square("a", Window(0, 0, 3, 3), 0.9, (1, 1)), square("b", Window(0, 0, 3, 3), 0.8, (1, 1))], 1
    )
    assert [patch.prompt.id for patch in settled] == ["a"]
    assert [(one.prompt_id, one.reason) for one in rejections] == [("b", Reason.TAKEN)]


def test_a_neighbour_that_loses_everything_is_not_rejected_for_it_asks_for_no_outline() -> None:
    neighbour = square("b", Window(0, 0, 3, 3), 0.8, (1, 1))
    neighbour = replace(neighbour, prompt=replace(neighbour.prompt, role=Role.NEIGHBOUR))
    settled, rejections = settle_overlaps([square("a", Window(0, 0, 3, 3), 0.9, (1, 1)), neighbour], 1)
    assert [patch.prompt.id for patch in settled] == ["a"]
    assert rejections == []


def test_nothing_comes_of_nothing() -> None:
    assert settle_overlaps([], 10) == ([], [])


def test_a_patch_is_cropped_to_its_mask_and_what_is_around_it_and_keeps_its_place() -> None:
    mask: Mask = np.zeros((6, 8), np.bool_)
    mask[2:4, 3:7] = True
    probabilities: Probabilities = np.arange(48, dtype=np.float32).reshape(6, 8)
    patch = Patch.cropped(named("a"), Window(100, 200, 8, 6), mask, probabilities, np.array([[202, 104]]))
    assert patch.window == Window(102, 201, 6, 4)  # with the pixels around it: the outline runs between the two
    np.testing.assert_array_equal(patch.mask, mask[1:5, 2:8])
    np.testing.assert_array_equal(patch.probabilities, probabilities[1:5, 2:8])
    assert not np.shares_memory(patch.probabilities, probabilities)


def test_an_empty_mask_or_arrays_that_do_not_fill_the_window_make_no_patch() -> None:
    empty, flat = np.zeros((2, 2), np.bool_), np.zeros((2, 2), np.float32)
    with pytest.raises(ValueError, match="empty"):
        Patch.cropped(named("a"), Window(0, 0, 2, 2), empty, flat, np.array([[0, 0]]))
    with pytest.raises(ValueError, match="do not fill"):
        Patch(named("a"), Window(0, 0, 3, 2), empty, flat, np.array([[0, 0]]))


def discs(count: int, side: int) -> list[Patch]:
    """Squiggled discs at random, of which a signal cuts off parts of others."""
    rng = np.random.default_rng(count)
    rows, columns = np.mgrid[:41, :41] - 20
    probabilities = np.clip(1.02 - np.hypot(rows, columns) / 40, 0, 1).astype(np.float32)
    line = np.stack([np.arange(12, 29), np.full(17, 20)], axis=1)
    return [
        Patch(named(f"{number:04}"), Window(x, y, 41, 41), probabilities > 0.52, probabilities, np.add(line, (y, x)))
        for number, (x, y) in enumerate(rng.integers(0, side, (count, 2)).tolist())
    ]


def calls_of(work: Callable[[], object]) -> int:
    """How many functions some work calls, of Python's and of others."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(before)
    return calls


def test_the_work_for_a_mask_does_not_grow_with_the_masks_that_lie_on_it() -> None:
    few, many = discs(60, 300), discs(480, 300)  # one and seven on each pixel
    per_mask = [calls_of(partial(settle_overlaps, patches, 9)) / len(patches) for patches in (few, many)]
    assert per_mask[1] < 2 * per_mask[0]


def test_claims_are_ranked_for_pixels_that_are_given_up_and_for_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    ranked: list[int] = []
    original = Claims.__post_init__

    def counting(claims: Claims) -> None:
        ranked.append(len(claims.owners))
        original(claims)

    monkeypatch.setattr(Claims, "__post_init__", counting)
    row = [square(str(place), Window(3 * place, 0, 6, 4), 0.6, (1, 3 * place + 1)) for place in range(50)]
    settle_overlaps(row, 3)
    assert not ranked
    cut_off, beneath = (
        square("cut off", Window(0, 4, 156, 1), 0.55, (4, 0)),
        square("b", Window(90, 4, 66, 1), 0.52, (4, 155)),
    )
    settle_overlaps([*row, cut_off, beneath, square("across", Window(100, 3, 1, 2), 0.7, (3, 100))], 3)
    assert sum(ranked) == 54  # what it gives up, but for the signal of the one beneath
