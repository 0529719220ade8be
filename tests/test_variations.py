"""Tissue as training varies it: stained by an antibody, and bent."""

import numpy as np
from scipy import ndimage

from nuclick_training.datasets.data import Picture
from nuclick_training.sampling.bending import bent
from nuclick_training.sampling.blocks import BlockSampler
from nuclick_training.sampling.glands import SquiggleSampler
from nuclick_training.sampling.immunostain import immunostained
from nuclick_training.sampling.sampling import BACKGROUND, OBJECT, Example
from nuclick_wsi.segmentation.signals import guiding_signals

SIDE = 96
ROWS, COLUMNS = np.mgrid[:SIDE, :SIDE]
NUCLEUS = (ROWS - 40) ** 2 + (COLUMNS - 40) ** 2 <= 14**2
GLASS = COLUMNS > 80


def tissue() -> np.ndarray:
    image = np.full((SIDE, SIDE, 3), (215, 150, 185), np.uint8)
    image[NUCLEUS], image[GLASS] = (90, 60, 140), 244
    return image


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_an_antibody_stains_the_cytoplasm_brown_and_leaves_nuclei_pale() -> None:
    middle = ndimage.binary_erosion(NUCLEUS, iterations=5)
    around = ndimage.binary_erosion(~NUCLEUS & ~GLASS, iterations=5)
    browner, paler = [], []
    for seed in range(20):
        shown = immunostained(tissue(), NUCLEUS, rng(seed)).astype(float)
        (red, _, blue), (inner_red, _, inner_blue) = shown[around].mean(axis=0), shown[middle].mean(axis=0)
        assert inner_blue - inner_red > blue - red
        assert shown[GLASS].min() > 215
        browner.append(red - blue)
        paler.append(shown[middle].mean() - tissue()[middle].mean())
    assert np.mean(browner) > 25
    assert min(browner) < 5  # some areas are not stained
    assert np.median(paler) > 20


def test_only_the_asked_share_of_blocks_is_brown_and_no_plain_one() -> None:
    labels = np.zeros((300, 300), np.int32)
    image = np.full((300, 300, 3), (215, 150, 185), np.uint8)
    for number, (row, column) in enumerate([(60, 60), (60, 200), (180, 120), (240, 220)], start=1):
        disc = np.hypot(*(np.indices(labels.shape) - np.array([row, column])[:, None, None])) <= 14
        image[disc], labels[disc] = (90, 60, 140), number
    picture = Picture("tissue", image, labels, 1.0)

    def brown(share: float, plain: bool = False) -> float:
        sampler, random = BlockSampler([picture], 64, brown=share), rng(3)
        blocks = [sampler.draw(random, plain).image.reshape(-1, 3).astype(int) for _ in range(40)]
        return float(np.mean([((block[:, 1] > block[:, 2] + 8).mean() > 0.1) for block in blocks]))

    assert brown(0) == brown(1, plain=True) == 0
    assert 0.1 < brown(0.4) < 0.7
    assert brown(1) > 0.9


def test_what_is_bent_stays_together() -> None:
    target = np.where(NUCLEUS, OBJECT, BACKGROUND).astype(np.uint8)
    signals = guiding_signals(np.argwhere(NUCLEUS & (ROWS == 40)), [np.array([(80, 60)])], SIDE)
    example = Example(tissue(), signals, target)
    moved = 0
    for seed in range(20):
        made = bent(example, rng(seed))
        assert made.image.dtype == np.uint8
        assert made.signals.dtype == np.float32
        assert made.target.dtype == np.uint8
        assert made.image.shape == (SIDE, SIDE, 3)
        # Nuclei are dark, so the picture itself tells where the object went; its edge is blurred by a pixel.
        dark = made.image[..., 1] < 105
        assert (dark != (made.target == OBJECT)).sum() <= 0.5 * np.sqrt(NUCLEUS.sum()) * 4
        assert (made.target[made.signals[0] > 0] == OBJECT).mean() > 0.95
        assert set(np.unique(made.signals)) <= {0, 1}
        moved += (made.target != target).mean() > 0.01
    assert moved > 10
    assert np.array_equal(example.image, tissue())


def test_plain_examples_of_glands_are_never_bent() -> None:
    image = np.full((300, 300, 3), 200, np.uint8)
    labels = np.zeros((300, 300), np.int32)
    image[100:180, 80:220], labels[100:180, 80:220] = (150, 60, 120), 1
    sampler, random = SquiggleSampler([Picture("gland", image, labels, 1.0)], 160), rng(4)

    def is_box(example: Example) -> bool:
        rows, columns = np.nonzero(example.target == OBJECT)
        if not len(rows):  # a stroke on glass
            return True
        return len(rows) == np.ptp(rows) * np.ptp(columns) + np.ptp(rows) + np.ptp(columns) + 1

    assert all(is_box(sampler.draw(random, plain=True)) for _ in range(10))
    assert 0.2 < np.mean([is_box(sampler.draw(random)) for _ in range(60)]) < 0.8
