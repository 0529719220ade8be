"""Writing a store of training patches.

`StoreWriter` takes the patches of one slide after the other and assigns the slides to parts at the end.
"""

import shutil
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from nuclick_training.datasets.data import DataError
from nuclick_training.datasets.split_assignment import SplitAssignment, assign_parts, leaks
from nuclick_training.datasets.store import open_store
from nuclick_training.datasets.store_values import (
    FORMAT,
    IMAGES,
    KNOWN,
    LABELS,
    OBJECT_COLUMNS,
    PATCH_COLUMNS,
    VERSION,
    StoredPatch,
    StoredSlide,
    Terms,
)
from nuclick_wsi.errors import ResultError, SettingsError
from nuclick_wsi.ownership import namesakes


class StoreWriter:
    """A store that is being written, under a hidden name until it is complete.

    Raises
    ------
    SettingsError
        The path holds something other than a store, or a store that is not to be overwritten.
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
                    (IMAGES, (side, side, 3), "uint8"),
                    (LABELS, (side, side), "int32"),
                    (KNOWN, (side, side), "bool"),
                )
            ]
        except OSError as error:
            raise _not_written(path, error) from error

    @property
    def slides(self) -> Sequence[StoredSlide]:
        """The slides so far, those without patches left out."""
        return self._slides

    def add(
        self, slide: StoredSlide, patches: Iterable[StoredPatch], class_names: Sequence[str | None]
    ) -> tuple[int, int]:
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

    def finish(self, assignment: SplitAssignment, failed: Mapping[str, str]) -> None:
        """Assign the slides to parts, and put the store in its place.

        Parameters
        ----------
        failed
            Images that could not be used, and why; stored with the rest.

        Raises
        ------
        DataError
            A patient would be in two parts, by the parts that are fixed for this data.
        """
        parts = assign_parts(self._slides, assignment)
        if found := leaks(self._slides, parts, assignment.by):
            raise DataError(f"{self._path}: not written, for {'; '.join(found)}. Use --split-by patient.")
        slides = [replace(slide, part=part) for slide, part in zip(self._slides, parts, strict=True)]
        try:
            for array in self._arrays:
                array.resize((len(self._patches), *array.shape[1:]))
            self._write_table("patches", PATCH_COLUMNS, self._patches)
            self._write_table("objects", OBJECT_COLUMNS, self._objects)
            self._root.attrs.update(
                {
                    "format": FORMAT,
                    "version": VERSION,
                    "created": datetime.now(UTC).isoformat(timespec="seconds"),
                    "made_by": f"nuclick-wsi {version('nuclick-wsi')}",
                    "terms": asdict(self._terms),
                    "division": asdict(assignment),
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

    def _write(self, index: int, patch: StoredPatch) -> None:
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


def _require_free(path: Path, overwrite: bool) -> None:
    """Refuse a place where anything is but a store that is to be replaced."""
    found = namesakes(path)
    if not found:
        return
    if found != [path] or path.is_symlink() or not _is_store_alone(path):
        raise SettingsError(
            f"--to {path}: {found[0].name} is there already and is no data set of nuclick-wsi, or has other files in "
            "it, so it is left alone. Choose another name."
        )
    if not overwrite:
        raise SettingsError(
            f"--to {path}: there is a data set already. Choose another name, or replace it: --overwrite."
        )


def _is_store_alone(path: Path) -> bool:
    """Whether a folder is a store, with nothing in it that would be lost with it."""
    try:
        root = open_store(path)
    except DataError:
        return False
    names = {"zarr.json", IMAGES, LABELS, KNOWN, "patches", "objects"}
    inside = (found.relative_to(path).parts for found in path.rglob("*") if not found.is_dir())
    return root.attrs.get("format") == FORMAT and all(
        parts[0] in names and (parts[-1] == "zarr.json" or _is_chunk(parts)) for parts in inside
    )


def _is_chunk(parts: Sequence[str]) -> bool:
    """Whether a path inside a store is that of a chunk: an array's name, then `c` and the chunk's numbers."""
    return "c" in parts and all(part.isdecimal() for part in parts[parts.index("c") + 1 :])


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
