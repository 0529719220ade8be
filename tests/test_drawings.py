import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuclick_wsi.formats.drawings import Drawing, Mark, marks_of, prompts_of_drawings
from nuclick_wsi.geometry import Point
from nuclick_wsi.instances import Reason
from nuclick_wsi.prompts import Click, ObjectChoice, ObjectKind, Plane, Role, Squiggle

Position = tuple[float, float]


def points(*positions: Position, source: str | None = "object", class_name: str | None = None) -> Drawing:
    return Drawing(Mark.POINTS, (np.array(positions, float).reshape(-1, 2),), "here", source, class_name)


def lines(*strokes: Sequence[Position], source: str | None = "object", class_name: str | None = None) -> Drawing:
    parts = tuple(np.array(stroke, float).reshape(-1, 2) for stroke in strokes)
    return Drawing(Mark.LINES, parts, "here", source, class_name)


def test_every_point_is_a_click_on_a_nucleus() -> None:
    found = prompts_of_drawings([points((1, 2), (3, 4), class_name="Tumor")], ObjectChoice.AUTO)
    assert [prompt.signal for prompt in found.prompts] == [Click(Point(1, 2)), Click(Point(3, 4))]
    assert {(prompt.kind, prompt.class_name, prompt.role) for prompt in found.prompts} == {
        (ObjectKind.NUCLEUS, "Tumor", Role.SEGMENT)
    }
    assert not found.rejections
    assert not found.left_alone


def test_the_strokes_of_one_drawing_are_one_gland() -> None:
    found = prompts_of_drawings([lines([(0, 0), (5, 0)], [(9, 9), (9, 4)])], ObjectChoice.AUTO)
    (prompt,) = found.prompts
    assert prompt.kind is ObjectKind.GLAND
    assert prompt.signal == Squiggle(((Point(0, 0), Point(5, 0)), (Point(9, 4), Point(9, 9))))


def test_a_line_that_crosses_itself_is_a_squiggle() -> None:
    found = prompts_of_drawings([lines([(0, 0), (10, 10), (0, 10), (10, 0)])], ObjectChoice.AUTO)
    assert len(found.prompts) == 1


@pytest.mark.parametrize(
    ("choice", "kinds", "left_alone"),
    [
        (ObjectChoice.AUTO, [ObjectKind.NUCLEUS, ObjectKind.NUCLEUS, ObjectKind.GLAND], {}),
        (ObjectChoice.NUCLEUS, [ObjectKind.NUCLEUS] * 3, {}),
        (ObjectChoice.CELL, [ObjectKind.CELL] * 3, {}),
        (ObjectChoice.GLAND, [ObjectKind.GLAND], {"points: not asked for": 2}),
    ],
)
def test_what_was_not_asked_for_is_counted(
    choice: ObjectChoice, kinds: list[ObjectKind], left_alone: dict[str, int]
) -> None:
    found = prompts_of_drawings([points((1, 2), (3, 4)), lines([(0, 0), (5, 0)])], choice)
    assert [prompt.kind for prompt in found.prompts] == kinds
    assert found.left_alone == left_alone


def test_lines_beside_clicks_are_no_nuclei_unless_one_is_asked_for() -> None:
    beside = replace(lines([(0, 0), (5, 0)]), is_beside=True)
    asked = lines([(0, 9), (5, 9)])
    found = prompts_of_drawings([points((1, 2)), beside, asked], ObjectChoice.NUCLEUS)
    assert [(prompt.kind, prompt.role) for prompt in found.prompts] == [(ObjectKind.NUCLEUS, Role.SEGMENT)] * 2


def test_what_a_reader_left_alone_is_counted_too() -> None:
    found = prompts_of_drawings([points((1, 2))], ObjectChoice.GLAND, {"detection": 3, "cell": 0})
    assert found.left_alone == {"detection": 3, "points: not asked for": 1}


@pytest.mark.parametrize("class_name", ["Ignore*", "Ignore", "Ignore*: Debris", "Tumor: Ignore*"])
def test_a_class_to_ignore_only_excludes(class_name: str) -> None:
    drawings = [points((1, 2), class_name=class_name), lines([(0, 0), (5, 0)], class_name=class_name)]
    found = prompts_of_drawings(drawings, ObjectChoice.AUTO)
    assert {prompt.role for prompt in found.prompts} == {Role.EXCLUDE_ONLY}


@pytest.mark.parametrize("choice", ObjectChoice)
def test_what_is_to_be_ignored_is_ignored_by_all_kinds_that_are_asked_for(choice: ObjectChoice) -> None:
    drawings = [points((1, 2), class_name="Ignore*"), lines([(0, 0), (5, 0)], class_name="Ignore*")]
    found = prompts_of_drawings(drawings, choice).prompts
    assert [prompt.kind for prompt in found] == [*choice.kinds, *choice.kinds]
    assert len({prompt.id for prompt in found}) == len(found)


@pytest.mark.parametrize("class_name", [None, "Tumor", "Region*", "Do not Ignore"])
def test_other_classes_are_segmented(class_name: str | None) -> None:
    found = prompts_of_drawings([points((1, 2), class_name=class_name)], ObjectChoice.AUTO)
    assert [prompt.role for prompt in found.prompts] == [Role.SEGMENT]


@pytest.mark.parametrize(
    ("drawing", "reason", "detail"),
    [
        (points(), Reason.NO_POINTS, "here"),
        (points((math.nan, 2)), Reason.NOT_FINITE, "here (nan, 2.0)"),
        (points((1, math.inf)), Reason.NOT_FINITE, "here (1.0, inf)"),
        (lines([(0, 0), (math.nan, 2)], [(3, 3), (4, 4)]), Reason.NOT_FINITE, "here (nan, 2.0)"),
        (lines([(3, 4), (3, 4)]), Reason.NO_LENGTH, "here at (3, 4)"),
        (lines([(3, 4)]), Reason.NO_LENGTH, "here at (3, 4)"),
        (lines(), Reason.NO_LENGTH, "here"),
        (lines([]), Reason.NO_LENGTH, "here"),
    ],
)
def test_what_cannot_be_a_prompt_is_rejected_by_name(drawing: Drawing, reason: Reason, detail: str) -> None:
    found = prompts_of_drawings([drawing], ObjectChoice.AUTO)
    assert not found.prompts
    (rejection,) = found.rejections
    assert (rejection.reason, rejection.detail) == (reason, detail)


def test_good_points_beside_a_bad_one_are_kept() -> None:
    found = prompts_of_drawings([points((1, 2), (math.nan, 0), (3, 4))], ObjectChoice.AUTO)
    assert (len(found.prompts), len(found.rejections)) == (2, 1)


def test_a_stroke_without_length_is_dropped_beside_a_longer_one() -> None:
    found = prompts_of_drawings([lines([(0, 0), (0, 0)], [(1, 1), (5, 5)])], ObjectChoice.AUTO)
    (prompt,) = found.prompts
    assert prompt.signal == Squiggle(((Point(1, 1), Point(5, 5)),))


def test_a_bad_drawing_of_a_class_to_ignore_is_no_rejection() -> None:
    found = prompts_of_drawings([points(class_name="Ignore*")], ObjectChoice.AUTO)
    assert not found.rejections
    assert found.left_alone == {"to be ignored, but unusable": 1}


def test_equal_drawings_have_different_ids() -> None:
    drawings = [points((1, 2), (1, 2)), points((1, 2)), points(), points(), lines([(0, 0), (1, 1)])] * 2
    found = prompts_of_drawings(drawings, ObjectChoice.AUTO)
    ids = [prompt.id for prompt in found.prompts] + [rejection.prompt_id for rejection in found.rejections]
    assert len(set(ids)) == len(ids) == 12


def test_without_object_ids_planes_and_classes_still_tell_equal_drawings_apart() -> None:
    first = Drawing(Mark.POINTS, (np.array([[1.0, 2.0]]),), "a", None, "Tumor", Plane(z=1))
    second = Drawing(Mark.POINTS, (np.array([[1.0, 2.0]]),), "b", None, "Tumor", Plane(z=2))

    def ids(drawings: list[Drawing]) -> dict[Plane, str]:
        return {prompt.plane: prompt.id for prompt in prompts_of_drawings(drawings, ObjectChoice.AUTO).prompts}

    assert ids([first, second]) == ids([second, first])


numbers = st.floats(-1e6, 1e6, width=32)
positions = st.tuples(numbers, numbers)


@given(st.lists(positions, min_size=1, max_size=6, unique=True), st.randoms())
def test_ids_do_not_depend_on_the_order_of_points(drawn: list[Position], random: "np.random.Generator") -> None:
    shuffled = sorted(drawn, key=lambda _: random.random())
    ids = [
        {prompt.id for prompt in prompts_of_drawings([points(*order)], ObjectChoice.AUTO).prompts}
        for order in (drawn, shuffled)
    ]
    assert ids[0] == ids[1]


@given(st.lists(st.lists(positions, min_size=2, max_size=4), min_size=1, max_size=3))
def test_ids_do_not_depend_on_order_and_direction_of_strokes(drawn: list[list[Position]]) -> None:
    turned = [stroke[::-1] for stroke in drawn[::-1]]
    one, other = (prompts_of_drawings([lines(*strokes)], ObjectChoice.AUTO) for strokes in (drawn, turned))
    assert [prompt.id for prompt in one.prompts] == [prompt.id for prompt in other.prompts]
    assert len(one.rejections) == len(other.rejections)


@pytest.mark.parametrize(
    ("types", "mark"),
    [
        (["Point"], Mark.POINTS),
        (["Point", "Point"], Mark.POINTS),
        (["LineString"] * 3, Mark.LINES),
        (["Polygon"], None),
        (["LineString", "Polygon"], None),
        (["LineString", "Point"], None),
        ([], None),
    ],
)
def test_only_pure_points_and_pure_lines_are_marks(types: list[str], mark: Mark | None) -> None:
    found = marks_of((kind, np.zeros((2, 2))) for kind in types)
    assert (found and found[0]) == mark


def test_half_a_surrogate_pair_in_a_class_becomes_a_mark_that_files_can_hold() -> None:
    drawing = Drawing(Mark.POINTS, (np.array([[1.0, 2.0]]),), "a", class_name="T\ud83e")
    assert prompts_of_drawings([drawing], ObjectChoice.AUTO).prompts[0].class_name == "T?"
