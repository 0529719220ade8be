"""The laws of the engine, on slides of dark discs whose outlines are known."""

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import geojson
import numpy as np
import pytest
import shapely
import tifffile
from dark_segmenter import BOTH, NUCLEI
from numpy.typing import NDArray

from nuclick_wsi.choices import GlandMode, ObjectType, ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Point, Size
from nuclick_wsi.instances import PromptSet, Reason
from nuclick_wsi.prompts import Click, ObjectKind, Plane, Prompt, Role, Squiggle, prompt_id
from nuclick_wsi.scale import Area, Grid, PixelSize, Window
from nuclick_wsi.segmentation.crops import SignalField, View
from nuclick_wsi.segmentation.engine import Outcome, segment
from nuclick_wsi.segmentation.segmenter import FixedSegmenters, TileImage
from nuclick_wsi.segmentation.settings import MaskSettings, OutlineSettings, Settings
from nuclick_wsi.segmentation.tiles import halves, plan_tiles
from nuclick_wsi.slides.pyramid import PyramidCompression, PyramidLayout, write_pyramid
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.slide import Slide

MakeSlide = Callable[..., Path]
FINE = PixelSize(0.25, 0.25)


def discs(side: int, centres: list[tuple[int, int]], radius: float = 9.0) -> NDArray[np.uint8]:
    """White paper with black discs; a pixel is black where its centre is inside."""
    rows, columns = np.mgrid[:side, :side] + 0.5
    image = np.full((side, side, 3), 255, np.uint8)
    for x, y in centres:
        image[(columns - x) ** 2 + (rows - y) ** 2 <= radius**2] = 0
    return image


def click(x: float, y: float, **more: object) -> Prompt:
    signal = Click(Point(x, y))
    source = f"{more.get('class_name')} {more.get('role')}"
    return Prompt(prompt_id(source, signal), ObjectKind.NUCLEUS, signal, **more)


def squiggle(*strokes: list[tuple[float, float]]) -> Prompt:
    signal = Squiggle(tuple(tuple(Point(*p) for p in stroke) for stroke in strokes))
    return Prompt(prompt_id("gland", signal), ObjectKind.GLAND, signal)


def run(path: Path, prompts: list[Prompt], mpp: float = 0.25, settings: Settings = Settings()) -> Outcome:
    with open_slide(path) as slide:
        return segment(slide, PromptSet(tuple(prompts)), BOTH, PixelSize(mpp, mpp), settings)


def by_id(outcome: Outcome) -> dict[str, shapely.Geometry]:
    return {instance.prompt_id: instance.polygon for instance in outcome.instances}


CENTRES = [(40, 40), (100, 60), (200, 210), (215, 190), (250, 250), (30, 220)]


def test_every_prompt_ends_as_one_instance_or_one_rejection(make_slide: MakeSlide) -> None:
    prompts = [click(x, y) for x, y in CENTRES]
    prompts += [
        click(150, 20),
        click(-5, 10),
        click(40.2, 40.3),
        click(41, 40, plane=Plane(z=3)),
        squiggle([(600, 0), (700, 0)]),
    ]
    excluding = click(60, 60, role=Role.EXCLUDE_ONLY)
    outcome = run(make_slide(discs(256, CENTRES)), [*prompts, excluding])
    kept, refused = ({x.prompt_id for x in part} for part in (outcome.instances, outcome.rejections))
    assert kept | refused == {prompt.id for prompt in prompts}
    assert not kept & refused
    assert sorted(rejection.reason for rejection in outcome.rejections) == sorted(
        [Reason.NO_OBJECT, Reason.OUTSIDE_SLIDE, Reason.OUTSIDE_SLIDE, Reason.DUPLICATE, Reason.OTHER_PLANE]
    )
    assert all(rejection.detail for rejection in outcome.rejections)


def test_an_outcome_is_given_as_objects_of_the_package_geojson(make_slide: MakeSlide) -> None:
    prompts = [click(40, 40, class_name="Tumor"), click(100, 60), click(20, 20)]
    outcome = run(make_slide(discs(128, CENTRES[:2])), prompts)
    collection = outcome.to_geojson(ObjectType.ANNOTATION, {"Tumor": (200, 0, 0)})
    assert isinstance(collection, geojson.FeatureCollection)
    assert collection.is_valid, collection.errors()
    assert all(isinstance(one, geojson.Feature) for one in collection.features)
    assert {one.id: shapely.geometry.shape(one.geometry) for one in collection.features} == by_id(outcome)
    (tumor,) = [one for one in collection.features if one.id == prompts[0].id]
    assert tumor.properties["classification"] == {"name": "Tumor", "color": [200, 0, 0]}
    assert tumor.properties["objectType"] == "annotation"


def test_an_outline_along_pixel_edges_covers_exactly_the_pixels_of_its_object(make_slide: MakeSlide) -> None:
    image = discs(256, [(100, 60)])
    exact = Settings(outlines=OutlineSettings(pixel_edges=True))
    (instance,) = run(make_slide(image), [click(103, 58, class_name="Tumor")], settings=exact).instances
    rows, columns = np.nonzero(image[..., 0] == 0)
    pixels = shapely.union_all(shapely.box(columns, rows, columns + 1, rows + 1))
    assert instance.polygon.equals(pixels)
    assert instance.area_um2 == pytest.approx(len(rows) * 0.25**2)
    assert instance.mean_probability == 1
    assert instance.class_name == "Tumor"


def test_a_click_just_beside_its_object_finds_it_and_one_further_off_does_not(make_slide: MakeSlide) -> None:
    path = make_slide(discs(256, [(100, 60)]))
    inside, beside, off = click(100, 60), click(111.5, 60.5), click(114.5, 60.5)
    expected = by_id(run(path, [inside]))[inside.id]
    assert by_id(run(path, [beside])) == {beside.id: expected}
    (rejection,) = run(path, [off]).rejections
    assert rejection.reason is Reason.NO_OBJECT


@pytest.mark.parametrize(
    "settings",
    [Settings(tile_size=16), Settings(tile_size=100, workers=0), Settings(tile_size=5000, workers=5)],
    ids=["small tiles", "no workers", "large tiles"],
)
def test_tiles_workers_and_order_change_nothing(settings: Settings, make_slide: MakeSlide) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    path = make_slide((discs(300, CENTRES) // 2 + noise // 2).astype(np.uint8), mpp=0.4)
    prompts = [click(x, y) for x, y in CENTRES] + [squiggle([(20, 20), (280, 40)], [(20, 80), (200, 90)])]
    plain = run(path, prompts, mpp=0.4, settings=replace(settings, tile_size=1024, workers=2))
    other = run(path, prompts[::-1], mpp=0.4, settings=settings)
    assert plain == other
    assert len(plain.instances) > 3


def test_shifting_slide_and_prompts_shifts_the_outlines(make_slide: MakeSlide) -> None:
    # None is cut by the slide's edge: an outline ends there at right angles, which inside a slide it does not.
    centres = [centre for centre in CENTRES if max(centre) < 240]
    image = discs(256, centres)
    here = by_id(run(make_slide(image), [click(x, y) for x, y in centres]))
    moved = np.full((300, 300, 3), 255, np.uint8)
    moved[24:280, 16:272] = image
    there = by_id(run(make_slide(moved, name="moved.svs"), [click(x + 16, y + 24) for x, y in centres]))
    assert sorted(shapely.transform(p, lambda xy: xy + np.array([16, 24])).wkt for p in here.values()) == sorted(
        p.wkt for p in there.values()
    )


def test_a_finer_slide_gives_the_same_outlines_from_its_second_level(make_slide: MakeSlide) -> None:
    image = discs(256, CENTRES)
    coarse = run(make_slide(image), [click(x, y) for x, y in CENTRES])
    doubled = image.repeat(2, axis=0).repeat(2, axis=1)
    fine = run(make_slide(doubled, mpp=0.125, name="f.svs"), [click(2 * x, 2 * y) for x, y in CENTRES], mpp=0.125)
    assert [(reading.level, reading.downsample) for reading in fine.readings] == [(1, 2.0)]
    assert sorted(shapely.transform(p, lambda xy: xy * 2).wkt for p in by_id(coarse).values()) == sorted(
        p.wkt for p in by_id(fine).values()
    )


def test_a_slide_coarser_than_the_network_is_enlarged_and_the_outcome_says_so(make_slide: MakeSlide) -> None:
    outcome = run(make_slide(discs(256, CENTRES, radius=12), mpp=0.5), [click(x, y) for x, y in CENTRES[:2]], mpp=0.5)
    assert outcome.readings[0].upsampled
    for polygon, centre in zip(by_id(outcome).values(), CENTRES, strict=False):
        assert polygon.area == pytest.approx(np.pi * 12**2, rel=0.03), centre


def test_touching_objects_stay_separate_and_share_no_area(make_slide: MakeSlide) -> None:
    prompts = [click(200, 210), click(215, 190)]
    outcome = run(make_slide(discs(256, CENTRES, radius=14)), prompts)
    one, other = by_id(outcome).values()
    assert one.intersection(other).area == 0
    assert one.touches(other)
    assert one.contains(shapely.Point(200, 210)) != other.contains(shapely.Point(200, 210))


@pytest.mark.parametrize("mode", list(GlandMode))
def test_a_gland_larger_than_the_crop_comes_out_whole(mode: GlandMode, make_slide: MakeSlide) -> None:
    image = np.full((400, 400, 3), 255, np.uint8)
    image[110:170, 40:360] = 0
    settings = Settings(gland_mode=mode)
    outcome = run(make_slide(image, mpp=0.5), [squiggle([(60, 150), (200, 120), (340, 150)])], 0.5, settings)
    (instance,) = outcome.instances
    truth = shapely.box(40, 110, 360, 170)
    assert instance.polygon.intersection(truth).area / instance.polygon.union(truth).area > 0.97


def test_strokes_of_one_gland_that_lie_apart_are_one_instance(make_slide: MakeSlide) -> None:
    image = np.full((256, 256, 3), 255, np.uint8)
    image[20:30, 20:60] = image[40:50, 20:60] = 0
    (instance,) = run(make_slide(image, mpp=0.5), [squiggle([(25, 25), (55, 25)], [(25, 45), (55, 45)])], 0.5).instances
    truth = shapely.MultiPolygon([shapely.box(20, 20, 60, 30), shapely.box(20, 40, 60, 50)])
    assert len(shapely.get_parts(instance.polygon)) == 2
    assert shapely.hausdorff_distance(instance.polygon, truth) < 0.5


def test_a_nucleus_at_the_border_ends_with_the_slide(make_slide: MakeSlide) -> None:
    # The last grid pixel has 0.6 of its width on the slide: the object has it, but only as far as the slide goes.
    black = np.zeros((66, 66, 3), np.uint8)
    path = make_slide(black, mpp=0.15, downsamples=(1,))
    (instance,) = run(path, [click(60, 60)], mpp=0.15).instances
    assert instance.polygon.bounds[2:] == (66, 66)
    assert instance.polygon.is_valid


def test_settings_overrule_the_card(make_slide: MakeSlide) -> None:
    image = discs(256, [(100, 60)])
    image[58:61, 98:101] = 255
    path = make_slide(image)

    def with_masks(masks: MaskSettings) -> Outcome:
        return run(path, [click(104, 60)], settings=Settings(masks=masks))

    assert [len(i.polygon.interiors) for i in with_masks(MaskSettings()).instances] == [1]
    assert [len(i.polygon.interiors) for i in with_masks(MaskSettings(fill_holes=Area.parse("9px"))).instances] == [0]
    assert with_masks(MaskSettings(smallest=Area.parse("20um2"))).rejections[0].reason is Reason.TOO_SMALL
    assert with_masks(MaskSettings(smallest=Area.parse("15um2"))).instances


class BrokenSlide:
    """A slide of which one corner cannot be read."""

    def __init__(self, slide: Slide) -> None:
        self._slide = slide
        self.info = slide.info

    def read(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        if x < 50 and y < 50:
            raise SlideError("slide.svs: cannot be read at (0, 0)")
        return self._slide.read(level, x, y, size)


def test_a_part_that_cannot_be_read_costs_its_own_prompts_only(make_slide: MakeSlide) -> None:
    prompts = [click(x, y) for x, y in CENTRES]
    with open_slide(make_slide(discs(256, CENTRES))) as slide:
        outcome = segment(BrokenSlide(slide), PromptSet(tuple(prompts)), NUCLEI, FINE, Settings(tile_size=50))
    assert [r.prompt_id for r in outcome.rejections] == [prompts[0].id]
    assert outcome.rejections[0].reason is Reason.UNREADABLE
    assert len(outcome.instances) == len(CENTRES) - 1


class TornSlide(BrokenSlide):
    """A slide that cannot be read wherever a rectangle of it is asked for."""

    def __init__(self, slide: Slide, torn: Window) -> None:
        super().__init__(slide)
        self._torn = torn
        self.asked: list[Window] = []

    def read(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        asked = Window(x, y, size.width, size.height)
        self.asked.append(asked)
        if asked.intersection(self._torn) is not None:
            raise SlideError(f"slide.svs: cannot be read at ({x}, {y})")
        return self._slide.read(level, x, y, size)


MANY = [(x, y) for x in range(20, 500, 40) for y in range(20, 500, 40)]


def needs(prompt: Prompt, torn: Window) -> bool:
    """Whether the crop of a click, of 64 px around it, meets a rectangle."""
    place = prompt.signal.strokes[0][0]
    return Window(int(place.x) - 32, int(place.y) - 32, 64, 64).intersection(torn) is not None


def test_only_prompts_that_need_pixels_that_cannot_be_read_are_rejected(make_slide: MakeSlide) -> None:
    prompts, torn = PromptSet(tuple(click(x, y) for x, y in MANY)), Window(233, 301, 9, 5)
    with open_slide(make_slide(discs(512, MANY), downsamples=(1,))) as slide:
        undisturbed = segment(slide, prompts, NUCLEI, FINE)
        broken = TornSlide(slide, torn)
        outcome = segment(broken, prompts, NUCLEI, FINE)
    rejected = {one.prompt_id for one in outcome.rejections}
    assert {one.reason for one in outcome.rejections} == {Reason.UNREADABLE}
    assert rejected == {one.id for one in prompts.prompts if needs(one, torn)}
    assert 1 < len(rejected) < 10
    assert outcome.instances == tuple(one for one in undisturbed.instances if one.prompt_id not in rejected)
    assert len(broken.asked) < len(MANY)  # what can be read together is


def test_views_that_need_the_same_pixels_are_never_divided() -> None:
    views = [View(index, Grid(4.0, 1.0), Window(index, 0, 8, 8)) for index in range(6)]
    block = {True: Window(0, 0, 20, 20), False: Window(20, 0, 20, 20)}
    (tile,) = plan_tiles(views, 100, lambda view: block[view.prompt < 3])
    parts = halves(tile, lambda view: block[view.prompt < 3])
    assert parts is not None
    assert [[view.prompt for view in part.views] for part in parts] == [[0, 1, 2], [3, 4, 5]]
    assert [part.window for part in parts] == list(block.values())
    assert halves(parts[0], lambda _: block[True]) is None


@pytest.mark.parametrize("reader", [ReaderChoice.OPENSLIDE, ReaderChoice.TIFFSLIDE])
def test_a_torn_tile_of_a_real_file_costs_only_the_prompts_that_see_it(reader: ReaderChoice, tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole.svs", tmp_path / "torn.svs"
    layout = PyramidLayout((1,), PyramidCompression.JPEG)
    write_pyramid(whole, discs(512, MANY), FINE, layout)
    with tifffile.TiffFile(whole) as file:
        page = file.pages[0]
        place = Window(page.tilewidth, 0, page.tilewidth, page.tilelength)
        offset, length = page.dataoffsets[1], page.databytecounts[1]
    content = bytearray(whole.read_bytes())
    content[offset : offset + length] = bytes(length)
    torn.write_bytes(content)
    prompts = PromptSet(tuple(click(x, y) for x, y in MANY))
    with open_slide(whole, reader=reader) as slide, open_slide(torn, reader=reader) as damaged:
        undisturbed, outcome = (segment(one, prompts, NUCLEI, FINE) for one in (slide, damaged))
    rejected = {one.prompt_id for one in outcome.rejections}
    assert rejected == {one.id for one in prompts.prompts if needs(one, place)}
    assert 0 < len(rejected) < len(MANY)
    assert outcome.instances == tuple(one for one in undisturbed.instances if one.prompt_id not in rejected)


def test_progress_counts_every_prompt_and_those_first_that_are_rejected_before_anything_is_read(
    make_slide: MakeSlide,
) -> None:
    (x, y), *_ = CENTRES
    places = [*CENTRES, (x + 0.01, y), (x, y + 0.01), (999, 999)]
    seen: list[int] = []
    with open_slide(make_slide(discs(256, CENTRES))) as slide:
        outcome = segment(slide, PromptSet(tuple(click(*one) for one in places)), NUCLEI, FINE, on_progress=seen.append)
    assert len(outcome.rejections) == 3
    assert sum(seen) == len(places)
    assert seen[:2] == [1, 2]


def test_one_prompt_with_the_others_as_neighbours_gets_the_outline_that_it_gets_among_them(
    make_slide: MakeSlide,
) -> None:
    # One chain of objects that all run into each other, and some that stand alone.
    centres = [(40 + 14 * i, 60 + (i % 3) * 5) for i in range(8)] + [(60, 150), (200, 200)]
    path = make_slide(discs(256, centres))
    prompts = [click(x + 1, y - 1) for x, y in centres] + [click(centres[0][0] + 1.05, centres[0][1] - 1)]
    together = run(path, prompts)
    assert sum(polygon.area for polygon in by_id(together).values()) > 5 * 9 * 9
    for prompt in prompts:
        others = [replace(other, role=Role.NEIGHBOUR) for other in prompts if other is not prompt]
        alone = run(path, [*others, prompt])
        assert alone.instances == tuple(one for one in together.instances if one.prompt_id == prompt.id)
        assert alone.rejections == tuple(one for one in together.rejections if one.prompt_id == prompt.id)
    without = [run(path, [prompt]).instances for prompt in prompts]
    assert without != [tuple(i for i in together.instances if i.prompt_id == p.id) for p in prompts]


def test_only_neighbours_that_come_near_go_through_the_network(make_slide: MakeSlide) -> None:
    seen: list[int] = []

    class Counting:
        card = NUCLEI.segmenter(ObjectKind.NUCLEUS).card

        def around(self, view: View) -> Window:
            return view.window

        def predict(self, tiles: Iterable[TileImage], field: SignalField) -> Iterator[tuple[View, NDArray[np.float32]]]:
            for view, probabilities in NUCLEI.segmenter(ObjectKind.NUCLEUS).predict(tiles, field):
                seen.append(view.prompt)
                yield view, probabilities

    path = make_slide(discs(512, [(40, 40), (60, 60), (400, 400)]))
    prompts = [click(40, 40), click(60, 60, role=Role.NEIGHBOUR), click(400, 400, role=Role.NEIGHBOUR)]
    progress: list[int] = []
    with open_slide(path) as slide:
        models = FixedSegmenters({ObjectKind.NUCLEUS: Counting()})
        outcome = segment(slide, PromptSet(tuple(prompts)), models, FINE, on_progress=progress.append)
    assert sorted(seen) == [0, 1]
    assert sum(progress) == 1
    assert len(outcome.instances) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_work_that_is_stopped_by_its_progress_leaves_no_thread(workers: int, make_slide: MakeSlide) -> None:
    centres = [(x, y) for x in range(20, 250, 30) for y in range(20, 250, 30)]
    path = make_slide(discs(256, centres))
    before = threading.active_count()

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with open_slide(path) as slide, pytest.raises(KeyboardInterrupt):
        segment(
            slide,
            PromptSet(tuple(click(x, y) for x, y in centres)),
            NUCLEI,
            FINE,
            Settings(workers=workers, tile_size=16),
            on_progress=stop,
        )
    assert threading.active_count() == before


def test_a_neighbour_that_only_touches_shapes_the_border_as_if_it_had_been_asked_for(make_slide: MakeSlide) -> None:
    image = np.full((128, 128, 3), 255, np.uint8)
    image[30:60, 30:80] = 0
    path = make_slide(image)
    left, right = click(42, 45), click(68, 45)
    both = by_id(run(path, [left, right]))
    alone = by_id(run(path, [left, replace(right, role=Role.NEIGHBOUR)]))
    assert alone == {left.id: both[left.id]}


def test_a_ruler_line_is_no_gland_and_takes_no_memory(make_slide: MakeSlide) -> None:
    ruler, gland = squiggle([(10, 10), (40_000, 4_000)]), squiggle([(180, 200), (240, 210)])
    outcome = run(make_slide(discs(256, [(210, 205)], radius=60)), [ruler, gland])
    assert [one.prompt_id for one in outcome.instances] == [gland.id]
    (rejection,) = outcome.rejections
    assert rejection.reason is Reason.TOO_LONG
    assert "it spans" in rejection.detail
    assert "a line through a gland spans up to" in rejection.detail


def test_a_line_to_be_ignored_may_go_on_beyond_all_slides(make_slide: MakeSlide) -> None:
    path, gland = make_slide(discs(256, [(210, 205)], radius=60)), squiggle([(180, 200), (240, 210)])
    line = Squiggle(((Point(-1e300, 230), Point(200, 230), Point(1e300, 230)),))
    ignored = Prompt(prompt_id("ignored", line), ObjectKind.GLAND, line, role=Role.EXCLUDE_ONLY)
    here = Squiggle(((Point(-2000, 230), Point(200, 230), Point(2000, 230)),))
    short = Prompt(prompt_id("ignored", here), ObjectKind.GLAND, here, role=Role.EXCLUDE_ONLY)
    outcome = run(path, [gland, ignored])
    assert outcome == run(path, [gland, short])
    assert outcome != run(path, [gland])
