"""Patches that come region by region end as they do when all are settled at once."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.prompts import Click, ObjectKind, Prompt, Role
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation import contest, settling
from nuclick_wsi.segmentation.masks import MaskRule, decode_mask
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.settling import Settler
from nuclick_wsi.segmentation.stitch import settle_overlaps

End = tuple[Window, bytes]


def random_patches(rng: np.random.Generator, count: int, length: int) -> list[Patch]:
    """Patches along a strip, of ragged masks on few levels of probability, so that they overlap and tie often."""
    patches = []
    for number in range(count):
        shape = rng.integers(3, 14, 2)
        window = Window(int(rng.integers(0, length)), int(rng.integers(0, 12)), int(shape[1]), int(shape[0]))
        noise = ndimage.gaussian_filter(rng.normal(size=window.shape), 1)
        probabilities = (np.ceil((0.5 + 0.5 * noise / np.abs(noise).max()) * 8) / 8).astype(np.float32)
        signal = np.stack([rng.integers(0, side, 3) for side in window.shape], axis=1)[: rng.integers(1, 4)]
        mask = decode_mask(probabilities, signal, MaskRule(0.4, 3, 2))
        if isinstance(mask, Reason):
            continue
        role = Role.SEGMENT if rng.random() < 0.8 else Role.NEIGHBOUR
        prompt = Prompt(f"{number:03}", ObjectKind.NUCLEUS, Click(Point(0, 0)), role=role)
        patches.append(Patch.cropped(prompt, window, mask, probabilities, np.add(signal, (window.y, window.x))))
    return patches


def ends(patches: Sequence[Patch], rejections: Sequence[Rejection]) -> tuple[dict[str, End], list[Rejection]]:
    wanted = {one.prompt.id: (one.window, one.mask.tobytes()) for one in patches if one.prompt.role is Role.SEGMENT}
    return wanted, sorted(rejections, key=lambda one: one.prompt_id)


def last_to_touch(patch: Patch, regions: Sequence[Sequence[Patch]]) -> int:
    """The last region with a patch whose window touches one's own."""
    grown = patch.window.widened
    return max(n for n, others in enumerate(regions) for one in others if grown.intersection(one.window))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12), st.integers(1, 9), st.sampled_from([30, 100, 400]))
def test_region_by_region_settles_as_all_at_once(seed: int, smallest_px: int, count: int, length: int) -> None:
    rng = np.random.default_rng(seed)
    patches = random_patches(rng, 60, length)
    expected = ends(*settle_overlaps(patches, smallest_px))
    in_order = sorted(patches, key=lambda one: one.window.x) if rng.random() < 0.7 else patches
    size = len(in_order) // count + 1
    regions = [in_order[start : start + size] for start in range(0, len(in_order), size)]
    settler = Settler(smallest_px)
    found: list[Patch] = []
    rejections: list[Rejection] = []
    final = {one.prompt.id: one for one in settle_overlaps(patches, smallest_px)[0]}
    for number, region in enumerate(regions):
        settler.add(region, np.array([last_to_touch(one, regions) for one in region], np.int64))
        settled = settler.advance(number)
        found += settled.wanted
        rejections += settled.rejections
        for one in settled.wanted:
            around = [*settled.wanted, *settled.beside]
            # All that touch it come with it, as they are when all is settled.
            touching = {other.prompt.id for other in final.values() if one.touches(other)}
            there = {other.prompt.id: ends([other], [])[0] for other in around}
            assert touching <= there.keys()
            assert all(there[name] == ends([final[name]], [])[0] for name in touching)
    assert len(found) == len({one.prompt.id for one in found})
    assert ends(found, rejections) == expected
    assert settler.waiting == 0


def row_of_discs(count: int, step: int) -> list[Patch]:
    """Clicked discs in a row, of which each covers a good part of the next."""
    rows, columns = np.mgrid[:21, :21] - 10
    probabilities = np.clip(1.05 - np.hypot(rows, columns) / 20, 0, 1).astype(np.float32)
    patches = []
    for number in range(count):
        prompt = Prompt(f"{number:04}", ObjectKind.NUCLEUS, Click(Point(0, 0)))
        window = Window(number * step, 0, 21, 21)
        mask = np.asarray(np.hypot(rows, columns) <= 10)
        patches.append(Patch.cropped(prompt, window, mask, probabilities, np.array([[10, window.x + 10]])))
    return patches


@pytest.mark.parametrize("step", [19, 12, 7])
def test_a_chain_of_overlapping_masks_does_not_have_to_be_held(step: int) -> None:
    patches = row_of_discs(200, step)
    settler, most, found = Settler(5), 0, 0
    for number, patch in enumerate(patches):
        settler.add([patch], np.array([min(number + 21 // step + 1, len(patches) - 1)]))
        found += len(settler.advance(number).wanted)
        most = max(most, settler.waiting)
    assert found == len(patches)
    assert most <= 16


def test_what_is_settled_at_once_says_how_far_each_round_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_WORTH_TELLING", 20)
    monkeypatch.setattr(contest, "_BETWEEN_STEPS", 8)
    patches = random_patches(np.random.default_rng(1), 120, 40)
    said: list[tuple[str, int, int]] = []
    settler = Settler(5, lambda *step: said.append(step))
    settler.add(patches, np.zeros(len(patches), np.int64))
    settler.advance(0)
    rounds = [what for what, _, _ in said if what.removeprefix("overlaps, round ").isdecimal()]
    assert len(set(rounds)) > 2, "more than one round"
    first = [(done, total) for what, done, total in said if what == rounds[0]]
    assert len(first) > 3, "more than once in a round"
    assert all(0 <= done < total for _, done, total in said)


def test_few_masks_are_settled_without_a_word() -> None:
    def speak(*_: object) -> None:
        raise AssertionError

    settler = Settler(5, speak)
    patches = random_patches(np.random.default_rng(1), 120, 40)
    settler.add(patches, np.zeros(len(patches), np.int64))
    assert settler.advance(0).wanted
