"""Whether a TIFF is formed as writers form them: OpenSlide and libtiff survive such a file, and not every other one.

They divide by numbers that they take from a file, and allocate as much as it says. What is unusual is not wrong for
that; it is tried in a process of its own (`survival`).
"""

from nuclick_wsi.geometry import Size
from nuclick_wsi.slides.readers.tiff_directories import (
    BITS,
    COMPRESSION,
    DESCRIPTION,
    HAMAMATSU,
    HEIGHT,
    LENGTHS,
    OFFSETS,
    PHOTOMETRIC,
    PLANES,
    ROWS_PER_STRIP,
    SAMPLES,
    SOFTWARE,
    TILE_HEIGHT,
    TILE_WIDTH,
    WIDTH,
    XML,
    Directory,
)

_NUMBERS = (
    *(WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, SAMPLES, PLANES, ROWS_PER_STRIP, TILE_WIDTH, TILE_HEIGHT),
    *(OFFSETS + LENGTHS),
)
_MAKERS = ("Philips", "MedScan")
_LEICA = "leica-microsystems.com/scn"
"""What files begin their software's name with, or have in their description, that OpenSlide reads in a way of its own:
Philips, Trestle and Leica. Ventana's have XML in a tag for it, and Hamamatsu's a tag of their own."""


def is_usual(one: Directory, length: int) -> bool:
    """Whether a picture of a file of so many bytes is formed as usual, and is of no maker with rules of its own.

    Raises
    ------
    MissingDataError
        If a tag leads beyond the end of the file.
    """
    if HAMAMATSU in one or XML in one or one.has_repeats or one.text(SOFTWARE).startswith(_MAKERS):
        return False
    if _LEICA in one.text(DESCRIPTION) or not all(one.is_whole_numbers(tag) for tag in _NUMBERS if tag in one):
        return False
    if one.size is None or one.number(PLANES, 1) != 1 or one.numbers(BITS).size not in (0, one.number(SAMPLES, 1)):
        return False
    return _has_its_parts(one, one.size, length)


def _has_its_parts(one: Directory, size: Size, length: int) -> bool:
    """Whether a picture has as many tiles or strips as its size asks for, each of them no longer than the file."""
    is_tiled = TILE_WIDTH in one
    width = one.number(TILE_WIDTH, 0) if is_tiled else size.width
    height = one.number(TILE_HEIGHT, 0) if is_tiled else min(one.number(ROWS_PER_STRIP, size.height), size.height)
    if min(width, height) < 1:
        return False
    count = -(-size.width // width) * -(-size.height // height)
    offsets, lengths = one.numbers(OFFSETS[is_tiled]), one.numbers(LENGTHS[is_tiled])
    counts_fit = offsets.size == lengths.size == count
    return counts_fit and min(offsets.min(), lengths.min()) >= 0 and max(offsets.max(), lengths.max()) <= length
