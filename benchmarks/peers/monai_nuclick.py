"""MONAI: its transforms for NuClick and its BasicUNet with the channels of its NuClick bundle; random weights.

It works on pictures, so the slide is handed over in tiles of 2048 px, a tile's clicks in batches: all of a tile in one
batch, as its transform makes them, would take tens of GB.
"""

import argparse
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import openslide
import torch
from _timed import timed
from monai.apps.nuclick.transforms import AddClickSignalsd, PostFilterLabeld
from monai.networks.nets import BasicUNet

TILE = 2048
BATCH = 32
CHANNELS = (32, 64, 128, 256, 512, 32)


def prepare(given: argparse.Namespace) -> Callable[[np.ndarray], int]:
    torch.manual_seed(0)
    network = BasicUNet(spatial_dims=2, in_channels=5, out_channels=1, features=CHANNELS).eval()
    slide = openslide.OpenSlide(str(given.slide))

    def work(clicks: np.ndarray) -> int:
        tiles = np.unique(clicks.astype(int) // TILE, axis=0)
        return sum(of_tile(slide, network, corner * TILE, clicks) for corner in tiles)

    return work


def of_tile(slide: openslide.OpenSlide, network: torch.nn.Module, corner: np.ndarray, clicks: np.ndarray) -> int:
    size = np.minimum(corner + TILE, slide.dimensions) - corner
    tile = np.array(slide.read_region(tuple(corner.tolist()), 0, tuple(size.tolist())))[..., :3]
    image = tile.transpose(2, 0, 1).astype(np.float32) / 127.5 - 1
    here = clicks[((clicks >= corner) & (clicks < corner + TILE)).all(axis=1)] - corner
    add, keep, found = AddClickSignalsd("image"), PostFilterLabeld("pred"), 0
    for begin in range(0, len(here), BATCH):
        # Rows before columns; the other clicks of the batch are what excludes.
        places = [[int(y), int(x)] for x, y in here[begin : begin + BATCH]]
        data = add({"image": torch.from_numpy(image), "foreground": places})
        with torch.inference_mode():
            data["pred"] = (torch.sigmoid(network(data["image"])) > 0.5)[:, 0].numpy()
        keep(data)
        found += len(places)
    return found


if __name__ == "__main__":
    timed(prepare, f"monai {version('monai')}")
