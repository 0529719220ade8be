"""What systems for each kind of object learn from and are tested on: the project's own data sets."""

from dataclasses import dataclass
from pathlib import Path

from nuclick_training.synthesis.cell_library import read_library
from nuclick_training.synthesis.compose import PIXEL_SIZE, compose_pool
from nuclick_training.synthesis.composing import COMPOSED, LIBRARY, write_pictures
from nuclick_wsi.prompts import ObjectKind

NUCLEI_MPP = 0.25
_GLANDS_MPP = 0.62
_CELLS_TO_LEARN = 60
"""Composed pictures."""


@dataclass(frozen=True, slots=True)
class Material:
    """Where to learn, where to test and on which part of it, and the images' microns per pixel."""

    learning: Path
    testing: Path
    split: str
    mpp: float


def material_of(kind: ObjectKind, data: Path, out: Path) -> Material:
    """Return what systems for a kind of object learn from and are tested on; cells are composed first.

    Parameters
    ----------
    data, out
        Folder of the data sets, and of the runs, where composed pictures go.
    """
    if kind is ObjectKind.NUCLEUS:
        return Material(data / "monuseg", data / "monuseg", "test", NUCLEI_MPP)
    if kind is ObjectKind.GLAND:
        return Material(data / "glas_train", data / "glas_train", "test", _GLANDS_MPP)
    for part, count in (("train", _CELLS_TO_LEARN), ("test", COMPOSED)):
        if not (out / f"cells-{part}").exists():
            cells = read_library(data / LIBRARY, part)
            list(write_pictures(compose_pool(cells, count, 0), out / f"cells-{part}"))
    return Material(out / "cells-train", out / "cells-test", "all", PIXEL_SIZE)
