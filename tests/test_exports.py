"""Results for other programs: which pixels an object gets, what it measures, and what tiles and tables hold."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from made_slides import array_slide, noise
from PIL import Image
from skimage.measure import regionprops

from nuclick_wsi.exports.coco import run_lengths, write_coco
from nuclick_wsi.exports.masks import write_masks
from nuclick_wsi.exports.numbered import Layer, all_objects, layers_of
from nuclick_wsi.exports.rasterize import Polygonal, Raster, pixels_of
from nuclick_wsi.exports.shapes import ShapeMeasures
from nuclick_wsi.exports.stains import stain_intensities
from nuclick_wsi.exports.table import COLUMNS, objects_csv
from nuclick_wsi.instances import Instance
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.scale import PixelSize, Window

PIXEL = PixelSize(0.5, 0.5)


def instance(polygon: Polygonal, name: str = "a", kind: ObjectKind = ObjectKind.NUCLEUS) -> Instance:
    return Instance(name, kind, polygon, "Tumor", Plane(), polygon.area * PIXEL.area_um2, 0.9, 0.8)


def middles_inside(polygon: Polygonal, raster: Raster) -> np.ndarray:
    """The rule in plain words: the pixels whose middles lie inside the polygon."""
    window = raster.window
    y, x = np.mgrid[window.y : window.bottom, window.x : window.right] + 0.5
    return shapely.contains_xy(polygon, x * raster.downsample, y * raster.downsample)


def painted(polygon: Polygonal, raster: Raster) -> np.ndarray:
    mask = np.zeros(raster.window.shape, bool)
    found = pixels_of(polygon, raster)
    if found is not None:
        mask[found[0]] = found[1]
    return mask


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("downsample", [1, 2, 3.7])
def test_an_object_has_the_pixels_whose_middles_lie_in_its_outline(seed: int, downsample: float) -> None:
    random = np.random.default_rng(seed)
    angles = np.sort(random.uniform(0, 2 * np.pi, 30))
    radii = random.uniform(4, 30, 30)[:, None]
    star = shapely.Polygon(40.03 + radii * np.stack([np.cos(angles), np.sin(angles)], 1)).buffer(0)
    ring = star.difference(shapely.Point(40, 40).buffer(6))
    for window in (Window(0, 0, 90, 90), Window(30, 35, 17, 11), Window(-5, -5, 40, 60)):
        raster = Raster(window, downsample)
        np.testing.assert_array_equal(painted(ring, raster), middles_inside(ring, raster))


def test_objects_with_a_common_border_share_its_pixels_out_even_where_it_runs_through_their_middles() -> None:
    border = [(10.5, 0.0), (10.5, 4.5), (14.5, 4.5), (6.5, 12.5), (10.5, 20.0)]
    left = shapely.Polygon([(0, 0), *border, (0, 20)])
    right = shapely.Polygon([(20, 0), (20, 20), *border[::-1]])
    raster = Raster(Window(0, 0, 20, 20))
    assert (painted(left, raster).astype(int) + painted(right, raster) == 1).all()


def test_an_outline_that_holds_no_middle_of_a_pixel_has_none() -> None:
    assert pixels_of(shapely.box(2.6, 2.6, 3.4, 3.4), Raster(Window(0, 0, 9, 9))) is None
    assert pixels_of(shapely.box(20, 20, 30, 30), Raster(Window(0, 0, 9, 9))) is None


def test_numbers_follow_the_ids_of_prompts_over_all_kinds_of_object() -> None:
    layers = layers_of(
        [
            instance(shapely.box(0, 0, 9, 9), "c"),
            instance(shapely.box(0, 0, 20, 20), "a", ObjectKind.CELL),
            instance(shapely.box(10, 0, 19, 9), "b"),
        ]
    )
    assert [(layer.name, [one.number for one in layer.objects]) for layer in layers] == [
        ("cells", [1]),
        ("nuclei", [2, 3]),
    ]


def test_measures_are_those_of_an_ellipse_in_microns_on_pixels_that_are_not_square() -> None:
    disc = shapely.Point(100, 100).buffer(1, quad_segs=256)
    ellipse = shapely.affinity.rotate(shapely.affinity.scale(disc, 40, 20), 30)
    pixel = PixelSize(0.5, 0.5)
    measures = ShapeMeasures.of(ellipse, pixel)
    assert measures.major_axis_um == pytest.approx(40, rel=1e-3)
    assert measures.minor_axis_um == pytest.approx(20, rel=1e-3)
    assert measures.area_um2 == pytest.approx(np.pi * 20 * 10, rel=1e-3)
    assert measures.solidity == pytest.approx(1)
    squeezed = shapely.affinity.scale(ellipse, 1 / 0.8, 1 / 1.2, origin=(0, 0))
    again = ShapeMeasures.of(squeezed, PixelSize(0.4, 0.6))
    assert again.major_axis_um == pytest.approx(40, rel=1e-3)
    assert ShapeMeasures.of(disc, pixel).circularity == pytest.approx(1, abs=1e-3)


def test_axes_and_solidity_agree_with_those_of_pixels() -> None:
    shape = shapely.box(10, 10, 90, 50).difference(shapely.box(30, 20, 50, 40)).union(shapely.box(60, 50, 80, 90))
    (seen,) = regionprops(painted(shape, Raster(Window(0, 0, 100, 100))).astype(int))
    measures = ShapeMeasures.of(shape, PixelSize(1, 1))
    assert measures.major_axis_um == pytest.approx(seen.axis_major_length, rel=1e-2)
    assert measures.minor_axis_um == pytest.approx(seen.axis_minor_length, rel=1e-2)
    assert measures.solidity == pytest.approx(seen.solidity, rel=2e-2)


def stained_slide() -> np.ndarray:
    image = np.full((600, 700, 3), 240, np.uint8)
    image[100:200, 100:200] = (90, 70, 150)  # blue
    image[300:400, 500:600] = (220, 120, 180)  # pink
    return image


def stained_layers() -> list[Layer]:
    return layers_of(
        [instance(shapely.box(110, 110, 190, 190), "blue"), instance(shapely.box(500, 310, 590, 390), "pink")]
    )


def test_stains_are_measured_inside_outlines_alone() -> None:
    found = stain_intensities(array_slide(stained_slide()), PIXEL, all_objects(stained_layers()))
    (blue_h, blue_e, _), (pink_h, pink_e, _) = found[1], found[2]
    assert blue_h > 2 * pink_h
    assert pink_e > blue_e


def test_the_table_has_a_row_for_each_object_and_units_in_its_columns() -> None:
    layers = stained_layers()
    rows = list(csv.DictReader(objects_csv(all_objects(layers), PIXEL, {}).decode().splitlines()))
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["label"], row["prompt"], row["object"], row["class"]) for row in rows] == [
        ("1", "blue", "nucleus", "Tumor"),
        ("2", "pink", "nucleus", "Tumor"),
    ]
    assert (float(rows[0]["centroid_x_px"]), float(rows[0]["area_um2"])) == (150, 1600)
    assert rows[0]["hematoxylin_mean"] == ""


@pytest.mark.parametrize("seed", range(5))
def test_run_lengths_are_cocos(seed: int) -> None:
    mask = np.random.default_rng(seed).random((7, 5)) < 0.5
    values = np.repeat(np.arange(len(run_lengths(mask))) % 2, run_lengths(mask))
    np.testing.assert_array_equal(values.reshape(mask.shape, order="F"), mask)


def test_coco_has_every_pixel_of_every_object_in_its_tiles(tmp_path: Path) -> None:
    mask_of = pytest.importorskip("pycocotools.coco", reason="needs pycocotools").COCO
    image = noise(700, 600)
    across = shapely.box(480.2, 500.3, 540.6, 530)
    layers = layers_of([instance(across), instance(shapely.Point(100, 100).buffer(20), "b", ObjectKind.GLAND)])
    assert write_coco(tmp_path, array_slide(image), layers) == 0
    coco = mask_of(tmp_path / "coco.json")
    assert len(coco.imgs) == 4
    assert {one["name"] for one in coco.cats.values()} == {"Tumor nucleus", "Tumor gland"}
    drawn = np.zeros(image.shape[:2], bool)
    for one in coco.anns.values():
        tile = coco.imgs[one["image_id"]]
        left, top = tile["slide_x_px"], tile["slide_y_px"]
        place = np.s_[top : top + tile["height"], left : left + tile["width"]]
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / tile["file_name"])), image[place])
        mask = coco.annToMask(one).astype(bool)
        assert one["area"] == mask.sum()
        x, y, width, height = one["bbox"]
        assert mask[y : y + height, x : x + width].any(0).all()
        if coco.cats[one["category_id"]]["name"] == "Tumor nucleus":
            drawn[place] |= mask
    np.testing.assert_array_equal(drawn, painted(across, Raster(Window(0, 0, 700, 600))))


def test_tiles_of_labels_have_16_bits_and_tables_that_say_whose_pixels_they_are(tmp_path: Path) -> None:
    nucleus, cell = shapely.box(480, 500, 540, 530), shapely.box(470, 490, 550, 540)
    layers = layers_of([instance(nucleus, "n"), instance(cell, "c", ObjectKind.CELL)])
    assert write_masks(tmp_path, array_slide(noise(700, 600)), layers) == 0
    manifest = list(csv.DictReader((tmp_path / "manifest.csv").open()))
    assert len(manifest) == 8  # four tiles of two kinds
    objects = list(csv.DictReader((tmp_path / "objects.csv").open()))
    areas = {"n": 0, "c": 0}
    for row in manifest:
        with Image.open(tmp_path / row["labels"]) as picture:
            labels = np.asarray(picture)
        assert labels.dtype == np.uint16
        assert labels.shape == (int(row["height_px"]), int(row["width_px"]))
        for one in objects:
            if one["labels"] == row["labels"]:
                areas[one["prompt"]] += int((labels == int(one["value"])).sum())
    assert areas == {"n": nucleus.area, "c": cell.area}


def test_a_tile_that_cannot_be_read_is_left_out_and_counted(tmp_path: Path) -> None:
    slide = array_slide(noise(700, 600))
    slide.close()
    layers = layers_of([instance(shapely.box(10, 10, 60, 60))])
    assert write_coco(tmp_path, slide, layers) == 1
    assert json.loads((tmp_path / "coco.json").read_bytes())["images"] == []
