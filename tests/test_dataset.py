"""Patches hold exactly what was outlined, all else is unknown; no patient is in two parts; bad data is named."""

import itertools
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import shapely
from asap_files import annotation, group, write_asap
from made_slides import noise
from PIL import Image
from projects import SIDE, write_project
from projects import Image as ProjectImage
from qpdata_writer import Drawn, PathClass, geometry, polygon, rectangle
from qpdata_writer import Roi as DrawnRoi

from nuclick_training.datasets.annotated_regions import OutlineRule, SlideShapes, regions_among
from nuclick_training.datasets.data import DataError, doubts_about, objects_of, picture_names, read_picture
from nuclick_training.datasets.extract import patch_windows
from nuclick_training.datasets.rasterize import covered_pixels
from nuclick_training.datasets.split_assignment import SplitAssignment, assign_parts, leaks, patient_of
from nuclick_training.datasets.store import pictures, read_store
from nuclick_training.datasets.store_values import StoredPatch, StoredSlide, Terms
from nuclick_training.datasets.store_writer import StoreWriter
from nuclick_wsi.choices import SplitBy
from nuclick_wsi.cli.app import main
from nuclick_wsi.cli.dataset import ExtractRequest, extract_dataset, show_info, show_sheet
from nuclick_wsi.errors import ResultError, SettingsError, SlideError
from nuclick_wsi.formats.features import Feature
from nuclick_wsi.prompts import ObjectKind, Plane
from nuclick_wsi.scale import Grid, PixelSize, Window
from nuclick_wsi.segmentation.contours.outlines import outline
from nuclick_wsi.slides.readers import open_slide

REGION = PathClass("Region*")


def discs(side: int, radius: int = 7, spacing: int = 20) -> np.ndarray:
    """An instance map of discs on a lattice, some touching, one with a hole, one in two pieces."""
    labels = np.zeros((side, side), np.int32)
    y, x = np.mgrid[:side, :side]
    centres = [(r, c) for r in range(spacing // 2, side, spacing) for c in range(spacing // 2, side, spacing)]
    for number, (row, column) in enumerate([*centres, (spacing // 2, spacing // 2 + 2 * radius)], start=1):
        inside = (y - row) ** 2 + (x - column) ** 2 <= radius**2
        labels[inside & (labels == 0)] = number
    labels[centres[4][0], centres[4][1]] = 0
    labels[centres[8][0] - 1 : centres[8][0] + 1, :][labels[centres[8][0] - 1 : centres[8][0] + 1, :] == 9] = 0
    return labels


def objects_drawn(labels: np.ndarray, downsample: float = 1.0, **how) -> list[Drawn]:
    """What QuPath would hold of an instance map on a grid."""
    found = []
    for _, (rows, columns), mask in objects_of(labels):
        shape = outline(mask, Window(columns.start, rows.start, *mask.shape[::-1]), Grid(downsample, 1.0))
        found.append(Drawn(geometry(shape), **{"type": "PathDetectionObject", **how}))
    return found


def extracted(target: Path, *sources: Path, **asked) -> list:
    """The training pictures of a store made of sources; all patients train."""
    asked = {"kind": ObjectKind.NUCLEUS, "assignment": SplitAssignment(validation=0, test=0), "patch": 64, **asked}
    assert extract_dataset(ExtractRequest(sources, target, **asked)) == 0
    return pictures(target, "train")


def centres_in(shape: shapely.Geometry, side: int) -> np.ndarray:
    """Which pixels of a square have their centre in a shape, or on an edge to the right of which the shape lies."""
    y, x = np.mgrid[:side, :side] + 0.5
    return shapely.contains_xy(shape, x + 1e-7, y + 1e-10)


def same_objects(labels: np.ndarray, other: np.ndarray) -> bool:
    """Whether two instance maps are equal but for the numbers."""
    pairs = {(int(a), int(b)) for a, b in zip(labels.ravel(), other.ravel(), strict=True)}
    return all(len({pair[side] for pair in pairs}) == len(pairs) for side in (0, 1)) and (
        ((labels > 0) == (other > 0)).all()
    )


def folder_of(folder: Path, names: list[str], labels: np.ndarray | None = None, seed: int = 0) -> Path:
    """A folder of pictures with instance maps, every picture another one."""
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    labels = discs(100) if labels is None else labels
    for number, name in enumerate(names):
        image = noise(labels.shape[1], labels.shape[0], seed + number)
        Image.fromarray(image).save(folder / "images" / f"{name}.png")
        Image.fromarray(labels.astype(np.uint16)).save(folder / "labels" / f"{name}.png")
    return folder


# ------------------------------------------------------------------------------------------------- what is cut out


@pytest.mark.parametrize("seed", range(20))
def test_a_pixel_is_in_a_polygon_exactly_when_its_centre_is(seed):
    rng = np.random.default_rng(seed)
    shape = shapely.Point(rng.uniform(-5, 45, 2)).buffer(rng.uniform(1, 30), quad_segs=int(rng.integers(1, 9)))
    for _ in range(3):
        shape = shape.symmetric_difference(shapely.Polygon(rng.uniform(-5, 45, (4, 2))).buffer(0))
    rows, columns = 37, 41
    box, mask = covered_pixels(shape, (rows, columns))
    drawn = np.zeros((rows, columns), bool)
    drawn[box] = mask
    assert (drawn == centres_in(shape, columns)[:rows]).all()
    assert drawn.any() or shape.area < 1


def test_shapes_with_a_common_edge_share_no_pixel_and_leave_none_out():
    rng = np.random.default_rng(3)
    # Vertices on pixel centres are the hard case: whole edges run through centres.
    corners = [(0, 0), (32, 0), (0, 32), (32, 32), *(rng.integers(0, 32, (30, 2)) + 0.5)]
    count = np.zeros((32, 32), int)
    for triangle in shapely.get_parts(shapely.delaunay_triangles(shapely.MultiPoint(corners))):
        box, mask = covered_pixels(triangle, count.shape)
        count[box] += mask
    assert (count == 1).all()


@pytest.mark.parametrize(("mpp", "downsample"), [(0.25, 1), (0.125, 2), (0.5, 0.5)])
def test_known_masks_come_back_pixel_by_pixel(tmp_path, mpp, downsample):
    side = int(SIDE / downsample)
    truth = discs(side, 7 if side < 500 else 18, 20 if side < 500 else 50)
    left, top, right, bottom = (40, 30, 170, 120) if side > 180 else (10, 10, 100, 90)
    region = rectangle(*(edge * downsample for edge in (left, top, right, bottom)))
    drawn = [Drawn(region, path_class=REGION), *objects_drawn(truth, downsample)]
    project = write_project(tmp_path, ProjectImage("a.svs", drawn, mpp))
    (picture,) = extracted(tmp_path / "store.zarr", project, patch_mpp=0.25)
    store = read_store(tmp_path / "store.zarr")
    x, y = int(store.patches["column"].min()), int(store.patches["row"].min())
    known = np.zeros(truth.shape, bool)
    known[top:bottom, left:right] = True
    here = np.s_[y : y + picture.labels.shape[0], x : x + picture.labels.shape[1]]
    assert (picture.known == known[here]).all()
    assert same_objects(picture.labels, np.where(known, truth, 0)[here])
    assert picture.known.sum() == (right - left) * (bottom - top)
    assert picture.step == 1
    if downsample == 1:
        with open_slide(tmp_path / "slides" / "a.svs") as slide:
            pixels = slide.read(0, 0, 0, slide.info.size)
        assert (picture.image == pixels[here]).all()
    assert store.slides[0].downsample == downsample
    assert store.position(0) == (x * downsample, y * downsample)


def test_only_what_lies_in_a_region_is_known_and_ignored_parts_are_not(tmp_path):
    truth = discs(SIDE)
    blob = polygon((20, 20), (200, 40), (180, 200))
    hole = polygon((100, 60), (150, 60), (150, 100), (100, 100))
    drawn = [
        Drawn(blob, path_class=REGION),
        Drawn(hole, path_class=PathClass("Ignore*")),
        *objects_drawn(truth),
    ]
    project = write_project(tmp_path, ProjectImage("a.svs", drawn, 0.25))
    (picture,) = extracted(tmp_path / "store.zarr", project)
    shape = shapely.Polygon([(20, 20), (200, 40), (180, 200)]) - shapely.box(100, 60, 150, 100)
    assert picture.known.sum() == centres_in(shape, SIDE).sum()
    assert not picture.labels[~picture.known].any()
    assert read_store(tmp_path / "store.zarr").patches["slide"].size < 16, "patches without a known pixel are not kept"


def test_two_regions_are_two_pictures_and_an_image_without_one_is_left_alone(tmp_path, capsys):
    regions = [Drawn(rectangle(0, 0, 50, 50), path_class=REGION), Drawn(rectangle(99, 99, 220, 160), path_class=REGION)]
    tumor = Drawn(rectangle(0, 0, 50, 50), path_class=PathClass("Tumor"))
    project = write_project(
        tmp_path,
        ProjectImage("a.svs", [*regions, *objects_drawn(discs(SIDE))], 0.25),
        ProjectImage("no region.svs", [tumor, *objects_drawn(discs(SIDE))], 0.25, has_slide=False),
    )
    made = extracted(tmp_path / "store.zarr", project)
    assert [one.known.sum() if one.known is not None else one.labels.size for one in made] == [50 * 50, 121 * 61]
    told = capsys.readouterr().out
    assert "no region.svs: left alone: no area of class Region or Regions or Region*, in which everything" in told
    assert "its areas are of class Tumor (1)" in told
    (patches,) = re.findall(r"a\.svs: \d+ patches, (\d+) objects", told)
    assert f"everything is outlined in areas of class Region* (2); objects there: no class ({patches})" in told


def test_patches_cover_their_area_and_stay_on_the_slide():
    extent = Window(0, 0, 300, 100)
    for area in (Window(0, 0, 300, 100), Window(250, 90, 50, 10), Window(3, 5, 64, 64), Window(100, 20, 65, 1)):
        windows = list(patch_windows(area, extent, 64))
        covered = np.zeros((400, 400), int)
        for window in windows:
            covered[window.y : window.bottom, window.x : window.right] += 1
        assert covered.max() == 1
        assert covered[area.y : area.bottom, area.x : area.right].all()
        assert max(window.right for window in windows) <= max(300, area.width + 63)


def test_detections_cells_annotations_and_ellipses_are_objects(tmp_path):
    square = [(10, 10), (20, 10), (20, 20), (10, 20)]
    cell = Drawn(polygon(*((x + 40, y) for x, y in square)), "PathCellObject")
    cell.nucleus = polygon((54, 14), (57, 14), (57, 17), (54, 17))
    ellipse = DrawnRoi("EllipseROI$", (("x", "D", 80.0), ("x2", "D", 90.0), ("y", "D", 10.0), ("y2", "D", 16.0)))
    drawn = [
        Drawn(rectangle(0, 0, 100, 100), path_class=REGION),
        Drawn(polygon(*square), "PathDetectionObject"),
        cell,
        Drawn(ellipse, path_class=PathClass("Tumor")),
        Drawn(polygon((0, 40), (100, 40), (100, 90), (0, 90)), path_class=PathClass("Tissue")),
        Drawn(polygon(*square), "PathTileObject"),
    ]
    project = write_project(tmp_path, ProjectImage("a.svs", drawn, 1.0))
    asked = {"patch_mpp": 1.0, "mpp": None}
    (nuclei,) = extracted(tmp_path / "nuclei.zarr", project, **asked)
    (cells,) = extracted(tmp_path / "cells.zarr", project, kind=ObjectKind.CELL, **asked)
    (tissue,) = extracted(tmp_path / "tissue.zarr", project, classes=["Tissue"], **asked)
    y, x = np.mgrid[10:16, 80:90] + 0.5
    round_ = int((((x - 85) / 5) ** 2 + ((y - 13) / 3) ** 2 < 1).sum())
    assert sorted(np.bincount(nuclei.labels.ravel())[1:]) == sorted([100, 9, round_])
    assert sorted(np.bincount(cells.labels.ravel())[1:]) == sorted([100, 100, round_, 5000])
    assert np.bincount(tissue.labels.ravel())[1:].tolist() == [5000]
    store = read_store(tmp_path / "nuclei.zarr")
    names = ["" if number < 0 else store.classes[number] for number in store.objects["class"]]
    assert dict(zip(store.objects["pixels"].tolist(), names, strict=True)) == {100: "", 9: "", round_: "Tumor"}
    assert store.slides[0].remarks == ["left out: 1 of class Tissue, too large for a nucleus"]


def test_a_correction_replaces_what_it_corrects(tmp_path):
    found = shapely.Point(50, 50).buffer(10)
    corrected = shapely.Point(52, 50).buffer(9)
    shown = SlideShapes(
        [Feature(shapely.box(0, 0, 100, 100), class_name="Region"), Feature(corrected)],
        [Feature(found), Feature(shapely.Point(80, 80).buffer(5))],
    )
    regions = regions_among(shown, OutlineRule(ObjectKind.NUCLEUS), PixelSize(1, 1))
    labels, _ = regions.fields[0].read(Grid(1, 1), Window(0, 0, 100, 100))
    y, x = np.mgrid[:100, :100] + 0.5
    assert len(regions.class_names) == 2
    assert ((labels == 1) == shapely.contains_xy(corrected, x, y)).all()
    assert regions.remarks == ["left out: 1 that outline an object that is outlined already"]


def test_what_is_strange_in_a_region_is_said():
    region = Feature(shapely.box(0, 0, 100, 100), class_name="Regions")
    clicks = Feature(shapely.MultiPoint([(10, 10), (20, 20), (300, 300)]))
    elsewhere = Feature(shapely.box(0, 0, 9, 9), plane=Plane(z=2))
    ignored = Feature(shapely.MultiPoint([(30, 30)]), class_name="Ignore*")
    rule = OutlineRule(ObjectKind.NUCLEUS)
    shown = SlideShapes([region, clicks, elsewhere, ignored], [Feature(shapely.box(9, 9, 11, 11))])
    assert regions_among(shown, rule, PixelSize(1, 1)).remarks == [
        "left out: 1 on another plane",
        "1 clicks or squiggles in the region lie in no outline: is everything outlined?",
    ]
    empty = regions_among(SlideShapes([region], []), rule, PixelSize(1, 1))
    assert empty.remarks == ["no object is outlined in the region"]
    # A detection may be of the class that regions have; it is no region for that.
    named = OutlineRule(ObjectKind.NUCLEUS, regions=["Tumor"])
    mixed = SlideShapes(
        [Feature(shapely.box(0, 0, 99, 99), class_name="Tumor")],
        [Feature(shapely.box(9, 9, 11, 11), class_name="Tumor")],
    )
    assert len(regions_among(mixed, named, PixelSize(1, 1)).class_names) == 1


def test_results_beside_a_project_count_until_they_are_imported(tmp_path):
    result, other = objects_drawn(discs(SIDE))[:2]
    shape = [[[60, 60], [80, 60], [80, 80], [60, 80], [60, 60]]]
    feature = {"type": "Feature", "id": result.id, "geometry": {"type": "Polygon", "coordinates": shape}}
    for imported in (False, True):
        folder = tmp_path / str(imported)
        drawn = [Drawn(rectangle(0, 0, 100, 100), path_class=REGION), result if imported else other]
        project = write_project(folder, ProjectImage("a.svs", drawn, 0.25))
        (folder / "nuclick").mkdir()
        content = {"type": "FeatureCollection", "generator": "nuclick-wsi", "features": [feature]}
        (folder / "nuclick" / "1 a.svs.geojson").write_text(json.dumps(content))
        (picture,) = extracted(folder / "store.zarr", project)
        assert (400 in np.bincount(picture.labels.ravel())[1:]) is not imported


def test_asap_gives_what_qupath_gives(tmp_path):
    square, outer = [(40, 40), (60, 40), (60, 60), (40, 60)], [(20, 20), (90, 30), (80, 100), (20, 90)]
    project = write_project(
        tmp_path / "qupath",
        ProjectImage("a.svs", [Drawn(polygon(*outer), path_class=REGION), Drawn(polygon(*square))], 0.25),
    )
    asap = write_asap(
        tmp_path / "qupath" / "slides" / "a.xml",
        [annotation("Polygon", outer, group="Region"), annotation("Polygon", square)],
        [group("Region")],
    )
    ours, theirs = (
        extracted(tmp_path / f"{number}.zarr", source)[0] for number, source in enumerate((project, asap.parent))
    )
    assert (ours.labels == theirs.labels).all()
    assert (ours.known == theirs.known).all()
    assert (ours.image == theirs.image).all()
    assert ours.labels.sum() == 400


def test_a_folder_comes_back_as_it_was(tmp_path):
    folder = folder_of(tmp_path / "data", ["a", "b"], discs(150))
    made = extracted(tmp_path / "store.zarr", folder, mpp=0.25)
    for name, picture in zip("ab", made, strict=True):
        before = read_picture(folder, name, 1.0)
        assert (picture.image == before.image).all()
        assert (picture.labels == before.labels).all()
        assert picture.known is None
    store = read_store(tmp_path / "store.zarr")
    assert store.patches["slide"].tolist() == [0] * 9 + [1] * 9
    assert store.objects["pixels"].sum() == 2 * (discs(150) > 0).sum()
    (halved, _) = pictures(tmp_path / "store.zarr", "train", mpp=0.5)
    assert halved.step == 2


def test_coarser_patches_take_the_label_under_each_centre(tmp_path):
    truth = discs(120)
    folder = folder_of(tmp_path / "data", ["a"], truth)
    (picture,) = extracted(tmp_path / "store.zarr", folder, mpp=0.25, patch_mpp=0.75)
    assert same_objects(picture.labels, truth[1::3, 1::3])


# ------------------------------------------------------------------------------------------------------- the parts


def slides_of(*names: str, **how) -> list[StoredSlide]:
    made = []
    for name in names:
        about = {"patient": patient_of((name, name), None), "content": name, **how}
        made.append(StoredSlide(name, "data", name, frame="full", downsample=1, mpp=1, columns=9, rows=9, **about))
    return made


@pytest.mark.parametrize("seed", range(25))
def test_no_patient_is_ever_in_two_parts(seed):
    rng = np.random.default_rng(seed)
    names = [f"TCGA-AA-{rng.integers(1000, 1000 + seed + 1)}-01Z-{n}" for n in range(40)]
    slides = slides_of(*names)
    parts = assign_parts(slides, SplitAssignment(seed=seed))
    assert leaks(slides, parts, SplitBy.PATIENT) == []
    patients = {slide.patient for slide in slides}
    assert len(set(parts)) == min(3, len(patients))
    if len(patients) >= 10:
        validating = {slide.patient for slide, part in zip(slides, parts, strict=True) if part == "validation"}
        assert len(validating) == round(0.2 * len(patients))
    assert parts == assign_parts(slides, SplitAssignment(seed=seed))


def test_a_patient_in_two_parts_is_a_leak():
    slides = slides_of("TCGA-AA-0001-a", "TCGA-AA-0001-b", "TCGA-AA-0002-a")
    assert leaks(slides, ["train", "train", "test"], SplitBy.PATIENT) == []
    assert leaks(slides, ["train", "test", "test"], SplitBy.PATIENT) == ["patient TCGA-AA-0001 is in train and test"]
    assert leaks(slides, ["train", "test", "test"], SplitBy.SLIDE) == []


def test_one_slide_under_two_names_is_in_one_part():
    twins = [*slides_of("first", "second", content="same"), *slides_of("c", "d", "e", "f")]
    for seed, by in itertools.product(range(20), (SplitBy.PATIENT, SplitBy.SLIDE)):
        parts = assign_parts(twins, SplitAssignment(by=by, seed=seed))
        assert parts[0] == parts[1]
    assert leaks(twins, ["train", "test", *parts[2:]], SplitBy.SLIDE) == ["slide first = second is in train and test"]


def test_a_store_that_leaks_is_not_read_for_training(tmp_path, capsys):
    names = ["TCGA-AA-0001-a", "TCGA-AA-0001-b", "TCGA-AA-0002-a", "TCGA-AA-0003-a"]
    folder = folder_of(tmp_path / "data", names)
    target = tmp_path / "store.zarr"
    extracted(target, folder, mpp=0.25, assignment=SplitAssignment())
    assert show_info(target) == 0
    meta = json.loads((target / "zarr.json").read_text())
    meta["attributes"]["slides"][0]["part"] = "train"
    meta["attributes"]["slides"][1]["part"] = "test"
    (target / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(DataError, match="patient TCGA-AA-0001 is in train and test"):
        pictures(target, "train")
    assert show_info(target) == 1
    assert "LEAK: patient TCGA-AA-0001 is in train and test" in capsys.readouterr().out


def test_patients_are_found_by_a_pattern(tmp_path):
    import re  # noqa: PLC0415

    assert patient_of(("S21-004 B2.svs", "x"), re.compile(r"^(S\d+-\d+)")) == "S21-004"
    assert patient_of(("case_7", "x"), re.compile(r"\d")) == "7"
    assert patient_of(("My image", "TCGA-18-5592-01Z"), None) == "TCGA-18-5592"
    assert patient_of(("a.svs", "a"), None) == "a"
    with pytest.raises(DataError, match=r"b: --patient-from \(\\d\) finds no patient"):
        patient_of(("b", "b"), re.compile(r"(\d)"))


def test_of_few_patients_the_first_parts_are_served_first():
    assert assign_parts(slides_of("a"), SplitAssignment()) == ["train"]
    assert sorted(assign_parts(slides_of("a", "b"), SplitAssignment())) == ["train", "validation"]
    assert sorted(assign_parts(slides_of("a", "b", "c"), SplitAssignment())) == ["test", "train", "validation"]
    assert assign_parts(slides_of("a", "b", "c"), SplitAssignment(validation=0, test=0)) == ["train"] * 3
    with pytest.raises(SettingsError, match="below 1 together"):
        SplitAssignment(validation=0.5, test=0.5)


def test_fixed_parts_are_those_of_the_project_and_only_of_its_data(tmp_path):
    folder = folder_of(tmp_path / "monuseg", ["TCGA-18-5592-x", "TCGA-A7-A13E-x", "TCGA-00-0000-x"])
    fixed = SplitAssignment(by=SplitBy.FIXED)
    extracted(tmp_path / "store.zarr", folder, mpp=0.25, assignment=fixed)
    parts = {slide.name: slide.part for slide in read_store(tmp_path / "store.zarr").slides}
    assert parts == {"TCGA-18-5592-x": "validation", "TCGA-A7-A13E-x": "train", "TCGA-00-0000-x": "test"}
    other = folder_of(tmp_path / "mine", ["a"])
    with pytest.raises(SettingsError, match="no parts are fixed for mine"):
        extract_dataset(ExtractRequest([other], tmp_path / "b", kind=ObjectKind.NUCLEUS, mpp=0.25, assignment=fixed))


# ------------------------------------------------------------------------------------------------------- the store


def test_a_store_is_replaced_only_when_asked_and_nothing_else_ever(tmp_path):
    folder = folder_of(tmp_path / "data", ["a"])
    target = tmp_path / "store.zarr"
    extracted(target, folder, mpp=0.25)
    before = read_store(target)
    with pytest.raises(SettingsError, match="--overwrite"):
        extracted(target, folder, mpp=0.25)
    # One that fails leaves the old one as it was.
    (folder / "labels" / "a.png").write_bytes(b"no image")
    with pytest.raises(DataError, match="what is wrong with them is said above"):
        extract_dataset(ExtractRequest([folder], target, kind=ObjectKind.NUCLEUS, mpp=0.25, overwrite=True))
    assert read_store(target).slides == before.slides
    extracted(target, folder_of(tmp_path / "data", ["a", "b"]), mpp=0.25, overwrite=True)
    assert len(read_store(target).slides) == 2
    for note in (".mine", "objects/notes.txt"):
        (target / note).write_text("keep")
        with pytest.raises(SettingsError, match="has other files in it"):
            extracted(target, folder, mpp=0.25, overwrite=True)
        (target / note).unlink()
    precious = tmp_path / "precious"
    precious.mkdir()
    with pytest.raises(SettingsError, match="is no data set of"):
        extracted(precious, folder, mpp=0.25, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "precious", "store.zarr"], "no leftovers"


def test_an_extraction_that_is_stopped_leaves_nothing(tmp_path):
    with (
        pytest.raises(KeyboardInterrupt),
        StoreWriter(tmp_path / "store.zarr", Terms(ObjectKind.NUCLEUS, 0.25, 64)),
    ):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    with pytest.raises(ResultError, match="cannot be written"):
        StoreWriter(tmp_path / "file" / "store.zarr", Terms(ObjectKind.NUCLEUS, 0.25, 64))


def test_a_slide_that_fails_half_way_leaves_no_patch(tmp_path):
    def patches(value: int, count: int, fails: bool):
        for index in range(count):
            image = np.full((64, 64, 3), value, np.uint8)
            labels = np.full((64, 64), index + 1, np.int32)
            yield StoredPatch(0, Window(64 * index, 0, 64, 64), image, labels, labels > 0)
        if fails:
            raise SlideError("torn")

    first, torn, last = slides_of("a", "b", "c")
    names = [None] * 20
    with StoreWriter(tmp_path / "store.zarr", Terms(ObjectKind.NUCLEUS, 1, 64)) as writer:
        assert writer.add(first, patches(1, 3, False), names) == (3, 3)
        with pytest.raises(SlideError):
            writer.add(torn, patches(2, 20, True), names)
        assert writer.add(last, patches(3, 2, False), names) == (2, 2)
        writer.finish(SplitAssignment(validation=0, test=0), {"b": "torn"})
    store = read_store(tmp_path / "store.zarr")
    assert [store.patch(index).image.max() for index in range(5)] == [1, 1, 1, 3, 3]
    assert store.pixels[0].shape == (5, 64, 64, 3)
    assert store.patches["slide"].tolist() == store.objects["slide"].tolist() == [0, 0, 0, 1, 1]
    chunks = [path for path in (tmp_path / "store.zarr" / "images" / "c").rglob("*") if path.is_file()]
    assert len(chunks) == 5, "nothing of the torn slide takes up space"


def test_what_is_no_store_is_named(tmp_path):
    with pytest.raises(DataError, match="there is no such store"):
        read_store(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="cannot be read as a zarr store"):
        read_store(tmp_path / "folder")
    target = tmp_path / "store.zarr"
    extracted(target, folder_of(tmp_path / "data", ["a"]), mpp=0.25)
    meta = json.loads((target / "zarr.json").read_text())
    for key, value, words in (
        ("slides", None, "is damaged"),
        ("version", 2, "is of version 2"),
        ("format", "", "no data set"),
    ):
        changed = {**meta, "attributes": {**meta["attributes"], key: value}}
        (target / "zarr.json").write_text(json.dumps(changed))
        with pytest.raises(DataError, match=words):
            read_store(target)
    with pytest.raises(SettingsError, match="no 'testing'"):
        pictures(target, "testing")
    (target / "zarr.json").write_text(json.dumps(meta))
    with pytest.raises(SettingsError, match="keeps nothing for it"):
        show_sheet(target, tmp_path / "sheet.png", "test", 12, 0)


def test_the_sheet_shows_outlines_and_a_mark_in_every_object(tmp_path):
    for kind, spacing, radius in ((ObjectKind.NUCLEUS, 20, 7), (ObjectKind.GLAND, 100, 40)):
        truth = discs(300, radius, spacing)
        folder = folder_of(tmp_path / kind, ["a"], truth)
        asked = {"mpp": 1.0, "patch_mpp": 1.0, "patch": 512}
        extracted(tmp_path / f"{kind}.zarr", folder, kind=kind, **asked)
        show_sheet(tmp_path / f"{kind}.zarr", tmp_path / f"{kind}.png", None, 12, 0)
        sheet = np.asarray(Image.open(tmp_path / f"{kind}.png"))
        found = np.argwhere((sheet == (255, 225, 0)).all(-1))
        corner = found.min(axis=0) - np.argwhere(truth > 0).min(axis=0)
        tissue = sheet[corner[0] :, corner[1] :][:300, :300]
        marks = (tissue == (0, 160, 255)).all(-1)
        assert set(np.unique(truth[marks])) >= set(np.unique(truth)) - {0}, "a mark in each"
        yellow = (tissue == (255, 225, 0)).all(-1)
        assert (truth[yellow] > 0).all(), "outlines are the outermost pixels of objects"


# ----------------------------------------------------------------------------------------------------- bad data


def broken(folder: Path, what: str) -> None:
    """Spoil the picture `b` of a folder."""
    image, labels = folder / "images" / "b.png", folder / "labels" / "b.png"
    truth = discs(100)
    match what:
        case "no image":
            image.unlink()
        case "no labels":
            labels.unlink()
        case "sizes":
            Image.new("RGB", (100, 101)).save(image)
        case "float":
            labels.unlink()
            Image.fromarray(truth.astype(np.float32)).save(labels.with_suffix(".tif"))
        case "colours":
            Image.new("RGB", (100, 100)).save(labels)
        case "black and white":
            Image.fromarray(truth > 0).save(labels)
        case "negative":
            labels.unlink()
            Image.fromarray(truth - 1).save(labels.with_suffix(".tif"))
        case "transparent":
            alpha = np.full((100, 100, 1), 255, np.uint8)
            alpha[:25] = 0
            Image.fromarray(np.concatenate([noise(100, 100), alpha], -1)).save(image)
        case "16 bit":
            Image.fromarray(truth.astype(np.uint16)).save(image)
        case "no picture":
            image.write_bytes(b"GIF89a")
        case "no label picture":
            labels.write_bytes(b"not a picture")


BAD = {
    "no image": r"labels/b.png has no image",
    "no labels": r"images/b.png has no labels",
    "sizes": r"one size, not (image )?100 x 101",
    "float": r"labels.b.tif: labels must be whole numbers in one channel, not floating-point numbers",
    "colours": r"labels.b.png: labels must be whole numbers in one channel, not 3 channels \(RGB\)",
    "black and white": r"labels.b.png: labels must be whole numbers in one channel, not black and white",
    "negative": r"labels.b.tif: labels must be 0 or more, and one is -1",
    "transparent": r"images.b.png: 25.0% of its pixels are transparent",
    "16 bit": r"images.b.png: holds more than 8 bits per channel",
    "no picture": r"images.b.png: ",
    "no label picture": r"labels.b.png: cannot be read as an image",
}


@pytest.mark.parametrize("what", BAD)
def test_bad_data_is_named_and_costs_nothing_else(tmp_path, what, capsys):
    folder = folder_of(tmp_path / "data", ["a", "b", "c"])
    broken(folder, what)
    with pytest.raises(DataError, match=BAD[what]):
        _ = [read_picture(folder, name, 1.0) for name in picture_names(folder)]
    asked = ExtractRequest([folder], tmp_path / "store.zarr", kind=ObjectKind.NUCLEUS, mpp=0.25)
    assert extract_dataset(asked) == 1
    store = read_store(tmp_path / "store.zarr")
    assert [slide.name for slide in store.slides] == ["a", "c"]
    (why,) = store.failed.values()
    assert why in capsys.readouterr().out.replace("\n", "")
    with pytest.raises(DataError, match=BAD[what]):
        raise DataError(why)


def test_opaque_and_palette_images_and_leftovers_of_systems_are_no_bad_data(tmp_path):
    folder = folder_of(tmp_path, ["a", "b"])
    image = Image.open(folder / "images" / "a.png").convert("RGBA")
    image.save(folder / "images" / "a.png")
    Image.fromarray(discs(100).astype(np.uint8)).convert("P").save(folder / "labels" / "b.png")
    for leftover in (".DS_Store", "Thumbs.db"):
        (folder / "images" / leftover).write_bytes(b"")
    assert picture_names(folder) == ["a", "b"]
    for name in "ab":
        read_picture(folder, name, 1.0)


def test_doubtful_instance_maps_are_named():
    truth = discs(100)
    assert doubts_about(truth) == []
    assert doubts_about((truth == 1).astype(np.int32)) == []
    assert doubts_about(np.zeros((9, 9), np.int32)) == ["its labels hold no object, so that nothing is learned from it"]
    (said,) = doubts_about((truth > 0).astype(np.int32))
    assert "one number in" in said


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (["{data}", "--to", "{out}", "--mpp", "0.25"], "--model that the patches are for", 2),
        (["{data}", "--to", "{out}", "--model", "nuclei", "--kind", "gland"], "nuclei is for a nucleus", 2),
        (["{data}", "--to", "{out}", "--kind", "nucleus", "--patient-from", "("], "no regular expression", 2),
        (["{data}", "--to", "{out}", "--kind", "nucleus", "--test", "1"], "below 1 together", 2),
        (["{data}", "--to", "{out}", "--kind", "nucleus", "--mpp", "300"], "--mpp is the width of a pixel", 2),
        (["{data}", "--to", "{out}", "--kind", "nucleus"], "no pixel size is known", 1),
        (["{data}/images", "--to", "{out}", "--kind", "nucleus"], "cannot be told", 2),
        (["nowhere", "--to", "{out}", "--kind", "nucleus"], "nowhere does not exist", 2),
    ],
)
def test_wrong_use_is_named(tmp_path, monkeypatch, capsys, arguments, words, code):
    folder_of(tmp_path / "data", ["a"])
    places = {"data": tmp_path / "data", "out": tmp_path / "store.zarr"}
    monkeypatch.setattr("sys.argv", ["nuclick-wsi", "dataset", "extract", *(a.format(**places) for a in arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    assert ended.value.code == code
    assert words in (said.out + said.err).replace("\n", " ")
    assert not (tmp_path / "store.zarr").exists()


# ------------------------------------------------------------------------------------------------------- real data


def test_a_real_project_s_region_gives_its_true_nuclei(tmp_path, shared_data):
    shutil.copytree(shared_data / "qupath" / "tissue_v0.5.1", tmp_path / "project", copy_function=shutil.copyfile)
    project = tmp_path / "project"
    name = "TCGA-18-5592-01Z-00-DX1"
    truth = np.asarray(Image.open(project / "truth" / f"{name}.png")).astype(np.int32)
    features = []
    for _, (rows, columns), mask in objects_of(truth):
        window = Window(columns.start, rows.start, *mask.shape[::-1])
        shape = outline(mask, window, Grid(1, 1))
        features.append({"type": "Feature", "geometry": shapely.geometry.mapping(shape), "properties": {}})
    (project / "nuclick").mkdir()
    content = {"type": "FeatureCollection", "features": features}
    (project / "nuclick" / f"1 {name}.svs.geojson").write_text(json.dumps(content))
    asked = {"model": "nuclei", "regions": ["Stroma"], "kind": None, "patch": 512}
    (picture,) = extracted(tmp_path / "store.zarr", project, **asked)
    region = centres_in(shapely.Polygon([(200, 200), (220, 740), (780, 760), (800, 220)]), 1000)
    assert picture.labels.shape == (1000, 1000)
    assert (picture.known == region).all()
    assert same_objects(picture.labels, np.where(region, truth, 0))
    (slide,) = read_store(tmp_path / "store.zarr").slides
    assert slide.patient == "TCGA-18-5592"
    assert slide.remarks == [], "every click of the region lies in a true nucleus"
