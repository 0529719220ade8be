"""Folders of pictures with instance maps: `images/` and `labels/`, the same file names in both.

They are read into memory as `Picture` values; an error names the file that it is about.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError
from scipy import ndimage

from nuclick_wsi.errors import NuclickError, SlideError
from nuclick_wsi.slides.readers.image_reader import ImageSource

Rgb = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int32]
Known = npt.NDArray[np.bool_]

UNKNOWN_LABEL = 65535
"""Marks unknown pixels in an instance map: the network sees them, and they count in no loss and no score."""

_NOT_DATA = ("thumbs.db", "desktop.ini")
"""What Windows leaves in folders; macOS' leftovers begin with a dot."""
_NAMED_AT_MOST = 10


class DataError(NuclickError, ValueError):
    """A folder of training data is not as it must be; the message names the file."""


class NothingToCutError(DataError):
    """No image of any source could be cut into patches."""

    exit_code = 1


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
    known
        (H, W) bool, False where it is not known what is there: the network sees such pixels, and they count in no loss
        and no score. Labels are 0 there. None where all is known.
    """

    name: str
    image: Rgb
    labels: Labels
    step: float
    known: Known | None = None

    def __post_init__(self) -> None:
        if self.image.shape[:2] != self.labels.shape:
            seen = f"image {_size_text(self.image)}, labels {_size_text(self.labels)}"
            raise DataError(f"{self.name}: image and labels must have one size, not {seen}")
        if self.known is not None and self.known.shape != self.labels.shape:
            raise ValueError(f"{self.name}: known pixels {self.known.shape} for labels {self.labels.shape}")


def read_picture(folder: Path, name: str, step: float) -> Picture:
    """Read one picture and its instance map."""
    labels, known = read_instances(folder, name)
    return Picture(name, read_image(image_path(folder, name)), labels, step, None if known.all() else known)


def read_image(path: Path) -> Rgb:
    """Read one picture as (H, W, 3) uint8.

    Raises
    ------
    DataError
        It is no image, has more than 8 bits a channel, or transparent pixels.
    """
    try:
        source = ImageSource(path)
    except SlideError as error:
        raise DataError(
            f"{path}: {error}. Accepted are 8-bit RGB or grey images, such as PNG, JPEG or TIFF."
        ) from error
    if hidden := _transparent_share(path):
        raise DataError(
            f"{path}: {hidden:.1%} of its pixels are transparent, so that their colour is not known. Flatten it, "
            "tissue onto white, and save it as RGB."
        )
    return source.read_inside(0, 0, 0, source.about.sizes[0])


def read_labels(folder: Path, name: str) -> Labels:
    """Read one instance map, its objects renumbered from 1; what is unknown is 0."""
    return read_instances(folder, name)[0]


def read_instances(folder: Path, name: str) -> tuple[Labels, Known]:
    """Read one instance map, its objects renumbered from 1, and which pixels are known.

    Where a map has other objects too, 65535 (`UNKNOWN_LABEL`) marks pixels that are unknown.

    Raises
    ------
    DataError
        It is no image of whole numbers from 0 on in one channel.
    """
    path = _file(folder / "labels", name)
    try:
        with Image.open(path) as opened:
            mode, raw = opened.mode, np.asarray(opened)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error}). {_LABELS}") from error
    if raw.ndim != 2 or raw.dtype.kind not in "iu":
        seen = f"{raw.shape[2]} channels ({mode})" if raw.ndim == 3 else _DTYPES.get(raw.dtype.kind, str(raw.dtype))
        raise DataError(f"{path}: labels must be whole numbers in one channel, not {seen}. {_LABELS}")
    if raw.min() < 0:
        raise DataError(f"{path}: labels must be 0 or more, and one is {raw.min()}. {_LABELS}")
    # A map of nothing but 0 and 65535 is a mask of black and white.
    known = raw != UNKNOWN_LABEL if ((raw > 0) & (raw < UNKNOWN_LABEL)).any() else np.ones(raw.shape, bool)
    found, labels = np.unique(np.where(known, raw, 0), return_inverse=True)
    first = 0 if found[0] == 0 else 1
    return labels.reshape(raw.shape).astype(np.int32) + np.int32(first), known


_LABELS = "An instance map has one number per object and 0 elsewhere: save it as an 8-bit or 16-bit PNG or a TIFF."
_DTYPES = {"f": "floating-point numbers", "b": "black and white"}


def doubts_about(labels: Labels) -> list[str]:
    """Return what makes an instance map look unlike one, though it can be used."""
    numbers = np.unique(labels[labels > 0])
    if not len(numbers):
        return ["its labels hold no object, so that nothing is learned from it"]
    if len(numbers) == 1:
        parts = ndimage.label(labels > 0)[1]
        if parts > 2:
            return [
                f"its labels hold one number in {parts} separate places: a mask of all objects, not one per object?"
            ]
    return []


def image_path(folder: Path, name: str) -> Path:
    """Return the file of a picture."""
    return _file(folder / "images", name)


def picture_names(folder: Path) -> list[str]:
    """Return the sorted names (without ending) of the pictures.

    Raises
    ------
    DataError
        There are none, or images without labels, or labels without images; all of them are named.
    """
    both, alone = paired_names(folder)
    if alone:
        more = f" and {len(alone) - _NAMED_AT_MOST} more" if len(alone) > _NAMED_AT_MOST else ""
        raise DataError(
            f"{folder}: {'; '.join(alone[:_NAMED_AT_MOST])}{more}. Add the missing files, or take these out."
        )
    return both


def paired_names(folder: Path) -> tuple[list[str], list[str]]:
    """Return the sorted names of pictures that have labels, and a sentence for every image or label that is alone."""
    images, labels = _names(folder / "images"), _names(folder / "labels")
    if not labels:
        raise DataError(f"{folder}: no files in labels/; give a folder that holds images/ and labels/")
    if not images:
        raise DataError(f"{folder}: no files in images/; give a folder that holds images/ and labels/")
    alone = [f"images/{images[name]} has no labels" for name in sorted(images.keys() - labels.keys())]
    alone += [f"labels/{labels[name]} has no image" for name in sorted(labels.keys() - images.keys())]
    return sorted(images.keys() & labels.keys()), alone


def _names(folder: Path) -> dict[str, str]:
    """Return the files of a folder by their names without ending."""
    files = (path.name for path in folder.glob("*") if path.is_file())
    return {Path(name).stem: name for name in files if not name.startswith(".") and name.lower() not in _NOT_DATA}


def _file(folder: Path, name: str) -> Path:
    """Return the one file of that name, whatever its ending."""
    found = [path for path in folder.glob("*") if path.stem == name and path.is_file()]
    if len(found) != 1:
        raise DataError(f"{folder}: {len(found)} files are called {name!r}; there must be one")
    return found[0]


def _size_text(array: npt.NDArray[np.generic]) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"


def _transparent_share(path: Path) -> float:
    """Return the share of pixels that are not opaque."""
    with Image.open(path) as image:
        if "A" not in image.getbands() and "transparency" not in image.info:
            return 0.0
        alpha = np.asarray(image.convert("RGBA").getchannel("A"))
    return float((alpha < 255).mean())


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
