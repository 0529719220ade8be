"""A picture becomes a whole slide image: a tiled pyramid in the form that Aperio scanners write.

For demonstrations and tests, and for pictures too large to be read whole; OpenSlide, TiffSlide and QuPath open it.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from nuclick_wsi.errors import ResultError
from nuclick_wsi.scale import PixelSize

_VENDOR = "Aperio Image Library"
_LONGEST_THUMBNAIL = 1024
_OBJECTIVE_TIMES_MPP = 10
"""An objective of 40x gives pixels of about 0.25 um, one of 20x of about 0.5 um."""


class PyramidCompression(StrEnum):
    """How the tiles of a pyramid are packed."""

    JPEG = "jpeg"
    LOSSLESS = "deflate"


@dataclass(frozen=True, slots=True)
class PyramidLayout:
    """What a pyramid is made of."""

    downsamples: tuple[int, ...] = (1, 2, 4)
    """Slide pixels per pixel of each level: 1 first, each a multiple of the one before."""
    compression: PyramidCompression = PyramidCompression.JPEG
    quality: int = 90
    """Of JPEG, 1 to 100."""
    tile: int = 256
    """Side of a tile in pixels, a multiple of 16."""

    def __post_init__(self) -> None:
        steps = zip(self.downsamples, self.downsamples[1:], strict=False)
        if not self.downsamples or self.downsamples[0] != 1 or any(b <= a or b % a for a, b in steps):
            raise ValueError(f"downsamples are 1 and growing multiples of it, not {self.downsamples}")
        if self.tile < 16 or self.tile % 16:
            raise ValueError(f"the side of a tile is a multiple of 16, not {self.tile}")


def write_pyramid(
    path: Path, image: NDArray[np.uint8], pixel_size: PixelSize | None, layout: PyramidLayout | None = None
) -> None:
    """Write a picture as a pyramidal slide (.svs); the same picture gives the same bytes.

    Parameters
    ----------
    path
        The file to write; one that is there is replaced.
    image
        Red, green, blue, shape (height, width, 3). White is added to the right and below where a side is no multiple
        of the largest downsample: readers disagree on levels that do not divide.
    pixel_size
        Of the picture, in microns; None leaves the slide without one.
    layout
        Levels, compression, tiles; three levels of JPEG by default.

    Raises
    ------
    ResultError
        If the file cannot be written.
    """
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise ValueError(f"a pyramid is made of (height, width, 3) uint8, not {image.shape} {image.dtype}")
    layout = layout or PyramidLayout()
    full = _padded(image, layout.downsamples[-1])
    try:
        with tifffile.TiffWriter(path, bigtiff=full.nbytes > 2**31) as file:
            _write_pages(file, full, pixel_size, layout)
    except OSError as error:
        raise ResultError(f"{path}: cannot be written ({error.strerror or error}).") from error


def _write_pages(
    file: tifffile.TiffWriter, full: NDArray[np.uint8], pixel_size: PixelSize | None, layout: PyramidLayout
) -> None:
    packing: dict[str, Any] = {
        "photometric": "rgb",
        "compression": layout.compression.value,
        "compressionargs": {"level": layout.quality} if layout.compression is PyramidCompression.JPEG else None,
        "metadata": None,
        "software": False,
    }
    # Sub-file type 0 on all levels, and a striped thumbnail after the first: else TiffSlide loses levels.
    tiled = {"tile": (layout.tile, layout.tile), "subfiletype": 0, **packing}
    file.write(full, description=_description(full, pixel_size, layout), **_resolution(pixel_size), **tiled)
    thumbnail = _shrunk(full, _thumbnail_factor(full))
    file.write(thumbnail, rowsperstrip=16, description=f"{_VENDOR}\r\nthumbnail", **packing)
    for downsample in layout.downsamples[1:]:
        file.write(_shrunk(full, downsample), description=f"{_VENDOR}\r\nlevel", **tiled)


def _padded(image: NDArray[np.uint8], multiple: int) -> NDArray[np.uint8]:
    below, beside = (-side % multiple for side in image.shape[:2])
    if not below and not beside:
        return image
    return np.pad(image, ((0, below), (0, beside), (0, 0)), constant_values=255)


def _shrunk(image: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Return the means of squares of `factor` pixels, rounded; what does not fill a square is left out."""
    height, width = (side // factor for side in image.shape[:2])
    squares = image[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    sums = squares.sum(axis=(1, 3), dtype=np.uint32)
    means: NDArray[np.uint8] = ((sums + factor * factor // 2) // (factor * factor)).astype(np.uint8)
    return means


def _thumbnail_factor(image: NDArray[np.uint8]) -> int:
    longest: int = max(image.shape[:2])
    shortest: int = min(image.shape[:2])
    return min(shortest, max(4, -(-longest // _LONGEST_THUMBNAIL)))


def _description(image: NDArray[np.uint8], pixel_size: PixelSize | None, layout: PyramidLayout) -> str:
    height, width = image.shape[:2]
    size = f"{width}x{height} [0,0 {width}x{height}] ({layout.tile}x{layout.tile})"
    packing = f"JPEG/RGB Q={layout.quality}" if layout.compression is PyramidCompression.JPEG else "RGB"
    scale = ""
    if pixel_size is not None:
        scale = f"|AppMag = {_OBJECTIVE_TIMES_MPP / pixel_size.mean:.3g}|MPP = {pixel_size.mean:.6g}"
    return f"{_VENDOR} v12.0.15\r\n{size} {packing}{scale}"


def _resolution(pixel_size: PixelSize | None) -> dict[str, Any]:
    if pixel_size is None:
        return {}
    per_centimetre = 10_000 / pixel_size.x_um, 10_000 / pixel_size.y_um
    return {"resolution": per_centimetre, "resolutionunit": "CENTIMETER"}
