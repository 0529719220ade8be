"""A library of single white blood cells on smears, read as material for `compose`.

The library is a folder of pictures with one cell each (`images/`, and `labels/` of 0 background, 128 cytoplasm, 255
nucleus). Cells and their background are kept as transmittance, so that they can be laid on plasma of any colour.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from nuclick_training.datasets.data import DataError, Rgb, picture_names, read_picture
from nuclick_training.datasets.splits import WBC, WBC_COPIES
from nuclick_training.synthesis.background_pieces import Mask, Transmittance, background_pieces

Colour = npt.NDArray[np.float64]

MARGIN = 6
"""Pixels of background that stay around a cell, for the blending."""
LARGEST = 128
"""Pixels across a cell, at most: 24 um."""
_LEAST_BACKGROUND = 0.1
"""Share of a picture that must be background, so that its plasma's colour can be measured."""
_FEWEST_CELLS = 8
"""Cells that a part must have, so that a picture does not repeat a few."""
_DARKEST = 0.02
"""Lower limit of transmittance, whose logarithm is taken."""


@dataclass(frozen=True, slots=True)
class Background:
    """What lies around a white cell.

    Attributes
    ----------
    transmittance
        (H, W, 3) float32 of the whole picture.
    depth
        (H, W) float32, how far inside bare plasma a pixel lies; 0 off it.
    pieces
        Red cells and platelets, each (n, n, 3) float32, 1 at the border.
    """

    transmittance: Transmittance
    depth: npt.NDArray[np.float32]
    pieces: tuple[Transmittance, ...]


@dataclass(frozen=True, slots=True)
class LibraryCell:
    """One white blood cell and the background that it lay on.

    Attributes
    ----------
    transmittance
        (h, w, 3) float32, about 1 on plasma: the picture over its plasma's colour, cut `MARGIN` pixels around the cell.
    mask
        (h, w) bool, nucleus and cytoplasm: one piece without holes.
    plasma
        (3,) colour of the background between the red cells, 0 to 255.
    nucleus
        (3,) mean optical density of the nucleus over the plasma.
    """

    name: str
    transmittance: Transmittance
    mask: Mask
    plasma: Colour
    nucleus: Colour
    background: Background

    @property
    def stain(self) -> Colour:
        """What tells smears apart, (6,): the plasma's optical density and the hue of the nucleus."""
        return np.concatenate([-np.log(self.plasma / 255), 1.5 * self.nucleus / self.nucleus.sum()])


@dataclass(frozen=True, slots=True)
class CellLibrary:
    """The cells of one part of the split; `part` is `train`, `validation`, `test` or `all`."""

    part: str
    cells: tuple[LibraryCell, ...]

    def alike(self, chosen: int) -> Sequence[LibraryCell]:
        """Return the cells whose stain is nearest to the chosen one's, it first: a third of all, twelve at least."""
        stains = np.stack([cell.stain for cell in self.cells])
        order = np.argsort(((stains - stains[chosen]) ** 2).sum(axis=1), kind="stable")
        return [self.cells[index] for index in order[: max(len(order) // 3, 12)]]


def read_library(folder: Path, part: str) -> CellLibrary:
    """Read the cells of one part; no cell is in two parts.

    Raises
    ------
    DataError
        The folder is not such a library, or the part is not known or has too few cells.
    """
    names = [name for name in picture_names(folder) if name not in WBC_COPIES]
    chosen = [name for name in names if part in ("all", WBC.part_of(name))]
    if len(chosen) < _FEWEST_CELLS:
        raise DataError(
            f"{folder}: {len(chosen)} of {len(names)} cells are in part {part!r}; composing needs {_FEWEST_CELLS}. "
            "Parts are train, validation, test and all."
        )
    return CellLibrary(part, tuple(read_cell(folder, name) for name in chosen))


def read_cell(folder: Path, name: str) -> LibraryCell:
    """Read one cell of the library."""
    picture = read_picture(folder, name, 1.0)
    image, labels = picture.image, picture.labels  # their values renumbered: background 0, cytoplasm 1, nucleus 2
    if labels.max() != 2:
        raise DataError(
            f"{folder / 'labels' / name}: the labels of a library's cell have three values, 0 for the background, "
            f"128 for cytoplasm and 255 for the nucleus, not {labels.max() + 1}. Is it a library of single cells?"
        )
    mask = cleaned(labels > 0)
    nucleus = mask & (labels == 2)
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    around = ~ndimage.binary_dilation(mask, iterations=4)
    if not nucleus.any() or around.mean() < _LEAST_BACKGROUND or max(np.ptp(rows), np.ptp(columns)) >= LARGEST:
        across = f"{np.ptp(rows) + 1} x {np.ptp(columns) + 1}"
        raise DataError(
            f"{folder / 'images' / name}: composing needs a picture of one cell with a nucleus, at most {LARGEST} "
            f"pixels across, and background around it, not a cell of {across} pixels with "
            f"{nucleus.sum()} of nucleus and {around.mean():.0%} background."
        )
    plasma = plasma_colour(image, around)
    transmittance = np.clip(image / plasma, _DARKEST, 1.2).astype(np.float32)
    box = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    around = _grown(box, mask.shape)
    return LibraryCell(
        name,
        transmittance[around],
        mask[around],
        plasma,
        -np.log(transmittance[nucleus]).mean(axis=0, dtype=np.float64),
        _background(transmittance, _only_background(transmittance, mask)),
    )


def _background(transmittance: Transmittance, usable: Mask) -> Background:
    level = ndimage.gaussian_filter(transmittance[..., 1], 1)
    bare = usable & ~ndimage.binary_dilation(np.abs(level - 1) > 0.05, iterations=3)
    depth = ndimage.distance_transform_edt(np.pad(bare, 1))[1:-1, 1:-1].astype(np.float32)
    return Background(transmittance, depth, background_pieces(transmittance, usable))


def cleaned(mask: Mask) -> Mask:
    """Return the largest piece of a mask without its threads and holes."""
    opened = ndimage.binary_opening(mask, iterations=2)
    pieces, count = ndimage.label(opened)
    if not count:
        return mask
    largest = pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()
    return np.asarray(ndimage.binary_fill_holes(largest))


def plasma_colour(image: Rgb, around: Mask) -> Colour:
    """Return the colour between the red cells: the median of the brighter half of what lies around the white one."""
    background = image[around]
    light = background.sum(axis=1, dtype=np.int64)
    colour: Colour = np.median(background[light >= np.median(light)], axis=0).clip(1)
    return colour


def _only_background(transmittance: Transmittance, mask: Mask) -> Mask:
    """Return where a picture shows plasma, red cells and platelets, away from every white cell and from seams."""
    dark = transmittance[..., 1] < 0.6
    pieces, _ = ndimage.label(dark)
    at_border = np.unique(np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]]))
    areas = np.bincount(pieces.ravel())
    # Platelets are small and whole; what is larger, or cut by the border, is a white cell without an outline.
    unnamed = (areas[pieces] > 120) | np.isin(pieces, at_border[at_border > 0])
    usable = ~ndimage.binary_dilation(mask | (unnamed & dark), iterations=4)
    for axis in (0, 1):
        _leave_out_strips(usable, transmittance[..., 1], axis)
    usable[[0, 1, -2, -1]] = False
    usable[:, [0, 1, -2, -1]] = False
    return np.asarray(usable)


def _leave_out_strips(usable: Mask, light: Transmittance, axis: int) -> None:
    """Take out what was patched on at a border: all along a straight line the light jumps the same way."""
    lines, kept = np.moveaxis(light, axis, 0), np.moveaxis(usable, axis, 0)
    steps = np.where(kept[1:] & kept[:-1], np.diff(lines, axis=0), np.nan)
    count = len(lines)
    for index in range(count - 1):
        known = steps[index][np.isfinite(steps[index])]
        outer = min(index + 1, count - 1 - index) < count // 4
        if outer and len(known) > 20 and abs(np.median(known)) > 0.01:
            if index < count // 2:
                kept[: index + 2] = False
            else:
                kept[index:] = False


def _grown(box: tuple[slice, slice], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Return a box with the margin around it, inside the picture."""
    rows, columns = (
        slice(max(side.start - MARGIN, 0), min(side.stop + MARGIN, length))
        for side, length in zip(box, shape, strict=False)
    )
    return rows, columns
