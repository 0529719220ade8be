import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from made_slides import RAW, TILED, array_slide, noise, shrunk, smooth_image, write_leica
from PIL import Image

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Point, Region, Size
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.readers import READERS, open_slide
from nuclick_wsi.slides.readers.openslide_reader import OpenSlideSource
from nuclick_wsi.slides.readers.tiff_check import require_complete
from nuclick_wsi.slides.slide import Frame

OPENSLIDE, TIFFSLIDE, IMAGE = ReaderChoice.OPENSLIDE, ReaderChoice.TIFFSLIDE, ReaderChoice.IMAGE
PYRAMID_READERS = [OPENSLIDE, TIFFSLIDE]
ALL_READERS = [OPENSLIDE, TIFFSLIDE, IMAGE]
PICTURE = noise(300, 260)


def whole(slide, level=0):
    return slide.read(level, 0, 0, slide.info.levels[level].size)


def write_tiff(path, image, **how):
    tifffile.imwrite(path, image, **{**RAW, **how})
    return path


# What all readers have in common


@pytest.mark.parametrize("reader", PYRAMID_READERS)
def test_a_made_slide_is_read_without_loss_at_all_levels(make_slide, reader):
    with open_slide(make_slide(PICTURE), reader=reader) as slide:
        assert [level.downsample for level in slide.info.levels] == [1, 2, 4]
        assert np.array_equal(whole(slide, 0), PICTURE)
        for level, factor in ((1, 2), (2, 4)):
            assert np.abs(whole(slide, level).astype(int) - shrunk(PICTURE, factor)).max() <= 1


@pytest.mark.parametrize("reader", ALL_READERS)
def test_all_readers_agree_on_what_the_file_says(make_slide, reader):
    path = make_slide(PICTURE, mpp=0.25)
    with open_slide(path, reader=reader) as slide:
        info = slide.info
    assert (info.path, info.reader, info.size) == (path, reader, Size(300, 260))
    assert info.pixel_size == PixelSize(0.25, 0.25)
    assert info.levels[0].size == info.size
    assert info.origin == Point(0, 0)


@pytest.mark.parametrize("reader", ALL_READERS)
@pytest.mark.parametrize(("x", "y"), [(-7, -5), (295, 255), (-20, 100), (100, -20), (280, -20)])
def test_outside_the_slide_everything_is_white(make_slide, reader, x, y):
    expected = np.full((30, 40, 3), 255, np.uint8)
    for row in range(30):
        for column in range(40):
            if 0 <= y + row < 260 and 0 <= x + column < 300:
                expected[row, column] = PICTURE[y + row, x + column]
    with open_slide(make_slide(PICTURE), reader=reader) as slide:
        assert np.array_equal(slide.read(0, x, y, Size(40, 30)), expected)


@pytest.mark.parametrize("reader", ALL_READERS)
def test_far_outside_the_slide_everything_is_white(make_slide, reader):
    with open_slide(make_slide(PICTURE), reader=reader) as slide:
        for x, y in ((-500, 0), (0, 500), (10**7, 10**7)):
            pixels = slide.read(len(slide.info.levels) - 1, x, y, Size(8, 6))
            assert pixels.shape == (6, 8, 3)
            assert pixels.min() == 255


@pytest.mark.parametrize("reader", ALL_READERS)
def test_pixels_come_as_arrays_of_our_own(make_slide, reader):
    with open_slide(make_slide(PICTURE), reader=reader) as slide:
        pixels = slide.read(0, 3, 4, Size(5, 6))
        assert (pixels.shape, pixels.dtype) == ((6, 5, 3), np.uint8)
        pixels[:] = 0
        assert np.array_equal(slide.read(0, 3, 4, Size(5, 6)), PICTURE[4:10, 3:8])


@pytest.mark.parametrize("reader", ALL_READERS)
def test_many_threads_read_what_one_reads(make_slide, reader):
    picture = noise(1024, 768)
    corners = [tuple(corner) for corner in np.random.default_rng(1).integers(0, 700, (200, 2)).tolist()]
    with open_slide(make_slide(picture), reader=reader) as slide, ThreadPoolExecutor(8) as pool:
        for (x, y), pixels in zip(corners, pool.map(lambda at: slide.read(0, *at, Size(64, 48)), corners), strict=True):
            assert np.array_equal(pixels[: 768 - y], picture[y : y + 48, x : x + 64])


@pytest.mark.parametrize("reader", ALL_READERS)
@pytest.mark.parametrize("name", ["with space.svs", "дело №1.svs", "切片.svs", "O'Brien & 50% [x].svs", "ünï.tiff"])
def test_names_may_hold_any_character(make_slide, reader, name):
    with open_slide(make_slide(PICTURE, name=name), reader=reader) as slide:
        assert np.array_equal(slide.read(0, 0, 0, Size(9, 9)), PICTURE[:9, :9])


@pytest.mark.parametrize("reader", ALL_READERS)
def test_a_closed_slide_says_so_and_may_be_closed_again(make_slide, reader):
    slide = open_slide(make_slide(PICTURE), reader=reader)
    slide.close()
    slide.close()
    with pytest.raises(SlideError, match="closed"):
        slide.read(0, 0, 0, Size(4, 4))


def test_every_reader_is_installed_and_names_its_version():
    assert [reader.unavailable() for reader in READERS] == [None, None, None, None]
    assert all(reader.library_version().startswith(reader.package) for reader in READERS)


# Which reader


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ({"tile": (256, 256)}, OPENSLIDE),
        ({"tile": (256, 256), "compression": "zstd"}, OPENSLIDE),
        ({"tile": (256, 256), "compression": "jpeg2000"}, TIFFSLIDE),
        ({"tile": (256, 256), "compression": "webp", "compressionargs": {"lossless": True}}, TIFFSLIDE),
        ({"rowsperstrip": 16}, TIFFSLIDE),
        ({"rowsperstrip": 16, "compression": "deflate", "bigtiff": True, "byteorder": ">"}, TIFFSLIDE),
        ({"photometric": "miniswhite"}, IMAGE),
    ],
)
def test_the_first_reader_that_takes_a_file_reads_it(tmp_path, how, expected):
    # TiffSlide does not turn grey round that counts from white; the plain reader does.
    picture = PICTURE[..., 0] if "photometric" in how else PICTURE
    with open_slide(write_tiff(tmp_path / "s.tif", picture, **how)) as slide:
        assert slide.info.reader is expected
        grey = np.repeat(255 - PICTURE[..., :1], 3, axis=2)
        assert np.array_equal(whole(slide), grey if "photometric" in how else PICTURE)


def test_the_reader_that_sees_a_large_slides_pyramid_is_preferred(tmp_path):
    picture = smooth_image(4096, 512)
    with tifffile.TiffWriter(tmp_path / "s.ome.tif") as file:
        file.write(picture, subifds=1, tile=(256, 256), photometric="rgb", compression="deflate")
        file.write(shrunk(picture, 4), subfiletype=1, tile=(256, 256), photometric="rgb", compression="deflate")
    with open_slide(tmp_path / "s.ome.tif", reader=OPENSLIDE) as slide:
        assert len(slide.info.levels) == 1
    with open_slide(tmp_path / "s.ome.tif") as slide:
        assert slide.info.reader is TIFFSLIDE
        assert [level.downsample for level in slide.info.levels] == [1, 4]
        assert np.array_equal(whole(slide, 1), shrunk(picture, 4))


def test_a_path_may_be_text(make_slide):
    with open_slide(str(make_slide(PICTURE))) as slide:
        assert slide.info.size == Size(300, 260)


# What cannot be opened


def refusal(path, **how):
    with pytest.raises(SlideError) as caught:
        open_slide(path, **how)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_a_file_that_no_reader_takes_is_refused_with_what_each_of_them_said(tmp_path):
    path = tmp_path / "notes.svs"
    path.write_text("This is no slide. " * 100)
    lines = refusal(path).splitlines()
    assert [line.split(":")[0].strip() for line in lines[1:5]] == ["openslide", "tiffslide", "ome-zarr", "image"]
    assert "convert" in lines[5]


@pytest.mark.parametrize("reader", ALL_READERS)
def test_a_forced_reader_speaks_for_itself_alone(tmp_path, reader):
    path = tmp_path / "notes.svs"
    path.write_text("This is no slide.")
    message = refusal(path, reader=reader)
    assert f"{reader}: " in message
    assert sum(f"  {other}: " in message for other in ALL_READERS) == 1
    assert "--reader" in message


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    assert "no such file" in refusal(tmp_path / "gone.svs")


def test_a_folder_is_said_to_be_one(tmp_path):
    assert "folder" in refusal(tmp_path)


def test_an_empty_file_is_said_to_be_empty(tmp_path):
    (tmp_path / "s.svs").touch()
    assert "empty" in refusal(tmp_path / "s.svs")


@pytest.mark.parametrize("tail", [0.001, 0.02, 0.3, 0.6, 0.75, 0.9, 0.97, 0.999])
@pytest.mark.parametrize("whole_slide", ["pyramid", "jpeg", "deflate", "none"])
def test_a_slide_that_is_cut_short_is_never_read_as_a_smaller_or_blacker_one(make_slide, tmp_path, tail, whole_slide):
    picture, cut = smooth_image(512, 512), tmp_path / "cut.svs"
    if whole_slide == "pyramid":
        content = make_slide(picture, downsamples=(1, 2)).read_bytes()
    else:
        path = write_tiff(tmp_path / "t.tif", picture, compression=whole_slide, tile=(256, 256))
        content = path.read_bytes()
    cut.write_bytes(content[: int(len(content) * tail)])
    for reader in (TIFFSLIDE, IMAGE):
        refusal(cut, reader=reader)
    # OpenSlide checks less on opening; what it does not refuse then, it refuses on reading.
    with pytest.raises(SlideError), open_slide(cut) as slide:
        whole(slide)


@pytest.mark.parametrize("how", [{"bigtiff": True}, {"byteorder": ">"}, {"bigtiff": True, "byteorder": ">"}, {}])
def test_the_check_for_cut_files_knows_every_kind_of_tiff(tmp_path, how):
    path = tmp_path / "s.tif"
    with tifffile.TiffWriter(path, **how) as file:
        file.write(PICTURE, subifds=1, tile=(16, 16), photometric="rgb")
        file.write(PICTURE[:16, :16], subfiletype=1, photometric="rgb")
        file.write(PICTURE, photometric="rgb", rowsperstrip=260)
    require_complete(path)
    content = path.read_bytes()
    for length in np.linspace(8, len(content) - 1, 200).astype(int):
        path.write_bytes(content[:length])
        with pytest.raises(SlideError, match="cut short"):
            require_complete(path)


@pytest.mark.parametrize("reader", [TIFFSLIDE, IMAGE])
def test_a_damaged_header_is_a_slide_error_or_does_no_harm(make_slide, tmp_path, reader):
    # Not OpenSlide: it ends the whole process where a header says that a tile takes more memory than there is.
    content = make_slide(noise(32, 32), downsamples=(1, 2)).read_bytes()
    random = np.random.default_rng(7)
    for _ in range(60):
        damaged = bytearray(content)
        damaged[int(random.integers(4, 400))] = int(random.integers(256))
        (tmp_path / "d.svs").write_bytes(damaged)
        with suppress(SlideError), open_slide(tmp_path / "d.svs", reader=reader) as slide:
            assert slide.read(0, 0, 0, Size(32, 32)).shape == (32, 32, 3)


# What goes wrong while reading


def damaged(path: Path) -> Path:
    """Overwrite the second of four JPEG tiles."""
    write_tiff(path, smooth_image(512, 512), tile=(256, 256), compression="jpeg")
    with tifffile.TiffFile(path) as file:
        offset, length = (values[1] for values in (file.pages[0].dataoffsets, file.pages[0].databytecounts))
    content = bytearray(path.read_bytes())
    content[offset : offset + length] = bytes(length)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("reader", PYRAMID_READERS)
def test_a_damaged_tile_is_an_error_that_names_file_and_place_and_spoils_no_other(tmp_path, reader):
    path = damaged(tmp_path / "s.tif")
    with open_slide(path, reader=reader) as slide:
        before = slide.read(0, 0, 256, Size(512, 256))
        for _ in range(2):
            with pytest.raises(SlideError, match=r"s\.tif: level 0 cannot be read at x 300, y 20"):
                slide.read(0, 300, 20, Size(64, 64))
            assert np.array_equal(slide.read(0, 0, 256, Size(512, 256)), before)


@pytest.mark.parametrize("reader", PYRAMID_READERS)
def test_a_damaged_tile_spoils_nothing_for_other_threads(tmp_path, reader):
    with open_slide(damaged(tmp_path / "s.tif"), reader=reader) as slide:
        expected = slide.read(0, 10, 266, Size(200, 200))
        stop = threading.Event()

        def hit_the_damage():
            while not stop.is_set():
                with pytest.raises(SlideError):
                    slide.read(0, 300, 20, Size(64, 64))

        with ThreadPoolExecutor(3) as pool:
            hits = [pool.submit(hit_the_damage) for _ in range(2)]
            try:
                assert all(np.array_equal(slide.read(0, 10, 266, Size(200, 200)), expected) for _ in range(100))
            finally:
                stop.set()
            for hit in hits:
                hit.result()


# Levels and frames


def test_openslide_gives_a_pixel_of_a_fractional_level_alike_in_every_rectangle(tmp_path):
    picture = noise(2003, 1201)
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        file.write(picture, **TILED)
        file.write(shrunk(picture, 2), subfiletype=1, **TILED)
    source = OpenSlideSource(tmp_path / "s.tif")
    assert not float(openslide.OpenSlide(tmp_path / "s.tif").level_downsamples[1]).is_integer()
    full = source.read_inside(1, 0, 0, Size(1001, 600))
    for x, y, width, height in ((0, 0, 9, 9), (500, 500, 100, 100), (511, 0, 490, 3), (600, 130, 33, 70)):
        part = source.read_inside(1, x, y, Size(width, height))
        assert np.array_equal(part, full[y : y + height, x : x + width])
    # The first block starts where the slide does, so nothing is interpolated in it.
    assert np.array_equal(full[:500, :500], shrunk(picture, 2)[:500, :500])


def test_openslide_reads_a_fractional_level_within_half_a_slide_pixel(tmp_path):
    picture = smooth_image(2003, 1201, period=128)
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        file.write(picture, **TILED)
        file.write(shrunk(picture, 2), subfiletype=1, **TILED)
    with open_slide(tmp_path / "s.tif", reader=OPENSLIDE) as slide:
        off = np.abs(whole(slide, 1).astype(int) - shrunk(picture, 2))[:-1, :-1]
    steepest = 100 * 2 * np.pi / 128
    assert off.max() <= 2 * 0.5 * steepest + 1


@pytest.mark.parametrize("reader", PYRAMID_READERS)
def test_on_a_partly_scanned_slide_the_full_frame_starts_at_the_slides_corner(tmp_path, reader):
    path, picture = tmp_path / "s.scn", noise(512, 256)
    write_leica(path, picture, (132, 72), Size(1024, 896))
    with open_slide(path, reader=reader) as slide:
        assert slide.info.size == Size(1024, 896)
        assert slide.info.pixel_size == PixelSize(0.5, 0.5)
        assert np.array_equal(slide.read(0, 132, 72, Size(512, 256)), picture)
        assert np.array_equal(slide.read(1, 33, 18, Size(128, 64)), shrunk(picture, 4))
        around = whole(slide)
        around[72 : 72 + 256, 132 : 132 + 512] = 255
        assert around.min() == 255


@pytest.mark.parametrize("reader", PYRAMID_READERS)
def test_on_a_partly_scanned_slide_the_frame_of_the_bounds_starts_where_it_was_scanned(tmp_path, reader):
    path, picture = tmp_path / "s.scn", noise(512, 256)
    write_leica(path, picture, (132, 72), Size(1024, 896))
    with open_slide(path, reader=reader, frame=Frame.BOUNDS) as slide:
        assert (slide.info.size, slide.info.origin) == (Size(512, 256), Point(132, 72))
        assert np.array_equal(whole(slide), picture)
        assert np.array_equal(whole(slide, 1), shrunk(picture, 4))
        assert slide.read(0, -3, 0, Size(3, 3)).min() == 255


def test_bounds_that_cut_through_a_coarse_pixel_leave_a_shift():
    picture = noise(64, 48)
    slide = array_slide(picture, shrunk(picture, 4), bounds=Region(10, 7, 30, 20), frame=Frame.BOUNDS)
    level = slide.info.levels[1]
    assert (level.shift_x, level.shift_y, level.size) == (0.5, 0.75, Size(8, 6))
    assert np.array_equal(whole(slide, 1), shrunk(picture, 4)[1:7, 2:10])


def test_without_bounds_both_frames_are_the_same(make_slide):
    path = make_slide(PICTURE)
    with open_slide(path) as full, open_slide(path, frame=Frame.BOUNDS) as bounds:
        assert full.info.levels == bounds.info.levels
        assert np.array_equal(whole(full), whole(bounds))


@pytest.mark.parametrize("reader", PYRAMID_READERS)
def test_tiles_that_a_scanner_left_out_are_white(tmp_path, reader):
    path, tile = tmp_path / "s.tif", PICTURE[:256, :256]
    how = {**RAW, "tile": (256, 256), "compression": "deflate", "shape": (256, 512, 3), "dtype": np.uint8}
    tifffile.imwrite(path, iter([tile, None]), **how)
    with open_slide(path, reader=reader) as slide:
        pixels = whole(slide)
    assert np.array_equal(pixels[:, :256], tile)
    assert pixels[:, 256:].min() == 255


# Pixel sizes


@pytest.mark.parametrize("reader", ALL_READERS)
@pytest.mark.parametrize("dpi", [72, 96, 300])
def test_a_resolution_for_printing_is_no_pixel_size(tmp_path, reader, dpi):
    path = write_tiff(tmp_path / "s.tif", PICTURE, tile=(256, 256), resolution=(dpi, dpi), resolutionunit="INCH")
    with open_slide(path, reader=reader) as slide:
        assert slide.info.pixel_size is None
        assert slide.info.refused_pixel_size.x_um == pytest.approx(25400 / dpi, rel=1e-4)


@pytest.mark.parametrize("reader", ALL_READERS)
@pytest.mark.parametrize(("unit", "microns"), [("INCH", 25400), ("CENTIMETER", 10000)])
def test_a_tiffs_resolution_is_the_pixel_size_where_a_microscope_gives_it(tmp_path, reader, unit, microns):
    how = {"tile": (256, 256), "resolution": (microns / 0.25, microns / 0.26), "resolutionunit": unit}
    with open_slide(write_tiff(tmp_path / "s.tif", PICTURE, **how), reader=reader) as slide:
        assert slide.info.pixel_size.x_um == pytest.approx(0.25, rel=1e-4)
        assert slide.info.pixel_size.y_um == pytest.approx(0.26, rel=1e-4)


@pytest.mark.parametrize("reader", PYRAMID_READERS)
def test_the_pixel_size_in_an_ome_tiff_counts_before_its_resolution(tmp_path, reader):
    metadata = {"axes": "YXS", "PhysicalSizeX": 325, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 325}
    metadata["PhysicalSizeYUnit"] = "nm"
    how = {"tile": (256, 256), "photometric": "rgb", "resolution": (72, 72), "resolutionunit": "INCH"}
    tifffile.imwrite(tmp_path / "s.ome.tif", PICTURE, metadata=metadata, **how)
    with open_slide(tmp_path / "s.ome.tif", reader=reader) as slide:
        assert slide.info.pixel_size.x_um == pytest.approx(0.325)


# Plain images


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_a_plain_image_is_one_level_without_a_pixel_size(tmp_path, suffix):
    path = tmp_path / f"s.{suffix}"
    Image.fromarray(PICTURE).save(path, dpi=(300, 300))
    with open_slide(path) as slide:
        assert slide.info.levels[0].downsample == len(slide.info.levels) == 1
        assert slide.info.pixel_size is None
        assert np.array_equal(whole(slide), PICTURE)


@pytest.mark.parametrize("orientation", [1, 2, 6])
def test_a_jpeg_is_read_as_it_is_stored_and_says_so_where_it_asks_to_be_turned(tmp_path, orientation):
    path = tmp_path / "s.jpg"
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(smooth_image(64, 32)).save(path, exif=exif, quality=95)
    with open_slide(path) as slide:
        assert [f"EXIF orientation {orientation}" in remark for remark in slide.info.remarks] == [True] * (
            orientation != 1
        )
        assert slide.info.size == Size(64, 32)
        assert np.abs(whole(slide).astype(int) - smooth_image(64, 32)).mean() < 5


@pytest.mark.parametrize(
    ("mode", "suffix"), [("L", "png"), ("L", "tif"), ("1", "png"), ("P", "png"), ("P", "tif"), ("RGB", "png")]
)
def test_grey_and_palettes_become_rgb(tmp_path, mode, suffix):
    image = Image.fromarray(smooth_image(64, 48)).convert(mode)
    image.save(tmp_path / f"s.{suffix}")
    with open_slide(tmp_path / f"s.{suffix}") as slide:
        assert np.array_equal(whole(slide), np.asarray(image.convert("RGB")))


def test_grey_that_counts_from_white_is_not_inverted(tmp_path):
    grey = smooth_image(64, 48)[..., 0]
    write_tiff(tmp_path / "s.tif", 255 - grey, photometric="miniswhite")
    with open_slide(tmp_path / "s.tif") as slide:
        assert np.array_equal(whole(slide)[..., 0], grey)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_is_white(tmp_path, mode):
    image = Image.new(mode, (8, 4), (0,) * len(mode))
    image.putpixel((1, 2), (10,) * (len(mode) - 1) + (255,))
    image.save(tmp_path / "s.png")
    with open_slide(tmp_path / "s.png") as slide:
        pixels = whole(slide)
    assert pixels[2, 1].tolist() == [10, 10, 10]
    pixels[2, 1] = 255
    assert pixels.min() == 255


@pytest.mark.parametrize("reader", [ReaderChoice.AUTO, TIFFSLIDE, IMAGE])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 3)])
@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_more_than_eight_bits_are_refused_and_not_scaled(tmp_path, reader, shape, suffix):
    path, deep = tmp_path / f"s.{suffix}", np.full(shape, 300, np.uint16)
    if suffix == "tif":
        write_tiff(path, deep, photometric="rgb" if len(shape) == 3 else "minisblack")
    else:
        path.write_bytes(png_of(deep))
    message = refusal(path, reader=reader)
    assert "8 bits" in message or "8-bit" in message or (suffix == "png" and reader is TIFFSLIDE)


def png_of(image):
    import imagecodecs  # noqa: PLC0415

    return imagecodecs.png_encode(image)


def test_an_image_too_large_to_be_read_whole_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "s.png"
    Image.fromarray(PICTURE).save(path)
    # Stands in for a picture of 180 million pixels, Pillow's limit.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert "pyramidal TIFF" in refusal(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_a_plain_image_that_is_cut_short_is_refused(tmp_path, suffix):
    path = tmp_path / f"s.{suffix}"
    Image.fromarray(PICTURE).save(path)
    content = path.read_bytes()
    for part in (0.01, 0.5, 0.95):
        path.write_bytes(content[: int(len(content) * part)])
        refusal(path)


# Real slides


@pytest.mark.parametrize(
    ("name", "mpp", "reader"),
    [
        ("CMU-1-Small-Region.svs", 0.499, OPENSLIDE),
        ("OS-1-detail.ome.tif", 0.2271, TIFFSLIDE),
        ("boxes_4_levels.tiff", None, OPENSLIDE),
    ],
)
def test_real_slides_open_with_their_pixel_size(shared_data, name, mpp, reader):
    with open_slide(shared_data / "wsi" / name) as slide:
        assert slide.info.reader is reader
        seen = slide.info.pixel_size
        assert (seen and seen.mean) == (pytest.approx(mpp, abs=1e-4) if mpp else None)


@pytest.mark.parametrize(
    "name", ["wsi/CMU-1-Small-Region.svs", "wsi/boxes_4_levels.tiff", "qupath/demo_v0.5.1/slides/colon_ihc.svs"]
)
def test_readers_agree_on_real_slides_at_all_levels(shared_data, name):
    path = shared_data / name
    with open_slide(path, reader=OPENSLIDE) as one, open_slide(path, reader=TIFFSLIDE) as other:
        assert one.info.levels == other.info.levels
        for index, level in enumerate(one.info.levels):
            corner = level.size.width // 3, level.size.height // 3
            part = Size(min(level.size.width, 400), min(level.size.height, 300))
            difference = np.abs(one.read(index, *corner, part).astype(int) - other.read(index, *corner, part))
            # Whole downsamples are exact; OpenSlide interpolates on the others, and boxes have sharp edges.
            exact = float(openslide.OpenSlide(path).level_downsamples[index]).is_integer()
            assert difference.max() == 0 if exact else np.median(difference) <= 1
