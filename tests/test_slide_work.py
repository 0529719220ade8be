"""A slide that is worked on region by region gives what it gives at once, to the last bit."""

import numpy as np
from dark_segmenter import DarkSegmenter, card
from hypothesis import given, settings
from hypothesis import strategies as st
from made_slides import array_slide
from numpy.typing import NDArray
from scipy import ndimage

from nuclick_wsi.choices import GlandMode
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import Instance, PromptSet
from nuclick_wsi.prompts import Click, ObjectKind, Prompt, Role, Squiggle, cell_id, prompt_id
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.result_cache import NoCache
from nuclick_wsi.segmentation.segmenter import FixedSegmenters
from nuclick_wsi.segmentation.settings import OutlineSettings, Settings
from nuclick_wsi.segmentation.slide_work import End, SlideWork

SEGMENTERS = FixedSegmenters(
    {
        ObjectKind.NUCLEUS: DarkSegmenter(card(ObjectKind.NUCLEUS, 32, 0.25)),
        ObjectKind.CELL: DarkSegmenter(card(ObjectKind.CELL, 64, 0.3)),
        ObjectKind.GLAND: DarkSegmenter(card(ObjectKind.GLAND, 32, 0.5)),
    }
)
FINE = PixelSize(0.25, 0.25)
AT_ONCE = 1 << 40


def tissue(rng: np.random.Generator, width: int, height: int, grain: float) -> NDArray[np.uint8]:
    """Blotches of all sizes that run into each other, on few grey levels so that probabilities tie."""
    waves = ndimage.gaussian_filter(rng.normal(size=(height, width)), grain)
    grey = 130 + 60 * waves / waves.std()
    return np.repeat((np.clip(grey, 0, 255) // 16 * 16).astype(np.uint8)[..., None], 3, axis=2)


def made_prompts(rng: np.random.Generator, width: int, height: int, count: int) -> list[Prompt]:
    """Clicks in heaps and alone, for nuclei and cells, squiggles of all lengths, context and marks to be ignored."""
    middles = rng.uniform(0, (width, height), (4, 2))
    prompts: dict[str, Prompt] = {}
    roles = [Role.SEGMENT, Role.SEGMENT, Role.SEGMENT, Role.NEIGHBOUR, Role.EXCLUDE_ONLY]
    for number in range(count):
        x, y = rng.uniform(0, (width, height)) if rng.random() < 0.6 else rng.normal(middles[number % 4], 12)
        role = roles[rng.integers(len(roles))] if rng.random() < 0.7 else Role.SEGMENT
        if rng.random() < 0.8:
            click = Click(Point(float(x), float(y)))
            name = prompt_id("click", click)
            prompts[name] = Prompt(name, ObjectKind.NUCLEUS, click, role=role)
            prompts[cell_id(name)] = Prompt(cell_id(name), ObjectKind.CELL, click, role=role)
        else:
            steps = np.add(np.cumsum(rng.normal(0, rng.choice([4, 20]), (5, 2)), axis=0), (x, y))
            line = Squiggle(((Point(float(x), float(y)), *(Point(*map(float, step)) for step in steps)),))
            name = prompt_id("line", line)
            prompts[name] = Prompt(name, ObjectKind.GLAND, line, role=role)
    return list(prompts.values())


def in_order(ends: list[End]) -> tuple[list[Instance], list[End]]:
    ordered = sorted(ends, key=lambda end: end.prompt_id)
    return [end for end in ordered if isinstance(end, Instance)], [e for e in ordered if not isinstance(e, Instance)]


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 3, 10, 40]),
    st.sampled_from([(260, 220), (1500, 90), (90, 1500)]),
    st.sampled_from(list(GlandMode)),
    st.booleans(),
)
def test_any_regions_and_any_order_of_prompts_give_the_same_outlines(
    seed: int, at_once: int, size: tuple[int, int], mode: GlandMode, pixel_edges: bool
) -> None:
    rng = np.random.default_rng(seed)
    slide = array_slide(tissue(rng, *size, grain=float(rng.uniform(2, 9))))
    prompts = made_prompts(rng, *size, count=90)
    chosen = Settings(gland_mode=mode, outlines=OutlineSettings(pixel_edges=pixel_edges), workers=0)

    def ends(given_prompts: list[Prompt], region: int) -> tuple[list[Instance], list[End]]:
        work = SlideWork(slide, SEGMENTERS, FINE, chosen, NoCache(), lambda _: None, region)
        return in_order(list(work.ends_of(PromptSet(tuple(given_prompts)))))

    plain = ends(prompts, AT_ONCE)
    shuffled = [prompts[index] for index in rng.permutation(len(prompts)).tolist()]
    assert ends(shuffled, at_once) == plain
    asked = {prompt.id for prompt in prompts if prompt.role is Role.SEGMENT}
    assert sorted(end.prompt_id for part in plain for end in part) == sorted(asked)
