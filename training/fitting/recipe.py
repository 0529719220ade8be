"""What a recipe consists of: its data sources, and everything about a model that is not a matter of fitting.

From a recipe and the data's folder come the training batches and the fixed validation batches.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nuclick_training.datasets.data import DataError, Picture, read_picture, typical_step
from nuclick_training.datasets.folders import is_store, names_of
from nuclick_training.datasets.mosaics import mosaics
from nuclick_training.datasets.registration import Displacement, moved, registered
from nuclick_training.datasets.splits import Split
from nuclick_training.datasets.store import pictures
from nuclick_training.fitting.settings import FitSettings
from nuclick_training.sampling.batches import Batch, BatchSource, BlockBatches, CropBatches
from nuclick_training.sampling.blocks import MOST_CLICKS, BlockSampler
from nuclick_training.sampling.click_sampler import ClickSampler
from nuclick_training.sampling.glands import SquiggleSampler
from nuclick_training.sampling.sampling import MixedSampler
from nuclick_training.synthesis.cell_library import read_library
from nuclick_training.synthesis.compose import PIXEL_SIZE, compose_pool
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.prompts import ObjectKind

_DRAWS_OF_EACH = 4
"""Draws per validation object where there are few, so that nearly all are drawn at least once."""


@dataclass(frozen=True, slots=True)
class TrainingSource:
    """A folder of training pictures, or a store.

    Attributes
    ----------
    mpp
        Microns per pixel; None where it is not known: then each picture is scaled until its median object has
        `Recipe.typical` pixels. A store states its own.
    share
        Share of the training crops that come from here.
    composed
        Training pictures to compose, where the folder holds single cells; 0 where it holds pictures.
    split
        Which pictures are for training and which for validation, where other recipes divide the folder otherwise.
    registered
        Whether each instance map is first registered to its picture (nuclick_training.datasets.registration).
    aside
        By how many pixels all instance maps are moved to fit their pictures, where each has too few objects to be
        registered alone.
    mosaic
        Pictures along each side of a mosaic that they are laid into, where one alone is smaller than a block; 1 for
        none.
    """

    folder: str
    licence: str
    mpp: float | None
    share: float = 1.0
    composed: int = 0
    split: Split | None = None
    registered: bool = False
    aside: Displacement | None = None
    mosaic: int = 1


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything about a model that is not a matter of fitting.

    Attributes
    ----------
    architecture, config
        What `nuclick_wsi.models.network.build` takes.
    crop
        Side of the crop, in model pixels.
    mpp
        Microns per model pixel.
    typical
        Square root of the usual median area of objects, in model pixels.
    brown
        Share of the blocks of `glance` whose cytoplasm is shown brown, as by DAB.
    smallest_um2, fill_holes_um2, terms, split, limits, open_terms
        What the model's card says.
    """

    name: str
    kind: ObjectKind
    crop: int
    mpp: float
    typical: float
    sources: tuple[TrainingSource, ...]
    smallest_um2: float
    fill_holes_um2: float
    terms: str
    split: str
    limits: str
    fit: FitSettings = field(default_factory=FitSettings)
    architecture: str = "nuclick"
    config: Mapping[str, object] = field(default_factory=lambda: {"width": 0.25})
    open_terms: bool = False
    brown: float = 0

    @property
    def prompts_per_draw(self) -> int:
        """How many prompts a crop, or a block, has at most."""
        return MOST_CLICKS if self.architecture == "glance" else 1

    def training(self, data: Path, augmentation: str = "modern") -> BatchSource:
        """Return the source of training batches."""
        parts = [self.pictures(data, source, "train") for source in self.sources]
        for part, source in zip(parts, self.sources, strict=True):
            if not part:
                raise DataError(f"{data / source.folder}: no picture of it is for training.")
        return self._batches(parts, [source.share for source in self.sources], augmentation)

    def validation(self, data: Path, objects: int = 320, part: str = "validation") -> list[Batch]:
        """Return fixed plain batches of the pictures of a part, of that many random objects, fewer if there are few."""
        found = [picture for source in self.sources for picture in self.pictures(data, source, part)]
        if not any(picture.labels.any() for picture in found):
            return []
        source, rng = self._batches([found], [1.0]), np.random.default_rng(0)
        batches: list[Batch] = []
        while sum(len(batch.target) for batch in batches) < min(objects, _DRAWS_OF_EACH * source.objects):
            batches.append(source.batch(rng, 1, plain=True))
        return batches

    def _batches(self, parts: list[list[Picture]], shares: list[float], augmentation: str = "modern") -> BatchSource:
        """Return the source of batches for this network and kind of object."""
        if self.architecture == "glance" and self.kind is ObjectKind.GLAND:
            raise SettingsError("glance is trained on clicks, and glands are squiggled: train squiggle on them.")
        if self.architecture == "glance":
            samplers = [BlockSampler(part, self.crop, brown=self.brown) for part in parts]
            return BlockBatches(MixedSampler(samplers, shares), augmentation)
        sampler = SquiggleSampler if self.kind is ObjectKind.GLAND else ClickSampler
        return CropBatches(MixedSampler([sampler(part, self.crop) for part in parts], shares), augmentation)

    def pictures(self, data: Path, source: TrainingSource, part: str) -> list[Picture]:
        """Return the pictures of one part of a source's split."""
        if source.composed:
            count = source.composed if part == "train" else source.composed // 10
            return list(compose_pool(read_library(data / source.folder, part), count, 0, self.mpp / PIXEL_SIZE))
        folder = data / source.folder
        if is_store(folder):
            return pictures(folder, part, self.mpp)
        names = names_of(folder, part, source.split)
        found = [read_picture(folder, name, self.mpp / (source.mpp or self.mpp)) for name in names]
        if source.registered:
            found = [dataclasses.replace(p, labels=registered(p.image, p.labels)) for p in found]
        if source.aside is not None:
            found = [dataclasses.replace(p, labels=moved(p.labels, source.aside)) for p in found]
        if source.mpp is None:
            found = [dataclasses.replace(p, step=typical_step(p.labels, self.typical)) for p in found]
        return mosaics(found, source.mosaic) if source.mosaic > 1 else found
