"""TiffSlide's adapter: TIFF files that OpenSlide refuses, striped, OME with a sub-IFD pyramid, WebP, JPEG 2000, ..."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.slides.readers.source import SourceInfo, bounds_of, in_our_words, is_as_stored, pixel_size_of
from nuclick_wsi.slides.readers.tiff_check import require_complete
from nuclick_wsi.slides.readers.tiff_directories import is_tiff

if TYPE_CHECKING:
    import tiffslide

_WHITE = 255


class TiffSlideSource:
    """A file that TiffSlide opens."""

    def __init__(self, path: Path) -> None:
        if not is_tiff(path):
            raise SlideError("not a TIFF file")
        # TiffSlide reads what is missing as black, without a word.
        require_complete(path)
        self._handle = _open(path)
        try:
            with in_our_words():
                _require_colours(self._handle)
                _fill_gaps_with_white(self._handle)
                self.about = _about(self._handle)
        except SlideError:
            self._handle.close()
            raise

    def read_inside(self, level: int, x: int, y: int, size: Size) -> NDArray[np.uint8]:
        """Read a rectangle that lies inside a level; see `Source.read_inside`."""
        downsample = self._handle.level_downsamples[level]
        corner = _slide_pixel_of(x, downsample), _slide_pixel_of(y, downsample)
        with in_our_words():
            pixels = self._handle.read_region(corner, level, (size.width, size.height), as_array=True, padding=False)
        return np.require(_rgb_over_white(np.asarray(pixels, np.uint8)), np.uint8, ["C", "W"])

    def close(self) -> None:
        """Let go of the file."""
        self._handle.close()


def _open(path: Path) -> "tiffslide.TiffSlide":
    try:
        import tiffslide  # noqa: PLC0415  (0.7 s of zarr, which most slides can do without)
    except ImportError as error:
        raise SlideError(f"is not installed ({error}): pip install tiffslide") from error
    with in_our_words():
        return tiffslide.TiffSlide(path)


def _about(handle: "tiffslide.TiffSlide") -> SourceInfo:
    properties = handle.properties
    return SourceInfo(
        reader=ReaderChoice.TIFFSLIDE,
        sizes=tuple(Size(*size) for size in handle.level_dimensions),
        pixel_size=pixel_size_of(properties.get("tiffslide.mpp-x"), properties.get("tiffslide.mpp-y")),
        bounds=bounds_of(properties, "tiffslide"),
        is_as_stored=is_as_stored(properties.get("tiffslide.vendor")),
    )


def _require_colours(handle: "tiffslide.TiffSlide") -> None:
    """Refuse what TiffSlide would give in wrong colours, as it does not convert them: palettes, inverted grey."""
    from tifffile import COMPRESSION, PHOTOMETRIC  # noqa: PLC0415  (imported already, by TiffSlide)

    series = handle.ts_tifffile.series[handle.properties["tiffslide.series-index"]]
    page = series.keyframe
    if series.dtype != np.uint8:
        raise SlideError(f"holds {series.dtype} pixels; 8-bit ones are read")
    if page.photometric not in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR, PHOTOMETRIC.MINISBLACK):
        raise SlideError(f"holds {page.photometric!s} colours; RGB, YCbCr and grey are read")
    if page.photometric == PHOTOMETRIC.YCBCR and page.compression not in (COMPRESSION.JPEG, COMPRESSION.OJPEG):
        raise SlideError(f"holds YCbCr colours under {page.compression!s}; they are read under JPEG only")


def _rgb_over_white(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return grey or colours, with an opacity last or without one, as red, green and blue over white."""
    samples = pixels.shape[2]
    rgb = np.repeat(pixels[..., :1], 3, axis=2) if samples < 3 else pixels[..., :3]
    if samples not in (2, 4):
        return rgb
    opacity = pixels[..., -1:].astype(np.float32) / _WHITE
    return np.rint(rgb * opacity + _WHITE * (1 - opacity)).astype(np.uint8)


def _fill_gaps_with_white(handle: "tiffslide.TiffSlide") -> None:
    """Make the tiles that a scanner left out white, as OpenSlide does, and not black."""
    for series in handle.ts_tifffile.series:
        for level in series.levels:
            level.keyframe.nodata = _WHITE


def _slide_pixel_of(position: int, downsample: float) -> int:
    """Return a slide pixel that TiffSlide, which divides and cuts off, takes for this pixel of a level."""
    pixel = math.ceil(position * downsample)
    while int(pixel / downsample) < position:
        pixel += 1
    return pixel
