"""What does a click cost a network that learns from it? Table VII of the paper.

Networks that outline nuclei without a click are trained on the true masks, on those that a model of this project drew
from one click in each nucleus, and on watershed's from the same clicks; each is tested on the true masks.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image
from scipy import ndimage
from torch import nn

from nuclick_training.comparison.bench import scenes_of
from nuclick_training.comparison.mask_rcnn import learned_mask_rcnn
from nuclick_training.comparison.system import System, painted
from nuclick_training.comparison.training_budget import TrainingBudget
from nuclick_training.datasets.data import Labels, Picture, Rgb, read_picture
from nuclick_training.datasets.folders import names_of
from nuclick_training.evaluation.metrics import Tally
from nuclick_training.fitting.fit import fit, mean_dice
from nuclick_training.fitting.run import CHECKPOINT, kept_weights, new_run
from nuclick_training.sampling.batches import CropBatches
from nuclick_training.sampling.sampling import (
    BACKGROUND,
    OBJECT,
    CropWindow,
    Example,
    PaddedPicture,
    turned,
)
from nuclick_wsi.models.network import build, fused

Outliner = Callable[[Rgb], Labels]
"""Makes an instance map of an image."""

TRUE = "true masks"
PAPER: Mapping[tuple[str, str], tuple[float, float]] = {
    ("U-Net", TRUE): (0.825, 0.510),
    ("U-Net", "NuClick"): (0.824, 0.503),
    ("SegNet", TRUE): (0.849, 0.531),
    ("SegNet", "NuClick"): (0.842, 0.527),
    ("FCN-8s", TRUE): (0.808, 0.453),
    ("FCN-8s", "NuClick"): (0.818, 0.459),
}
"""Dice and SQ on MoNuSeg's test images, masks by a NuClick that has learned from CPM alone."""

_SIDE = 128
_ZOOM = 0.16
_STRIDE = 32
_VALIDATION_CROPS = 120
_SMALLEST = 20
"""Pixels of an outlined nucleus; smaller parts of a mask are specks."""


class Learn(Protocol):
    """Trains a network, or goes on with a run that was begun in a folder."""

    def __call__(
        self, learning: Sequence[Picture], judging: Sequence[Picture], place: Path, budget: TrainingBudget
    ) -> Outliner:
        """Return the trained network.

        Parameters
        ----------
        learning, judging
            Training pictures with the masks to learn from, and validation pictures.
        place
            The run's folder.
        """
        ...


def designs(mask_rcnn: bool) -> Mapping[str, Learn]:
    """Return how each network learns."""
    plain = {"U-Net": "unet", "SegNet": "segnet", "FCN-8s": "fcn"}
    learn: dict[str, Learn] = {name: partial(_learned, design) for name, design in plain.items()}
    return learn | {"Mask R-CNN": _learned_mask_rcnn} if mask_rcnn else learn


def drawn_by(system: System, pictures: Sequence[Picture], mpp: float) -> list[Picture]:
    """Return pictures with the masks that a system draws from the marks of all objects, in place of the true ones."""
    scenes = scenes_of(pictures, mpp, None)
    return [
        replace(
            scene.picture,
            labels=painted(
                system.outline(scene.picture.image, mpp, scene.marks), scene.marks, scene.picture.labels.shape
            ),
        )
        for scene in scenes
    ]


def pictures_of(data: Path, part: str) -> list[Picture]:
    """Return the pictures of a part of a data set, at their own pixel size."""
    return [read_picture(data, name, 1.0) for name in names_of(data, part)]


def tested(outline: Outliner, pictures: Sequence[Picture]) -> list[Tally]:
    """Return the scores of a network's nuclei against the true objects of pictures."""
    return [Tally.of(one.labels, outline(one.image)) for one in pictures]


def _learned(
    design: str, learning: Sequence[Picture], judging: Sequence[Picture], place: Path, budget: TrainingBudget
) -> Outliner:
    """Train a network that says of each pixel whether it is a nucleus; its connected parts are the nuclei."""
    settings = budget.settings
    torch.manual_seed(settings.seed)
    run = new_run(build(design, {"width": budget.width}), settings, budget.device)
    place.mkdir(parents=True, exist_ok=True)
    if (place / CHECKPOINT).exists():
        run.load(place / CHECKPOINT)
    batches, others = (CropBatches(_AnyPlace(pictures)) for pictures in (learning, judging))
    rng = np.random.default_rng(0)
    validation = [others.batch(rng, 10, plain=True) for _ in range(_VALIDATION_CROPS // 10)]
    fit(run, batches, validation, settings, place)
    network = run.network.cpu()
    network.load_state_dict(kept_weights(place, settings.keep)[0])
    folded = fused(network)
    dice = mean_dice(folded, validation)
    return partial(_outlined, folded, max(dice, key=lambda tried: dice[tried]))


def _learned_mask_rcnn(
    learning: Sequence[Picture], judging: Sequence[Picture], place: Path, budget: TrainingBudget
) -> Outliner:
    return learned_mask_rcnn(learning, judging, place, budget).outline


class _AnyPlace:
    """Examples at random places of pictures: any object is wanted, and nothing is marked."""

    def __init__(self, pictures: Sequence[Picture]) -> None:
        self._pictures = [(PaddedPicture(one), one.labels.shape) for one in pictures]
        self.objects = sum(len(np.unique(one.labels)) - 1 for one in pictures)

    def draw(self, rng: np.random.Generator, plain: bool = False) -> Example:
        """Return an example."""
        padded, (height, width) = self._pictures[int(rng.integers(len(self._pictures)))]
        step = 1.0 if plain else float(np.exp(rng.uniform(-_ZOOM, _ZOOM)))
        x, y = (rng.uniform(0, max(side - _SIDE * step, 0)) for side in (width, height))
        image, labels = padded.cut(CropWindow(x, y, step, _SIDE), Image.Resampling.BILINEAR)
        target = np.where(labels > 0, OBJECT, BACKGROUND).astype(np.uint8)
        example = Example(image, np.zeros((2, _SIDE, _SIDE), np.float32), target)
        return example if plain else turned(example, int(rng.integers(8)))


def _outlined(network: nn.Module, threshold: float, image: Rgb) -> Labels:
    """Return the instance map of an image."""
    height, width, _ = image.shape
    rows, columns = (-(-side // _STRIDE) * _STRIDE for side in (height, width))
    seen = np.zeros((1, 5, rows, columns), np.float32)
    seen[0, :3] = 1
    seen[0, :3, :height, :width] = np.moveaxis(image, 2, 0).astype(np.float32) / 255
    with torch.inference_mode():
        probability = torch.sigmoid(network(torch.from_numpy(seen)))[0, 0, :height, :width].numpy()
    numbered, _ = ndimage.label(probability > threshold)
    areas = np.bincount(numbered.ravel())
    return np.where(areas[numbered] >= _SMALLEST, numbered, 0).astype(np.int32)
