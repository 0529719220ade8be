"""The corrective marks of training: where an error is, in the form that the network sees."""

import numpy as np
import pytest
import torch

from nuclick_training.sampling.batches import Batch
from nuclick_training.sampling.corrections import LEAST_DEPTH, corrected, corrective_mark
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


def test_a_thin_error_or_one_in_the_unknown_is_none() -> None:
    thin = (ROWS - 32) ** 2 + (COLUMNS - 20) ** 2 <= (10 + LEAST_DEPTH / 2) ** 2
    assert corrective_mark(thin, target(LEFT), rng()) is None
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
