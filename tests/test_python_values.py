"""What a program hands over: what can be meant is taken, and anything else is told with what is accepted."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_slides import noise
from PIL import Image
from shapely import Polygon

import nuclick_wsi as nw
from nuclick_wsi.prompts import Plane

POINT = nw.Point(3, 4)
CLICK = nw.Click(POINT)
PROMPT = nw.Prompt("1", nw.ObjectKind.NUCLEUS, CLICK)
SQUARE = Polygon([(0, 0), (4, 0), (4, 4), (0, 4)])
INSTANCE = nw.Instance("0b480c3c-8ddc-4991-8563-74e9eef4e723", nw.ObjectKind.NUCLEUS, SQUARE, "Tumor", Plane(), 1, 0.9)


@pytest.mark.parametrize("point", [(3, 4), [3, 4], (3.0, 4.0), np.array([3, 4]), np.array([3, 4], np.float32)])
def test_a_click_is_made_of_any_pair(point: Any) -> None:
    assert nw.Click(point) == CLICK
    assert type(nw.Click(point).point.x) is float


STROKE = ((1, 2), (3, 4), (5, 9))


@pytest.mark.parametrize(
    "strokes",
    [
        (tuple(nw.Point(*place) for place in STROKE),),
        [STROKE],
        [list(map(list, STROKE))],
        STROKE,
        np.array(STROKE),
        [np.array(STROKE, np.float32)],
    ],
)
def test_a_squiggle_is_made_of_strokes_of_any_pairs_or_of_one(strokes: Any) -> None:
    assert nw.Squiggle(strokes) == nw.Squiggle((tuple(nw.Point(*place) for place in STROKE),))


def test_a_kind_a_prompt_set_and_settings_may_be_given_as_plain_values() -> None:
    assert nw.Prompt("1", "nucleus", CLICK) == PROMPT  # type: ignore[arg-type]
    assert nw.PromptSet([PROMPT]) == nw.PromptSet((PROMPT,))  # type: ignore[arg-type]
    assert nw.Settings(gland_mode="tiled").gland_mode is nw.GlandMode.TILED  # type: ignore[arg-type]
    assert nw.MaskSettings(smallest="8um2") == nw.MaskSettings(smallest=nw.MaskSettings(smallest="8 µm²").smallest)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [0.5, (0.5, 0.5), [0.5, 0.5], np.float32(0.5), nw.PixelSize(0.5, 0.5)])
def test_a_pixel_size_may_be_a_number(value: Any) -> None:
    assert nw.PixelSize.of(value) == nw.PixelSize(0.5, 0.5)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: nw.Click(3), r"Point\(x, y\) or a pair \(x, y\) of numbers, not 3"),
        (lambda: nw.Click("ab"), "not 'ab'"),
        (lambda: nw.Click((1, 2, 3)), r"not \(1, 2, 3\)"),
        (lambda: nw.Click((1, float("nan"))), "finite"),
        (lambda: nw.Point("a", 1), r"needs two numbers, Point\(x, y\), not \('a', 1\)"),
        (lambda: nw.Squiggle(5), "lists of points"),
        (lambda: nw.Squiggle([[(1, 2), "a"]]), "not 'a'"),
        (lambda: nw.Squiggle([[(1, 2)]]), "at least two different points"),
        (lambda: nw.Prompt("1", "nuclei", CLICK), "kind is 'nuclei'; accepted are 'nucleus', 'cell', 'gland'"),
        (lambda: nw.Prompt("1", "nucleus", (3, 4)), "accepted is a Click or a Squiggle"),
        (lambda: nw.Prompt(1, "nucleus", CLICK), "id is 1; accepted is a text"),
        (lambda: nw.Prompt("1", "nucleus", CLICK, role="x"), "role is 'x'; accepted are 'segment'"),
        (lambda: nw.PromptSet([1]), "hold 1; accepted is a list of Prompt"),
        (lambda: nw.PromptSet(PROMPT), "accepted is a list of Prompt"),
        (lambda: nw.PromptSet("ab"), "accepted is a list of Prompt"),
        (lambda: nw.PixelSize("a", 1), "two positive numbers of microns, not a x 1"),
        (lambda: nw.PixelSize.of("a"), "one or two numbers of microns such as 0.25, not 'a'"),
        (lambda: nw.Settings(gland_mode="x"), "accepted are 'crop', 'tiled'"),
        (lambda: nw.MaskSettings(smallest="8"), "such as 8um2 or 50px"),
        (lambda: nw.open_slide("a.svs", reader="x"), "reader is 'x'; accepted are 'auto', 'openslide'"),
        (lambda: nw.read_prompts("a.csv", "x"), "accepted are 'auto', 'nucleus'"),
        (lambda: nw.write_results("a.geojson", [1]), "accepted is a list of Instance"),
        (lambda: nw.write_results("a.geojson", INSTANCE), "accepted is a list of Instance"),
        (lambda: nw.write_results("a.geojson", [], "x"), "accepted are 'detection', 'annotation'"),
    ],
)
def test_what_cannot_be_meant_is_told_with_what_is_accepted(
    make: Callable[[], Any], words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=words):
        make()
    assert not list(tmp_path.iterdir())


def test_paths_may_be_texts_and_optional_arguments_have_defaults(tmp_path: Path) -> None:
    Image.fromarray(noise(64, 48)).save(tmp_path / "s.png")
    (tmp_path / "s.csv").write_text("x_um,y_um\n1,2\n")
    with nw.open_slide(str(tmp_path / "s.png"), reader="image") as slide:  # type: ignore[arg-type]
        assert slide.info.size.width == 64
    (prompt,) = nw.read_prompts(str(tmp_path / "s.csv"), pixel_size=0.5).prompts
    assert prompt.signal == nw.Click((2, 4))  # type: ignore[arg-type]
    place = nw.write_results(str(tmp_path / "r.geojson"), [INSTANCE])
    assert place.path == tmp_path / "r.geojson"
    assert '"objectType":"detection"' in place.path.read_text(encoding="utf-8")


def test_prompts_as_a_list_a_number_of_microns_and_one_model_by_its_name_are_enough_to_segment(tmp_path: Path) -> None:
    Image.fromarray(noise(256, 256)).save(tmp_path / "s.png")
    with nw.open_slide(tmp_path / "s.png") as slide:
        outcome = nw.segment(slide, [PROMPT], nw.ModelRegistry("nuclei", device="cpu"), 0.25)
    assert len(outcome.instances) + len(outcome.rejections) == 1
    assert outcome.to_geojson("annotation")["type"] == "FeatureCollection"  # type: ignore[arg-type]


def test_the_package_says_its_version() -> None:
    assert nw.__version__ == version("nuclick-wsi")
