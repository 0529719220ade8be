"""What earlier runs found stays where the slide cannot be read any more, and everybody is told that it is old."""

import json
from pathlib import Path

import numpy as np
import pytest
import shapely
import tifffile
from asap_files import Asap, dots, write_asap
from skimage.data import immunohistochemistry

from asap_bridge.names import ResultName
from asap_bridge.sink import AsapSink
from nuclick_wsi.choices import ObjectType
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.errors import ResultError
from nuclick_wsi.formats.earlier_results import FROM_EARLIER
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind, Plane, cell_id
from nuclick_wsi.runs.jobs import GeoJsonSink, Results
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import PyramidLayout, write_pyramid

IDS = [f"00000000-0000-4000-8000-{number:012d}" for number in range(4)]
TILE = 128
CLICKS = ((60.0, 450.0), (450.5, 450.0), (180.0, 40.0), (190.0, 60.5))
"""The last two are in the second tile of the first row, and no other's block of tissue meets it."""


def instance(identity: str, side: float = 8, kind: ObjectKind = ObjectKind.NUCLEUS) -> Instance:
    return Instance(identity, kind, shapely.box(20 - side, 20 - side, 20 + side, 20 + side), None, Plane(), 1.0, 0.9)


def tear(slide: Path) -> None:
    """Overwrite the second tile, as a failing disk does."""
    with tifffile.TiffFile(slide) as file:
        page = file.pages[0]
        offset, length = page.dataoffsets[1], page.databytecounts[1]
    content = bytearray(slide.read_bytes())
    content[offset : offset + length] = bytes(length)
    slide.write_bytes(content)


def a_slide(path: Path) -> Path:
    write_pyramid(path, immunohistochemistry(), PixelSize(0.25, 0.25), PyramidLayout((1,), tile=TILE))
    return path


def record(folder: Path) -> dict:
    newest = max((folder / "nuclick" / "runs").glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
    (image,) = json.loads(newest.read_text(encoding="utf-8"))["images"]
    return image


def test_a_torn_slide_leaves_asap_the_outlines_of_the_last_run(tmp_path: Path) -> None:
    slide = a_slide(tmp_path / "slide.svs")
    file = write_asap(tmp_path / "slide.xml", dots(*CLICKS))
    request = RunRequest(file, device="cpu")
    assert run_target(request) == 0
    before = {one["Name"]: one["places"] for one in Asap(file).annotations}
    tear(slide)
    assert run_target(request) == 1
    image = record(tmp_path)
    unread = {one["prompt"] for one in image["rejections"] if one["reason"] == "the slide could not be read there"}
    assert len(unread) == 2
    assert image["status"] == "incomplete"
    assert set(image["from_earlier_run"]) == unread
    assert {one["Name"]: one["places"] for one in Asap(file).annotations} == before


def test_a_torn_slide_leaves_geojson_the_outlines_of_the_last_run_marked_until_it_is_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slide = a_slide(tmp_path / "slide.svs")
    whole = slide.read_bytes()
    table = tmp_path / "clicks.csv"
    table.write_text("x,y\n" + "".join(f"{x},{y}\n" for x, y in CLICKS))
    request = RunRequest(table, slide=slide, device="cpu")
    path = tmp_path / "nuclick" / "clicks.csv slide.svs.geojson"

    def outlines() -> dict[str, dict]:
        return {one["id"]: one for one in json.loads(path.read_text(encoding="utf-8"))["features"]}

    assert run_target(request) == 0
    before = outlines()
    tear(slide)
    capsys.readouterr()
    assert run_target(request) == 1
    assert (
        "2 outlines of an earlier run were kept, because the slide could not be read there" in capsys.readouterr().out
    )
    assert {key: one["geometry"] for key, one in outlines().items()} == {
        k: one["geometry"] for k, one in before.items()
    }
    marked = {key for key, one in outlines().items() if one["properties"]["measurements"].get(FROM_EARLIER) == 1}
    assert marked == set(record(tmp_path)["from_earlier_run"])
    assert len(marked) == 2
    slide.write_bytes(whole)
    assert run_target(request) == 0
    assert outlines() == before


def test_what_has_no_earlier_outline_gets_none_and_what_was_computed_is_new(tmp_path: Path) -> None:
    sink = GeoJsonSink(tmp_path / "a.geojson", ObjectType.DETECTION)
    sink.write(Results([instance(IDS[0]), instance(IDS[1])], {}, [], {}))
    written = sink.write(Results([instance(IDS[1], side=5)], {}, [], {}, unread={IDS[0], IDS[2]}))
    assert set(written.from_earlier) == {IDS[0]}
    features = {one["id"]: one for one in json.loads(sink.path.read_bytes())["features"]}
    assert set(features) == {IDS[0], IDS[1]}
    assert FROM_EARLIER not in features[IDS[1]]["properties"]["measurements"]
    assert np.ptp(features[IDS[1]]["geometry"]["coordinates"][0], axis=0).tolist() == [10, 10]


@pytest.mark.parametrize("unread", [IDS[0], cell_id(IDS[0])])
def test_a_cell_stays_whole_where_it_or_its_nucleus_could_not_be_computed(unread: str, tmp_path: Path) -> None:
    sink = GeoJsonSink(tmp_path / "a.geojson", ObjectType.DETECTION)
    both = [instance(IDS[0], 3), instance(cell_id(IDS[0]), 9, ObjectKind.CELL)]
    sink.write(Results(both, {}, [], {}))
    (before,) = json.loads(sink.path.read_bytes())["features"]
    for _ in range(2):
        sink.write(Results([one for one in both if one.prompt_id != unread], {}, [], {}, unread={unread}))
        collection = json.loads(sink.path.read_bytes())
        (after,) = collection["features"]
        assert (after["id"], after["geometry"]) == (before["id"], before["geometry"])
        assert after["nucleusGeometry"] == before["nucleusGeometry"]
        assert collection["nuclei"] == {cell_id(IDS[0]): IDS[0]}


def test_a_damaged_file_of_earlier_results_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    sink = GeoJsonSink(tmp_path / "a.geojson", ObjectType.DETECTION)
    sink.write(Results([instance(IDS[0])], {}, [], {}))
    sink.path.write_bytes(sink.path.read_bytes()[:-9])
    with pytest.raises(ResultError, match=r"a\.geojson: cannot be read .* earlier runs are to be kept"):
        sink.write(Results([], {}, [], {}, unread={IDS[0]}))


def test_asap_keeps_its_outline_and_group_where_nothing_could_be_computed(tmp_path: Path) -> None:
    file = write_asap(tmp_path / "slide.xml", dots((20, 20)))
    AsapSink(file).write(Results([instance(IDS[0]), instance(IDS[1])], {}, [], {}))
    written = AsapSink(file).write(Results([], {}, [], {}, unread={IDS[0]}))
    assert written.from_earlier == {IDS[0]}
    names = filter(None, (ResultName.parse(one["Name"]) for one in Asap(file).annotations))
    assert [name.prompt_id for name in names] == [IDS[0]]
