"""Pillow's adapter: PNG, JPEG, BMP and plain TIFF files, decoded as a whole into memory.

Orientation in EXIF data is not applied: QuPath and ASAP count the pixels as they are stored, and so do prompts.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.slides.readers.source import SourceInfo
from nuclick_wsi.slides.readers.tiff_check import require_complete
from nuclick_wsi.slides.readers.tiff_directories import is_tiff

_OPAQUE = ("1", "L", "P", "RGB", "YCbCr")
_TRANSPARENT = ("LA", "PA", "RGBA", "La", "RGBa")
_ORIENTATION, _UPRIGHT = 0x0112, 1


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
                    remarks = tuple(_remarks(image))
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
            remarks=remarks,
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
            return file.read(25)[24] > 8
    return False


def _remarks(image: Image.Image) -> Iterator[str]:
    """Yield what is not done that the file asks for; a TIFF's tags are examined before this."""
    if image.format == "TIFF":
        return
    count = getattr(image, "n_frames", 1)
    if count > 1:
        yield f"the file holds {count} pictures, of which the first is read"
    turned = image.getexif().get(_ORIENTATION, _UPRIGHT)
    if turned != _UPRIGHT:
        yield (
            f"the file asks to be shown turned or mirrored (EXIF orientation {turned}), which is not done: positions "
            "are those of the pixels as they are stored, as in QuPath and ASAP"
        )


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode not in _TRANSPARENT and "transparency" not in image.info:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white
