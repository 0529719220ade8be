"""What a user adds to correct an outline, and glands that are larger than their crop, on discs of known outlines."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
import shapely
from dark_segmenter import DarkSegmenter, card
from numpy.typing import NDArray
from test_engine import by_id, click, discs, run, squiggle

from nuclick_wsi.choices import GlandMode
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import PromptSet, Reason
from nuclick_wsi.prompts import ObjectKind, Prompt, Role, Squiggle, prompt_id
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.segmentation.crops import WIDER, CropSpec, SignalField, View
from nuclick_wsi.segmentation.engine import segment
from nuclick_wsi.segmentation.segmenter import FixedSegmenters, TileImage
from nuclick_wsi.segmentation.settings import Settings
from nuclick_wsi.slides.readers import open_slide

MakeSlide = Callable[..., Path]


def dumbbell() -> NDArray[np.uint8]:
    """Two black discs with a black bar between them."""
    image = discs(128, [(45, 60), (75, 60)])
    image[57:63, 45:75] = 0
    return image


def line(kind: ObjectKind, *points: tuple[float, float]) -> Prompt:
    signal = Squiggle((tuple(Point(*p) for p in points),))
    return Prompt(prompt_id("line", signal), kind, signal)


def test_an_ignore_click_takes_its_part_of_an_outline_away(make_slide: MakeSlide) -> None:
    path, wanted = make_slide(dumbbell()), click(45, 60)
    before = by_id(run(path, [wanted]))[wanted.id]
    assert before.contains(shapely.Point(75, 60))
    after = by_id(run(path, [wanted, click(75, 60, role=Role.EXCLUDE_ONLY)]))[wanted.id]
    assert not after.intersects(shapely.Point(75, 60).buffer(8))
    left = shapely.box(0, 0, 58, 128)
    assert after.intersection(left).symmetric_difference(before.intersection(left)).area < 0.1


def test_an_ignore_click_beside_an_outline_changes_nothing(make_slide: MakeSlide) -> None:
    path, wanted = make_slide(dumbbell()), click(45, 60)
    beside = click(60, 75, role=Role.EXCLUDE_ONLY)
    assert by_id(run(path, [wanted, beside])) == by_id(run(path, [wanted]))


@pytest.mark.parametrize("x", [45, 46, 49])
def test_an_ignore_click_leaves_the_place_of_the_prompt_itself(x: int, make_slide: MakeSlide) -> None:
    wanted = click(45, 60)
    outcome = run(make_slide(dumbbell()), [wanted, click(x, 60, role=Role.EXCLUDE_ONLY)])
    assert by_id(outcome)[wanted.id].contains(shapely.Point(45.5, 60.5))


def test_an_ignore_line_takes_a_part_of_a_gland_away(make_slide: MakeSlide) -> None:
    signal = Squiggle(((Point(68, 60), Point(82, 60)),))
    ignored = Prompt(prompt_id("other", signal), ObjectKind.GLAND, signal, role=Role.EXCLUDE_ONLY)
    wanted = squiggle([(40, 60), (50, 60)])
    outline = by_id(run(make_slide(dumbbell()), [wanted, ignored]))[wanted.id]
    assert outline.contains(shapely.Point(45, 66))
    assert not outline.intersects(shapely.box(68, 56, 82, 64))


def test_a_line_through_a_nucleus_is_a_nucleus_with_both_its_parts(make_slide: MakeSlide) -> None:
    path = make_slide(discs(128, [(45, 60), (65, 60)]))
    wanted = line(ObjectKind.NUCLEUS, (45, 60), (65, 60))
    outline = by_id(run(path, [wanted]))[wanted.id]
    assert all(outline.covers(shapely.Point(x, 60).buffer(7)) for x in (45, 65))


def test_a_line_from_a_nucleus_into_what_is_missing_adds_it(make_slide: MakeSlide) -> None:
    path = make_slide(discs(128, [(60, 60)]))
    inside, beyond = (line(ObjectKind.NUCLEUS, (56, 60), (x, 60)) for x in (62, 74))
    alone, outline = (by_id(run(path, [wanted]))[wanted.id] for wanted in (inside, beyond))
    assert outline.covers(alone.buffer(-0.5))
    # The disc about the line's end reaches back to the nucleus, and no farther.
    assert outline.contains(shapely.Point(75, 60.5))
    assert outline.area > alone.area + 20
    assert outline.bounds[2] < 82
    assert outline.bounds[0] == pytest.approx(alone.bounds[0], abs=0.5)


def test_a_squiggle_that_leaves_its_gland_adds_nothing(make_slide: MakeSlide) -> None:
    path = make_slide(discs(128, [(60, 60)]))
    inside, beyond = (squiggle([(54, 60), (x, 60)]) for x in (64, 74))
    alone, outline = (by_id(run(path, [wanted]))[wanted.id] for wanted in (inside, beyond))
    assert outline.bounds == pytest.approx(alone.bounds, abs=0.5)


def test_a_line_longer_than_a_nucleus_is_rejected_by_name(make_slide: MakeSlide) -> None:
    wanted, fine = line(ObjectKind.NUCLEUS, (45, 60), (95, 60)), click(75, 60)
    outcome = run(make_slide(dumbbell()), [wanted, fine])
    assert set(by_id(outcome)) == {fine.id}
    (rejection,) = outcome.rejections
    assert (rejection.reason, rejection.prompt_id) == (Reason.TOO_LONG, wanted.id)
    assert rejection.detail == "it spans 12 um; a line through a nucleus spans up to 12 um"


class WatchedSegmenter(DarkSegmenter):
    """Keeps the views that it was shown."""

    def __init__(self) -> None:
        super().__init__(card(ObjectKind.GLAND, 64, 0.5))
        self.seen: list[View] = []

    def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, NDArray[np.float32]]]:
        for view, probabilities in super().predict(tiles, field):
            self.seen.append(view)
            yield view, probabilities


def looks(
    path: Path, prompts: list[Prompt], mode: GlandMode = GlandMode.CROP
) -> tuple[list[View], dict[str, shapely.Polygon]]:
    segmenter = WatchedSegmenter()
    with open_slide(path) as slide:
        found = segment(
            slide,
            PromptSet(tuple(prompts)),
            FixedSegmenters({ObjectKind.GLAND: segmenter}),
            PixelSize(0.5, 0.5),
            Settings(gland_mode=mode),
        )
    return segmenter.seen, by_id(found)


@pytest.mark.parametrize(("radius", "expected"), [(20.0, 1), (40.0, 2), (58.0, 3)])
def test_a_gland_larger_than_its_crop_is_found_whole_by_a_hasty_squiggle(
    radius: float, expected: int, make_slide: MakeSlide
) -> None:
    wanted = squiggle([(118, 128), (138, 128)])
    seen, outlines = looks(make_slide(discs(256, [(128, 128)], radius)), [wanted])
    assert [view.look for view in seen] == list(range(expected))
    disc = shapely.Point(128, 128).buffer(radius)
    outline = outlines[wanted.id]
    assert outline.intersection(disc).area / outline.union(disc).area > 0.95


def test_an_off_centre_squiggle_is_looked_at_about_what_was_found(make_slide: MakeSlide) -> None:
    wanted = squiggle([(100, 128), (108, 128)])
    _, outlines = looks(make_slide(discs(256, [(128, 128)], 40.0)), [wanted])
    disc = shapely.Point(128, 128).buffer(40)
    assert outlines[wanted.id].intersection(disc).area / outlines[wanted.id].union(disc).area > 0.95


def test_where_the_slide_ends_there_is_nothing_to_look_at_again(make_slide: MakeSlide) -> None:
    wanted = squiggle([(22, 32), (42, 32)])
    black = np.zeros((64, 64, 3), np.uint8)
    seen, outlines = looks(make_slide(black), [wanted])
    assert len(seen) == 1
    assert outlines[wanted.id].area == pytest.approx(64 * 64, rel=0.02)


def test_the_last_look_is_twice_as_wide_as_the_first_and_no_view_leaves_its_reach(make_slide: MakeSlide) -> None:
    wanted = squiggle([(250, 256), (262, 256)])
    seen, _ = looks(make_slide(np.zeros((512, 512, 3), np.uint8)), [wanted])
    assert len(seen) == 1 + len(WIDER)
    assert seen[-1].grid.downsample == pytest.approx(2 * seen[0].grid.downsample)
    (reach,) = SignalField([wanted]).reach([0], seen[0].grid, CropSpec(64, 0.5), wider_looks=True)
    for view in seen:
        left, top, right, bottom = np.array(view.window.edges) * view.grid.downsample
        assert (reach[:2] <= (left, top)).all()
        assert (reach[2:] >= (right, bottom)).all()


def test_a_gland_alone_is_as_among_all_others_though_one_comes_from_far(make_slide: MakeSlide) -> None:
    image = discs(384, [(140, 128)], 50.0)
    image[(discs(384, [(206, 128)], 18.0) == 0).all(axis=2)] = 0
    path = make_slide(image)
    large, small = squiggle([(110, 120), (110, 136)]), squiggle([(204, 128), (212, 128)])
    _, everything = looks(path, [large, small])
    neighbour = Prompt(large.id, large.kind, large.signal, role=Role.NEIGHBOUR)
    _, alone = looks(path, [neighbour, small])
    assert alone[small.id].equals_exact(everything[small.id], 0)


def test_tiled_glands_are_not_looked_at_again(make_slide: MakeSlide) -> None:
    wanted = squiggle([(118, 128), (138, 128)])
    seen, _ = looks(make_slide(discs(256, [(128, 128)], 58.0)), [wanted], GlandMode.TILED)
    assert {view.look for view in seen} == {0}
