"""Pillow's adapter: PNG, JPEG, BMP and plain TIFF files, decoded as a whole into memory.

Orientation in EXIF data is not applied: QuPath and ASAP count the pixels as they are stored, and so do prompts.
"""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.readers.source import SourceInfo
from nuclick_wsi.slides.readers.tiff_check import is_tiff, require_complete

_OPAQUE = ("1", "L", "P", "RGB", "YCbCr")
_TRANSPARENT = ("LA", "PA", "RGBA", "La", "RGBa")
_BITS_PER_SAMPLE, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 258, 282, 283, 296
_MICRONS = {2: 25_400.0, 3: 10_000.0}
"""Of TIFF's resolution units: inch and centimetre. Without one, a resolution is a ratio and no length."""


class ImageSource:
    """The first image of a file that Pillow opens: one level, all of it in memory."""

    def __init__(self, path: Path) -> None:
        if is_tiff(path):
            require_complete(path)
        try:
            with warnings.catch_warnings():
                # Pillow warns of a decompression bomb before it refuses one at twice the size.
                warnings.simplefilter("ignore")
                with Image.open(path) as image:
                    _require_eight_bits(image)
                    pixel_size = _pixel_size(image)
                    self._pixels = np.array(_over_white(image))
        except Image.DecompressionBombError as error:
            raise SlideError(
                f"{error}; a plain image is decoded as a whole, and this one is too large for that: "
                "convert it to a pyramidal TIFF"
            ) from error
        except UnidentifiedImageError as error:
            raise SlideError("not an image that Pillow knows") from error
        except (OSError, SyntaxError, ValueError, EOFError) as error:
            raise SlideError(str(error)) from error
        height, width = self._pixels.shape[:2]
        self.about = SourceInfo(
            reader=ReaderChoice.IMAGE,
            sizes=(Size(width, height),),
            pixel_sizes=(pixel_size,) if pixel_size else (),
        )

    def read_inside(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        """Read a rectangle that lies inside the image; see `Source.read_inside`."""
        assert level == 0, "a plain image has one level"
        return self._pixels[y : y + size.height, x : x + size.width].copy()

    def close(self) -> None:
        """Let go of the pixels."""
        self._pixels = np.empty((0, 0, 3), np.uint8)


def _require_eight_bits(image: Image.Image) -> None:
    """Refuse 16 bits rather than scale them: which range of them is visible is not in the file."""
    if _is_deep(image):
        raise SlideError(
            "holds more than 8 bits per channel: convert it to 8 bits, with the range of brightness that matters"
        )
    if image.mode not in _OPAQUE + _TRANSPARENT:
        raise SlideError(f"holds {image.mode} colours: convert it to 8-bit RGB")


def _is_deep(image: Image.Image) -> bool:
    """Whether there are more than 8 bits per channel; Pillow cuts 16-bit RGB to 8 without a word."""
    if image.mode.startswith(("I", "F")):
        return True
    if image.format == "PNG":
        # The bit depth is byte 24 of every PNG file.
        with Path(image.filename).open("rb") as file:  # type: ignore[attr-defined]
            depth: int = file.read(25)[24]
            return depth > 8

    bits: tuple[int, ...] = image.tag_v2.get(_BITS_PER_SAMPLE, ()) if image.format == "TIFF" else ()  # type: ignore[attr-defined]
    return max(bits, default=8) > 8


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode not in _TRANSPARENT and "transparency" not in image.info:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _pixel_size(image: Image.Image) -> PixelSize | None:
    """Return the pixel size of a TIFF; the resolution of a PNG or JPEG is one for printing."""
    if image.format != "TIFF":
        return None
    tags = image.tag_v2  # type: ignore[attr-defined]
    unit = _MICRONS.get(tags.get(_RESOLUTION_UNIT, 0))
    resolution = tags.get(_X_RESOLUTION), tags.get(_Y_RESOLUTION)
    if unit is None or not all(resolution):
        return None
    return PixelSize(*(unit / float(side) for side in resolution))
