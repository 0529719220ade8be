"""What training shows of users who correct, who draw lines through nuclei, and who click on nothing."""

import numpy as np
import pytest
import torch

from nuclick_training.datasets.data import Picture
from nuclick_training.sampling.batches import Batch
from nuclick_training.sampling.blocks import BlockSampler
from nuclick_training.sampling.corrections import corrected, corrective_mark
from nuclick_training.sampling.glands import SquiggleSampler
from nuclick_training.sampling.nothing import empty_places, with_glass_beside
from nuclick_training.sampling.sampling import BACKGROUND, OBJECT, UNKNOWN
from nuclick_wsi.segmentation.blocks import distance_maps
from nuclick_wsi.segmentation.signals import guiding_signals

SIDE = 64
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
LEFT, RIGHT = ((ROWS - 32) ** 2 + (COLUMNS - x) ** 2 <= 100 for x in (20, 44))


def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def target(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, OBJECT, BACKGROUND).astype(np.uint8)


def test_too_much_is_clicked_once_in_its_middle() -> None:
    missing, pixels = corrective_mark(LEFT | RIGHT, target(LEFT), rng())
    assert not missing
    assert pixels.shape == (1, 2)
    assert np.hypot(*(pixels[0] - (32, 44))) < 5


def test_what_is_missing_gets_a_stroke_on_the_object() -> None:
    missing, pixels = corrective_mark(LEFT, target(LEFT | RIGHT), rng())
    assert missing
    assert RIGHT[tuple(pixels.T)].all()


def test_the_larger_of_two_errors_is_corrected() -> None:
    small = (ROWS - 5) ** 2 + (COLUMNS - 5) ** 2 <= 9
    missing, _ = corrective_mark(LEFT | RIGHT, target(LEFT | small), rng())
    assert not missing


def test_of_errors_as_deep_the_one_of_most_pixels_is_corrected() -> None:
    rim = (ROWS - 32) ** 2 + (COLUMNS - 20) ** 2 <= 10.6**2
    wrong = rim | (ROWS == 2) & (COLUMNS == 2)
    missing, pixels = corrective_mark(wrong, target(LEFT), rng())
    assert not missing
    assert (rim & ~LEFT)[tuple(pixels.T)].all()


def test_a_thin_error_can_be_left_and_one_in_the_unknown_is_none() -> None:
    thin = (ROWS - 32) ** 2 + (COLUMNS - 20) ** 2 <= 11**2
    assert corrective_mark(thin, target(LEFT), rng()) is not None
    assert corrective_mark(thin, target(LEFT), rng(), least_depth=2) is None
    assert corrective_mark(LEFT, target(LEFT), rng()) is None
    unknown = np.where(RIGHT, UNKNOWN, target(LEFT)).astype(np.uint8)
    assert corrective_mark(LEFT | RIGHT, unknown, rng()) is None


def probabilities(mask: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(mask.astype(np.float32))[None, None]


@pytest.mark.parametrize(("drawn", "true"), [(LEFT | RIGHT, LEFT), (LEFT, LEFT | RIGHT)])
def test_a_mark_of_a_crop_is_drawn_as_inference_draws_it(drawn: np.ndarray, true: np.ndarray) -> None:
    signals = guiding_signals(np.array([(32, 20)]), [], SIDE)
    crop = torch.from_numpy(np.concatenate([np.zeros((3, SIDE, SIDE), np.float32), signals]))[None]
    batch = corrected(Batch((crop,), torch.from_numpy(target(true))[None, None]), probabilities(drawn), rng(), share=1)
    added = (batch.inputs[0] - crop)[0].numpy()
    channel = 3 if true.sum() > drawn.sum() else 4
    assert added[channel].sum() >= 1
    assert not np.delete(added, channel, axis=0).any()
    assert crop[0, 3:].sum() == 1  # what was given stays as it was


def test_a_mark_of_a_block_is_as_near_as_if_it_had_been_drawn_at_first() -> None:
    own, corner = np.array([(32, 20)]), np.array([1, 0])
    distances = torch.from_numpy(distance_maps(guiding_signals(own, [], SIDE), corner))[None]
    wide = np.zeros((SIDE + 2, SIDE + 2), bool)
    wide[1 : SIDE + 1, :SIDE] = LEFT | RIGHT
    true = np.zeros_like(wide)
    true[1 : SIDE + 1, :SIDE] = LEFT
    inputs = (torch.zeros(1), torch.zeros(1), torch.zeros(1), distances)
    batch = corrected(Batch(inputs, torch.from_numpy(target(true))[None, None]), probabilities(wide), rng(), share=1)
    _, pixels = corrective_mark(wide, target(true), _after_one_draw())
    expected = distance_maps(guiding_signals(own, [pixels - corner], SIDE), corner)
    np.testing.assert_array_equal(batch.inputs[3][0].numpy(), expected)


def _after_one_draw() -> np.random.Generator:
    """Return the generator as `corrected` uses it for its first example: after the draw of who is corrected."""
    generator = rng()
    generator.random(1)
    return generator


def tissue() -> Picture:
    """Return violet objects on pink tissue, and glass on the right."""
    image = np.full((400, 400, 3), (230, 170, 190), np.uint8)
    image[:, 260:] = 240
    labels = np.zeros((400, 400), np.int32)
    rows, columns = np.mgrid[:400, :400]
    for number, (y, x) in enumerate([(60, 60), (60, 160), (200, 200), (300, 90)], start=1):
        disc = (rows - y) ** 2 + (columns - x) ** 2 <= 26**2
        image[disc], labels[disc] = (90, 60, 140), number
    return Picture("tissue", image, labels, 1.0)


def test_nothing_is_where_it_is_pale_and_no_object_is_near() -> None:
    picture = tissue()
    empty = empty_places(picture)
    assert empty[:, 270:].all()
    assert not empty[:, :255].any()
    labels = picture.labels.copy()
    labels[100:110, 300:310] = 9
    assert not empty_places(Picture("tissue", picture.image, labels, 1.0))[95:115, 295:315].any()


def test_clicks_and_squiggles_on_glass_are_to_find_nothing() -> None:
    blocks, glands = BlockSampler([tissue()], 64), SquiggleSampler([tissue()], 160)
    shares = []
    for draw, plain in ((blocks, False), (blocks, True), (glands, False), (glands, True)):
        generator = np.random.default_rng(5)
        drawn = [draw.draw(generator, plain) for _ in range(60)]
        targets = [target for one in drawn for target in (one.targets if draw is blocks else [one.target])]
        shares.append(np.mean([not (target == OBJECT).any() for target in targets]))
    assert 0.05 < shares[0] < 0.5
    assert 0 < shares[2] < 0.3
    assert shares[1] == shares[3] == 0


def test_the_tissue_may_end_beside_a_gland_which_stays_as_it_is() -> None:
    image = np.full((SIDE, SIDE, 3), (150, 60, 120), np.uint8)
    generator, shares = rng(), []
    for _ in range(20):
        ended = with_glass_beside(image, LEFT, generator)
        assert np.array_equal(ended[LEFT], image[LEFT])
        shares.append((ended.min(axis=2) > 200).mean())
    assert 0.1 < np.mean(shares) < 0.6
    assert np.array_equal(with_glass_beside(image, np.zeros_like(LEFT), rng()), image)


def test_some_nuclei_are_drawn_through_with_a_line_on_them() -> None:
    sampler, generator = BlockSampler([tissue()], 96), np.random.default_rng(7)
    drawn = [sampler.draw(generator) for _ in range(80)]
    # A feature's middle lies half a pixel from the nearest pixel's, at least: at a click, just one pixel's four do.
    near = [(distances[0] < 1).sum() for one in drawn for distances in one.distances]
    assert 0.03 < np.mean(np.array(near) > 1) < 0.3
