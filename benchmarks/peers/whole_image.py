"""The published way of nuclick_torch, written anew from its description: one picture, all of its clicks in one batch.

Each click has two maps as large as the picture, of which a crop is cut; the paper's network at full width with random
weights; morphological reconstruction, small objects and holes by scikit-image; outlines by marching squares.
A batch is cut where it would not fit into memory: about 30 MB a click.
"""

import argparse
from collections.abc import Callable

import numpy as np
import openslide
import torch
from _timed import timed
from skimage import measure, morphology

from nuclick_wsi.models.network import build

SIZE = 128
BATCH = 64


def prepare(given: argparse.Namespace) -> Callable[[np.ndarray], int]:
    torch.manual_seed(0)
    network = build("nuclick", {"width": 1.0}).eval()
    slide = openslide.OpenSlide(str(given.slide))

    def work(clicks: np.ndarray) -> int:
        picture = np.array(slide.read_region((0, 0), 0, slide.dimensions))[..., :3]
        rows, columns = np.floor(given.all[:, ::-1]).astype(int).T
        return sum(
            of_batch(network, picture, rows, columns, range(begin, min(begin + BATCH, len(clicks))))
            for begin in range(0, len(clicks), BATCH)
        )

    return work


def of_batch(
    network: torch.nn.Module, picture: np.ndarray, rows: np.ndarray, columns: np.ndarray, numbers: range
) -> int:
    crops = np.stack([crop_of(picture, rows, columns, number) for number in numbers])
    with torch.inference_mode():
        predictions = torch.sigmoid(network(torch.from_numpy(crops)))[:, 0].numpy()
    return sum(bool(outlines(one > 0.5, crop[3])) for one, crop in zip(predictions, crops, strict=True))


def crop_of(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray, number: int) -> np.ndarray:
    """Return a click's picture and maps: float32 (5, SIZE, SIZE)."""
    own, others = np.zeros((2, *picture.shape[:2]), np.uint8)
    own[rows[number], columns[number]] = 1
    others[rows, columns] = 1
    others[rows[number], columns[number]] = 0
    top, left = (
        min(max(place - SIZE // 2, 0), side - SIZE)
        for place, side in ((rows[number], picture.shape[0]), (columns[number], picture.shape[1]))
    )
    window = np.s_[top : top + SIZE, left : left + SIZE]
    return np.concatenate(
        [picture[window].transpose(2, 0, 1) / np.float32(255), own[window][None], others[window][None]]
    ).astype(np.float32)


def outlines(mask: np.ndarray, seed: np.ndarray) -> list[np.ndarray]:
    mask = morphology.remove_small_holes(morphology.remove_small_objects(mask, max_size=9), max_size=30)
    kept = morphology.reconstruction(np.minimum(seed, mask), mask, footprint=morphology.disk(1)) > 0
    found: list[np.ndarray] = measure.find_contours(np.pad(kept, 1).astype(float), 0.5)
    return found


if __name__ == "__main__":
    timed(prepare, "the way of nuclick_torch")
