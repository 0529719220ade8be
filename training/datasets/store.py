"""A data set in one zarr store: patches cut from slides, with their objects, their place and their part.

`StoreWriter` makes one; `read_store` and `pictures` give it to whoever trains. docs/dataset.md says what is in it.
"""

import shutil
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from nuclick_training.datasets.data import DataError, Known, Labels, Picture, Rgb
from nuclick_training.datasets.split_assignment import PARTS, SplitAssignment, divide, leaks
from nuclick_wsi.choices import SplitBy
from nuclick_wsi.errors import ResultError, SettingsError
from nuclick_wsi.ownership import namesakes
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.scale import Window

FORMAT, VERSION = "nuclick-wsi dataset", 1
_IMAGES, _LABELS, _KNOWN = "images", "labels", "known"
_PATCHES = ("slide", "field", "column", "row")
_OBJECTS = ("slide", "number", "pixels", "class")
_WHITE = 255

Table: TypeAlias = Mapping[str, npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Patch:
    """One square of one field of a slide.

    Attributes
    ----------
    window
        Where it is, in pixels of the slide's grid.
    image, labels, known
        (H, W, 3) uint8, (H, W) int32 and (H, W) bool, as in `Picture`.
    """

    field: int
    window: Window
    image: Rgb
    labels: Labels
    known: Known


@dataclass(frozen=True, slots=True)
class StoredSlide:
    """What a store says of a slide that patches come from.

    Attributes
    ----------
    name, source, path
        What its user calls it, what says what is outlined, and the slide's file: all as they were at the time.
    content
        The fingerprint of that file (nuclick_wsi.slides.slide.fingerprint).
    frame
        Where (0, 0) is: the whole slide's corner ("full"), or that of the scanned part ("bounds"), as in QuPath.
    downsample
        Slide pixels (level 0) per patch pixel.
    mpp
        Microns per patch pixel: within 5 % of the store's.
    columns, rows
        The slide's size in patch pixels.
    remarks
        What was left out, and what looked wrong.
    part
        train, validation or test; empty until all slides are known.
    """

    name: str
    source: str
    path: str
    patient: str
    content: str
    frame: str
    downsample: float
    mpp: float
    columns: int
    rows: int
    remarks: Sequence[str] = ()
    part: str = ""


@dataclass(frozen=True, slots=True)
class Terms:
    """What all patches of a store have in common.

    Attributes
    ----------
    mpp
        Microns per pixel that was asked for.
    patch
        Side of a patch in pixels.
    regions, classes
        The classes that were named for regions and for objects; empty where none was.
    """

    kind: ObjectKind
    mpp: float
    patch: int
    regions: Sequence[str] = ()
    classes: Sequence[str] = ()


class StoreWriter:
    """A store in the making, under another name until it is whole.

    Raises
    ------
    SettingsError
        Something is in the way that is no store, or a store that is not to be replaced.
    ResultError
        The folder cannot be written to.
    """

    def __init__(self, path: Path, terms: Terms, overwrite: bool = False) -> None:
        _require_free(path, overwrite)
        self._path, self._terms, self._overwrite = path, terms, overwrite
        self._temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
        self._slides: list[StoredSlide] = []
        self._classes: list[str] = []
        self._patches: list[tuple[int, ...]] = []
        self._objects: list[tuple[int, ...]] = []
        import zarr  # noqa: PLC0415  (a second, which training on folders can do without)

        side = terms.patch
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._root = zarr.open_group(self._temporary, mode="w-", zarr_format=3)
            self._arrays: list[Any] = [
                self._root.create_array(name, shape=(0, *shape), chunks=(1, *shape), dtype=dtype)
                for name, shape, dtype in (
                    (_IMAGES, (side, side, 3), "uint8"),
                    (_LABELS, (side, side), "int32"),
                    (_KNOWN, (side, side), "bool"),
                )
            ]
        except OSError as error:
            raise _not_written(path, error) from error

    @property
    def slides(self) -> Sequence[StoredSlide]:
        """The slides so far, those without patches left out."""
        return self._slides

    def add(self, slide: StoredSlide, patches: Iterable[Patch], class_names: Sequence[str | None]) -> tuple[int, int]:
        """Add a slide's patches; return how many patches and objects these are. Without any, nothing is added.

        Where the patches end in an error, nothing of the slide is in the store.

        Parameters
        ----------
        class_names
            Of the objects: that of number n is at n - 1.
        """
        pixels: Counter[int] = Counter()
        places: list[tuple[int, ...]] = []
        for patch in patches:
            self._write(len(self._patches) + len(places), patch)
            places.append((len(self._slides), patch.field, patch.window.x, patch.window.y))
            numbers, counts = np.unique(patch.labels[patch.labels > 0], return_counts=True)
            pixels.update(dict(zip(numbers.tolist(), counts.tolist(), strict=True)))
        if places:
            self._patches += places
            self._objects += [
                (len(self._slides), number, pixels[number], self._class(class_names[number - 1]))
                for number in sorted(pixels)
            ]
            self._slides.append(slide)
        return len(places), len(pixels)

    def finish(self, division: SplitAssignment, failed: Mapping[str, str]) -> None:
        """Divide the slides, and put the store in its place.

        Parameters
        ----------
        failed
            Images that could not be used, and why: kept for who asks later.

        Raises
        ------
        DataError
            The parts that are fixed for this data put a patient in two of them.
        """
        parts = divide(self._slides, division)
        if found := leaks(self._slides, parts, division.by):
            raise DataError(f"{self._path}: not written, for {'; '.join(found)}. Use --split-by patient.")
        slides = [replace(slide, part=part) for slide, part in zip(self._slides, parts, strict=True)]
        try:
            for array in self._arrays:
                array.resize((len(self._patches), *array.shape[1:]))
            self._write_table("patches", _PATCHES, self._patches)
            self._write_table("objects", _OBJECTS, self._objects)
            self._root.attrs.update(
                {
                    "format": FORMAT,
                    "version": VERSION,
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                    "made_by": f"nuclick-wsi {version('nuclick-wsi')}",
                    "terms": asdict(self._terms),
                    "division": asdict(division),
                    "classes": self._classes,
                    "slides": [asdict(slide) for slide in slides],
                    "failed": dict(failed),
                }
            )
            _require_free(self._path, self._overwrite)
            _put_in_place(self._temporary, self._path)
        except OSError as error:
            raise _not_written(self._path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self._temporary, ignore_errors=True)

    def _write(self, index: int, patch: Patch) -> None:
        try:
            for array, pixels in zip(self._arrays, (patch.image, patch.labels, patch.known), strict=True):
                if index >= array.shape[0]:
                    array.resize((max(16, 2 * index), *array.shape[1:]))  # cut to size at the end
                array[index] = pixels
        except OSError as error:
            raise _not_written(self._path, error) from error

    def _class(self, name: str | None) -> int:
        """Return a class' place in the list of classes; -1 for none."""
        if name is None:
            return -1
        if name not in self._classes:
            self._classes.append(name)
        return self._classes.index(name)

    def _write_table(self, name: str, columns: Sequence[str], rows: Sequence[tuple[int, ...]]) -> None:
        table = np.array(rows, np.int64).reshape(-1, len(columns))
        for index, column in enumerate(columns):
            self._root.create_array(f"{name}/{column}", data=np.ascontiguousarray(table[:, index]))


@dataclass(frozen=True, slots=True)
class Store:
    """A store that is whole.

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
    division: SplitAssignment
    classes: Sequence[str]
    slides: Sequence[StoredSlide]
    patches: Table
    objects: Table
    failed: Mapping[str, str]
    pixels: Sequence[Any]

    @property
    def leaks(self) -> list[str]:
        """A sentence for every patient or slide that is in more than one part; empty in a store as we make it."""
        return leaks(self.slides, [slide.part for slide in self.slides], self.division.by)

    def patch(self, index: int) -> Patch:
        """Return one patch."""
        number, column, row = (int(self.patches[name][index]) for name in ("field", "column", "row"))
        window = Window(column, row, self.terms.patch, self.terms.patch)
        return Patch(number, window, *(np.asarray(array[index]) for array in self.pixels))

    def position(self, index: int) -> tuple[float, float]:
        """Return x and y of a patch's upper left corner in slide pixels (level 0)."""
        downsample = self.slides[int(self.patches["slide"][index])].downsample
        return self.patches["column"][index] * downsample, self.patches["row"][index] * downsample


def read_store(path: Path) -> Store:
    """Read what a store says of itself; pixels are left where they are.

    Raises
    ------
    DataError
        There is none, or it is not whole, or of a newer version.
    """
    root = _open(path)
    told = dict(root.attrs)
    if told.get("format") != FORMAT:
        raise DataError(f"{path}: is a zarr store and no data set of `nuclick-wsi dataset extract`.")
    if told.get("version") != VERSION:
        raise DataError(
            f"{path}: is of version {told.get('version')}, and this nuclick-wsi reads version {VERSION}: extract it "
            "again, or use the nuclick-wsi that made it."
        )
    try:
        division: dict[str, Any] = {**told["division"], "by": SplitBy(told["division"]["by"])}
        terms: dict[str, Any] = {**told["terms"], "kind": ObjectKind(told["terms"]["kind"])}
        slides = [StoredSlide(**slide) for slide in told["slides"]]
        return Store(
            path=path,
            terms=Terms(**terms),
            division=SplitAssignment(**division),
            classes=told["classes"],
            slides=slides,
            patches=_table(root, "patches", _PATCHES),
            objects=_table(root, "objects", _OBJECTS),
            failed=told["failed"],
            pixels=[root[name] for name in (_IMAGES, _LABELS, _KNOWN)],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path}: is damaged ({type(error).__name__}: {error}). Extract it again.") from error


def pictures(path: Path, part: str, mpp: float | None = None) -> list[Picture]:
    """Return one part of a store, to train on or to judge by.

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
        raise DataError(f"{path}: {'; '.join(found)}: nothing is learned from a store that leaks. Extract it again.")
    step = (mpp or store.terms.mpp) / store.terms.mpp
    made = []
    for number, slide in enumerate(store.slides):
        if slide.part == part:
            of_slide = store.patches["slide"] == number
            for one in np.unique(store.patches["field"][of_slide]).tolist():
                chosen = np.flatnonzero(of_slide & (store.patches["field"] == one))
                made.append(_joined(store, slide, chosen, step))
    return made


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


def _open(path: Path) -> Any:
    import zarr  # noqa: PLC0415

    if not path.is_dir():
        raise DataError(f"{path}: there is no such store. `nuclick-wsi dataset extract` makes one.")
    try:
        return zarr.open_group(path, mode="r")
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: cannot be read as a zarr store ({error}).") from error


def _require_free(path: Path, overwrite: bool) -> None:
    """Refuse a place where anything is but a store that is to be replaced."""
    found = namesakes(path)
    if not found:
        return
    if found != [path] or path.is_symlink() or not _is_store_alone(path):
        raise SettingsError(
            f"--to {path}: {found[0].name} is there already and is no data set of ours, or has other files in it, so "
            "it is left alone. Choose another name."
        )
    if not overwrite:
        raise SettingsError(
            f"--to {path}: there is a data set already. Choose another name, or replace it: --overwrite."
        )


def _is_store_alone(path: Path) -> bool:
    """Whether a folder is one of our stores, with nothing in it that would be lost with it."""
    try:
        root = _open(path)
    except DataError:
        return False
    ours = {"zarr.json", *root.keys()}
    seen = {inside.name for inside in path.iterdir() if not inside.name.startswith(".")}
    return bool(root.attrs.get("format") == FORMAT and seen <= ours)


def _put_in_place(temporary: Path, path: Path) -> None:
    """Put a folder in the place of another, which is deleted only when that has succeeded."""
    old = path.with_name(f".{path.name}.{uuid.uuid4().hex}.old")
    if path.exists():
        path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _not_written(path: Path, error: OSError) -> ResultError:
    return ResultError(f"{path}: cannot be written ({error.strerror or error}). Choose another place with --to.")
