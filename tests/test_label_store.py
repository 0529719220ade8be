"""Label images as OME-Zarr: what its levels hold, and that other programs open it."""

from pathlib import Path

import numpy as np
import pytest
import shapely
import zarr
from test_exports import instance, painted

from nuclick_wsi.choices import LabelsVersion
from nuclick_wsi.exports.label_store import LabelStore, downsamples_of
from nuclick_wsi.exports.numbered import Layer, layers_of
from nuclick_wsi.exports.ome_metadata import Pyramid
from nuclick_wsi.exports.rasterize import Raster
from nuclick_wsi.geometry import Size
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import PixelSize, Window

SIZE = Size(5003, 1201)
DISC = shapely.Point(4100.3, 600.1).buffer(90)
"""It lies on both sides of where two regions meet."""

pytestmark = pytest.mark.filterwarnings("ignore::zarr.errors.ZarrUserWarning")


def layers() -> list[Layer]:
    return layers_of(
        [
            instance(shapely.box(10, 10, 31, 31), "a"),
            instance(DISC, "b"),
            instance(shapely.box(5, 5, 60, 60), "c", ObjectKind.CELL),
        ]
    )


def store(folder: Path, version: LabelsVersion = LabelsVersion.V05) -> Path:
    pyramid = Pyramid(downsamples_of(SIZE), PixelSize(0.25, 0.5))
    LabelStore(folder, SIZE, pyramid, version).write(layers(), {}, b"label,prompt\n")
    return folder


@pytest.mark.parametrize("version", list(LabelsVersion))
def test_every_level_has_the_objects_whose_outline_holds_the_middles_of_its_pixels(
    version: LabelsVersion, tmp_path: Path
) -> None:
    nuclei = zarr.open_group(store(tmp_path, version), mode="r")["labels/nuclei"]
    assert downsamples_of(SIZE) == [1, 2, 4, 8, 16]
    for level, downsample in enumerate(downsamples_of(SIZE)):
        seen = np.asarray(nuclei[str(level)])
        assert seen.shape == (-(-SIZE.height // downsample), -(-SIZE.width // downsample))
        raster = Raster(Window(0, 0, seen.shape[1], seen.shape[0]), downsample)
        np.testing.assert_array_equal(seen == 2, painted(DISC, raster))
        assert set(np.unique(seen)) <= {0, 1, 2}


def test_metadata_names_each_number_and_places_pixels_of_all_levels_in_microns(tmp_path: Path) -> None:
    root = zarr.open_group(store(tmp_path), mode="r")
    assert root["labels"].attrs["ome"] == {"version": "0.5", "labels": ["cells", "nuclei"]}
    ome = root["labels/nuclei"].attrs["ome"]
    first, second, *_ = ome["multiscales"][0]["datasets"]
    assert first["coordinateTransformations"] == [{"type": "scale", "scale": [0.5, 0.25]}]
    assert second["coordinateTransformations"] == [
        {"type": "scale", "scale": [1.0, 0.5]},
        {"type": "translation", "translation": [0.25, 0.125]},
    ]
    assert ome["image-label"]["properties"] == [
        {"label-value": 1, "class": "Tumor", "prompt": "a"},
        {"label-value": 2, "class": "Tumor", "prompt": "b"},
    ]
    assert (tmp_path / "tables" / "objects.csv").read_bytes() == b"label,prompt\n"


def test_regions_without_objects_are_not_stored(tmp_path: Path) -> None:
    files = {path.relative_to(tmp_path).as_posix() for path in store(tmp_path).glob("labels/cells/0/**/*")}
    assert "labels/cells/0/c/0/0" in files
    assert "labels/cells/0/c/0/1" not in files


@pytest.mark.parametrize("version", list(LabelsVersion))
def test_ome_zarr_py_opens_it(version: LabelsVersion, tmp_path: Path) -> None:
    reader = pytest.importorskip("ome_zarr.reader", reason="needs ome-zarr")
    location = pytest.importorskip("ome_zarr.io").parse_url(store(tmp_path / "out.zarr", version) / "labels/nuclei")
    (node,) = [one for one in reader.Reader(location)() if one.data]
    assert [level.shape for level in node.data][:2] == [(1201, 5003), (601, 2502)]
    assert node.metadata["properties"][2] == {"class": "Tumor", "prompt": "b"}
    np.testing.assert_array_equal(np.asarray(node.data[0][10:31, 10:31]), 1)


@pytest.mark.parametrize("version", list(LabelsVersion))
def test_naparis_reader_opens_it_as_labels_in_microns(version: LabelsVersion, tmp_path: Path) -> None:
    napari = pytest.importorskip("napari_ome_zarr", reason="needs napari and napari-ome-zarr")
    read = napari.napari_get_reader(str(store(tmp_path / "out.zarr", version) / "labels/nuclei"))
    ((levels, metadata, kind),) = read(str(tmp_path))
    assert kind == "labels"
    assert len(levels) == 5
    assert list(metadata["scale"]) == [0.5, 0.25]
