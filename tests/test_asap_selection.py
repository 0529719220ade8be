"""Which of ASAP's annotations are prompts, and how each is read; splines as ASAP draws them."""

import numpy as np
import pytest
import shapely
from asap_files import made
from hypothesis import given, settings
from hypothesis import strategies as st

from asap_bridge.annotations import Annotation, AnnotationType
from asap_bridge.names import CarriedName, ResultName, digest_of, result_group
from asap_bridge.selection import GroupRule, ReadAs, prompts_of, read_as
from asap_bridge.splines import TOLERANCE, spline_outline, spline_stroke
from nuclick_wsi.instances import PromptSet, Reason
from nuclick_wsi.prompts import Click, ObjectChoice, ObjectKind, Role, Squiggle

KIND = AnnotationType
TRIANGLE = [(0.0, 0.0), (50.0, 0.0), (50.0, 40.0)]
ID = "3f2b8c1a-0000-4000-8000-0123456789ab"


def prompts(*annotations: Annotation, choice: str = "auto") -> PromptSet:
    return prompts_of(annotations, ObjectChoice(choice), GroupRule())


@pytest.mark.parametrize(
    ("kind", "group", "expected"),
    [
        (KIND.DOT, None, ReadAs.CLICK),
        (KIND.DOT, "my squiggles", ReadAs.CLICK),
        (KIND.POINT_SET, None, ReadAs.SQUIGGLE),
        (KIND.POINT_SET, "Tumor", ReadAs.SQUIGGLE),
        (KIND.POINT_SET, "Tumor Clicks", ReadAs.CLICK),
        (KIND.POINT_SET, "clicks and squiggles", ReadAs.SQUIGGLE),
        (KIND.MEASUREMENT, None, ReadAs.SQUIGGLE),
        (KIND.MEASUREMENT, "clicks", ReadAs.SQUIGGLE),
        (KIND.POLYGON, None, ReadAs.REGION),
        (KIND.POLYGON, "Tumor", ReadAs.REGION),
        (KIND.POLYGON, "SQUIGGLES", ReadAs.SQUIGGLE),
        (KIND.SPLINE, "gland squiggle", ReadAs.SQUIGGLE),
        (KIND.SPLINE, "clicks", ReadAs.REGION),
        (KIND.RECTANGLE, "squiggles", ReadAs.REGION),
        (KIND.NONE, None, ReadAs.REGION),
        (KIND.DOT, "NuClick", ReadAs.RESULT),
        (KIND.DOT, "NuClick: Tumor", ReadAs.RESULT),
        (KIND.POLYGON, "NuClick holes: squiggles", ReadAs.RESULT),
        (KIND.POINT_SET, "NuClicks of mine", ReadAs.CLICK),
    ],
)
def test_type_and_group_say_how_an_annotation_is_read(kind: KIND, group: str | None, expected: ReadAs) -> None:
    assert read_as(made(kind, TRIANGLE, group=group), GroupRule()) is expected


def test_named_groups_take_the_place_of_the_words() -> None:
    rule = GroupRule(clicks=["A"], squiggles=["B"])
    assert read_as(made(KIND.POINT_SET, TRIANGLE, group="A"), rule) is ReadAs.CLICK
    assert read_as(made(KIND.POINT_SET, TRIANGLE, group="clicks"), rule) is ReadAs.SQUIGGLE
    assert read_as(made(KIND.POLYGON, TRIANGLE, group="B"), rule) is ReadAs.SQUIGGLE
    assert read_as(made(KIND.POLYGON, TRIANGLE, group="squiggles"), rule) is ReadAs.REGION
    only_clicks = GroupRule(clicks=["A"])
    assert read_as(made(KIND.POLYGON, TRIANGLE, group="squiggles"), only_clicks) is ReadAs.SQUIGGLE


def test_prompts_have_the_class_of_their_group_and_squiggles_no_closing_edge() -> None:
    found = prompts(
        made(KIND.DOT, [(3, 4)], group="Tumor"),
        made(KIND.POINT_SET, [(1, 1), (2, 2)], group="clicks"),
        made(KIND.POLYGON, TRIANGLE, group="squiggles"),
        made(KIND.MEASUREMENT, [(0, 0), (9, 9)]),
        made(KIND.DOT, [(7, 7)], group="Ignore these"),
        made(KIND.RECTANGLE, [(0, 0), (1, 0), (1, 1), (0, 1)]),
        made(KIND.DOT, [(7, 7)], group="NuClick: Tumor"),
    )
    assert [(one.kind, one.class_name, one.role) for one in found.prompts] == [
        (ObjectKind.NUCLEUS, "Tumor", Role.SEGMENT),
        (ObjectKind.NUCLEUS, "clicks", Role.SEGMENT),
        (ObjectKind.NUCLEUS, "clicks", Role.SEGMENT),
        (ObjectKind.GLAND, "squiggles", Role.SEGMENT),
        (ObjectKind.GLAND, None, Role.SEGMENT),
        (ObjectKind.NUCLEUS, "Ignore these", Role.EXCLUDE_ONLY),
        (ObjectKind.GLAND, "Ignore these", Role.EXCLUDE_ONLY),
    ]
    assert found.left_alone == {"region": 1, "result": 1}
    polygon = found.prompts[3].signal
    assert isinstance(polygon, Squiggle)
    assert sorted((p.x, p.y) for p in polygon.strokes[0]) == sorted(TRIANGLE)


def test_what_was_not_asked_for_is_counted_and_what_has_no_length_is_rejected() -> None:
    found = prompts(made(KIND.DOT, [(3, 4)]), made(KIND.POINT_SET, [(3, 4)], "short"), choice="gland")
    assert not found.prompts
    assert found.left_alone == {"points: not asked for": 1}
    assert [one.reason for one in found.rejections] == [Reason.NO_LENGTH]
    assert "'short'" in found.rejections[0].detail


def test_equal_clicks_of_one_name_have_ids_of_their_own() -> None:
    found = prompts(made(KIND.DOT, [(3, 4)]), made(KIND.DOT, [(3, 4)]), made(KIND.DOT, [(5, 4)]))
    assert len({one.id for one in found.prompts}) == 3


def test_names_from_qupath_give_the_ids_and_strokes_of_qupath() -> None:
    found = prompts(
        made(KIND.POINT_SET, [(0, 0), (9, 0)], f"gland {{{ID}/1.0}}", "Gland"),
        made(KIND.DOT, [(3, 4)], f"{{{ID}}}", "Gland"),
        made(KIND.POINT_SET, [(0, 5), (9, 5)], f"gland {{{ID}/2.0}}", "Gland"),
        made(KIND.POINT_SET, [(0, 7), (9, 7)], f"gland {{{ID}/2.0}}", "moved elsewhere"),
    )
    signals = [one.signal for one in found.prompts]
    assert [len(one.strokes) for one in signals] == [2, 1, 1]
    assert isinstance(signals[1], Click)


@given(st.text(max_size=9), st.uuids().map(str), st.integers(0, 99), st.integers(0, 99))
def test_names_say_what_was_put_into_them(name: str, identity: str, part: int, ring: int) -> None:
    carried = CarriedName(name.strip(), identity, part, ring if part else 0)
    assert CarriedName.parse(str(carried)) == carried
    result = ResultName(identity, part, ring, "0123abcd")
    assert ResultName.parse(str(result)) == result
    assert CarriedName.parse(str(result)) is None
    assert ResultName.parse(str(carried)) is None


def test_a_digest_survives_saving_and_shows_a_moved_point() -> None:
    points = np.array([(1.1, 2.2), (123456.78, 0.01)], np.float32)
    saved = np.array([[float(f"{x:.9g}"), float(f"{y:.9g}")] for x, y in points.tolist()], np.float32)
    assert digest_of(KIND.POLYGON, points) == digest_of(KIND.POLYGON, saved)
    moved = points + np.array((0, 0.5), np.float32)
    assert digest_of(KIND.POLYGON, points) != digest_of(KIND.POLYGON, moved)
    assert result_group("a") != result_group("a", holes=True)


def drawn_by_asap(points: np.ndarray, edges: int) -> np.ndarray:
    """`getCurrentPath` and `catmullRomToBezier`, line by line, each curve at 200 points."""
    path = [points[0]]
    count = len(points)
    for i in range(edges):
        p1, p2 = points[i], points[(i + 1) % count]
        if i < count - 1:
            p0 = points[i - 1] if i > 0 else points[count - 1]
            p3 = points[i + 2] if i < count - 2 else p2 + (p2 - p1)
        else:
            p0, p3 = p1 - (p2 - p1), points[1]
        d1, d2, d3 = np.linalg.norm(p1 - p0), np.linalg.norm(p2 - p1), np.linalg.norm(p3 - p2)
        rd1, rd2, rd3 = np.sqrt(d1), np.sqrt(d2), np.sqrt(d3)
        b1 = (d1 * p2 - d2 * p0 + (2 * d1 + 3 * rd1 * rd2 + d2) * p1) / (3 * rd1 * (rd1 + rd2))
        b2 = (d3 * p1 - d2 * p3 + (2 * d3 + 3 * rd3 * rd2 + d2) * p2) / (3 * rd3 * (rd3 + rd2))
        t = np.linspace(0, 1, 201)[1:, None]
        path += [*((1 - t) ** 3 * p1 + 3 * t * (1 - t) ** 2 * b1 + 3 * t**2 * (1 - t) * b2 + t**3 * p2)]
    return np.array(path)


def farthest(one: np.ndarray, other: np.ndarray) -> float:
    """How far points of one line are from another line at most."""
    return float(shapely.distance(shapely.points(one), shapely.linestrings(other)).max())


corners = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), min_size=3, max_size=7, unique=True)


@settings(deadline=None)
@given(corners)
def test_splines_run_as_asap_draws_them(places: list[tuple[int, int]]) -> None:
    points = np.array(places, np.float64)
    for ours, edges in (
        (spline_stroke(points), len(points) - 1),
        (np.vstack([spline_outline(points), points[:1]]), len(points)),
    ):
        theirs = drawn_by_asap(points, edges)
        assert farthest(theirs, ours) <= TOLERANCE + 1e-6
        assert farthest(ours, theirs) <= TOLERANCE + 1e-6
        assert farthest(points, ours) < 1e-9


def test_a_spline_through_one_point_twice_is_no_division_by_zero() -> None:
    points = np.array([(0, 0), (10, 0), (10, 0), (20, 5)], np.float64)
    assert np.isfinite(spline_stroke(points)).all()
