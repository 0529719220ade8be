"""Input made to break the program: each ends in an error of our own that names the thing, soon and in little memory."""

import gzip
import json
import os
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from asap_files import annotation, group, write_asap
from made_slides import RAW, smooth_image
from safetensors.torch import save

from asap_bridge.annotations import Group
from asap_bridge.checks import require_groups
from asap_bridge.document import read_document
from asap_bridge.features import features_of
from asap_bridge.parsing import parse
from asap_bridge.selection import GroupRule
from asap_bridge.sink import _empty_groups
from asap_bridge.splines import spline_outline, spline_stroke
from nuclick_wsi.cli.run_file import Key, read_run_file
from nuclick_wsi.errors import ModelError, ProjectError, PromptError, SettingsError, SlideError
from nuclick_wsi.formats.colors import read_color
from nuclick_wsi.formats.feature_geojson import features_of_geojson, geojson_of_features
from nuclick_wsi.formats.geojson_parts import class_name_in
from nuclick_wsi.formats.prompt_files import read_prompts
from nuclick_wsi.formats.table_columns import columns_of
from nuclick_wsi.geometry import Size
from nuclick_wsi.models.card import METADATA_KEY, find_model, read_card
from nuclick_wsi.models.checkpoints import read_checkpoint
from nuclick_wsi.models.weights import load_model
from nuclick_wsi.runs.jobs import file_stem
from nuclick_wsi.scale import Window
from nuclick_wsi.slides.lookup import NOWHERE
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.readers.source import bounds_of
from nuclick_wsi.slides.readers.tiff_content import examine_tiff
from nuclick_wsi.slides.readers.tiff_description import described
from nuclick_wsi.slides.readers.tiff_directories import HEIGHT as IMAGE_HEIGHT
from nuclick_wsi.slides.readers.tiff_directories import (
    PLANES,
    TILE_HEIGHT,
    TILE_LENGTHS,
    TILE_OFFSETS,
    TILE_WIDTH,
    X_RESOLUTION,
)
from nuclick_wsi.slides.readers.torn_tiles import TileCheck
from qupath_extension.project import read_project
from qupath_extension.result_files import image_stem

# GeoJSON and tables


def feature(geometry: Any, **properties: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def converted(*features: dict[str, Any]) -> dict[str, Any]:
    data = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    return json.loads(geojson_of_features(features_of_geojson(data, "marks.geojson")).content)


@pytest.mark.parametrize("plane", [{"z": 10**30}, {"z": 1e30}, {"c": -(2**40)}, {"t": 2**31}])
def test_a_plane_beyond_those_of_qupath_is_refused_before_anything_is_computed(
    plane: dict[str, Any], tmp_path: Path
) -> None:
    marks = feature({"type": "Point", "coordinates": [1, 2], "plane": plane})
    (tmp_path / "a.geojson").write_text(json.dumps(marks))
    with pytest.raises(PromptError, match=r"feature 1: its plane has [czt] = .*, and planes are counted up to"):
        read_prompts(tmp_path / "a.geojson")
    (tmp_path / "a.csv").write_text(f"x,y,z\n1,2,{10**30}\n")
    with pytest.raises(PromptError, match="line 2: its plane has z = 1000000"):
        read_prompts(tmp_path / "a.csv")


@pytest.mark.parametrize("number", [2**64, 10**400, float("inf"), float("nan"), -(2**70)])
def test_a_colour_beyond_64_bits_is_none(number: float) -> None:
    assert read_color(number) is None
    point = {"type": "Point", "coordinates": [1, 2]}
    tumor = {"name": "Tumor", "color": number}
    (one,) = converted(feature(point, classification=tumor))["features"]
    assert one["properties"]["classification"]["name"] == "Tumor"


@pytest.mark.parametrize("geometry", [{"type": "Point"}, {"type": "Polygon"}, {}, 5])
def test_a_feature_without_coordinates_is_named(geometry: Any) -> None:
    with pytest.raises(PromptError, match=r"feature 1: its geometry"):
        converted(feature(geometry))


def test_halves_of_surrogate_pairs_in_names_are_replaced(tmp_path: Path) -> None:
    point = {"type": "Point", "coordinates": [1, 2]}
    data = json.dumps(feature(point, classification={"name": "a\ud800b"}, name="\udfffx")).encode()
    (tmp_path / "a.geojson").write_bytes(data)
    (prompt,) = read_prompts(tmp_path / "a.geojson").prompts
    assert prompt.class_name == "a?b"
    (one,) = converted(json.loads(data))["features"]
    assert (one["properties"]["classification"]["name"], one["properties"]["name"]) == ("a?b", "?x")


def test_json_nested_beyond_any_use_is_refused(tmp_path: Path) -> None:
    for name in ("a.geojson", "b.geojsonl"):
        (tmp_path / name).write_text('{"type": "Feature", "geometry": ' + "[" * 100_000)
        with pytest.raises(PromptError):
            read_prompts(tmp_path / name)


def test_a_long_text_that_could_be_a_list_is_left_a_text() -> None:
    """Python's own parser would take gigabytes for it."""
    text = "['a', " + "1, " * 1_000_000 + "]"
    assert class_name_in(text) == text


def test_a_heading_of_thousands_of_letters_takes_no_time() -> None:
    assert columns_of(["x", "y", "x" + "_" * 60_000 + " a b"]) is not None


@pytest.mark.parametrize("ending", [".gz", ".zip"])
def test_a_file_that_unpacks_to_a_thousand_times_its_size_is_refused(ending: str, tmp_path: Path) -> None:
    zeros = bytes(300 << 20)
    path = tmp_path / f"a.geojson{ending}"
    if ending == ".gz":
        path.write_bytes(gzip.compress(zeros, 1))
    else:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
            archive.writestr("a.geojson", zeros)
    assert path.stat().st_size < 4 << 20
    with pytest.raises(PromptError, match="unpacks to more than"):
        read_prompts(path)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.geojson", "{}")
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\5\6")
    struct.pack_into("<I", data, end + 16, 2**31)  # where the list of files begins
    path.write_bytes(data)
    with pytest.raises(PromptError, match="no zip file"):
        read_prompts(path)


def test_options_nested_beyond_any_use_are_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_text("a = " + "[" * 5000)
    with pytest.raises(SettingsError, match="is no TOML"):
        read_run_file(path, {})


# QuPath projects


def project(tmp_path: Path, entry: dict[str, Any] | None = None, classes: Any = None) -> Path:
    builder = {"builderType": "uri", "uri": "file:/never/a.svs"}
    images = [{"serverBuilder": builder, "entryID": 1, "imageName": "a", **(entry or {})}]
    (tmp_path / "classifiers").mkdir()
    (tmp_path / "classifiers" / "classes.json").write_text(json.dumps({"pathClasses": classes}))
    (tmp_path / "project.qpproj").write_text(json.dumps({"images": images}))
    return tmp_path


@pytest.mark.parametrize("classes", [5, True, 1.5, "Tumor", {"name": "Tumor"}, [5, None, {"name": 5, "color": 1}]])
def test_numbers_where_a_project_has_lists_count_as_nothing(classes: Any, tmp_path: Path) -> None:
    assert read_project(project(tmp_path, classes=classes)).class_colors == {}


def test_a_pixel_size_too_large_for_a_float_counts_as_none(tmp_path: Path) -> None:
    width = {"value": 10**400, "unit": "µm"}
    metadata = {"pixelCalibration": {"pixelWidth": width, "pixelHeight": width}}
    builder = {"builderType": "uri", "uri": "file:/never/a.svs", "metadata": metadata}
    (image,) = read_project(project(tmp_path, {"serverBuilder": builder})).images
    assert image.pixel_size is None


@pytest.mark.parametrize(
    "entry_id", ["..", ".", "../2", "a/b", "a\\b", "a\0", "1" * 300, int("1" * 300), "", None, 1.5]
)
def test_an_entry_that_would_lead_to_another_folder_is_refused(entry_id: Any, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no list of images with an entryID"):
        read_project(project(tmp_path, {"entryID": entry_id}))


@pytest.mark.parametrize("name", ["長" * 120, "a\ud800b", "a" * 5000, "\0", "../../a", "𝄞" * 100])
def test_an_image_of_any_name_has_results_that_a_file_system_takes(name: str, tmp_path: Path) -> None:
    (image,) = read_project(project(tmp_path, {"imageName": name})).images
    result = tmp_path / f"{image_stem(image)}.geojson"
    assert len(result.name.encode()) <= 255
    result.write_bytes(b"")
    assert result.parent == tmp_path
    assert len(file_stem(name.replace("\ud800", "")).encode()) <= 255


@pytest.mark.parametrize("uri", ["file:/" + "長" * 300, "file:/a%00b.svs", "file:/a/" * 3000, "/a\ud800", "a" * 5000])
def test_a_slide_at_an_impossible_place_is_not_there(uri: str, tmp_path: Path) -> None:
    (image,) = read_project(project(tmp_path, {"serverBuilder": {"builderType": "uri", "uri": uri}})).images
    with pytest.raises(SlideError, match="was not found"):
        image.find_slide(NOWHERE)


# ASAP


def test_12_000_groups_inside_each_other_are_checked_in_no_time(tmp_path: Path) -> None:
    """A time that grows with the square would be minutes here."""
    count = 12_000
    names = [f"NuClick: {number}" for number in range(count)]
    groups = [Group(name, parent) for name, parent in zip(names, [None, *names], strict=False)]
    require_groups(groups[::-1])
    assert len(_empty_groups(groups, {names[count // 2]})) == count - count // 2 - 1
    assert len(_empty_groups(groups, set())) == count


def test_thousands_of_holes_find_their_polygons_in_no_time(tmp_path: Path) -> None:
    """A time that grows with the square would be minutes here."""
    corners = [(10.0 * x, 10.0 * y) for x in range(70) for y in range(70)]
    outer = [
        annotation("Polygon", [(x, y), (x + 9, y), (x + 9, y + 9)], f"o{number}", "Tumor")
        for number, (x, y) in enumerate(corners)
    ]
    holes = [
        annotation("Polygon", [(x + 6, y + 2), (x + 8, y + 2), (x + 8, y + 4)], f"h{number}", "holes")
        for number, (x, y) in enumerate(corners)
    ]
    path = write_asap(tmp_path / "a.xml", [*outer, *holes], [group("Tumor"), group("holes", parent="Tumor")])
    found = features_of(read_document(path), GroupRule()).features
    assert len(found) == len(corners)
    assert all(len(one.geometry.interiors) == 1 for one in found)


def test_blanks_in_the_declaration_take_no_time() -> None:
    text = '<?xml version="1.0"' + " " * 300_000 + 'encoding="utf-16"?><ASAP_Annotations/>'
    with pytest.raises(PromptError, match=r"a\.xml is not XML"):
        parse(text.encode(), "a.xml")


@pytest.mark.parametrize(
    "doctype",
    [
        '<!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;&b;">]>',
        '<!DOCTYPE a SYSTEM "file:///etc/passwd">',
        '<!DOCTYPE a [<!ENTITY % b SYSTEM "http://example.org/a.dtd">%b;]>',
    ],
)
def test_no_entity_of_an_asap_file_is_expanded_or_fetched(doctype: str, tmp_path: Path) -> None:
    path = write_asap(tmp_path / "a.xml", [annotation("Dot", [(1, 2)], "&c;")], [group("a")])
    path.write_text(path.read_text().replace("<ASAP_Annotations>", f"{doctype}<ASAP_Annotations>", 1))
    with pytest.raises(PromptError, match="has a DOCTYPE"):
        parse(path.read_bytes(), "a.xml")


# Models


def model_file(path: Path, header: bytes | None = None, **changes: Any) -> Path:
    """Write a model of one number with a card that differs from a real one."""
    card = json.loads(read_card(find_model("nuclei")).to_json()) | changes
    data = save({"a": torch.zeros(1)}, metadata={METADATA_KEY: json.dumps(card)})
    if header is not None:
        data = struct.pack("<Q", len(header)) + header
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":' + b"[" * 100_000,
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
        b'{"a": {}}',
        b'{"a": {"data_offsets": [0]}}',
        b'{"a": {"data_offsets": [0, "1"]}}',
        b'{"a": 5}',
        b'{"__metadata__": 5}',
        b'{"__metadata__": {"nuclick_card": 5}}',
        b"{" + b"\xff" * 10,
    ],
)
def test_a_header_of_other_things_is_no_model(header: bytes, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        read_card(model_file(tmp_path / "a.safetensors", header))


@pytest.mark.parametrize(
    "changes",
    [
        {"name": 5},
        {"kind": "planet"},
        {"kind": []},
        {"crop_size": "64"},
        {"crop_size": True},
        {"crop_size": 32 * 10**9},
        {"mpp": None},
        {"mpp": 10**400},
        {"mpp": float("nan")},
        {"smallest_um2": float("inf")},
        {"config": []},
        {"settings": 5},
        {"data": 5},
        {"data": [{"name": 1, "licence": "a"}]},
        {"scores": [{"data": "a"}]},
        {"calibration": [[0, 1, 2]]},
        {"calibration": [["a", "b"]]},
        {"created": 5},
        {"created": "yesterday"},
        {"open_terms": "yes"},
        {"more": 1},
    ],
)
def test_a_card_with_entries_of_other_types_is_refused_by_name(changes: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="has a card that cannot be read"):
        read_card(model_file(tmp_path / "a.safetensors", **changes))


def test_a_card_nested_a_thousand_deep_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(save({"a": torch.zeros(1)}, metadata={METADATA_KEY: "[" * 100_000}))
    with pytest.raises(ModelError, match="nested too deeply"):
        read_card(path)


@pytest.mark.parametrize(
    ("architecture", "config"),
    [
        ("glance", {"trunk": [10**6] * 5, "features": 4 * 10**6}),
        ("glance", {"trunk": [10**12] * 5}),
        ("glance", {"dilations": [1] * 1_000_000}),
        ("squiggle", {"decoder": [10**7] * 4}),
        ("nuclick", {"width": 4}),
        ("nuclick", {"width": "wide"}),
        ("fcn", {"width": 4}),
        ("glance", {"trunk": ["a"] * 5}),
        ("glance", {"features": 10**400}),
    ],
)
def test_a_network_larger_than_its_file_takes_no_memory(
    architecture: str, config: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"does not fit|must be"):
        load_model(model_file(tmp_path / "a.safetensors", architecture=architecture, config=config))


@pytest.mark.parametrize(
    "pickled",
    [
        b"cos\nsystem\n(S'echo'\ntR.",
        b"(" * 10_000,
        b"",
        b"\x80\x04N.",
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"]" * 5000 + b"a" * 4999 + b".",
    ],
)
def test_a_checkpoint_that_is_none_is_refused_and_never_run(pickled: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with zipfile.ZipFile(path) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w") as new:
        for name, content in contents.items():
            new.writestr(name, pickled if name.endswith("data.pkl") else content)
    with pytest.raises(ModelError):
        read_checkpoint(path)
    path.write_bytes(pickled)
    with pytest.raises(ModelError):
        read_checkpoint(path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("far", [1e30, 1e308, -1e200])
def test_a_spline_that_leads_beyond_every_slide_takes_no_memory(far: float) -> None:
    points = np.array([[0.0, 0.0], [far, 5.0], [3.0, far], [9.0, 9.0]])
    assert len(spline_stroke(points)) <= 30_001
    assert len(spline_outline(points)) <= 40_000


# Slides


def tiled(path: Path) -> bytearray:
    tifffile.imwrite(path, smooth_image(256, 256), tile=(128, 128), **RAW)
    return bytearray(path.read_bytes())


def entry_of(data: bytearray, tag: int) -> int:
    """Return where a tag of the first directory of a TIFF has its entry."""
    (start,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, start)
    (place,) = [
        at for at in range(start + 2, start + 2 + 12 * count, 12) if data[at : at + 2] == struct.pack("<H", tag)
    ]
    return place


def with_tag(data: bytearray, tag: int, value: int) -> bytearray:
    """Return a TIFF whose first directory says another number for a tag, as 32 bits."""
    struct.pack_into("<HII", data, entry_of(data, tag) + 2, 4, 1, value)
    return data


@pytest.mark.parametrize(
    "tags",
    [{TILE_WIDTH: 301_204_687}, {TILE_WIDTH: 0}, {TILE_HEIGHT: 2**32 - 1}, {TILE_WIDTH: 2**20, TILE_HEIGHT: 2**20}],
)
def test_tiles_that_no_memory_holds_are_refused_before_openslide_ends_the_process(
    tags: dict[int, int], tmp_path: Path
) -> None:
    data = tiled(tmp_path / "a.tif")
    for tag, value in tags.items():
        data = with_tag(data, tag, value)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(SlideError, match="is damaged: it says that a picture is made of tiles of"):
        open_slide(tmp_path / "a.tif")


@pytest.mark.parametrize("has_resolution", [True, False])
def test_a_tile_of_more_bytes_than_the_file_is_refused_before_openslide_makes_room_for_it(
    has_resolution: bool, tmp_path: Path
) -> None:
    """OpenSlide ends the process where there is no room."""
    data = with_tag(tiled(tmp_path / "a.tif"), TILE_LENGTHS, 1_601_274_079)
    if not has_resolution:  # its tag leads beyond the end of the file
        struct.pack_into("<I", data, entry_of(data, X_RESOLUTION) + 8, 2**31)
    (tmp_path / "a.tif").write_bytes(data)
    with pytest.raises(SlideError, match="one of its tiles or strips alone 1,601,274,079"):
        open_slide(tmp_path / "a.tif")


def test_directories_on_top_of_each_other_are_given_up(tmp_path: Path) -> None:
    """Of a file of 12 MB; every directory has 60,000 tags, and they differ by one byte in where they are."""
    count, tags = 100_000, 60_000
    head = b"II*\0" + struct.pack("<I", 8)
    body = bytearray(struct.pack("<H", tags) * (tags * 6 + count))
    pointers = struct.pack("<HHII", 330, 4, 60_000, 100) + bytes(12)
    (tmp_path / "a.tif").write_bytes(head + pointers + body)
    with pytest.raises(SlideError):
        open_slide(tmp_path / "a.tif")


@pytest.mark.parametrize(
    "text", ["<Pixels " + "a" * 300_000 + ">", "<Pixels " * 40_000, "<a:" * 100_000, "<Pixels a" + " " * 300_000 + ">"]
)
def test_a_description_takes_time_by_its_length_alone(text: str) -> None:
    described(text)


@pytest.mark.parametrize("size", ["1e308", "9" * 400, "nan", "-1", "1e-320"])
def test_a_pixel_size_that_is_no_length_counts_as_none(size: str) -> None:
    text = f'<Pixels SizeC="{"9" * 5000}" PhysicalSizeX="{size}" PhysicalSizeXUnit="m" PhysicalSizeY="{size}"'
    found = described(f'{text} PhysicalSizeYUnit="m">')
    assert found is not None
    assert (found.pixel_size, found.components) in ((None, 1), (found.pixel_size, 1))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a system without pipes in folders")
def test_a_pipe_is_no_slide(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.svs")
    with pytest.raises(SlideError, match="is a pipe or a device"):
        open_slide(tmp_path / "a.svs")


def jpeg_tiled(path: Path) -> bytearray:
    tifffile.imwrite(path, smooth_image(256, 256), **{**RAW, "tile": (128, 128), "compression": "jpeg"})
    return bytearray(path.read_bytes())


def test_a_second_picture_with_tiles_of_no_width_does_not_end_the_check_of_tiles(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(with_tag(jpeg_tiled(path), TILE_WIDTH, 0))
    assert TileCheck(path).require_whole(Size(256, 256), Window(0, 0, 64, 64)) is None


def test_a_tile_longer_than_its_file_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, smooth_image(128, 128), **{**RAW, "tile": (128, 128), "compression": "jpeg"})
    path.write_bytes(with_tag(bytearray(path.read_bytes()), TILE_LENGTHS, 2**31 - 1))
    tracemalloc.start()
    TileCheck(path).require_whole(Size(128, 128), Window(0, 0, 64, 64))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 1 << 24


@pytest.mark.parametrize("sides", [(0, 5), (5, 0), (-1, 384), (512, -(2**31))])
def test_a_scanned_part_without_pixels_counts_as_none(sides: tuple[int, int]) -> None:
    said = {"a.bounds-x": "0", "a.bounds-y": "0", "a.bounds-width": str(sides[0]), "a.bounds-height": str(sides[1])}
    assert bounds_of(said, "a") is None


@pytest.mark.parametrize(
    "changes", [{TILE_LENGTHS: 1000}, {TILE_HEIGHT: 64}, {PLANES: 2}, {TILE_OFFSETS: 2**31}, {IMAGE_HEIGHT: 10_000}]
)
def test_a_tiff_of_unusual_form_is_tried_before_openslide_opens_it(changes: dict[int, int], tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    data = tiled(path)
    assert examine_tiff(path).is_usual
    for tag, value in changes.items():
        data = with_tag(data, tag, value)
    path.write_bytes(data)
    assert not examine_tiff(path).is_usual


@pytest.mark.parametrize("value", ["~no-such-user/x", "f" * 5000])
def test_a_model_at_an_impossible_place_is_refused_by_its_option(value: str, tmp_path: Path) -> None:
    (tmp_path / "run.toml").write_text(f'model = ["{value}"]')
    with pytest.raises(SettingsError, match=r"model is .* no place of a file"):
        read_run_file(tmp_path / "run.toml", {"model": Key("model", str, True)})


def test_a_message_with_half_a_surrogate_pair_can_be_written() -> None:
    assert str(ModelError("a\ud800b")).encode() == b"a\\ud800b"
    assert str(SlideError("a\ud800b")).encode() == b"a\\ud800b"
