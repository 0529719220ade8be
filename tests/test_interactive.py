"""Outlines for programs that have an array, or mark one object after the other: both are those of `segment`."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.data import immunohistochemistry

import nuclick_wsi as nw
from nuclick_wsi.prompts import Role
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import write_pyramid
from nuclick_wsi.slides.slide import Slide

CLICKS = [(421.2, 46.3), (455.4, 66.8), (9000.0, 66.8)]
MPP = 0.5


@pytest.fixture(scope="module")
def models() -> nw.ModelRegistry:
    return nw.ModelRegistry(device="cpu", threads=1)


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slide]:
    path = tmp_path_factory.mktemp("slide") / "a.png"
    Image.fromarray(immunohistochemistry()).save(path)
    with nw.open_slide(path) as slide:
        yield slide


def test_an_array_has_the_outlines_that_its_file_has(slide: Slide, models: nw.ModelRegistry) -> None:
    prompts = [nw.Prompt(str(number), "nucleus", nw.Click(at)) for number, at in enumerate(CLICKS, start=1)]
    outcome = nw.segment(slide, prompts, models, MPP)
    labels, objects, rejections = nw.segment_image(immunohistochemistry(), CLICKS, MPP, models=models)
    assert list(objects.values()) == list(outcome.instances)
    assert list(rejections.values()) == list(outcome.rejections)
    assert sorted([*objects, *rejections]) == [1, 2, 3]
    assert (labels.shape, labels.dtype) == ((512, 512), np.int32)


def test_labels_are_the_pixels_whose_centre_is_in_the_outline(models: nw.ModelRegistry) -> None:
    labels, objects, _ = nw.segment_image(immunohistochemistry(), CLICKS[:2], MPP, models=models)
    assert set(np.unique(labels)) == {0, 1, 2}
    for number, (x, y) in enumerate(CLICKS[:2], start=1):
        assert labels[int(y), int(x)] == number
        assert (labels == number).sum() * MPP**2 == pytest.approx(objects[number].area_um2, rel=0.1)


def test_a_line_on_an_array_is_a_squiggle(models: nw.ModelRegistry) -> None:
    line = [(60, 300), (90, 320), (120, 318)]
    _, objects, rejections = nw.segment_image(immunohistochemistry(), [line], MPP, "gland", models)
    assert [*objects, *rejections] == [1]


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (np.zeros((9, 9, 4), np.uint8), r"\(9, 9, 4\).*picture\[\.\.\., :3\]"),
        (np.zeros((9, 9), np.uint8), r"\(9, 9\).*numpy\.stack"),
        (np.zeros((0, 9, 3), np.uint8), r"\(0, 9, 3\)"),
        (np.zeros((9, 9, 3)), r"float64.*astype\('uint8'\)"),
        ([[0]], "is a list; accepted is an array"),
    ],
)
def test_other_arrays_are_refused_with_what_to_do(picture: np.ndarray, said: str) -> None:
    with pytest.raises(nw.NuclickError, match=said):
        nw.segment_image(picture, [(1, 1)], MPP)


@pytest.mark.parametrize("mark", [5, "ab", (1, 2, 3), [(1, 1)], (np.nan, 1)])
def test_a_mark_that_is_no_position_is_named(mark: object) -> None:
    with pytest.raises(nw.NuclickError, match="Mark 2 is"):
        nw.segment_image(np.zeros((9, 9, 3), np.uint8), [(1, 1), mark], MPP)


def same(one: nw.Outcome, other: nw.Outcome) -> bool:
    return (one.instances, one.rejections) == (other.instances, other.rejections)


def test_a_session_has_at_any_time_the_outlines_of_all_its_marks(slide: Slide, models: nw.ModelRegistry) -> None:
    session = nw.Session(slide, models, MPP)
    steps = [
        lambda: session.click(421.2, 46.3),
        lambda: session.click(430.0, 50.0, class_name="Tumor"),
        lambda: session.ignore(425.0, 48.0),
        lambda: session.squiggle([(60, 300), (90, 320), (120, 318)]),
        session.undo,
        lambda: session.click(9000, 1),
        session.undo,
        session.undo,
    ]
    for step in steps:
        step()
        assert same(session.outcome, nw.segment(slide, session.prompts, models, MPP))


def test_a_mark_to_ignore_counts_for_every_kind_in_use(slide: Slide, models: nw.ModelRegistry) -> None:
    session = nw.Session(slide, models, MPP)
    session.ignore(425.0, 48.0)
    session.click(421.2, 46.3)
    session.click(421.2, 46.3, kind="cell")
    ignored = [prompt.kind for prompt in session.prompts if prompt.role is Role.EXCLUDE_ONLY]
    assert ignored == ["cell", "nucleus"]


def test_the_same_click_twice_is_two_marks_of_which_one_is_refused(slide: Slide, models: nw.ModelRegistry) -> None:
    session = nw.Session(slide, models, MPP)
    session.click(421.2, 46.3)
    session.click(421.2, 46.3)
    (outlined,), (refused,) = session.outcome.instances, session.outcome.rejections
    assert outlined.prompt_id != refused.prompt_id
    assert session.undo()
    assert session.undo()
    assert not session.undo()


def test_taking_a_mark_back_asks_the_network_nothing(slide: Slide, models: nw.ModelRegistry) -> None:
    calls = []

    class Counted:
        def segmenter(self, kind: nw.ObjectKind) -> object:
            segmenter = models.segmenter(kind)
            predict = segmenter.predict

            class Watched:
                card, around = segmenter.card, staticmethod(segmenter.around)

                def predict(self, tiles: object, field: object) -> Iterator[object]:
                    for view, probabilities in predict(tiles, field):  # type: ignore[arg-type]
                        calls.append(view)
                        yield view, probabilities

            return Watched()

    session = nw.Session(slide, Counted(), MPP)  # type: ignore[arg-type]
    session.click(421.2, 46.3)
    session.click(430.0, 50.0)
    before = len(calls)
    session.undo()
    assert session.outcome.instances
    assert len(calls) == before


def test_a_mark_that_cannot_be_worked_on_is_not_kept(slide: Slide) -> None:
    session = nw.Session(slide, nw.ModelRegistry(device="cpu", terms="open"), MPP)
    with pytest.raises(nw.NuclickError):
        session.squiggle([(60, 300), (90, 320)])  # no model for glands has open terms
    with pytest.raises(nw.NuclickError, match="kind"):
        session.click(1, 1, kind="tree")
    assert session.prompts == ()


def test_a_slide_without_a_pixel_size_wants_one(slide: Slide, tmp_path: Path) -> None:
    with pytest.raises(nw.NuclickError, match="pixel size"):
        nw.Session(slide)
    write_pyramid(tmp_path / "a.svs", immunohistochemistry(), PixelSize(MPP, MPP))
    with nw.open_slide(tmp_path / "a.svs") as sized:
        assert nw.Session(sized).prompts == ()
