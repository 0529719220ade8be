"""The pictures of a run: the overview has every outline, crops show the network's pixels, the page holds together."""

from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import shapely
from PIL import Image
from test_cli import nuclick

from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Point, Region
from nuclick_wsi.instances import Instance, Reason, Rejection
from nuclick_wsi.prompts import Click, ObjectKind, Plane, Prompt
from nuclick_wsi.runs.instance_spool import InstanceSpool
from nuclick_wsi.runs.preview.canvas import Canvas
from nuclick_wsi.runs.preview.crops import SIDE, Cropper
from nuclick_wsi.runs.preview.files import Preview, write_preview
from nuclick_wsi.runs.preview.overview import draw_overview
from nuclick_wsi.runs.preview.pictured import Pictured, Survey, told_sureness
from nuclick_wsi.segmentation.engine import Reading
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.slide import Slide

EVIL = '<script>alert("1")</script> & co'
WHITE = np.full((400, 400, 3), 255, np.uint8)


def outline(
    name: str, x: float, y: float, class_name: str | None = None, sure: float = 0.9, side: float = 20
) -> tuple[Prompt, Instance]:
    shape = shapely.box(x - side / 2, y - side / 2, x + side / 2, y + side / 2)
    prompt = Prompt(name, ObjectKind.NUCLEUS, Click(Point(x, y)), class_name)
    return prompt, Instance(name, ObjectKind.NUCLEUS, shape, class_name, Plane(), side * side, sure)


def pictured(slide: Slide, *made: tuple[Prompt, Instance], rejections: tuple[Rejection, ...] = ()) -> Pictured:
    readings = (Reading(ObjectKind.NUCLEUS, 0, 1.0),)
    prompts = [prompt for prompt, _ in made]
    instances = [instance for _, instance in made]
    result = Path("results") / "a & b #1.geojson"
    return Pictured("a <slide>", slide, prompts, instances, rejections, readings, {"Tumor": (250, 0, 0)}, result)


class Page(HTMLParser):
    """What a page links to, names and loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.tags: set[str] = set()
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        for name, value in attrs:
            assert not name.startswith("on"), "no scripts"
            wanted = {"id": self.ids, "href": self.links, "src": self.sources}.get(name)
            if wanted is not None:
                wanted.append(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_every_part_of_an_outline_and_its_holes_are_drawn(make_slide: Callable[..., Path]) -> None:
    ring = shapely.box(20, 20, 90, 90).difference(shapely.box(40, 40, 70, 70))
    shape = shapely.MultiPolygon([ring, shapely.box(120, 120, 160, 160)])
    instance = Instance("1", ObjectKind.GLAND, shape, "Tumor", Plane(), 1.0, 0.9)
    prompt = Prompt("1", ObjectKind.GLAND, Click(Point(30, 30)), "Tumor")
    with open_slide(make_slide(WHITE[:180, :180])) as slide:
        drawn = np.asarray(draw_overview(pictured(slide, (prompt, instance)), Survey.of([instance])).picture())
    scale = drawn.shape[1] / 180
    for x, y in ((20, 55), (40, 55), (120, 140), (160, 140)):
        column, row = round(x * scale), round(y * scale)
        assert drawn[row, column - 1 : column + 2].min() < 200, (x, y)


@pytest.mark.parametrize("tissue", [(120, 60, 130), (110, 70, 40), (90, 90, 150), (255, 255, 255), (20, 20, 20)])
@pytest.mark.parametrize("color", [(0, 0, 255), (200, 0, 0), (255, 220, 0), (0, 120, 0), (20, 20, 20), (150, 80, 160)])
def test_an_outline_stands_out_from_any_tissue(
    tissue: tuple[int, int, int], color: tuple[int, int, int], make_slide: Callable[..., Path]
) -> None:
    """Haematoxylin and eosin, DAB, counterstain, glass and pigment, with classes of colours of the same tone."""
    with open_slide(make_slide(np.full((64, 64, 3), tissue, np.uint8))) as slide:
        canvas = Canvas(slide, Region(0, 0, 64, 64), 1.0, 3.0)
        canvas.draw_outline(shapely.box(16, 16, 48, 48), color, 2)
    line = np.asarray(canvas.picture())[96, 42:54].astype(int) @ (0.299, 0.587, 0.114)
    assert np.abs(line - np.dot(tissue, (0.299, 0.587, 0.114))).max() > 60


def test_a_crop_has_the_networks_pixels_and_a_large_object_fits_in(make_slide: Callable[..., Path]) -> None:
    picture = WHITE.copy()
    picture[:, 200:] = 0
    made = outline("small", 200, 200), outline("large", 200, 200, side=300)
    with open_slide(make_slide(picture)) as slide:
        cropper = Cropper(pictured(slide, *made), Survey.of(instance for _, instance in made))
        small, large = (np.asarray(cropper.outline(instance).picture) for _, instance in made)
        rejected = cropper.rejection(Rejection("r", Reason.NO_OBJECT, "", position=Point(200, 200)))
        assert cropper.rejection(Rejection("r", Reason.OUTSIDE_SLIDE, "", position=Point(900, 200))) is None
    assert small.shape == large.shape == (SIDE, SIDE, 3)
    columns = np.flatnonzero((small[5, :, 0] > 100) != (small[5, 0, 0] > 100))
    assert columns[0] == pytest.approx(SIDE / 2, abs=2), "the black half begins in the middle"
    edge = np.flatnonzero(np.asarray(small)[SIDE // 2, :, 1] < 200)[0]
    assert edge == pytest.approx(SIDE / 2 - 10 * SIDE / 96, abs=6), "20 px of the slide are 20 of the crop's 96"
    assert rejected is not None
    assert (large[:, :8].min(axis=(0, 2)) > 200).all(), "there is tissue around an object"


def test_the_page_links_outlines_rejections_places_and_files(make_slide: Callable[..., Path], tmp_path: Path) -> None:
    made = [outline(f"o{n}", 30 + 60 * n, 50, (EVIL, None, "Tumor")[n % 3], 0.5 + n / 20) for n in range(5)]
    rejections = (
        Rejection("gone", Reason.OUTSIDE_SLIDE, EVIL, EVIL, Point(9000, 1), ObjectKind.NUCLEUS),
        Rejection("nothing", Reason.NO_OBJECT, "p 0.1", "Tumor", Point(300, 300), ObjectKind.NUCLEUS),
        Rejection("unusable", Reason.NO_POINTS, "annotation 'x'"),
    )
    with open_slide(make_slide(WHITE)) as slide:
        written = write_preview(tmp_path / "out", "a", pictured(slide, *made, rejections=rejections))
    text = written.page.read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert EVIL in page.words, "shown as it is, run as nothing"
    assert len(page.ids) == len(set(page.ids))
    inside = [link.removeprefix("#") for link in page.links if link.startswith("#")]
    assert set(inside) <= set(page.ids)
    assert {f"{what}-{name}" for what in "pc" for name in ("o0", "o4", "nothing")} <= set(inside)
    (file,) = [link for link in page.links if not link.startswith("#")]
    assert (tmp_path / "out" / unquote(file)).resolve() == (Path("results") / "a & b #1.geojson").resolve()
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert "://" not in text
    for words in ("outside the slide", "9000, 1", "the network sees no object there", "unusable", "a <slide>"):
        assert words in " ".join(page.words)


def test_of_thousands_in_any_order_the_least_sure_and_the_first_ids_are_found() -> None:
    rng = np.random.default_rng(0)
    instances = [outline(f"{n:04}", 30 + n, 30, "ab"[n % 2], sure)[1] for n, sure in enumerate(rng.uniform(0, 1, 3000))]
    survey = Survey.of(instances[place] for place in rng.permutation(3000))
    by_doubt = sorted(instances, key=lambda one: one.mean_probability)
    assert survey.least_sure == by_doubt[:24]
    assert survey.classes == {"a": (1500, instances[0:48:2]), "b": (1500, instances[1:49:2])}


def test_pictures_of_outlines_on_disk_are_those_of_outlines_in_memory(
    make_slide: Callable[..., Path], tmp_path: Path
) -> None:
    made = [outline(f"{n:03}", 20 + 9 * (n % 40), 20 + 30 * (n // 40), "ab"[n % 2], n / 300) for n in range(300)]
    with open_slide(make_slide(WHITE)) as slide, InstanceSpool(tmp_path) as spool:
        for _, instance in reversed(made):
            spool.add(instance)
        both = pictured(slide, *made), replace(pictured(slide, *made), instances=spool)
        written = [write_preview(tmp_path / name, "a", one) for name, one in zip("lm", both, strict=True)]
    for one, other in zip(*((each.overview, *each.sheets, each.page) for each in written), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_the_least_sure_come_first_and_large_classes_too(make_slide: Callable[..., Path]) -> None:
    made = [outline(f"{n}", 30, 30, "many" if n else "one", 0.99 - n / 100) for n in range(40)]
    instances = [instance for _, instance in made]
    assert [one.prompt_id for one in Survey.of(instances).least_sure] == [str(n) for n in range(39, 15, -1)]
    classes = Survey.of(instances).classes
    assert [(name, count) for name, (count, _) in classes.items()] == [("many", 39), ("one", 1)]
    assert [one.prompt_id for one in classes["many"][1]] == sorted(str(n) for n in range(1, 40))[:24]
    told = [replace(one, sureness=1 - one.mean_probability) for one in instances]
    least_sure = [one.prompt_id for one in Survey.of(told).least_sure]
    assert least_sure == [str(n) for n in range(24)], "where there is a calibration"
    assert (told_sureness(instances[1]), told_sureness(told[1])) == ("probability 0.98", "sureness 0.02")


def sheets(written: Preview) -> list[str]:
    return sorted(path.name for path in written.sheets)


def test_each_class_has_a_sheet_and_one_that_is_gone_has_none(make_slide: Callable[..., Path], tmp_path: Path) -> None:
    a, b, c, long = outline("1", 30, 30, "a/b"), outline("2", 90, 30, "a:b"), outline("3", 90, 90), "核" * 50
    with open_slide(make_slide(WHITE)) as slide:
        first = write_preview(tmp_path / "out", "x", pictured(slide, a, b, c, outline("4", 200, 200, long)))
        assert sheets(first)[:4] == [
            "x - Class a_b (2).png",
            "x - Class a_b.png",
            "x - Class " + "核" * 8 + ".png",
            "x - Least sure.png",
        ]
        edited = tmp_path / "out" / "x - No class.png"
        Image.open(edited).save(edited)
        again = write_preview(tmp_path / "out", "x", pictured(slide, a))
    assert sheets(again) == ["x - Class a_b.png", "x - Least sure.png"]
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == [*sheets(again), "x - No class.png", "x.html", "x.png"], "what a user has edited stays"


def test_pictures_are_made_where_the_slide_cannot_be_read(
    make_slide: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise SlideError("a bad tile")

    monkeypatch.setattr("nuclick_wsi.runs.preview.canvas.read_window", fails)
    lost = Rejection("lost", Reason.UNREADABLE, "", None, Point(50, 50), ObjectKind.NUCLEUS)
    with open_slide(make_slide(WHITE)) as slide:
        written = write_preview(tmp_path / "out", "x", pictured(slide, outline("1", 90, 30), rejections=(lost,)))
    assert "c-lost" in Page(written.page.read_text(encoding="utf-8")).ids


def test_a_run_names_its_page_and_a_second_one_changes_no_picture(tmp_path: Path) -> None:
    Image.fromarray(WHITE[:128, :128] - 40).save(tmp_path / "s.png")
    (tmp_path / "c.csv").write_text("x,y,class\n60,60,A\n9000,1,A\n")
    arguments = ("run", tmp_path / "c.csv", "--slide", tmp_path / "s.png", "--mpp", "0.25", "--preview")
    ran = nuclick(*arguments, "--device", "cpu")
    page = tmp_path / "nuclick" / "c.csv s.png.html"
    assert f"Pictures: {page}" in ran.stdout.splitlines()
    before = {path.name: path.read_bytes() for path in page.parent.glob("c.csv*")}
    nuclick(*arguments, "--device", "cpu")
    assert {path.name: path.read_bytes() for path in page.parent.glob("c.csv*")} == before
