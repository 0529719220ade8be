"""What a table of the paper is made again with: data, folders, lengths; and where each kind of object has its data."""

from dataclasses import dataclass
from pathlib import Path

from nuclick_training.fitting.settings import FitSettings
from nuclick_training.synthesis.cell_library import read_library
from nuclick_training.synthesis.compose import PIXEL_SIZE, compose_pool
from nuclick_training.synthesis.composing import COMPOSED, LIBRARY, write_pictures
from nuclick_wsi.prompts import ObjectKind

NUCLEI_MPP = 0.25
_GLANDS_MPP = 0.62
_CELLS_TO_LEARN = 60
"""Composed pictures."""


@dataclass(frozen=True, slots=True)
class Budget:
    """Where the data sets are, where runs are kept, and how each network is trained.

    Attributes
    ----------
    objects
        So many of the test images' objects at most, where systems are compared side by side; None for all.
    width
        Of the networks of other papers, as a share of their channels.
    own_networks
        Whether systems that learn are also trained on the networks of their own papers.
    """

    data: Path
    out: Path
    training: FitSettings
    objects: int | None = None
    width: float = 0.25
    own_networks: bool = False


@dataclass(frozen=True, slots=True)
class Material:
    """Where to learn, where to test and on which part of it, and the images' microns per pixel."""

    learning: Path
    testing: Path
    split: str
    mpp: float


def material_of(kind: ObjectKind, budget: Budget) -> Material:
    """Return what systems for a kind of object learn from and are tested on; cells are composed first."""
    if kind is ObjectKind.NUCLEUS:
        return Material(budget.data / "monuseg", budget.data / "monuseg", "test", NUCLEI_MPP)
    if kind is ObjectKind.GLAND:
        return Material(budget.data / "glas_train", budget.data / "glas_train", "test", _GLANDS_MPP)
    for part, count in (("train", _CELLS_TO_LEARN), ("test", COMPOSED)):
        if not (budget.out / f"cells-{part}").exists():
            cells = read_library(budget.data / LIBRARY, part)
            list(write_pictures(compose_pool(cells, count, 0), budget.out / f"cells-{part}"))
    return Material(budget.out / "cells-train", budget.out / "cells-test", "all", PIXEL_SIZE)
