"""Slides made on the spot, for tests: files that the libraries open, and one that is no more than arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.geometry import Region, Size
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.readers.framed import FramedSlide
from nuclick_wsi.slides.readers.source import SourceInfo
from nuclick_wsi.slides.slide import Frame

Image = NDArray[np.uint8]

RAW: dict[str, Any] = {"photometric": "rgb", "metadata": None, "software": False}
TILED: dict[str, Any] = {**RAW, "tile": (256, 256), "compression": "deflate"}


def smooth_image(width: int, height: int, period: float = 64) -> Image:
    """Waves without detail: any proper filter leaves them alone, and any shift shows."""
    y, x = np.mgrid[:height, :width] + 0.5
    waves = [np.sin(2 * np.pi * x / period), np.sin(2 * np.pi * y / period), np.cos(2 * np.pi * (x + y) / period)]
    return np.stack([128 + 100 * wave for wave in waves], -1).round().astype(np.uint8)


def noise(width: int, height: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)


def shrunk(image: Image, factor: int) -> Image:
    height, width = image.shape[0] // factor, image.shape[1] // factor
    squares = image[: height * factor, : width * factor].reshape(height, factor, width, factor, 3)
    return squares.mean((1, 3)).round().astype(np.uint8)


class ArraySource:
    """Levels in memory; it refuses, as the libraries may, to read outside them."""

    def __init__(self, levels: Sequence[Image], bounds: Region | None = None) -> None:
        self.levels = levels
        self.read_sizes: list[Size] = []
        self.about = SourceInfo(
            reader=ReaderChoice.IMAGE,
            sizes=tuple(Size(level.shape[1], level.shape[0]) for level in levels),
            pixel_size=PixelSize(0.25, 0.25),
            bounds=bounds,
        )

    def read_inside(self, level: int, x: int, y: int, size: Size) -> Image:
        full = self.about.sizes[level]
        assert x >= 0
        assert y >= 0
        assert x + size.width <= full.width
        assert y + size.height <= full.height
        self.read_sizes.append(size)
        return self.levels[level][y : y + size.height, x : x + size.width].copy()

    def close(self) -> None:
        pass


def array_slide(*levels: Image, bounds: Region | None = None, frame: Frame = Frame.FULL) -> FramedSlide:
    return FramedSlide(Path("array"), ArraySource(levels, bounds), frame)


def write_leica(path: Path, image: Image, corner: tuple[int, int], full: Size, nm: int = 500) -> None:
    """Write a Leica slide on which only one part was scanned, of which both libraries give the bounds.

    The part has two levels, 1 and 4; the whole slide is known from a small picture of it.
    """
    height, width = image.shape[:2]
    tags = {"resolution": (1e7 / nm, 1e7 / nm), "resolutionunit": "CENTIMETER"}
    macro = np.full((full.height // 16, full.width // 16, 3), 200, np.uint8)
    whole = _leica_image([(full.width // 16, full.height // 16, 0)], (0, 0), full, nm)
    part = _leica_image([(width, height, 1), (width // 4, height // 4, 2)], corner, Size(width, height), nm)
    description = (
        '<?xml version="1.0" encoding="UTF-8"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01" uuid="0">'
        f'<collection name="c" uuid="1" sizeX="{full.width * nm}" sizeY="{full.height * nm}">{whole}{part}'
        "</collection></scn>"
    )
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        file.write(macro, description=description, **tags, **TILED)
        file.write(image, **tags, **TILED)
        file.write(shrunk(image, 4), subfiletype=1, **tags, **TILED)


def _leica_image(levels: Sequence[tuple[int, int, int]], corner: tuple[int, int], size: Size, nm: int) -> str:
    dimensions = "".join(
        f'<dimension sizeX="{width}" sizeY="{height}" r="{index}" ifd="{page}"/>'
        for index, (width, height, page) in enumerate(levels)
    )
    return (
        '<image name="i" uuid="2"><creationDate>2020-01-01T00:00:00Z</creationDate><device model="SCN400" version="1"/>'
        f'<pixels sizeX="{levels[0][0]}" sizeY="{levels[0][1]}">{dimensions}</pixels>'
        f'<view sizeX="{size.width * nm}" sizeY="{size.height * nm}" offsetX="{corner[0] * nm}" '
        f'offsetY="{corner[1] * nm}" spacingZ="0"/><scanSettings><objectiveSettings><objective>20</objective>'
        "</objectiveSettings><illuminationSettings><numericalAperture>0.4</numericalAperture>"
        "<illuminationSource>brightfield</illuminationSource></illuminationSettings></scanSettings></image>"
    )
