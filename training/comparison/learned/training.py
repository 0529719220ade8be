"""Trains the learned systems, each for the same time on the same objects, and keeps what they have learned.

A run can be killed and goes on when it is asked for again; a system that has learned is a file with its threshold.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from nuclick_training.comparison.learned.designs import DESIGNS, ON_OWN_NETWORKS, Design
from nuclick_training.comparison.learned.learned_system import LearnedSystem
from nuclick_training.comparison.learned.sampler import MarkedSampler
from nuclick_training.comparison.training_budget import TrainingBudget
from nuclick_training.datasets.data import read_picture
from nuclick_training.datasets.folders import names_of
from nuclick_training.fitting.fit import fit, mean_dice
from nuclick_training.fitting.pretrained import start_from_imagenet
from nuclick_training.fitting.recipes import RECIPES
from nuclick_training.fitting.run import CHECKPOINT, kept_weights, new_run
from nuclick_training.sampling.batches import Batch, CropBatches
from nuclick_wsi.errors import ModelError
from nuclick_wsi.files import write_atomically
from nuclick_wsi.models.network import fused
from nuclick_wsi.prompts import ObjectKind

_RECIPE = {ObjectKind.NUCLEUS: "nuclei", ObjectKind.CELL: "cells", ObjectKind.GLAND: "glands"}
"""Whose window and pixel size the systems have."""


def train(design: Design, kind: ObjectKind, data: Path, mpp: float, folder: Path, budget: TrainingBudget) -> Path:
    """Train a design on the training images of a folder, from the encoder's first weights; return its file.

    Parameters
    ----------
    mpp
        Microns per pixel of the images.
    folder
        Of all designs; a run that was begun in it goes on.
    """
    network, settings = design.network(budget.width), budget.settings
    if not settings.random_start:
        start_from_imagenet(network)
    run = new_run(network, settings, budget.device)
    run.loss = design.loss
    place = folder / design.slug
    place.mkdir(parents=True, exist_ok=True)
    if (place / CHECKPOINT).exists():
        run.load(place / CHECKPOINT)
    recipe = RECIPES[_RECIPE[kind]]
    learning, judging = (
        CropBatches(
            MarkedSampler([read_picture(data, name, recipe.mpp / mpp) for name in names], design.look, recipe.crop)
        )
        for names in _parts(data)
    )
    rng = np.random.default_rng(0)
    validation = [judging.batch(rng, 10, plain=True) for _ in range(budget.judged // 10)]
    fit(run, learning, validation, settings, place)
    return _keep(design, network, place, validation, folder, budget)


def trained_systems(kind: ObjectKind, folder: Path) -> Iterator[LearnedSystem]:
    """Yield the designs that have learned, from their files in a folder."""
    known = (*DESIGNS[kind], *ON_OWN_NETWORKS[kind])
    return (trained(design, kind, folder) for design in known if file_of(design, folder).exists())


def trained(design: Design, kind: ObjectKind, folder: Path) -> LearnedSystem:
    """Return a design that has learned, from its file in a folder.

    Raises
    ------
    ModelError
        The file does not hold what it should.
    """
    recipe, path = RECIPES[_RECIPE[kind]], file_of(design, folder)
    try:
        with safetensors.safe_open(path, "pt") as opened:
            about = json.loads(opened.metadata()["nuclick"])
            threshold, steps, width = float(about["threshold"]), int(about["steps"]), float(about["width"])
        network = design.network(width)
        network.load_state_dict(safetensors.torch.load_file(path))
    except (SafetensorError, OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise ModelError(f"{path} is no trained {design.name} ({error}): delete it and train again.") from error
    return LearnedSystem(design, fused(network), recipe.crop, recipe.mpp, threshold, steps, width)


def file_of(design: Design, folder: Path) -> Path:
    """Return where a design's weights are kept once it has learned."""
    return folder / f"{design.slug}.safetensors"


def _keep(
    design: Design, network: nn.Module, run: Path, validation: Sequence[Batch], folder: Path, budget: TrainingBudget
) -> Path:
    weights, step = kept_weights(run, budget.settings.keep)
    network.load_state_dict(weights)
    dice = mean_dice(fused(network), validation)
    threshold = max(dice, key=lambda tried: dice[tried])
    about = {"threshold": threshold, "dice": round(dice[threshold], 4), "steps": step, "width": budget.width}
    path = file_of(design, folder)
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_atomically(path, safetensors.torch.save(tensors, {"nuclick": json.dumps(about)}))
    return path


def _parts(data: Path) -> tuple[list[str], list[str]]:
    """Return the images to learn from, and those that choose the threshold: a fifth, where a set names none."""
    learning, judging = names_of(data, "train"), names_of(data, "validation")
    if not judging:
        kept = len(learning) - len(learning) // 5
        learning, judging = learning[:kept], learning[kept:]
    return learning, judging
