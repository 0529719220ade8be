"""Instance maps that lie beside their pictures are moved onto them, by the picture alone."""

from dataclasses import replace

import numpy as np
import pytest
from made_pictures import folder_of, picture
from scipy import ndimage

from nuclick_training.datasets.data import Labels, Rgb
from nuclick_training.datasets.registration import Displacement, displacement, excess, main, moved, registered
from nuclick_training.datasets.splits import EVERYTHING_TRAINS
from nuclick_training.fitting.recipe import TrainingSource
from nuclick_training.fitting.recipes import NUCLEI_OPEN


def seen(labels: Labels, x: float, y: float) -> Rgb:
    """A picture of dark objects that lie so far right of and below where the map says, its pixels as light falls."""
    fine = np.kron(labels > 0, np.ones((10, 10)))
    there = ndimage.shift(fine, (round(10 * y), round(10 * x)), order=0)
    dark = there.reshape(len(labels), 10, -1, 10).mean(axis=(1, 3))
    return np.round(230 - 150 * dark[..., None] * np.ones(3)).astype(np.uint8)


@pytest.mark.parametrize(("x", "y"), [(0.0, 0.0), (1.0, -2.0), (0.6, 0.3), (-0.8, 1.4)])
def test_a_displacement_is_told_by_the_picture_to_a_fraction_of_a_pixel(x: float, y: float) -> None:
    labels = picture().labels
    found = displacement(seen(labels, x, y), labels)
    assert (found.x, found.y) == (pytest.approx(-x, abs=0.15), pytest.approx(-y, abs=0.15))


def test_a_registered_map_lies_on_its_picture_to_half_a_pixel() -> None:
    labels = picture().labels
    image = seen(labels, 0.8, -1.4)
    left = displacement(image, registered(image, labels))
    assert max(abs(left.x), abs(left.y)) <= 0.5


def test_a_map_moved_by_whole_pixels_is_the_same_map_elsewhere_and_by_nothing_itself() -> None:
    labels = picture().labels
    aside = np.roll(labels, (2, -1), (0, 1))
    back = moved(aside, Displacement(-1.0, 2.0))
    np.testing.assert_array_equal(back[8:-8, 8:-8], labels[8:-8, 8:-8])
    np.testing.assert_array_equal(moved(labels, Displacement(0.0, 0.0)), labels)


def test_touching_objects_stay_apart_and_keep_their_numbers_and_sizes() -> None:
    labels = picture().labels
    result = moved(labels, Displacement(0.7, 0.7))
    assert set(np.unique(result)) == set(np.unique(labels))
    areas, before = np.bincount(result.ravel()), np.bincount(labels.ravel())
    assert areas[1:] == pytest.approx(before[1:], rel=0.06)


def test_what_the_border_cuts_stays_cut() -> None:
    labels = np.zeros((30, 30), np.int32)
    labels[:9, 10:20] = 1
    result = moved(labels, Displacement(0.0, -2.0))
    assert result[:11, 10:20].all()
    assert result.sum() == 110


def test_the_command_prints_where_every_map_of_a_folder_lies(tmp_path, capsys) -> None:
    item = picture(name="one")
    folder_of([replace(item, image=seen(item.labels, -1.0, 2.0))], tmp_path / "data")
    main([str(tmp_path / "data")])
    x, y, wide, name = capsys.readouterr().out.splitlines()[-1].split()
    assert (float(x), float(y), name) == (pytest.approx(1, abs=0.15), pytest.approx(-2, abs=0.15), "one")
    assert float(wide) == pytest.approx(0, abs=0.3)


@pytest.mark.parametrize("by", [-2, -1, 0, 1, 2])
def test_how_wide_outlines_are_drawn_is_told_by_the_picture(by: int) -> None:
    labels = picture().labels
    image = seen(labels, 0, 0)
    change = ndimage.binary_dilation if by > 0 else ndimage.binary_erosion
    drawn = change(labels > 0, iterations=abs(by)) if by else labels > 0
    assert excess(image, drawn.astype(np.int32)) == pytest.approx(by, abs=0.3)


def test_nobody_can_say_how_wide_the_outlines_of_nothing_are() -> None:
    assert np.isnan(excess(np.zeros((20, 20, 3), np.uint8), np.zeros((20, 20), np.int32)))


def test_maps_that_all_lie_aside_are_moved_back_before_they_train(tmp_path) -> None:
    item = picture(name="a")
    folder_of([replace(item, labels=np.roll(item.labels, (1, -2), (0, 1)))], tmp_path / "data")
    source = TrainingSource("data", "", mpp=0.25, split=EVERYTHING_TRAINS, aside=Displacement(-2.0, 1.0))
    (read,) = NUCLEI_OPEN.pictures(tmp_path, source, "train")
    np.testing.assert_array_equal(read.labels[8:-8, 8:-8] > 0, item.labels[8:-8, 8:-8] > 0)


@pytest.mark.parametrize("labels", [np.zeros((20, 20), np.int32), np.ones((20, 20), np.int32)])
def test_a_map_without_outlines_is_nowhere_else(labels: Labels) -> None:
    image = np.random.default_rng(0).integers(0, 255, (20, 20, 3), np.uint8)
    assert displacement(image, labels) == Displacement(0.0, 0.0)
