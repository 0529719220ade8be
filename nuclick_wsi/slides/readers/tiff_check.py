"""Whether a TIFF file is all there: its directories and everything that they point to.

Libraries that look no further than the first directory read a half-copied slide as a small one, or as a black one.
"""

from pathlib import Path

from nuclick_wsi.errors import SlideError
from nuclick_wsi.slides.readers.tiff_directories import (
    HAMAMATSU,
    LENGTHS,
    OFFSETS,
    Directory,
    MissingDataError,
    directories,
)


def require_complete(path: Path) -> None:
    """Raise a `SlideError` where a TIFF points beyond its own end."""
    length = path.stat().st_size
    with path.open("rb") as file:
        try:
            for directory in directories(file):
                if (end := _end_of(directory)) > length:
                    raise SlideError(f"the file is cut short: it has {length:,} bytes, and its data go on to {end:,}")
        except MissingDataError as error:
            raise SlideError(f"the file is cut short or damaged: it has {length:,} bytes, and {error}") from error


def _end_of(directory: Directory) -> int:
    """Return where the pixels of a picture end in the file."""
    ends = [0]
    for offsets_tag, lengths_tag in zip(OFFSETS, LENGTHS, strict=True):
        if HAMAMATSU not in directory:
            offsets, lengths = directory.numbers(offsets_tag), directory.numbers(lengths_tag)
            # Numbers beyond 2^63, from a damaged file, come out negative and count for nothing.
            used = min(offsets.size, lengths.size)
            ends.append(int((offsets[:used] + lengths[:used]).max(initial=0)))
    return max(ends)
