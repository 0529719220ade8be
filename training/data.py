"""Folders of pictures with instance maps: `images/` and `labels/`, the same file names in both.

A folder goes in, pictures in memory come out, each with the inner points of its objects.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

from nuclick_wsi.errors import NuclickError

Rgb = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]


class DataError(NuclickError, ValueError):
    """A folder of training data is not as it must be; the message names the file."""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture with the outlines of all its objects.

    Attributes
    ----------
    image
        (H, W, 3) uint8 red, green, blue.
    labels
        (H, W) int32, one number per object, 0 for none.
    step
        Picture pixels per model pixel: 2 where a model of 1.24 um meets a picture of 0.62 um.
    """

    name: str
    image: Rgb
    labels: Labels
    step: float

    def __post_init__(self) -> None:
        if self.image.shape[:2] != self.labels.shape:
            seen = f"image {self.image.shape[:2]}, labels {self.labels.shape}"
            raise DataError(f"{self.name}: image and labels must have one size, not {seen}")


def read_picture(folder: Path, name: str, step: float) -> Picture:
    """Read one picture and its instance map."""
    with Image.open(image_path(folder, name)) as opened:
        image = np.asarray(opened.convert("RGB"))
    return Picture(name, image, read_labels(folder, name), step)


def read_labels(folder: Path, name: str) -> Labels:
    """Read one instance map, its objects renumbered from 1."""
    with Image.open(_file(folder / "labels", name)) as opened:
        raw = np.asarray(opened)
    if raw.ndim != 2 or raw.dtype.kind not in "iu":
        raise DataError(f"{folder / 'labels' / name}: labels must be whole numbers in one channel, not {raw.shape}")
    found, labels = np.unique(raw, return_inverse=True)
    first = 0 if found[0] == 0 else 1
    return labels.reshape(raw.shape).astype(np.int32) + np.int32(first)


def image_path(folder: Path, name: str) -> Path:
    """Return the file of a picture."""
    return _file(folder / "images", name)


def picture_names(folder: Path) -> list[str]:
    """Return the sorted names (without ending) of the pictures that have labels."""
    names = sorted(path.stem for path in (folder / "labels").glob("*") if path.is_file())
    if not names:
        raise DataError(f"{folder}: no files in labels/; give a folder that holds images/ and labels/")
    return names


def _file(folder: Path, name: str) -> Path:
    """Return the one file of that name, whatever its ending."""
    found = [path for path in folder.glob(f"{name}.*") if path.stem == name]
    if len(found) != 1:
        raise DataError(f"{folder}: {len(found)} files are called {name!r}; there must be one")
    return found[0]


def objects_of(labels: Labels) -> Iterator[tuple[int, tuple[slice, slice], npt.NDArray[np.bool_]]]:
    """Yield per object its number, its bounding box, and its mask inside the box."""
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is not None:
            yield number, box, labels[box] == number


def typical_step(labels: Labels, typical: float) -> float:
    """Return the step at which the median object has a given size, for pictures without a pixel size.

    Parameters
    ----------
    typical
        Square root of the median area, in model pixels.
    """
    areas = np.bincount(labels.ravel())[1:]
    if not areas.any():
        return 1.0
    return float(np.clip(np.sqrt(np.median(areas[areas > 0])) / typical, 0.6, 2.0))
