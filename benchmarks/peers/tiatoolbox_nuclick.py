"""TIAToolbox: its reader of patches around points, its NuClick network, its post-processing with reconstruction.

It has no pipeline for clicks; what is between these parts is written here: the two maps of a crop, drawn in the crop,
and outlines by OpenCV. Weights are random, since its own are on a hub.
"""

import argparse
from collections.abc import Callable
from importlib.metadata import version

import cv2
import numpy as np
import torch
from _timed import timed
from tiatoolbox.models.architecture.nuclick import NuClick
from tiatoolbox.tools.patchextraction import get_patch_extractor
from tiatoolbox.wsicore.wsireader import WSIReader

SIZE = 128
BATCH = 8


def prepare(given: argparse.Namespace) -> Callable[[np.ndarray], int]:
    torch.manual_seed(0)
    network = NuClick(num_input_channels=5, num_output_channels=1).eval()
    reader = WSIReader.open(given.slide)

    def work(clicks: np.ndarray) -> int:
        patches = get_patch_extractor(
            "point", input_img=reader, locations_list=clicks, patch_size=(SIZE, SIZE), resolution=0, units="level"
        )
        found = 0
        for begin in range(0, len(clicks), BATCH):
            places = clicks[begin : begin + BATCH]
            maps = np.stack([signals(place, given.all) for place in places])
            pixels = np.stack([patches[begin + n] for n in range(len(places))]).transpose(0, 3, 1, 2) / 255
            batch = torch.from_numpy(np.concatenate([pixels, maps], axis=1))
            predictions = NuClick.infer_batch(network, batch, device="cpu")
            masks = NuClick.postproc(predictions, nuc_points=maps[:, 0], do_reconstruction=True)
            found += sum(bool(outlines(mask)) for mask in masks)
        return found

    return work


def signals(place: np.ndarray, everyone: np.ndarray) -> np.ndarray:
    """Return the maps of a click: float64 (2, SIZE, SIZE)."""
    maps = np.zeros((2, SIZE, SIZE))
    shifted = np.floor(everyone).astype(int) - np.floor(place).astype(int) + SIZE // 2
    inside = shifted[((shifted >= 0) & (shifted < SIZE)).all(axis=1)]
    maps[1, inside[:, 1], inside[:, 0]] = 1
    maps[:, SIZE // 2, SIZE // 2] = 1, 0
    return maps


def outlines(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    found: tuple[np.ndarray, ...] = cv2.findContours(mask.astype(np.uint8), cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)[0]
    return found


if __name__ == "__main__":
    timed(prepare, f"tiatoolbox {version('tiatoolbox')}")
