"""What each shipped model is trained on and how: the data sets, their shares, crop and pixel size."""

import dataclasses
from collections.abc import Mapping

from nuclick_training.datasets.registration import Displacement
from nuclick_training.datasets.splits import DSB_ALONE, NUINSSEG_BESIDE
from nuclick_training.fitting.recipe import Recipe, TrainingSource
from nuclick_training.fitting.settings import FitSettings
from nuclick_training.synthesis.compose import PIXEL_SIZE
from nuclick_wsi.prompts import ObjectKind

_MONUSEG_SPLIT = (
    "MoNuSeg by image and patient: 11 train, 5 validation (choose the threshold), 14 test (held out); nuinsseg by runs "
    "of files: 605 train, 60 test; tcga_lgg by patient: 24 train, 4 test; gbm40 and cpm15 by runs of files: 30 and 10 "
    "train, 10 and 5 test; all of dsb2018_histology trains; in nuclick_training.datasets.splits"
)
_NUINSSEG = TrainingSource(
    "nuinsseg", "CC BY 4.0 (NuInsSeg: Mahbod et al. 2024)", mpp=0.17, aside=Displacement(-0.45, -0.4)
)
_ENCODED: Mapping[str, object] = {"encoder": "lite0", "trunk": (8, 32, 48, 64, 96)}
NUCLEI = Recipe(
    name="nuclei",
    kind=ObjectKind.NUCLEUS,
    architecture="glance",
    config=_ENCODED,
    crop=96,
    mpp=0.25,
    typical=19.7,
    sources=(
        TrainingSource("monuseg", "CC BY-NC-SA 4.0", mpp=0.25, share=0.55, registered=True),
        dataclasses.replace(_NUINSSEG, share=0.18, split=NUINSSEG_BESIDE),
        TrainingSource("gbm40", "research only (Emory)", mpp=0.25, share=0.06),
        TrainingSource("tcga_lgg", "research only", mpp=0.25, share=0.07),
        TrainingSource("cpm15", "research only", mpp=None, share=0.05),
        TrainingSource("dsb2018_histology", "CC0-1.0 (BBBC038)", mpp=None, share=0.09),
    ),
    smallest_um2=1.0,
    fill_holes_um2=8.0,
    terms="research use, non-commercial, share alike (CC BY-NC-SA 4.0, inherited from MoNuSeg; gbm40, tcga_lgg and "
    "cpm15 are for research)",
    split=_MONUSEG_SPLIT,
    limits="nuclei wider than 20 um; slides without haematoxylin; pale or out-of-focus nuclei; cytology",
    fit=FitSettings(batch=6, minutes=90),
    brown=0.1,
)

NUCLEI_OPEN = dataclasses.replace(
    NUCLEI,
    name="nuclei-open",
    sources=(
        dataclasses.replace(_NUINSSEG, share=0.8),
        TrainingSource("dsb2018_histology", "CC0-1.0 (BBBC038)", mpp=None, share=0.2, split=DSB_ALONE),
    ),
    terms="any use, with attribution (CC BY 4.0: NuInsSeg by A. Mahbod et al., Scientific Data 2024; the encoder's "
    "first weights: Apache-2.0)",
    open_terms=True,
    split="nuinsseg by runs of files that follow each other: 545 train, 60 validation, 60 test; dsb2018_histology by "
    "image: 96 train, 11 validation, in nuclick_training.datasets.splits; tested on MoNuSeg's test images",
    limits="nuclei wider than 20 um; slides without haematoxylin; clumps, which its data leaves out; the pixel size of "
    "its data is an estimate",
    fit=FitSettings(batch=6, minutes=50),
)

NUCLEI_BY_CROPS = dataclasses.replace(
    NUCLEI, name="nuclei-crops", architecture="nuclick", config={"width": 0.25}, crop=128, fit=FitSettings()
)

# A picture of BCCD is 164 x 123 px of the model, and a block 288 px.
_BCCD = TrainingSource("bccd_wbc", "MIT (BCCD Dataset, Copyright (c) 2017 shenggan)", mpp=0.082, mosaic=3)
CELLS = Recipe(
    name="cells",
    kind=ObjectKind.CELL,
    architecture="glance",
    config=_ENCODED,
    crop=128,
    mpp=0.32,
    typical=44,
    sources=(
        TrainingSource(
            "wbc_jtsc", "research use (Jiangxi Tecom; repository GPL-3)", mpp=PIXEL_SIZE, share=0.55, composed=240
        ),
        dataclasses.replace(_BCCD, share=0.22),
        # Red cells, 7.5 um wide, are some 67 px of the picture's 257. A block is 288 px, and a picture 88 of these.
        TrainingSource("allidb2", "research only (ALL-IDB2: Labati et al. 2011)", mpp=0.11, share=0.23, mosaic=3),
    ),
    smallest_um2=15.0,
    fill_holes_um2=20.0,
    terms="research use only (inherited from ALL-IDB2, and from the Jiangxi Tecom images, whose repository is under "
    "GPL-3)",
    split="white blood cells of wbc_jtsc by source cell, pictures composed of the cells of one part; bccd_wbc and "
    "allidb2 by runs of files; in nuclick_training.datasets.splits",
    limits="cells of tissue; smears of other stains; cells wider than 30 um",
    fit=FitSettings(batch=6, minutes=45),
)

CELLS_OPEN = dataclasses.replace(
    CELLS,
    name="cells-open",
    typical=39,
    sources=(_BCCD,),
    terms="any use, with the notices of its sources (MIT: BCCD Dataset, Copyright (c) 2017 shenggan; the encoder's "
    "first weights: Apache-2.0)",
    open_terms=True,
    split="bccd_wbc by runs of files that follow each other: 241 train, 61 validation (choose the threshold), 65 test, "
    "in nuclick_training.datasets.splits",
    limits="cells of tissue; smears of other stains; cells that touch, of which its data has few; cells wider than "
    "25 um; the pixel size of its data is an estimate",
    fit=FitSettings(batch=6, minutes=40),
)

GLANDS = Recipe(
    name="glands",
    kind=ObjectKind.GLAND,
    architecture="squiggle",
    config={"encoder": "lite0", "turns": 4},
    # As much tissue as at 1.24 um in 256 px, and two fifths of the work.
    crop=160,
    mpp=2.0,
    typical=37,
    sources=(TrainingSource("glas_train", "research only (GlaS challenge)", mpp=0.62),),
    smallest_um2=300.0,
    fill_holes_um2=1500.0,
    terms="research use only (inherited from the GlaS challenge data)",
    split="GlaS training images by patient: 63 train, 5 validation (choose the threshold), 17 test, in "
    "nuclick_training.datasets.splits",
    limits="organs other than colon; glands wider than 640 um; solid tumour nests without a lumen; "
    "stains other than H&E, where outlines may run into the stroma",
    # Validation has five images with 26 glands, too few to tell one check from another.
    fit=FitSettings(batch=6, rate=1.5e-3, averaging=0.997, keep="last"),
)


def known_pixel_size(folder: str) -> float | None:
    """Return the microns per pixel of one of the project's data sets, by its folder's name."""
    sources = (source for recipe in RECIPES.values() for source in recipe.sources)
    return next((source.mpp for source in sources if source.folder == folder), None)


RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe for recipe in (NUCLEI, NUCLEI_BY_CROPS, NUCLEI_OPEN, CELLS, CELLS_OPEN, GLANDS)
}
