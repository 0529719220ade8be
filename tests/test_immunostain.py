"""H&E tissue that training shows as an antibody would stain it."""

import numpy as np
from scipy import ndimage

from nuclick_training.datasets.data import Picture
from nuclick_training.sampling.blocks import BlockSampler
from nuclick_training.sampling.immunostain import immunostained

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


def test_what_is_unknown_is_no_nucleus() -> None:
    labels = np.zeros((300, 300), np.int32)
    labels[130:170, 130:170] = 1
    image = np.full((300, 300, 3), (215, 150, 185), np.uint8)
    picture = Picture("tissue", image, labels, 1.0, labels > 0)
    drawn = BlockSampler([picture], 64, brown=1).draw(rng()).image.astype(int)
    assert (drawn[..., 0] > drawn[..., 2] + 8).mean() > 0.5
