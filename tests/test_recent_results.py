"""What a server remembers of requests: as good as a fresh answer, and never more than it may hold."""

import random
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_engine import click, discs
from test_running_again import ABOUT, SIDE, ShySegmenter, edited

from nuclick_wsi.instances import PromptSet, Reason, Rejection
from nuclick_wsi.prompts import ObjectKind, Prompt, Role
from nuclick_wsi.scale import PixelSize, Window
from nuclick_wsi.segmentation.engine import Outcome, segment
from nuclick_wsi.segmentation.patch import Patch
from nuclick_wsi.segmentation.result_cache import NoCache, ResultCache
from nuclick_wsi.segmentation.segmenter import FixedSegmenters
from nuclick_wsi.server.recent_results import RecentResults
from nuclick_wsi.slides.readers import open_slide

MakeSlide = Callable[..., Path]


def outlined(path: Path, prompts: Iterable[Prompt], cache: ResultCache) -> tuple[Outcome, set[str]]:
    """Return the outcome, and the prompts that went through the network."""
    segmenters = {kind: ShySegmenter(kind) for kind in (ObjectKind.NUCLEUS, ObjectKind.GLAND)}
    with open_slide(path) as slide:
        outcome = segment(
            slide, PromptSet(tuple(prompts)), FixedSegmenters(segmenters), PixelSize(0.25, 0.25), cache=cache
        )
    return outcome, set.union(*(one.seen for one in segmenters.values()))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("largest", [1 << 30, 60_000])
def test_requests_after_edits_give_what_fresh_ones_give(seed: int, largest: int, make_slide: MakeSlide) -> None:
    rng = random.Random(seed)
    centres = [(rng.randrange(SIDE), rng.randrange(SIDE)) for _ in range(40)]
    path = make_slide(discs(SIDE, centres, radius=12))
    prompts = [click(x + rng.uniform(-3, 3), y + rng.uniform(-3, 3)) for x, y in centres]
    recent = RecentResults(largest)
    recalled = 0
    for _ in range(5):
        chosen = [one if rng.random() < 0.7 else replace(one, role=Role.NEIGHBOUR) for one in prompts]
        cache = recent.on_slide(ABOUT)
        again, seen = outlined(path, chosen, cache)
        fresh, every_one = outlined(path, chosen, NoCache())
        assert again == fresh
        assert cache.recalled == len(every_one) - len(seen)
        recalled += cache.recalled
        prompts = edited(prompts, rng)
    assert recalled > (60 if largest > 60_000 else 0)


def test_what_was_shown_counts_and_not_whose_prompt_it_was(make_slide: MakeSlide) -> None:
    path = make_slide(discs(SIDE, [(40, 40), (60, 40), (200, 200)]))
    prompts = [click(40, 40), click(60, 40), click(200, 200)]
    recent = RecentResults()
    outlined(path, prompts, recent.on_slide(ABOUT))
    renamed = [replace(one, id=f"z{number}", class_name="Tumor") for number, one in enumerate(prompts)]
    again, seen = outlined(path, renamed, recent.on_slide(ABOUT))
    assert seen == set()
    assert [one.prompt_id for one in again.instances] == ["z0", "z1", "z2"]
    moved = click(61, 41)
    assert outlined(path, [prompts[0], moved, prompts[2]], recent.on_slide(ABOUT))[1] == {prompts[0].id, moved.id}
    other = {**ABOUT, ObjectKind.NUCLEUS: b"other"}
    assert outlined(path, prompts, recent.on_slide(other))[1] == {one.id for one in prompts}


def patch(side: int) -> Patch:
    signal = np.zeros((1, 2), np.int64)
    return Patch(
        click(1, 1), Window(0, 0, side, side), np.ones((side, side), bool), np.ones((side, side), np.float32), signal
    )


def test_what_was_asked_for_last_stays_and_no_more_than_fits() -> None:
    recent = RecentResults(100_000)
    cache = recent.on_slide(ABOUT)
    prompts = [click(number, 1) for number in range(100)]
    for prompt in prompts:
        cache.remember(prompt, prompt.id.encode(), patch(40))  # 40 * 40 * (1 + 4) bytes
        assert cache.recall(prompts[0], prompts[0].id.encode()) is not None
    assert len(recent) == 11
    left = [prompt for prompt in prompts if cache.recall(prompt, prompt.id.encode()) is not None]
    assert left == [prompts[0], *prompts[-10:]]
    cache.remember(prompts[0], b"large", patch(400))
    assert len(recent) == 0
    cache.remember(prompts[0], b"small", Rejection.of(prompts[1], Reason.NO_OBJECT, ""))
    assert cache.recall(prompts[0], b"small") == Rejection.of(prompts[0], Reason.NO_OBJECT, "")


def test_threads_share_it() -> None:
    recent = RecentResults(200_000)

    def ask(seed: int) -> None:
        rng, cache = random.Random(seed), recent.on_slide(ABOUT)
        for _ in range(2000):
            side = rng.randrange(1, 60)
            if cache.recall(click(1, 1), bytes([side])) is None:
                cache.remember(click(1, 1), bytes([side]), patch(side))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ask, range(4)))
    assert recent._bytes == sum(1024 + 5 * one.mask.size + 16 for one in recent._kept.values()) <= 200_000
