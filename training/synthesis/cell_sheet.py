"""A sheet (PNG) of composed pictures, to check them by eye: each as it is, and with its cells' outlines."""

import io
import math
from collections.abc import Sequence

from PIL import Image
from scipy import ndimage

from nuclick_training.datasets.data import Picture, Rgb

_OUTLINE = (0, 220, 0)
_GAP = 6
_PAIRS = 2


def cell_sheet(pictures: Sequence[Picture]) -> bytes:
    """Return a PNG of pictures of one size: two in a row, each beside itself with outlines."""
    height, width = pictures[0].labels.shape
    rows = math.ceil(len(pictures) / _PAIRS)
    sheet = Image.new("RGB", (2 * _PAIRS * (width + _GAP) - _GAP, rows * (height + _GAP) - _GAP), "white")
    for place, picture in enumerate(pictures):
        row, pair = divmod(place, _PAIRS)
        for column, image in enumerate((picture.image, with_outlines(picture))):
            sheet.paste(Image.fromarray(image), ((2 * pair + column) * (width + _GAP), row * (height + _GAP)))
    content = io.BytesIO()
    sheet.save(content, "PNG")
    return content.getvalue()


def with_outlines(picture: Picture) -> Rgb:
    """Return the image with a line of two pixels along every object's border, (H, W, 3) uint8."""
    borders = ndimage.maximum_filter(picture.labels, 3) != ndimage.minimum_filter(picture.labels, 3)
    image = picture.image.copy()
    image[borders] = _OUTLINE
    return image
