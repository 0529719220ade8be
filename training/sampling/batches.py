"""Batches of drawn examples: the inputs differ by architecture, the target is of one form."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch

from nuclick_training.datasets.data import Rgb
from nuclick_training.sampling.augment import AUGMENTATIONS, Image01, unchanged
from nuclick_training.sampling.blocks import BlockExample
from nuclick_training.sampling.sampling import Example, Sampler

Colour = Callable[[Rgb], Image01]


@dataclass(frozen=True, slots=True)
class Batch:
    """The inputs of a network for several examples, and their target.

    Attributes
    ----------
    inputs
        The arguments of the network's `forward`.
    target
        (N, 1, S, S) uint8: BACKGROUND, OBJECT, OTHERS or UNKNOWN.
    """

    inputs: tuple[torch.Tensor, ...]
    target: torch.Tensor

    def to(self, device: torch.device) -> "Batch":
        """Return the batch on a device."""
        return Batch(tuple(each.to(device, non_blocking=True) for each in self.inputs), self.target.to(device))


class BatchSource(Protocol):
    """Draws training batches at random."""

    @property
    def objects(self) -> int:
        """How many training objects there are."""
        ...

    def batch(self, rng: np.random.Generator, count: int, plain: bool = False) -> Batch:
        """Return a batch of `count` draws; a plain one is not varied in size, turn, neighbours or colour."""
        ...


@dataclass(frozen=True, slots=True)
class CropBatches:
    """Crops with their guiding signals, for the paper's network: (N, 5, S, S)."""

    sampler: Sampler[Example]
    augmentation: str = "modern"

    @property
    def objects(self) -> int:
        """How many training objects there are."""
        return self.sampler.objects

    def batch(self, rng: np.random.Generator, count: int, plain: bool = False) -> Batch:
        """Return a batch of `count` crops."""
        drawn = [self.sampler.draw(rng, plain) for _ in range(count)]
        colour = _colour(rng, None if plain else self.augmentation)
        planes = [np.concatenate([colour(one.image), np.moveaxis(one.signals, 0, 2)], axis=2) for one in drawn]
        target = torch.from_numpy(np.stack([one.target for one in drawn])[:, None])
        return Batch((_channels_last(planes),), target)


@dataclass(frozen=True, slots=True)
class BlockBatches:
    """Blocks with several clicks each, for networks with a shared encoder."""

    sampler: Sampler[BlockExample]
    augmentation: str = "modern"

    @property
    def objects(self) -> int:
        """How many training objects there are."""
        return self.sampler.objects

    def batch(self, rng: np.random.Generator, count: int, plain: bool = False) -> Batch:
        """Return a batch of `count` blocks."""
        drawn = [self.sampler.draw(rng, plain) for _ in range(count)]
        colour = _colour(rng, None if plain else self.augmentation)
        owners = np.repeat(np.arange(count), [len(example.corners) for example in drawn])
        corners, distances, targets = (
            torch.from_numpy(np.concatenate([getattr(example, name) for example in drawn]))
            for name in ("corners", "distances", "targets")
        )
        blocks = _channels_last([colour(example.image) for example in drawn])
        return Batch((blocks, torch.from_numpy(owners), corners, distances), targets[:, None])


def _colour(rng: np.random.Generator, augmentation: str | None) -> Colour:
    return unchanged if augmentation is None else lambda image: AUGMENTATIONS[augmentation](image, rng)


def _channels_last(images: Sequence[npt.NDArray[np.float32]]) -> torch.Tensor:
    """Return (N, C, H, W) of (H, W, C) images, channels last in memory."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
