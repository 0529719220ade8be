"""What each shipped model is trained on and how: the data sets, their shares, crop and pixel size.

A recipe and the data's folder go in; lessons and fixed validation batches come out.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from nuclick_training.datasets.data import DataError, Picture, read_picture, typical_step
from nuclick_training.datasets.folders import is_store, names_of
from nuclick_training.datasets.registration import Displacement, moved, registered
from nuclick_training.datasets.splits import DSB_ALONE, Split
from nuclick_training.datasets.store import pictures
from nuclick_training.fitting.settings import FitSettings
from nuclick_training.sampling.batches import Batch, BatchSource, BlockBatches, CropBatches
from nuclick_training.sampling.blocks import MOST_CLICKS, BlockSampler
from nuclick_training.sampling.glands import SquiggleSampler
from nuclick_training.sampling.sampling import ClickSampler, MixedSampler
from nuclick_training.synthesis.cell_library import read_library
from nuclick_training.synthesis.compose import PIXEL_SIZE, compose_pool
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.prompts import ObjectKind

_MONUSEG_SPLIT = (
    "MoNuSeg by image and patient: 11 train, 5 validation (choose the threshold), 14 test (choose nothing), "
    "in nuclick_training.datasets.splits; all of dsb2018_histology trains"
)
_DRAWS_OF_EACH = 4
"""How often few validation objects are drawn, so that nearly all of them are."""


@dataclass(frozen=True, slots=True)
class Source:
    """A folder of training pictures, or a store.

    Attributes
    ----------
    mpp
        Microns per pixel; None where nobody knows, then the median object is brought to `Recipe.typical` pixels. A
        store knows by itself.
    share
        Share of the training crops that come from here.
    composed
        Training pictures to compose, where the folder holds single cells; 0 where it holds pictures.
    split
        Which pictures train and which choose settings, where that is not what it is for other recipes.
    registered
        Whether each instance map is first moved onto its picture, by what the picture alone tells.
    aside
        Where all instance maps lie beside their pictures, in their pixels, where each has too few objects to tell;
        they are moved back.
    """

    folder: str
    licence: str
    mpp: float | None
    share: float = 1.0
    composed: int = 0
    split: Split | None = None
    registered: bool = False
    aside: Displacement | None = None


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
    smallest_um2, fill_holes_um2, terms, split, limits
        What goes into the model's card.
    """

    name: str
    kind: ObjectKind
    crop: int
    mpp: float
    typical: float
    sources: tuple[Source, ...]
    smallest_um2: float
    fill_holes_um2: float
    terms: str
    split: str
    limits: str
    fit: FitSettings = field(default_factory=FitSettings)
    architecture: str = "nuclick"
    config: Mapping[str, object] = field(default_factory=lambda: {"width": 0.25})

    @property
    def prompts_per_draw(self) -> int:
        """How many prompts a crop, or a block, has at most."""
        return MOST_CLICKS if self.architecture == "glance" else 1

    def lessons(self, data: Path, augmentation: str = "modern") -> BatchSource:
        """Return what the network learns from."""
        parts = [self.pictures(data, source, "train") for source in self.sources]
        for part, source in zip(parts, self.sources, strict=True):
            if not part:
                raise DataError(f"{data / source.folder}: no picture of it is for training.")
        return self._lessons(parts, [source.share for source in self.sources], augmentation)

    def validation(self, data: Path, objects: int = 320, part: str = "validation") -> list[Batch]:
        """Return fixed plain batches of the pictures of a part, of that many random objects, fewer if there are few."""
        found = [picture for source in self.sources for picture in self.pictures(data, source, part)]
        if not any(picture.labels.any() for picture in found):
            return []
        lessons, rng = self._lessons([found], [1.0]), np.random.default_rng(0)
        batches: list[Batch] = []
        while sum(len(batch.target) for batch in batches) < min(objects, _DRAWS_OF_EACH * lessons.objects):
            batches.append(lessons.batch(rng, 1, plain=True))
        return batches

    def _lessons(self, parts: list[list[Picture]], shares: list[float], augmentation: str = "modern") -> BatchSource:
        """Return the lessons that suit the network and the kind of object."""
        if self.architecture == "glance" and self.kind is ObjectKind.GLAND:
            raise SettingsError("glance learns from clicks, and glands are squiggled: train squiggle on them.")
        if self.architecture == "glance":
            return BlockBatches(MixedSampler([BlockSampler(part, self.crop) for part in parts], shares), augmentation)
        sampler = SquiggleSampler if self.kind is ObjectKind.GLAND else ClickSampler
        return CropBatches(MixedSampler([sampler(part, self.crop) for part in parts], shares), augmentation)

    def pictures(self, data: Path, source: Source, part: str) -> list[Picture]:
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
        return found


NUCLEI = Recipe(
    name="nuclei",
    kind=ObjectKind.NUCLEUS,
    architecture="glance",
    config={},
    crop=96,
    mpp=0.25,
    typical=19.7,
    sources=(
        Source("monuseg", "CC BY-NC-SA 4.0", mpp=0.25, share=0.85, registered=True),
        Source("dsb2018_histology", "CC0-1.0 (BBBC038)", mpp=None, share=0.15),
    ),
    smallest_um2=1.0,
    fill_holes_um2=8.0,
    terms="research use, non-commercial, share alike (CC BY-NC-SA 4.0, inherited from MoNuSeg)",
    split=_MONUSEG_SPLIT,
    limits="nuclei wider than 20 um; slides without haematoxylin; pale or out-of-focus nuclei; cytology",
    fit=FitSettings(batch=6, minutes=90),
)

NUCLEI_OPEN = dataclasses.replace(
    NUCLEI,
    name="nuclei-open",
    config={"encoder": "lite0", "trunk": (8, 32, 48, 64, 96)},
    sources=(
        Source(
            "nuinsseg",
            "CC BY 4.0 (NuInsSeg: Mahbod et al. 2024)",
            mpp=0.17,
            share=0.8,
            aside=Displacement(-0.45, -0.4),
        ),
        Source("dsb2018_histology", "CC0-1.0 (BBBC038)", mpp=None, share=0.2, split=DSB_ALONE),
    ),
    terms="any use, with attribution (CC BY 4.0: NuInsSeg by A. Mahbod et al., Scientific Data 2024; the encoder's "
    "first weights: Apache-2.0)",
    split="nuinsseg by runs of files that follow each other: 545 train, 60 validation, 60 test; dsb2018_histology by "
    "image: 96 train, 11 validation, in nuclick_training.datasets.splits; MoNuSeg's test images judge",
    limits="nuclei wider than 20 um; slides without haematoxylin; clumps, which its data leaves out; the pixel size of "
    "its data is an estimate",
    fit=FitSettings(batch=6, minutes=50),
)

NUCLEI_BY_CROPS = dataclasses.replace(
    NUCLEI, name="nuclei-crops", architecture="nuclick", config={"width": 0.25}, crop=128, fit=FitSettings()
)

NUCLEI_CC0 = dataclasses.replace(
    NUCLEI,
    name="nuclei-cc0",
    sources=(Source("dsb2018_histology", "CC0-1.0 (BBBC038)", mpp=None, split=DSB_ALONE),),
    terms="CC0-1.0: no conditions",
    split="dsb2018_histology by image: 96 train, 11 validation (choose the threshold), in "
    "nuclick_training.datasets.splits; MoNuSeg's test images judge",
    limits="most of its pictures are of one stain, purple, and of unknown pixel size: everything else is new to it",
    fit=FitSettings(batch=6, minutes=30),
)

CELLS = Recipe(
    name="cells",
    kind=ObjectKind.CELL,
    architecture="glance",
    config={},
    crop=128,
    mpp=0.32,
    typical=44,
    sources=(Source("wbc_jtsc", "research use (Jiangxi Tecom; repository GPL-3)", mpp=PIXEL_SIZE, composed=120),),
    smallest_um2=15.0,
    fill_holes_um2=20.0,
    terms="research use (inherited from the Jiangxi Tecom images, whose repository is under GPL-3)",
    split="white blood cells by source cell, in nuclick_training.datasets.splits; pictures composed of the cells of "
    "one part",
    limits="cells of tissue; smears of other stains or of crowded blast cells; cells wider than 30 um",
    fit=FitSettings(batch=6, minutes=45),
)

GLANDS = Recipe(
    name="glands",
    kind=ObjectKind.GLAND,
    architecture="squiggle",
    config={"encoder": "lite0"},
    # As much tissue as at 1.24 um in 256 px, and two fifths of the work.
    crop=160,
    mpp=2.0,
    typical=37,
    sources=(Source("glas_train", "research only (GlaS challenge)", mpp=0.62),),
    smallest_um2=300.0,
    fill_holes_um2=1500.0,
    terms="research use only (inherited from the GlaS challenge data)",
    split="GlaS training images by patient: 63 train, 5 validation (choose the threshold), 17 test, in "
    "nuclick_training.datasets.splits",
    limits="organs other than colon; glands that fill more than one crop (320 um); solid tumour nests without a lumen; "
    "stains other than H&E, where outlines may run into the stroma",
    # Five images with 26 glands validate: the best check among many would be luck.
    fit=FitSettings(batch=6, rate=1.5e-3, averaging=0.997, keep="last"),
)


def known_pixel_size(folder: str) -> float | None:
    """Return the microns per pixel of one of our data sets, by its folder's name."""
    sources = (source for recipe in RECIPES.values() for source in recipe.sources)
    return next((source.mpp for source in sources if source.folder == folder), None)


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe for recipe in (NUCLEI, NUCLEI_BY_CROPS, NUCLEI_OPEN, NUCLEI_CC0, CELLS, GLANDS)
}
