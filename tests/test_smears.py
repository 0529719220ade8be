"""Pictures of smears: their scale by red cells, and several of them laid together to fill a block."""

import itertools

import numpy as np
import pytest
from made_pictures import folder_of
from skimage.draw import disk

from nuclick_training.datasets.data import Picture
from nuclick_training.datasets.mosaics import mosaics
from nuclick_training.datasets.red_cells import main, red_cell_widths
from nuclick_training.datasets.splits import BCCD, EVERYTHING_TRAINS
from nuclick_training.fitting.recipe import TrainingSource
from nuclick_training.fitting.recipes import CELLS_OPEN

RED, WHITE = (200, 120, 110), (120, 60, 160)


def smear(radius: int, name: str = "a") -> Picture:
    """Red cells of one size: two alone, two that touch, one cut by the border, one behind a white cell."""
    image = np.full((200, 300, 3), (215, 205, 210), np.uint8)
    labels = np.zeros(image.shape[:2], np.int32)
    for centre in ((40, 40), (40, 240), (150, 40), (150, 40 + 2 * radius - 4), (198, 150), (100, 200)):
        image[disk(centre, radius, shape=labels.shape)] = RED
    white = disk((110, 230), 25, shape=labels.shape)
    image[white] = WHITE
    labels[white] = 1
    return Picture(name, image, labels, 1.0)


@pytest.mark.parametrize("radius", [15, 20])
def test_red_cells_that_lie_alone_tell_the_scale(radius: int) -> None:
    widths = red_cell_widths(smear(radius).image, smear(radius).labels)
    assert widths == pytest.approx([2 * radius] * 2, abs=1.5)


def test_the_command_prints_the_pixel_size(tmp_path, capsys) -> None:
    folder_of([smear(15, "a"), smear(15, "b")], tmp_path / "smears")
    main([str(tmp_path / "smears")])
    counted, size = capsys.readouterr().out.splitlines()
    assert counted.startswith("2 pictures: ")
    assert float(size.split()[0]) == pytest.approx(7.5 / 30, abs=0.015)


def test_a_mosaic_shows_every_picture_in_its_place_and_every_object_once() -> None:
    pictures = [smear(radius, name) for radius, name in ((15, "a"), (16, "b"), (17, "c"), (18, "d"), (19, "e"))]
    first, last = mosaics(pictures, 2)
    for number, item in enumerate(pictures[:4]):
        row, column = divmod(number, 2)
        here = np.s_[row * 200 : row * 200 + 200, column * 300 : column * 300 + 300]
        np.testing.assert_array_equal(first.image[here], item.image)
        np.testing.assert_array_equal(first.labels[here], np.where(item.labels > 0, number + 1, 0))
    assert (last.image[200:] == 255).all()
    assert (last.labels > 0).sum() == (pictures[4].labels > 0).sum()


def test_a_mosaic_keeps_what_is_unknown() -> None:
    known = np.ones((200, 300), np.bool_)
    known[:10] = False
    item = smear(15)
    (made,) = mosaics([item, Picture("b", item.image, np.where(known, item.labels, 0), 1.0, known)], 2)
    assert made.known is not None
    assert (~made.known).sum() == (~known).sum()
    assert not made.known[:10, 300:].any()


def test_beside_a_smaller_picture_of_a_mosaic_lies_white() -> None:
    item = smear(15)
    (made,) = mosaics([Picture("b", item.image[:100], item.labels[:100], 1.0), item], 2)
    assert made.image.shape == (400, 600, 3)
    np.testing.assert_array_equal(made.image[:100, :300], item.image[:100])
    assert (made.image[100:200, :300] == 255).all()
    np.testing.assert_array_equal(made.image[:200, 300:], item.image)


def test_pictures_of_two_scales_make_no_mosaic() -> None:
    item = smear(15)
    with pytest.raises(ValueError, match="another step"):
        mosaics([item, Picture("b", item.image, item.labels, 2.0)], 2)


def test_a_source_may_ask_for_mosaics(tmp_path) -> None:
    folder_of([smear(15, name) for name in "abcde"], tmp_path / "smears")
    source = TrainingSource("smears", "", mpp=0.25, split=EVERYTHING_TRAINS, mosaic=2)
    assert [item.labels.max() for item in CELLS_OPEN.pictures(tmp_path, source, "train")] == [4, 1]


def test_parts_of_bccd_are_runs_that_share_no_picture() -> None:
    parts = [BCCD.part_of(f"{number:05d}") for number in range(411)]
    changes = sum(one != other for one, other in itertools.pairwise(parts))
    assert changes == 2 * (7 + 7) - 1
    assert {part: parts.count(part) for part in ("validation", "test")} == {"validation": 70, "test": 75}
