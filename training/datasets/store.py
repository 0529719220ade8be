"""Reading a store of training patches: what it says of itself, its patches, and the pictures that they make up.

`store_writer` makes such a store; docs/dataset.md describes the format.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nuclick_training.datasets.data import DataError, Picture
from nuclick_training.datasets.split_assignment import PARTS, SplitAssignment, leaks
from nuclick_training.datasets.store_values import (
    FORMAT,
    OBJECT_COLUMNS,
    PATCH_COLUMNS,
    PIXEL_ARRAYS,
    VERSION,
    StoredPatch,
    StoredSlide,
    Terms,
)
from nuclick_wsi.choices import SplitBy
from nuclick_wsi.errors import SettingsError
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Window

_WHITE = 255

Table: TypeAlias = Mapping[str, npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Store:
    """A complete store.

    Attributes
    ----------
    classes
        Names; the table of objects refers to them by place.
    patches
        Columns of one row a patch: `slide` and `field` by number, `column` and `row` of its upper left pixel on the
        slide's grid.
    objects
        Columns of one row an object: `slide`, its `number` in the labels of that slide, its `pixels` that are known,
        its `class` (-1 for none).
    failed
        Images that could not be used, and why.
    pixels
        The zarr arrays of images, labels and known pixels, open for reading.
    """

    path: Path
    terms: Terms
    assignment: SplitAssignment
    classes: Sequence[str]
    slides: Sequence[StoredSlide]
    patches: Table
    objects: Table
    failed: Mapping[str, str]
    pixels: Sequence[Any]

    @property
    def leaks(self) -> list[str]:
        """A sentence for every patient or slide in more than one part; none in a store that `StoreWriter` wrote."""
        return leaks(self.slides, [slide.part for slide in self.slides], self.assignment.by)

    def patch(self, index: int) -> StoredPatch:
        """Return one patch."""
        number, column, row = (int(self.patches[name][index]) for name in ("field", "column", "row"))
        window = Window(column, row, self.terms.patch, self.terms.patch)
        return StoredPatch(number, window, *(np.asarray(array[index]) for array in self.pixels))

    def position(self, index: int) -> tuple[float, float]:
        """Return x and y of a patch's upper left corner in slide pixels (level 0)."""
        downsample = self.slides[int(self.patches["slide"][index])].downsample
        return self.patches["column"][index] * downsample, self.patches["row"][index] * downsample


def read_store(path: Path) -> Store:
    """Read the description and the tables of a store; its pixels are read on demand.

    Raises
    ------
    DataError
        There is none, or it is incomplete, or of a newer version.
    """
    root = open_store(path)
    told = dict(root.attrs)
    if told.get("format") != FORMAT:
        raise DataError(f"{path}: is a zarr store and no data set of `nuclick-wsi dataset extract`.")
    if told.get("version") != VERSION:
        raise DataError(
            f"{path}: is of version {told.get('version')}, and this nuclick-wsi reads version {VERSION}: extract it "
            "again, or use the nuclick-wsi that made it."
        )
    try:
        assignment: dict[str, Any] = {**told["division"], "by": SplitBy(told["division"]["by"])}
        terms: dict[str, Any] = {**told["terms"], "kind": ObjectKind(told["terms"]["kind"])}
        slides = [StoredSlide(**slide) for slide in told["slides"]]
        return Store(
            path=path,
            terms=Terms(**terms),
            assignment=SplitAssignment(**assignment),
            classes=told["classes"],
            slides=slides,
            patches=_table(root, "patches", PATCH_COLUMNS),
            objects=_table(root, "objects", OBJECT_COLUMNS),
            failed=told["failed"],
            pixels=[root[name] for name in PIXEL_ARRAYS],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is damaged ({type(error).__name__}: {error}). Extract it again.") from error


def pictures(path: Path, part: str, mpp: float | None = None) -> list[Picture]:
    """Return one part of a store, for training or evaluation.

    The patches of a field are put together again, so that no object is cut where a patch ends.

    Parameters
    ----------
    path
        The store.
    part
        train, validation or test.
    mpp
        Microns per pixel of the model; None for that of the store.

    Returns
    -------
    list of Picture
        One for each field of each slide, with `known` False outside the field; `step` is what the model's pixels are
        of the store's.

    Raises
    ------
    DataError
        The store cannot be read, or a patient or a slide is in two parts.
    """
    if part not in PARTS:
        raise SettingsError(f"A store has the parts {', '.join(PARTS)}, and no {part!r}.")
    store = read_store(path)
    if found := store.leaks:
        raise DataError(f"{path}: {'; '.join(found)}: a store that leaks is not trained on. Extract it again.")
    step = (mpp or store.terms.mpp) / store.terms.mpp
    made = []
    for number, slide in enumerate(store.slides):
        if slide.part == part:
            of_slide = store.patches["slide"] == number
            for one in np.unique(store.patches["field"][of_slide]).tolist():
                chosen = np.flatnonzero(of_slide & (store.patches["field"] == one))
                made.append(_joined(store, slide, chosen, step))
    return made


def open_store(path: Path) -> Any:
    """Open a folder as a zarr group; DataError where it is none."""
    import zarr  # noqa: PLC0415

    if not path.is_dir():
        raise DataError(f"{path}: there is no such store. `nuclick-wsi dataset extract` makes one.")
    try:
        return zarr.open_group(path, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: cannot be read as a zarr store ({error}).") from error


def _joined(store: Store, slide: StoredSlide, chosen: npt.NDArray[np.int64], step: float) -> Picture:
    """Return the patches of one field as one picture; white and unknown where there is none between them."""
    side = store.terms.patch
    columns, rows = store.patches["column"][chosen], store.patches["row"][chosen]
    left, top = int(columns.min()), int(rows.min())
    right, bottom = min(int(columns.max()) + side, slide.columns), min(int(rows.max()) + side, slide.rows)
    image = np.full((bottom - top, right - left, 3), _WHITE, np.uint8)
    labels = np.zeros(image.shape[:2], np.int32)
    known = np.zeros(image.shape[:2], bool)
    for index in chosen.tolist():
        patch = store.patch(index)
        # What lies beyond the slide's edge is cut off.
        place = np.s_[patch.window.y - top :, patch.window.x - left :]
        height, width = (min(side, rest) for rest in labels[place].shape)
        for target, pixels in ((image, patch.image), (labels, patch.labels), (known, patch.known)):
            target[place][:height, :width] = pixels[:height, :width]
    name = f"{slide.name} at ({left * slide.downsample:.0f}, {top * slide.downsample:.0f})"
    return Picture(name, image, labels, step, None if known.all() else known)


def _table(root: Any, name: str, columns: Sequence[str]) -> Table:
    return {column: np.asarray(root[f"{name}/{column}"][:]) for column in columns}
