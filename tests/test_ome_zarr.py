"""OME-Zarr pictures as slides: folders and zip files of both versions, and what is refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from made_slides import noise, shrunk
from PIL import Image as Picture

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.cli.run import RunRequest, run_target
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.fingerprint import fingerprint
from nuclick_wsi.slides.readers import open_slide

PICTURE = noise(300, 260)
UNITS = {"y": "micrometer", "x": "micrometer"}


def write(path: Path, image: np.ndarray = PICTURE, version: str = "0.5", axes: str = "cyx", **more: Any) -> Path:
    """Write a pyramid of two levels as other programs do; `image` has its channels last."""
    group = zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)
    levels = [image, shrunk(image, 2) if image.shape[2] == 3 else image[::2, ::2]]
    for number, level in enumerate(levels):
        pixels = np.moveaxis(level, -1, 0)
        pixels = pixels.reshape([pixels.shape["cyx".index(axis)] if axis in "cyx" else 1 for axis in axes])
        group.create_array(str(number), data=pixels, chunks=tuple(min(64, side) for side in pixels.shape))
    named = [
        {"name": axis, "type": {"c": "channel", "t": "time"}.get(axis, "space")}
        | ({"unit": UNITS[axis]} if axis in UNITS else {})
        for axis in axes
    ]
    scales = [[factor * 0.25 if axis in "yx" else 1.0 for axis in axes] for factor in (1, 2)]
    datasets = [
        {"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": scale}]}
        for number, scale in enumerate(scales)
    ]
    content = {"multiscales": [{"axes": named, "datasets": datasets, **more.pop("multiscale", {})}], **more}
    group.attrs.update({"ome": {"version": "0.5", **content}} if version == "0.5" else content)
    return path


def zipped(folder: Path) -> Path:
    return Path(shutil.make_archive(str(folder), "zip", folder))


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("axes", ["cyx", "tczyx"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_picture_is_read_at_all_levels_from_a_folder_and_from_a_zip(
    tmp_path: Path, version: str, axes: str, packed: bool
) -> None:
    path = write(tmp_path / "a.ome.zarr", version=version, axes=axes)
    with open_slide(zipped(path) if packed else path) as slide:
        assert slide.info.reader is ReaderChoice.OME_ZARR
        assert slide.info.pixel_size == PixelSize(0.25, 0.25)
        assert [level.downsample for level in slide.info.levels] == [1, 2]
        np.testing.assert_array_equal(slide.read(0, 0, 0, Size(300, 260)), PICTURE)
        np.testing.assert_array_equal(slide.read(1, 10, 20, Size(30, 40)), shrunk(PICTURE, 2)[20:60, 10:40])
        assert slide.read(0, 290, 250, Size(20, 20))[15:, 15:].min() == 255
        assert slide.info.remarks == ()


def test_grey_becomes_rgb(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", PICTURE[..., :1], axes="yx")
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 0, Size(300, 260)), np.repeat(PICTURE[..., :1], 3, axis=2))


def test_of_a_stack_the_first_plane_is_read_and_the_user_is_told(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr", axes="zcyx")
    group = zarr.open_group(path)
    del group["0"]
    stack = np.stack([np.moveaxis(PICTURE, -1, 0), np.zeros((3, 260, 300), np.uint8)])
    group.create_array("0", data=stack)
    with open_slide(path) as slide:
        np.testing.assert_array_equal(slide.read(0, 0, 0, Size(300, 260)), PICTURE)
        assert "2 z-slices" in slide.info.remarks[0]


def test_of_a_store_of_bioformats2raw_the_first_picture_is_read(tmp_path: Path) -> None:
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    write(tmp_path / "a.zarr" / "0", version="0.4", axes="tczyx")
    write(tmp_path / "a.zarr" / "1", noise(40, 30), version="0.4", axes="tczyx")
    with open_slide(tmp_path / "a.zarr") as slide:
        assert slide.info.size == Size(300, 260)
        assert "several pictures" in slide.info.remarks[0]


COLOURED = [{"color": color} for color in ("0000FF", "00FF00", "FF0000")]


@pytest.mark.parametrize(
    ("image", "more", "why"),
    [
        (PICTURE.astype(np.uint16), {}, "holds uint16 pixels"),
        (noise(60, 50).repeat(2, axis=2)[..., :4], {}, "holds 4 channels"),
        (PICTURE, {"omero": {"channels": COLOURED}}, "three channels in the colours 0000ff"),
        (PICTURE, {"image-label": {}}, "holds labels"),
        (PICTURE, {"multiscale": {"axes": ["y", "x", "c"]}}, "has the axes yxc"),
        (PICTURE, {"multiscale": {"datasets": []}}, "not those of an OME-Zarr picture"),
        (PICTURE, {"multiscale": {"datasets": 3}}, "not those of an OME-Zarr picture"),
    ],
)
def test_what_is_no_brightfield_picture_is_refused_with_the_reason(
    tmp_path: Path, image: np.ndarray, more: dict[str, Any], why: str
) -> None:
    with pytest.raises(SlideError, match=why):
        open_slide(write(tmp_path / "a.zarr", image, **more))


def test_red_green_and_blue_channels_are_a_picture_whatever_case_they_are_written_in(tmp_path: Path) -> None:
    channels = [{"color": color} for color in ("FF0000", "00ff00", "0000FF")]
    open_slide(write(tmp_path / "a.zarr", omero={"channels": channels})).close()


@pytest.mark.parametrize("unit", [None, "", "parsec", 3])
def test_without_a_unit_of_length_there_is_no_pixel_size(tmp_path: Path, unit: object) -> None:
    axes = [{"name": "c"}, {"name": "y", "unit": "nanometer"}, {"name": "x", "unit": unit}]
    with open_slide(write(tmp_path / "a.zarr", multiscale={"axes": axes})) as slide:
        assert slide.info.pixel_size is None


def test_a_scale_of_the_whole_pyramid_counts_too(tmp_path: Path) -> None:
    whole = [{"type": "scale", "scale": [1, 2, 2]}]
    with open_slide(write(tmp_path / "a.zarr", multiscale={"coordinateTransformations": whole})) as slide:
        assert slide.info.pixel_size == PixelSize(0.5, 0.5)


def test_a_damaged_chunk_is_an_error_that_names_the_place(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr")
    (path / "0" / "c" / "0" / "0" / "0").write_bytes(b"damaged")
    with open_slide(path) as slide:
        with pytest.raises(SlideError, match=r"level 0 cannot be read at x 0, y 0"):
            slide.read(0, 0, 0, Size(9, 9))
        np.testing.assert_array_equal(slide.read(0, 100, 100, Size(9, 9)), PICTURE[100:109, 100:109])


def test_other_folders_zips_and_readers_say_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(SlideError, match="is a folder, not a slide"):
        open_slide(tmp_path / "folder")
    with pytest.raises(SlideError, match="is a folder, which tiffslide does not read"):
        open_slide(write(tmp_path / "a.zarr"), reader=ReaderChoice.TIFFSLIDE)
    Picture.fromarray(PICTURE).save(tmp_path / "a.png")
    with pytest.raises(SlideError, match="not an OME-Zarr folder or zip file"):
        open_slide(tmp_path / "a.png", reader=ReaderChoice.OME_ZARR)


def test_a_store_beside_a_table_is_its_slide_and_one_in_a_folder_is_found_by_name(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n150,130\n")
    write(tmp_path / "a.zarr")
    assert run_target(RunRequest(tmp_path / "a.csv", device="cpu")) == 0
    (tmp_path / "named.csv").write_text("slide,x,y\nb.zarr,150,130\n")
    write(tmp_path / "slides" / "deep" / "b.zarr")
    assert run_target(RunRequest(tmp_path / "named.csv", slides=tmp_path / "slides", device="cpu")) == 0
    assert (tmp_path / "nuclick" / "named.csv b.zarr.geojson").exists()


def test_the_fingerprint_of_a_store_changes_with_its_files(tmp_path: Path) -> None:
    path = write(tmp_path / "a.zarr")
    before = fingerprint(path)
    (path / "0" / "c" / "0" / "0" / "0").write_bytes(b"another")
    assert fingerprint(path) != before
