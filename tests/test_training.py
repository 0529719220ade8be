"""Training sees what inference sees, splits do not leak, and the loop learns, stops and goes on."""

import dataclasses
import subprocess
import sys

import numpy as np
import pytest
import torch
from made_pictures import folder_of, picture
from PIL import Image
from scipy import ndimage

from nuclick_training.datasets.data import DataError, Picture, picture_names, read_picture, typical_step
from nuclick_training.datasets.splits import GLAS, MONUSEG, SPLITS
from nuclick_training.fitting.loss import nuclick_loss
from nuclick_training.fitting.recipe import Recipe
from nuclick_training.fitting.recipes import RECIPES
from nuclick_training.sampling import click_sampler, glands, sampling, squiggles
from nuclick_training.sampling.augment import augmented
from nuclick_wsi.segmentation.signals import rasterize


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


pytestmark = pytest.mark.usefixtures("one_thread")


# --------------------------------------------------------------------------------------------------- clicks


@pytest.mark.parametrize("plain", [True, False])
def test_a_click_is_the_crop_s_middle_and_lies_in_its_object_or_at_times_just_beside(rng, plain):
    sampler = click_sampler.ClickSampler([picture()], size=64)
    under = []
    for _ in range(200):
        example = sampler.draw(rng, plain)
        assert example.image.shape == (64, 64, 3)
        assert np.argwhere(example.signals[0]).tolist() == [[32, 32]]
        under.append(example.target[32, 32])
        distance = ndimage.distance_transform_edt(example.target != sampling.OBJECT)[32, 32]
        assert distance <= click_sampler.SLIP * sampling.LARGEST_ZOOM + 1
    assert set(under) == {sampling.OBJECT} if plain else {sampling.OBJECT, sampling.BACKGROUND}
    assert np.mean(np.array(under) == sampling.OBJECT) > 0.8


def test_who_clicks_beside_an_object_is_nearest_to_it(rng):
    labels = np.zeros((40, 40), np.int32)
    labels[5:20, 5:15], labels[5:20, 18:30], labels[30:34, 30:34] = 1, 2, 3
    objects = click_sampler.ClickableObjects(labels)
    slipped = 0
    for _ in range(300):
        for number, (row, column) in zip(objects.numbers, objects.random_points(rng), strict=True):
            distances = [ndimage.distance_transform_edt(labels != n)[row, column] for n in (1, 2, 3)]
            assert distances[number - 1] == min(distances) <= click_sampler.SLIP
            slipped += labels[row, column] == 0
    assert 0.08 < slipped / 900 < 0.16


def test_plain_crops_are_cut_exactly_as_inference_cuts_them(rng):
    item = picture()
    example = click_sampler.ClickSampler([item], size=64).draw(rng, plain=True)
    padded = np.pad(item.image, ((64, 64), (64, 64), (0, 0)), constant_values=255)
    places = [
        (r, c)
        for r in range(item.labels.shape[0])
        for c in range(item.labels.shape[1])
        if np.array_equal(padded[r + 32 : r + 96, c + 32 : c + 96], example.image)
    ]
    # The window begins at the click's pixel minus half the crop, so its click is at one of the places found.
    assert any(item.labels[place] for place in places)


@pytest.mark.parametrize(("corner", "step"), [((-20, 130), 1.0), ((-300, 10), 1.0), ((-20.5, 100.25), 1.5)])
@pytest.mark.parametrize("known", [None, np.ones((160, 160), bool)])
def test_beyond_a_picture_lies_white_ground_or_nothing_known(corner, step, known):
    item = dataclasses.replace(picture(), known=known)
    margin, beyond = 400, 0 if known is None else -1
    image = np.pad(item.image, ((margin, margin), (margin, margin), (0, 0)), constant_values=255)
    labels = np.pad(item.labels, margin, constant_values=beyond)
    window = sampling.CropWindow(*map(float, corner), step, 64)
    found = sampling.PaddedPicture(item).cut(window, Image.Resampling.BILINEAR)
    x, y, end = window.x + margin, window.y + margin, 64 * step
    for array, wanted, resample in zip(found, (image, labels), (Image.Resampling.BILINEAR, 0), strict=True):
        whole = Image.fromarray(wanted).resize((64, 64), resample, (x, y, x + end, y + end))
        assert np.abs(array.astype(int) - np.asarray(whole)).max() <= (1 if array.ndim == 3 else 0)


def test_every_neighbour_has_its_own_exclusion_pixel_even_where_two_touch(rng):
    item = picture(size=72)
    assert item.labels.max() == 5
    example = click_sampler.ClickSampler([item], size=128).draw(rng, plain=True)
    assert example.signals[1].sum() == 4
    assert set(np.unique(example.target[example.signals[1] > 0])) == {sampling.OTHERS}


def test_neighbours_are_dropped_at_times_but_seldom_all():
    generator = np.random.default_rng(0)
    kept = [sampling.kept_others(20, generator).mean() for _ in range(300)]
    assert 0.5 < np.mean(np.array(kept) == 1) < 0.7
    assert 0.03 < np.mean(np.array(kept) == 0) < 0.2


def test_turning_turns_picture_signals_and_target_together(rng):
    marks = np.zeros((5, 5), np.uint8)
    marks[0, 1] = 1
    example = sampling.Example(np.stack([marks] * 3, 2), np.stack([marks] * 2).astype(np.float32), marks)
    places = set()
    for turn in range(8):
        turned = sampling.turned(example, turn)
        assert np.array_equal(turned.image[..., 0], turned.target)
        assert np.array_equal(turned.signals[0], turned.target)
        places.add(tuple(np.argwhere(turned.target)[0]))
    assert len(places) == 8


def test_a_coarser_step_shows_more_of_the_picture(rng):
    near = click_sampler.ClickSampler([picture()], size=64).draw(rng, plain=True)
    far = click_sampler.ClickSampler([picture(step=2.0)], size=64).draw(rng, plain=True)
    assert (far.target == sampling.OBJECT).sum() * 3 < (near.target == sampling.OBJECT).sum()


def test_a_misplaced_click_is_seen_with_all_other_clicks(rng):
    objects = click_sampler.ClickableObjects(picture(size=300).labels)
    shares = []
    for _ in range(200):
        clicks = objects.clicks(rng, step=1.0, plain=False)
        shares.append(clicks.misplaced.mean())
        for index in np.flatnonzero(clicks.misplaced):
            assert np.hypot(*(clicks.pixels[index] - objects.centres[index])) <= click_sampler.MISPLACED_BY + 1
            assert np.flatnonzero(~clicks.kept(index, rng, plain=False)).tolist() == [index]
    assert 0.02 < np.mean(shares) < 0.08
    assert np.mean(np.array(shares) == 0) > 0.6
    plain = objects.clicks(rng, step=1.0, plain=True)
    assert np.array_equal(plain.pixels, objects.centres)
    assert not plain.misplaced.any()


# ------------------------------------------------------------------------------------------------ squiggles


def gland_mask() -> np.ndarray:
    rows, columns = np.mgrid[:70, :120]
    return ((rows - 35) / 28) ** 2 + ((columns - 60) / 52) ** 2 < 1


def test_squiggles_are_whole_or_hasty_central_or_off_centre_and_reach_over_the_border_at_times():
    mask, generator = gland_mask(), np.random.default_rng(0)
    depth = squiggles.depth_of(mask)
    spans, inside, depths = [], [], []
    for _ in range(300):
        pixels = rasterize(squiggles.random_squiggle(mask, generator))
        within = pixels[((pixels >= 0) & (pixels < mask.shape)).all(axis=1)]
        spans.append(np.ptp(pixels[:, 1]) / 104)  # of the gland's length
        inside.append(mask[tuple(within.T)].sum() / len(pixels))
        depths.append(depth[tuple(within.T)].mean() / depth.max())
    assert min(inside) >= 0.7
    assert 0.03 < np.mean(np.array(inside) < 1) < 0.4
    assert np.mean(np.array(spans) < 0.4) > 0.15
    assert np.mean(np.array(spans) > 0.6) > 0.1
    assert np.mean(np.array(depths) < 0.4) > 0.05
    assert np.mean(np.array(depths) > 0.7) > 0.2


def test_a_hasty_stroke_is_the_middle_of_its_object(rng):
    mask = gland_mask()
    whole = np.concatenate(squiggles.walked_skeleton(mask))
    (stroke,) = squiggles.hasty_stroke(mask)
    assert 0.2 < np.ptp(stroke[:, 0]) / np.ptp(whole[:, 0]) < 0.8
    assert stroke.mean(axis=0) == pytest.approx((60.5, 35.5), abs=3)


def test_what_judges_a_squiggle_s_network_is_drawn_whole_and_hasty_in_turns(rng):
    mask = gland_mask()
    item = Picture("a gland", np.full((*mask.shape, 3), 200, np.uint8), mask.astype(np.int32), 1.0)
    sampler = glands.SquiggleSampler([item], size=128)
    drawn = [float(sampler.draw(rng, plain=True).signals[0].sum()) for _ in range(40)]
    hasty, whole = sorted(set(drawn))
    assert hasty < 0.7 * whole
    assert 8 < drawn.count(hasty) < 32


def test_hand_drawn_squiggles_have_one_to_three_strokes():
    generator, depth = np.random.default_rng(0), squiggles.depth_of(gland_mask())
    line = np.stack([np.arange(10.0, 100), np.full(90, 35.0)], axis=1)
    strokes = [squiggles._cut_at_times(line, generator) for _ in range(300)]
    assert {len(each) for each in strokes} == {1, 2, 3}
    kept = [sum(map(len, each)) / len(line) for each in strokes]
    assert min(kept) < 0.95
    assert all(len(stroke) > 1 for each in strokes for stroke in each)
    longer = squiggles._prolonged(line, 0.3 * depth.max())
    assert np.allclose(longer[-1] - line[-1], (0.3 * depth.max(), 0))


def test_the_paper_s_skeleton_changes_with_the_threshold(rng):
    depth = squiggles.depth_of(gland_mask())
    drawn = {len(rasterize(squiggles.random_skeleton(depth, rng))) for _ in range(12)}
    assert len(drawn) > 4


@pytest.mark.parametrize("shape", [(1, 1), (1, 3), (2, 2), (3, 9)])
def test_the_smallest_masks_have_squiggles_too(rng, shape):
    for _ in range(20):
        assert len(rasterize(squiggles.random_squiggle(np.ones(shape, bool), rng))) >= 1
    assert len(squiggles.walked_skeleton(np.ones(shape, bool))) >= 1
    assert len(rasterize(squiggles.hasty_stroke(np.ones(shape, bool)))) >= 1


@pytest.mark.parametrize("plain", [True, False])
def test_a_gland_s_crop_holds_its_squiggle_and_shows_it_on_the_gland(rng, plain):
    sampler = glands.SquiggleSampler([picture(radius=30, size=400, step=2.0)], size=96)
    examples = [sampler.draw(rng, plain) for _ in range(20)]
    on_glands = [example for example in examples if (example.target == sampling.OBJECT).any()]
    assert len(on_glands) == 20 if plain else len(on_glands) > 12  # some are drawn where there is no gland
    for example in on_glands:
        drawn = example.signals[0] > 0
        assert drawn.sum() >= 1
        assert (example.target[drawn] == sampling.OBJECT).mean() > 0.6


# --------------------------------------------------------------------------------------------- colour, loss


def test_colours_stay_between_zero_and_one(rng):
    image = picture().image
    for _ in range(40):
        changed = augmented(image, rng)
        assert changed.dtype == np.float32
        assert changed.shape == image.shape
        assert 0 <= changed.min() <= changed.max() <= 1


def test_a_perfect_mask_costs_almost_nothing_and_a_neighbour_s_more_than_empty_ground():
    target = torch.zeros(1, 1, 32, 32, dtype=torch.uint8)
    target[..., 8:16, 8:16] = sampling.OBJECT
    target[..., 16:24, 16:24] = sampling.OTHERS
    perfect = torch.where(target == sampling.OBJECT, 20.0, -20.0)
    assert nuclick_loss(perfect, target) < 0.02
    on_neighbour, on_ground = perfect.clone(), perfect.clone()
    on_neighbour[..., 16:20, 16:20] = 20
    on_ground[..., 24:28, 24:28] = 20
    assert nuclick_loss(on_neighbour, target) > nuclick_loss(on_ground, target)


def test_the_paper_s_weights_grow_with_crowding_unless_capped():
    target = torch.full((1, 1, 32, 32), sampling.OTHERS, dtype=torch.uint8)
    target[..., 8:16, 8:16] = sampling.OBJECT
    logits = torch.zeros(1, 1, 32, 32)
    assert nuclick_loss(logits, target, largest_alpha=100) > 3 * nuclick_loss(logits, target)


# ---------------------------------------------------------------------------------------------- data, splits


def test_bad_training_data_is_refused_by_name(tmp_path):
    folder_of([picture(name="a")], tmp_path)
    assert picture_names(tmp_path) == ["a"]
    (tmp_path / "images" / "a.png").unlink()
    with pytest.raises(DataError, match="0 files are called 'a'"):
        read_picture(tmp_path, "a", 1.0)
    Image.new("RGB", (160, 161)).save(tmp_path / "images" / "a.png")
    with pytest.raises(DataError, match="a: image and labels must have one size"):
        read_picture(tmp_path, "a", 1.0)
    Image.new("RGB", (160, 160)).save(tmp_path / "labels" / "a.png")
    with pytest.raises(DataError, match="whole numbers in one channel"):
        read_picture(tmp_path, "a", 1.0)
    with pytest.raises(DataError, match="no files in labels/"):
        picture_names(tmp_path / "images")


def test_unknown_pixels_of_an_instance_map_are_no_object_and_known_as_such(tmp_path):
    item = picture(name="a")
    folder_of([item], tmp_path)
    labels = item.labels.astype(np.uint16)
    labels[:20, :40] = 65535
    Image.fromarray(labels).save(tmp_path / "labels" / "a.png")
    read = read_picture(tmp_path, "a", 1.0)
    assert read.known is not None
    assert np.array_equal(~read.known, labels == 65535)
    assert not read.labels[:20, :40].any()
    assert (read.labels > 0).sum() == ((labels > 0) & (labels < 65535)).sum()
    example = click_sampler.ClickSampler([read], 64).draw(np.random.default_rng(0))
    assert example.target.max() <= sampling.UNKNOWN


def test_a_mask_of_black_and_white_in_sixteen_bits_is_still_one_object(tmp_path):
    item = picture(name="a")
    folder_of([item], tmp_path)
    Image.fromarray(np.where(item.labels > 0, 65535, 0).astype(np.uint16)).save(tmp_path / "labels" / "a.png")
    read = read_picture(tmp_path, "a", 1.0)
    assert read.known is None
    assert read.labels.max() == 1


def test_a_picture_of_unknown_scale_is_brought_to_the_usual_size_of_objects():
    labels = picture(radius=9).labels
    assert typical_step(labels, 9 * np.pi**0.5 / 1.5) == pytest.approx(1.5, rel=0.05)
    assert typical_step(np.zeros((9, 9), np.int32), 10) == 1


def test_splits_name_every_image_once_and_leak_no_patient(shared_data):
    expected = {"monuseg": (11, 5, 14), "glas_train": (63, 5, 17), "nuinsseg": (545, 60, 60)}
    for folder, counts in expected.items():
        names = picture_names(shared_data / folder)
        parts = [SPLITS[folder].part_of(name) for name in names]
        assert tuple(parts.count(part) for part in ("train", "validation", "test")) == counts


def test_no_glas_patient_is_in_two_parts(shared_data):
    text = (shared_data / "glas_train" / "Grade.csv").read_text()
    rows = [line.split(",") for line in text.replace("\r", "\n").splitlines()[1:] if line.startswith("train_")]
    parts: dict[str, set[str]] = {}
    for name, patient, *_ in rows:
        parts.setdefault(patient.strip(), set()).add(GLAS.part_of(name))
    assert all(len(part) == 1 for part in parts.values())


def test_images_of_the_evaluation_slides_do_not_train():
    assert MONUSEG.part_of("TCGA-18-5592-01Z-00-DX1") == "validation"
    assert GLAS.part_of("train_12") == "test"
    assert GLAS.part_of("train_1") == "train"


def test_the_recipes_say_whence_their_terms_come():
    for recipe in RECIPES.values():
        assert isinstance(recipe, Recipe)
        assert recipe.terms
        assert all(source.licence for source in recipe.sources)


def test_recipes_for_any_use_have_no_data_for_research_alone():
    for recipe in RECIPES.values():
        free = all(source.licence.startswith(("CC0", "CC BY 4.0", "MIT")) for source in recipe.sources)
        assert recipe.open_terms is free, recipe.name


def test_training_needs_nothing_of_the_slide_readers():
    code = (
        "import sys, nuclick_training.__main__;"
        "heavy = {'openslide', 'tiffslide', 'zarr', 'typer', 'rich', 'paquo', 'tifffile'} & set(sys.modules);"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
