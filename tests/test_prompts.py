"""Prompts have ids and shapes that depend on what was drawn, and on nothing else."""

import itertools
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nuclick_wsi.geometry import Point
from nuclick_wsi.prompts import Click, Squiggle, cell_id, prompt_id

NAMESPACE = uuid.UUID("6f1b0f0e-52a7-5d0e-9a5c-6d7e3c0b41aa")

POINTS = st.builds(Point, st.floats(-1e5, 1e5), st.floats(-1e5, 1e5))
STROKES = st.lists(POINTS, min_size=2, max_size=6, unique=True).map(tuple)


@given(st.lists(STROKES, min_size=1, max_size=3))
def test_a_squiggle_is_the_same_whatever_the_order_and_direction_of_its_strokes(strokes: list) -> None:
    squiggle = Squiggle(tuple(strokes))
    other = Squiggle(tuple(stroke[::-1] for stroke in reversed(strokes)))
    assert squiggle == other
    assert prompt_id("source", squiggle) == prompt_id("source", other)


@given(st.text(), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(0, 9))
def test_an_id_is_the_uuid_of_source_kind_positions_and_repeat(source: str, x: float, y: float, repeat: int) -> None:
    """Written out: ids are kept in projects, so they must stay what they are."""
    drawn = " ".join(f"{round(value, 2) + 0.0:.2f}" for value in (x, y))
    wanted = str(uuid.uuid5(NAMESPACE, f"{source}|Click|{drawn}|{repeat}"))
    assert prompt_id(source, Click(Point(x, y)), repeat) == wanted
    assert cell_id(wanted) == str(uuid.uuid5(NAMESPACE, f"{wanted}|cell"))


def test_ids_tell_sources_drawings_and_repeats_apart() -> None:
    here, near = Click(Point(10, 10)), Click(Point(10.01, 10))
    line = Squiggle(((Point(10, 10), Point(10.01, 10)),))
    ids = {
        prompt_id(source, signal, repeat)
        for source, signal, repeat in itertools.product(("a", "b"), (here, near, line), (0, 1))
    }
    assert len(ids) == 12


def test_an_id_counts_positions_to_a_hundredth_of_a_pixel_as_geojson_keeps_them() -> None:
    assert prompt_id("a", Click(Point(1.0, 2.0))) == prompt_id("a", Click(Point(1.004, 1.9951)))


def test_a_squiggle_without_length_is_none() -> None:
    with pytest.raises(ValueError, match="two different points"):
        Squiggle(((Point(1, 1), Point(1, 1)),))
    with pytest.raises(ValueError, match="two different points"):
        Squiggle(())


@pytest.mark.parametrize("x", [float("nan"), float("inf")])
def test_positions_are_finite(x: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Point(x, 0)
