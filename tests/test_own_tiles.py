"""JPEG tiles that are decoded here give what the library gives, and are left to it wherever that is not sure."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from made_slides import RAW, noise, smooth_image

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import PixelSize, Window
from nuclick_wsi.slides.pyramid import write_pyramid
from nuclick_wsi.slides.readers import READERS
from nuclick_wsi.slides.readers.jpeg_pictures import JpegPicture
from nuclick_wsi.slides.readers.own_tiles import OwnTiles
from nuclick_wsi.slides.readers.source import Source

simplejpeg = pytest.importorskip("simplejpeg", reason="without simplejpeg no tiles are decoded here")
BOTH = [ReaderChoice.OPENSLIDE, ReaderChoice.TIFFSLIDE]


def opened(path: Path, reader: ReaderChoice) -> Source:
    return next(one for one in READERS if one.name is reader).open(path)


class Counted:
    """A library's file; counts what is read of it."""

    def __init__(self, source: Source) -> None:
        self.about = source.about
        self.reads = self.pixels = 0
        self._source = source

    def read_inside(self, level: int, x: int, y: int, size: Size) -> Any:
        self.reads += 1
        self.pixels += size.width * size.height
        return self._source.read_inside(level, x, y, size)

    def close(self) -> None:
        self._source.close()


def compared(path: Path, reader: ReaderChoice, windows: int = 12) -> dict[int, int]:
    """Compare random windows of every level with the library's; return how many of each level the library read."""
    library = Counted(opened(path, reader))
    own, plain = OwnTiles(path, library), opened(path, reader)
    rng = np.random.default_rng(0)
    reads = {}
    for level, size in enumerate(own.about.sizes):
        before = library.reads
        for _ in range(windows):
            left, top = int(rng.integers(0, size.width)), int(rng.integers(0, size.height))
            wanted = Size(int(rng.integers(1, size.width - left + 1)), int(rng.integers(1, size.height - top + 1)))
            pixels = own.read_inside(level, left, top, wanted)
            np.testing.assert_array_equal(pixels, plain.read_inside(level, left, top, wanted))
            assert pixels.flags.writeable
        reads[level] = library.reads - before
    own.close()
    plain.close()
    return reads


@pytest.mark.parametrize("reader", BOTH)
def test_each_level_of_a_slide_is_read_here_once_it_has_come_out_as_the_librarys(
    reader: ReaderChoice, tmp_path: Path
) -> None:
    write_pyramid(tmp_path / "a.svs", smooth_image(900, 700), PixelSize(0.25, 0.25))
    assert compared(tmp_path / "a.svs", reader) == {0: 1, 1: 1, 2: 1}


@pytest.mark.parametrize("reader", BOTH)
@pytest.mark.parametrize("coded", [{"subsampling": (1, 1)}, {"subsampling": (2, 1)}, {"outcolorspace": "RGB"}])
def test_other_ways_of_coding_colours_give_what_the_library_gives(
    coded: dict[str, Any], reader: ReaderChoice, tmp_path: Path
) -> None:
    packing = {"compression": "jpeg", "compressionargs": {"level": 90, **coded}, "tile": (128, 128)}
    tifffile.imwrite(tmp_path / "a.tif", smooth_image(300, 290), **{**RAW, **packing})
    # TiffSlide says nothing of whose file this is.
    assert compared(tmp_path / "a.tif", reader) == {0: 1 if reader is ReaderChoice.OPENSLIDE else 12}


def test_a_level_that_comes_out_otherwise_is_left_to_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pyramid(tmp_path / "a.svs", noise(512, 512), PixelSize(0.25, 0.25))
    true = JpegPicture.pixels

    def others(*given: Any) -> Any:
        return 255 - true(*given)

    monkeypatch.setattr(JpegPicture, "pixels", others)
    assert compared(tmp_path / "a.svs", ReaderChoice.OPENSLIDE) == {0: 12, 1: 12, 2: 12}


@pytest.mark.parametrize("true_part", [True, False])
def test_of_a_large_window_the_library_reads_a_part_unless_that_comes_out_otherwise(
    true_part: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pyramid(tmp_path / "a.svs", smooth_image(1300, 1300), PixelSize(0.25, 0.25))
    library = Counted(opened(tmp_path / "a.svs", ReaderChoice.OPENSLIDE))
    expected = library.read_inside(0, 30, 20, Size(1000, 1200))
    if not true_part:
        true = JpegPicture.pixels
        monkeypatch.setattr(JpegPicture, "pixels", lambda *given: true(*given) ^ 1)
    own = OwnTiles(tmp_path / "a.svs", library)
    library.pixels = 0
    np.testing.assert_array_equal(own.read_inside(0, 30, 20, Size(1000, 1200)), expected)
    own.close()
    assert library.pixels == 512 * 512 + (0 if true_part else 1000 * 1200)


def test_a_window_of_one_colour_proves_nothing(tmp_path: Path) -> None:
    image = noise(512, 512)
    image[:256] = 255
    write_pyramid(tmp_path / "a.svs", image, PixelSize(0.25, 0.25))
    library = Counted(opened(tmp_path / "a.svs", ReaderChoice.OPENSLIDE))
    own = OwnTiles(tmp_path / "a.svs", library)
    reads = []
    for top in (0, 100, 256, 300, 0):
        own.read_inside(0, 0, top, Size(64, 64))
        reads.append(library.reads)
    own.close()
    assert reads == [1, 2, 3, 3, 3]


def test_a_level_shrunk_by_a_fraction_is_left_to_the_library(tmp_path: Path) -> None:
    packing = {**RAW, "compression": "jpeg", "tile": (128, 128)}
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(smooth_image(1001, 900), subfiletype=0, **packing)
        file.write(smooth_image(500, 450), subfiletype=1, **packing)
    reads = compared(tmp_path / "a.tif", ReaderChoice.OPENSLIDE)
    assert reads == {0: 1, 1: 12}


def test_a_tile_that_is_larger_than_its_directory_says_is_left_to_the_library(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    write_pyramid(path, smooth_image(512, 512), PixelSize(0.25, 0.25))
    with tifffile.TiffFile(path) as file:
        start, length = file.pages[0].dataoffsets[0], file.pages[0].databytecounts[0]
    content = bytearray(path.read_bytes())
    frame = content.index(b"\xff\xc0", start, start + length)
    content[frame + 5 : frame + 9] = b"\x7f\xff\x7f\xff"
    path.write_bytes(content)
    library = Counted(opened(path, ReaderChoice.TIFFSLIDE))
    own = OwnTiles(path, library)
    assert own._read(0, Window(0, 0, 64, 64)) is None
    own.close()


def test_a_tile_is_decoded_once_for_windows_that_follow_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_pyramid(tmp_path / "a.svs", noise(512, 512), PixelSize(0.25, 0.25))
    decoded: list[int] = []
    true = JpegPicture.jpeg
    monkeypatch.setattr(JpegPicture, "jpeg", lambda self, number: (decoded.append(number), true(self, number))[1])
    own = OwnTiles(tmp_path / "a.svs", opened(tmp_path / "a.svs", ReaderChoice.OPENSLIDE))
    own.read_inside(0, 0, 0, Size(64, 64))
    decoded.clear()
    for left in (0, 50, 100):
        own.read_inside(0, left, 250, Size(128, 64))
    own.close()
    assert decoded == [2]  # the library's check has read none, and the first is known
