"""A picture that a Python program has in memory already, as a slide of one level."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.slides.readers.framed import FramedSlide
from nuclick_wsi.slides.readers.source import SourceInfo
from nuclick_wsi.slides.slide import Frame, Slide

NAME = Path("array")
"""What messages call a picture that has no file."""

_EXPECTED = "an array of shape (height, width, 3) and type uint8: red, green and blue from 0 to 255"


class ArraySource:
    """An array of shape (height, width, 3), uint8; it is not copied."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self._pixels = pixels
        height, width = pixels.shape[:2]
        self.about = SourceInfo(reader=ReaderChoice.IMAGE, sizes=(Size(width, height),))

    def read_inside(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        """Read a rectangle that lies inside the picture; see `Source.read_inside`."""
        assert level == 0, "an array has one level"
        return self._pixels[y : y + size.height, x : x + size.width].copy()

    def close(self) -> None:
        """Let go of the pixels."""
        self._pixels = np.empty((0, 0, 3), np.uint8)


def slide_of_array(pixels: object) -> Slide:
    """Return a picture in memory as a slide, which is not closed by anything but its user.

    Parameters
    ----------
    pixels
        Shape (height, width, 3), uint8: red, green, blue.

    Raises
    ------
    SlideError
        If it is anything else; the message says what it is and what to do.
    """
    if not isinstance(pixels, np.ndarray):
        raise SlideError(f"The picture is a {type(pixels).__name__}; accepted is {_EXPECTED}.")
    if pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise SlideError(
            f"The picture has the shape {pixels.shape}; accepted is {_EXPECTED}. Leave out a fourth channel with "
            "picture[..., :3]; of a grey one make three with numpy.stack([grey] * 3, axis=-1)."
        )
    if pixels.dtype != np.uint8:
        raise SlideError(
            f"The picture's values are {pixels.dtype}; accepted is {_EXPECTED}. Of values from 0 to 1 these are "
            "(picture * 255).round().astype('uint8')."
        )
    return FramedSlide(NAME, ArraySource(pixels), Frame.FULL)
