"""Composed pictures of touching cells: one seed gives one picture, cells are whole, no seam shows, no part leaks."""

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from nuclick_training.__main__ import main
from nuclick_training.datasets.data import DataError, Picture, picture_names, read_picture
from nuclick_training.datasets.splits import WBC, WBC_COPIES
from nuclick_training.synthesis.background_pieces import background_pieces
from nuclick_training.synthesis.cell_library import CellLibrary, read_library
from nuclick_training.synthesis.cell_sheet import with_outlines
from nuclick_training.synthesis.compose import FEWEST, MOST, PIXEL_SIZE, Canvas, Shape, compose, compose_pool
from nuclick_training.synthesis.composing import LIBRARY
from nuclick_wsi.errors import ResultError

SIDE = 110
PARTS = ("train", "validation", "test")


def write_cell(folder, name: str, plasma: tuple[int, int, int], radius: int) -> None:
    """A purple cell with a dark nucleus, beside a red cell that is a ring, on noisy plasma of its own colour."""
    rng = np.random.default_rng(int(name))
    rows, columns = np.mgrid[:SIDE, :SIDE]
    cell = np.hypot(rows - 50, (columns - 48) / 1.1)
    labels = np.where(cell < radius / 2, 255, np.where(cell < radius, 128, 0)).astype(np.uint8)
    colour = np.ones((SIDE, SIDE, 3))
    colour[labels == 128] = (0.75, 0.6, 0.8)
    colour[labels == 255] = (0.4, 0.2, 0.45)
    colour[np.abs(np.hypot(rows - 90, columns - 90) - 16) < 1.5] = (0.85, 0.8, 0.85)
    labels[3, 3] = 128  # a stray pixel
    labels[50 + radius // 2 + 3, 48] = 0  # a hole
    image = np.clip(colour * plasma + rng.normal(0, 1.5, colour.shape), 0, 255).astype(np.uint8)
    for part, pixels in (("images", image), ("labels", labels)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / part / f"{name}.png")


@pytest.fixture(scope="module")
def made_up(tmp_path_factory):
    """A folder of data sets that holds a library of 24 cells, half of them for testing, on two kinds of plasma."""
    data = tmp_path_factory.mktemp("data")
    for index, number in enumerate([*range(21, 33), *range(41, 53)]):
        plasma = (250, 240, 150) if index % 2 else (245, 243, 250)
        write_cell(data / LIBRARY, f"{number:03d}", plasma, 24 + index % 12)
    return data


@pytest.fixture(scope="module")
def library(made_up) -> CellLibrary:
    return read_library(made_up / LIBRARY, "train")


@pytest.fixture(scope="module")
def pictures(library) -> list[Picture]:
    return list(compose_pool(library, 4, seed=3))


@pytest.fixture(scope="module")
def real(shared_data):
    if not (shared_data / LIBRARY).is_dir():
        pytest.skip(f"needs the library of white blood cells in {shared_data / LIBRARY}")
    return shared_data / LIBRARY


def touching_pairs(labels: np.ndarray) -> set[tuple[int, int]]:
    sides = ((labels[1:], labels[:-1]), (labels[:, 1:], labels[:, :-1]))
    pairs = {pair for a, b in sides for pair in zip(a.ravel().tolist(), b.ravel().tolist(), strict=True)}
    return {(min(pair), max(pair)) for pair in pairs if 0 not in pair and pair[0] != pair[1]}


def test_the_same_seed_gives_the_same_picture_and_another_one_another(library):
    one, same, other = (compose(library, np.random.default_rng(seed), size=420) for seed in (1, 1, 2))
    assert np.array_equal(one.image, same.image)
    assert np.array_equal(one.labels, same.labels)
    assert not np.array_equal(one.labels, other.labels)


def test_a_picture_of_a_pool_does_not_depend_on_how_many_there_are(library, pictures):
    first = next(compose_pool(library, 1, seed=3))
    assert first.name == pictures[0].name
    assert np.array_equal(first.image, pictures[0].image)
    assert len({picture.image.tobytes() for picture in pictures}) == len(pictures)


def test_every_cell_is_one_piece_that_can_be_seen(pictures):
    for picture in pictures:
        assert picture.image.shape == (512, 512, 3)
        assert FEWEST <= picture.labels.max() <= MOST
        light = picture.image.mean(axis=2)
        plasma = np.median(light[picture.labels == 0])
        for number in range(1, picture.labels.max() + 1):
            mask = picture.labels == number
            assert mask.sum() > 500
            assert ndimage.label(mask)[1] == 1
            assert light[mask].mean() < 0.85 * plasma


def test_cells_touch_each_other_in_clusters_and_some_lie_alone(pictures):
    pairs = [touching_pairs(picture.labels) for picture in pictures]
    in_clusters = sum(len({number for pair in found for number in pair}) for found in pairs)
    cells = sum(int(picture.labels.max()) for picture in pictures)
    assert all(pairs)
    assert 0.4 * cells < in_clusters < cells


def test_no_rim_of_a_cell_s_own_ground_shows_around_it(pictures):
    for picture in pictures:
        away = ndimage.distance_transform_edt(picture.labels == 0)
        rim, ground = ((away > low) & (away <= high) for low, high in ((3, 6), (8, 20)))
        # Medians: red cells lie here and there.
        difference = np.median(picture.image[rim], axis=0) - np.median(picture.image[ground], axis=0)
        assert np.abs(difference).max() <= 3


def test_a_cell_is_laid_only_where_the_others_stay_to_be_seen(library):
    rng = np.random.default_rng(0)
    shape = Shape(library.cells[0], library.cells[0], rng)
    canvas = Canvas(np.ones((700, 700, 3), np.float32))
    middle = np.array([350.0, 350.0])
    canvas.lay(shape, middle, rng)
    assert not canvas.fits(shape, middle + np.array([shape.radius, 0]))
    assert canvas.fits(shape, middle + np.array([1.8 * shape.radius, 0]))
    assert canvas.fits(shape, np.array([350.0, 140.0]))
    assert not canvas.fits(shape, np.array([350.0, 110.0]))  # half of it would lie outside the picture


def test_cells_of_one_picture_come_from_one_smear(library):
    for chosen, cell in enumerate(library.cells):
        blues = [other.plasma[2] for other in library.alike(chosen)[:6]]
        assert np.ptp(blues) < 10
        assert library.alike(chosen)[0] is cell


def test_masks_lose_stray_pixels_and_holes(library):
    for cell in library.cells:
        assert ndimage.label(cell.mask)[1] == 1
        assert ndimage.label(~cell.mask)[1] == 1
        assert cell.mask.shape[0] < SIDE - 20


def test_a_red_cell_that_the_border_cuts_becomes_a_whole_one():
    rows, columns = np.mgrid[:100, :100]
    light = np.ones((100, 100, 3), np.float32)
    light[np.abs(np.hypot(rows - 50, columns - 4) - 18) < 1.5] = 0.8
    (piece,) = background_pieces(light, np.ones((100, 100), bool))
    middle = len(piece) // 2
    angles = np.linspace(0, 2 * np.pi, 60)
    radius = next(r for r in range(middle) if piece[middle, middle + r, 1] < 0.9) + 1
    ring = piece[
        np.rint(middle + radius * np.sin(angles)).astype(int), np.rint(middle + radius * np.cos(angles)).astype(int)
    ]
    assert ring.max() < 0.95
    assert piece[middle - 8 : middle + 9, middle - 8 : middle + 9].min() > 0.95
    assert np.allclose(piece[[0, -1]], 1)


def test_a_white_cell_that_is_not_outlined_is_not_laid_down_as_background(tmp_path):
    for number in range(21, 30):
        write_cell(tmp_path, f"{number:03d}", (250, 240, 150), 26)
        path = tmp_path / "images" / f"{number:03d}.png"
        image = np.array(Image.open(path))
        image[90:, :20] = (80, 40, 90)
        rows, columns = np.mgrid[:SIDE, :SIDE]
        image[np.abs(np.hypot(rows - 22, columns - 88) - 16) < 2] = (150, 135, 90)
        Image.fromarray(image).save(path)
    for cell in read_library(tmp_path, "train").cells:
        assert cell.background.depth[88:, :22].max() == 0
        assert cell.background.depth.max() > 5
        assert all(piece.min() > 0.6 for piece in cell.background.pieces)


# ----------------------------------------------------------------------------------------------- the command


def test_the_command_writes_a_folder_that_reads_as_training_data(made_up, tmp_path, capsys):
    wanted = ["compose", "--data", str(made_up), "--out", str(tmp_path / "out"), "--count", "2", "--seed", "5"]
    main([*wanted, "--sheet", str(tmp_path / "sheet.png")])
    assert f"--mpp {PIXEL_SIZE}" in capsys.readouterr().out
    assert picture_names(tmp_path / "out") == ["test_000", "test_001"]
    expected = next(compose_pool(read_library(made_up / LIBRARY, "test"), 1, seed=5))
    written = read_picture(tmp_path / "out", expected.name, 1.0)
    assert np.array_equal(written.image, expected.image)
    assert np.array_equal(written.labels, expected.labels)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size[0] > 4 * 512
    with pytest.raises(ResultError, match="holds files already"):
        main(wanted)


def test_outlines_run_along_borders_and_between_touching_cells(pictures):
    picture = pictures[0]
    drawn = (with_outlines(picture) != picture.image).any(axis=2)
    one, other = min(touching_pairs(picture.labels))
    contact = ndimage.binary_dilation(picture.labels == one) & (picture.labels == other)
    assert drawn[contact].all()
    assert drawn.mean() < 0.1


def test_what_is_no_library_is_refused_by_name(made_up, tmp_path, library):
    with pytest.raises(DataError, match="no files in labels/"):
        read_library(tmp_path / "nothing", "train")
    with pytest.raises(DataError, match="0 of 24 cells are in part 'validation'"):
        read_library(made_up / LIBRARY, "validation")
    with pytest.raises(DataError, match="side of 400 pixels or more, not 200"):
        compose(library, np.random.default_rng(0), size=200)
    for number in range(21, 30):
        write_cell(tmp_path / "odd", f"{number:03d}", (250, 240, 150), 26)
    odd = tmp_path / "odd" / "labels" / "024.png"
    Image.fromarray(np.arange(SIDE, dtype=np.uint8)[:, None].repeat(SIDE, axis=1)).save(odd)
    with pytest.raises(DataError, match=r"024.*three values"):
        read_library(tmp_path / "odd", "train")
    nearly_full = np.full((SIDE, SIDE), 128, np.uint8)
    nearly_full[0], nearly_full[50:60, 50:60] = 0, 255
    Image.fromarray(nearly_full).save(odd)
    with pytest.raises(DataError, match=r"024.*ground around it"):
        read_library(tmp_path / "odd", "train")


# ---------------------------------------------------------------------------------------------- the real cells


def test_no_cell_is_in_two_parts(real):
    """Cells are compared by thumbnails: copies of one differ by 1.6 to 9.8, and the most alike others by 9.9."""
    names = picture_names(real)
    assert len(names) == 300
    seen = np.stack([thumbnail(read_picture(real, name, 1.0)) for name in names])
    for index, name in enumerate(names):
        apart = np.abs(seen - seen[index]).mean(axis=1)
        alike = {other for other, distance in zip(names, apart, strict=True) if distance < 9}
        assert len({WBC.part_of(other) for other in alike}) == 1
        assert len(alike - WBC_COPIES.keys()) <= 1
        if name in WBC_COPIES:
            assert apart[names.index(WBC_COPIES[name])] < 9.85
    originals = [name for name in names if name not in WBC_COPIES]
    parts = [WBC.part_of(name) for name in originals]
    assert [parts.count(part) for part in PARTS] == [180, 39, 67]
    assert all(WBC.part_of(copy) == WBC.part_of(name) for copy, name in WBC_COPIES.items())


def test_a_library_holds_the_cells_of_its_part_alone_and_composes_them(real):
    library = read_library(real, "validation")
    assert {WBC.part_of(cell.name) for cell in library.cells} == {"validation"}
    assert not {cell.name for cell in library.cells} & WBC_COPIES.keys()
    picture = compose(library, np.random.default_rng(0))
    areas = np.bincount(picture.labels.ravel())[1:]
    assert FEWEST <= len(areas) <= MOST
    diameters = 2 * np.sqrt(areas / np.pi) * PIXEL_SIZE
    assert 9 < np.median(diameters) < 18
    assert touching_pairs(picture.labels)


def thumbnail(picture: Picture) -> np.ndarray:
    """The cell's bounding box in 24 x 24 pixels."""
    rows, columns = (np.flatnonzero((picture.labels > 0).any(axis=axis)) for axis in (1, 0))
    box = picture.image[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return np.asarray(Image.fromarray(box).resize((24, 24), Image.Resampling.BOX)).astype(float).ravel()
