"""What is in a TIFF decides whether it is read, and no library that reads it."""

import numpy as np
import openslide
import pytest
import tifffile
from made_slides import RAW, noise, shrunk
from PIL import Image

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.readers.openslide_reader import OpenSlideSource
from nuclick_wsi.slides.readers.tiff_description import described, ome_pixel_size

READERS = [reader for reader in ReaderChoice if reader is not ReaderChoice.OME_ZARR]
WIDTH, HEIGHT = 320, 256
PICTURE = noise(WIDTH, HEIGHT)
PLANES = np.ascontiguousarray(PICTURE.transpose(2, 0, 1))
LAYOUTS = {"tiles": {"tile": (128, 128)}, "strips": {"rowsperstrip": 64}}
TILED = {**RAW, "tile": (128, 128), "compression": "deflate"}
each_reader = pytest.mark.parametrize("reader", READERS)
each_layout = pytest.mark.parametrize("layout", LAYOUTS)


def write(path, *pages, **how):
    with tifffile.TiffWriter(path) as file:
        for page in pages:
            file.write(page, **{**RAW, **how})
    return path


def refusal(path, reader):
    with pytest.raises(SlideError) as caught:
        open_slide(path, reader=reader)
    assert str(path) in str(caught.value)
    return str(caught.value)


def seen(path, reader):
    """Return what a reader makes of a file: pixels and remarks, or None where it cannot read this kind at all."""
    try:
        with open_slide(path, reader=reader) as slide:
            return slide.read(0, 0, 0, slide.info.size), slide.info.remarks
    except SlideError:
        return None


# Channels


@each_reader
@each_layout
@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_channels_in_planes_of_an_ome_tiff_are_no_brightfield_picture(tmp_path, reader, layout, count):
    path = tmp_path / "s.ome.tif"
    planes = np.resize(PLANES, (count, HEIGHT, WIDTH))
    tifffile.imwrite(path, planes, photometric="minisblack", metadata={"axes": "CYX"}, **LAYOUTS[layout])
    assert f"{count} channels" in refusal(path, reader)


@each_reader
@pytest.mark.parametrize("count", [2, 3, 4])
def test_channels_of_imagej_are_no_brightfield_picture(tmp_path, reader, count):
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, np.resize(PLANES, (count, HEIGHT, WIDTH)), imagej=True, metadata={"axes": "CYX"})
    assert f"{count} channels" in refusal(path, reader)


@each_reader
@each_layout
@pytest.mark.parametrize("metadata", [None, {"axes": "CYX"}])
def test_planes_of_grey_without_a_word_on_what_they_are_are_refused(tmp_path, reader, layout, metadata):
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, PLANES, photometric="minisblack", metadata=metadata, software=False, **LAYOUTS[layout])
    assert "3 channels or planes" in refusal(path, reader)


@each_reader
@each_layout
@pytest.mark.parametrize("samples", [2, 4, 5])
def test_more_numbers_for_a_place_than_colours_are_channels(tmp_path, reader, layout, samples):
    picture = np.resize(PICTURE, (HEIGHT, WIDTH, samples))
    path = write(tmp_path / "s.tif", picture, photometric="minisblack", planarconfig="contig", **LAYOUTS[layout])
    assert f"{samples} channels" in refusal(path, reader)


@each_reader
def test_a_fourth_channel_that_is_no_opacity_is_not_taken_for_one(tmp_path, reader):
    four = np.dstack([PICTURE, PICTURE[..., 0]])
    path = write(tmp_path / "s.tif", four, tile=(128, 128), extrasamples=["unspecified"])
    assert "4 channels" in refusal(path, reader)


@each_reader
def test_what_is_transparent_is_white_whatever_reads_it(tmp_path, reader):
    opacity = np.zeros((HEIGHT, WIDTH), np.uint8)
    opacity[:100] = 255
    path = write(tmp_path / "s.tif", np.dstack([PICTURE, opacity]), tile=(128, 128), extrasamples=["unassalpha"])
    with open_slide(path, reader=reader) as slide:
        pixels = slide.read(0, 0, 0, slide.info.size)
    assert np.array_equal(pixels[:100], PICTURE[:100])
    assert pixels[100:].min() == 255


@each_reader
@each_layout
@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.uint32, np.float32])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
def test_more_than_eight_bits_are_refused_by_all_alike(tmp_path, reader, layout, dtype, photometric):
    picture = (PICTURE if photometric == "rgb" else PICTURE[..., 0]).astype(dtype)
    path = write(tmp_path / "s.tif", picture, photometric=photometric, **LAYOUTS[layout])
    assert f"{8 * picture.itemsize} bits per channel" in refusal(path, reader)


@each_reader
@pytest.mark.parametrize(("photometric", "samples"), [("separated", 4), ("cielab", 3)])
def test_colours_that_not_all_convert_are_refused_by_all(tmp_path, reader, photometric, samples):
    path = write(tmp_path / "s.tif", np.resize(PICTURE, (HEIGHT, WIDTH, samples)), photometric=photometric)
    assert "RGB, YCbCr, grey" in refusal(path, reader)


@each_reader
@each_layout
@pytest.mark.parametrize("name", ["s.tif", "s.ome.tif"])
def test_red_green_and_blue_one_after_the_other_are_one_picture(tmp_path, reader, layout, name):
    how = {"photometric": "rgb", "planarconfig": "separate", **LAYOUTS[layout]}
    tifffile.imwrite(tmp_path / name, PLANES, metadata={"axes": "SYX"} if "ome" in name else None, **how)
    found = seen(tmp_path / name, reader)
    assert found is None or (np.array_equal(found[0], PICTURE) and not found[1])
    assert found is not None or reader is not ReaderChoice.AUTO


def test_a_mirax_slide_of_fluorescence_is_refused(make_slide, monkeypatch):
    # Stands in for a slide of a scanner, which cannot be made: what OpenSlide says of one.
    monkeypatch.setattr(openslide.OpenSlide, "properties", {"mirax.GENERAL.SLIDE_TYPE": "SLIDE_TYPE_FLUORESCENCE"})
    with pytest.raises(SlideError, match="fluorescence"):
        OpenSlideSource(make_slide(PICTURE))


# Planes


@each_reader
@each_layout
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("ome z", "3 z-slices"),
        ("ome t", "3 time points"),
        ("imagej z", "3 z-slices"),
        ("imagej t", "3 time points"),
        ("pages", "3 pictures of one size"),
    ],
)
def test_of_a_stack_the_first_plane_is_read_and_the_user_is_told(tmp_path, reader, layout, kind, words):
    stack, program = np.stack([PICTURE, 255 - PICTURE, 255 - PICTURE]), kind.split()[0]
    path = tmp_path / ("s.ome.tif" if program == "ome" else "s.tif")
    axis = kind[-1].upper()
    if program == "imagej":
        tifffile.imwrite(path, stack, imagej=True, metadata={"axes": f"{axis}YXS"})
    elif program == "ome":
        tifffile.imwrite(path, stack, photometric="rgb", metadata={"axes": f"{axis}YXS"}, **LAYOUTS[layout])
    else:
        write(path, *stack, **LAYOUTS[layout])
    found = seen(path, reader)
    assert found is not None or reader not in (ReaderChoice.AUTO, ReaderChoice.IMAGE)
    if found is not None:
        assert np.array_equal(found[0], PICTURE)
        assert words in found[1][0]


@each_reader
def test_levels_labels_and_overviews_are_no_planes(make_slide, reader):
    with open_slide(make_slide(PICTURE), reader=reader) as slide:
        assert slide.info.remarks == ()


def test_an_animated_picture_is_said_to_be_one(tmp_path):
    first, second = Image.fromarray(PICTURE), Image.fromarray(255 - PICTURE)
    first.save(tmp_path / "s.png", save_all=True, append_images=[second])
    with open_slide(tmp_path / "s.png") as slide:
        assert "2 pictures" in slide.info.remarks[0]
        assert np.array_equal(slide.read(0, 0, 0, slide.info.size), PICTURE)


# Turned pictures


@each_reader
@each_layout
@pytest.mark.parametrize("orientation", [0, 1, 9])
def test_an_upright_picture_is_read(tmp_path, reader, layout, orientation):
    path = write(tmp_path / "s.tif", PICTURE, extratags=[(274, 3, 1, orientation, True)], **LAYOUTS[layout])
    found = seen(path, reader)
    assert found is not None or (layout == "strips" and reader is ReaderChoice.OPENSLIDE)
    assert found is None or np.array_equal(found[0], PICTURE)


@each_reader
@each_layout
@pytest.mark.parametrize("orientation", range(2, 9))
def test_a_turned_or_mirrored_picture_is_refused(tmp_path, reader, layout, orientation):
    path = write(tmp_path / "s.tif", PICTURE, extratags=[(274, 3, 1, orientation, True)], **LAYOUTS[layout])
    assert f"orientation {orientation}" in refusal(path, reader)


@each_reader
def test_a_turned_level_is_refused_too(tmp_path, reader):
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        file.write(PICTURE, **TILED)
        file.write(shrunk(PICTURE, 2), subfiletype=1, extratags=[(274, 3, 1, 3, True)], **TILED)
    assert "orientation 3" in refusal(tmp_path / "s.tif", reader)


# Levels


@each_reader
@pytest.mark.parametrize("order", [(1, 2, 4), (1, 4, 2), (2, 1, 4), (2, 4, 1), (4, 2, 1)])
@pytest.mark.parametrize("marked", ["reduced", "reduced but the first", "none"])
def test_levels_in_any_order_are_read_right_or_refused(tmp_path, reader, order, marked):
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        for place, factor in enumerate(order):
            is_reduced = factor > 1 if marked == "reduced" else place > 0
            how = TILED if marked == "none" else {**TILED, "subfiletype": int(is_reduced)}
            file.write(shrunk(PICTURE, factor), **how)
    require_right_levels_or_refusal(tmp_path / "s.tif", reader, may_refuse=order[0] != 1)


@each_reader
@pytest.mark.parametrize("order", [(2, 4), (4, 2)])
def test_levels_in_sub_directories_come_in_order(tmp_path, reader, order):
    how = {"photometric": "rgb", "tile": (128, 128), "compression": "deflate"}
    with tifffile.TiffWriter(tmp_path / "s.ome.tif") as file:
        file.write(PICTURE, subifds=2, metadata={"axes": "YXS"}, **how)
        for factor in order:
            file.write(shrunk(PICTURE, factor), subfiletype=1, **how)
    require_right_levels_or_refusal(tmp_path / "s.ome.tif", reader, may_refuse=False)


@each_reader
@pytest.mark.parametrize("order", [(1, 2, 4), (1, 4, 2), (4, 2, 1)])
def test_levels_of_an_aperio_slide_in_any_order_are_read_right_or_refused(tmp_path, reader, order):
    with tifffile.TiffWriter(tmp_path / "s.svs") as file:
        for place, factor in enumerate(order):
            file.write(shrunk(PICTURE, factor), description="Aperio Image Library v12\r\n1x1|MPP = 0.25", **TILED)
            if place == 0:
                file.write(shrunk(PICTURE, 8), rowsperstrip=16, description="Aperio Image Library v12\r\n", **RAW)
    require_right_levels_or_refusal(tmp_path / "s.svs", reader, may_refuse=order != (1, 2, 4))


def require_right_levels_or_refusal(path, reader, may_refuse):
    try:
        slide = open_slide(path, reader=reader)
    except SlideError as error:
        said = str(error)
        slide = None
    if slide is None:
        assert may_refuse
        assert "levels are not in order" in said or "Unsupported" in said
        return
    with slide:
        assert slide.info.size == Size(WIDTH, HEIGHT)
        downsamples = [level.downsample for level in slide.info.levels]
        assert downsamples == sorted(downsamples)
        for index, level in enumerate(slide.info.levels):
            expected = shrunk(PICTURE, round(level.downsample))
            assert np.array_equal(slide.read(index, 0, 0, level.size), expected)


@each_reader
def test_a_label_is_no_level(tmp_path, reader):
    with tifffile.TiffWriter(tmp_path / "s.tif") as file:
        file.write(PICTURE, **TILED)
        file.write(shrunk(PICTURE, 2), subfiletype=1, **TILED)
        file.write(PICTURE[:200, :60], subfiletype=1, **TILED)
    with open_slide(tmp_path / "s.tif", reader=reader) as slide:
        assert [level.downsample for level in slide.info.levels] in ([1], [1, 2])


# Pixel sizes


UNITS = [
    ("um", 1),
    ("µm", 1),
    ("μm", 1),
    ("\\u00B5m", 1),
    ("micron", 1),
    ("microns", 1),
    ("Micrometer", 1),
    ("nm", 1e-3),
    ("mm", 1e3),
    ("cm", 1e4),
    ("inch", 25_400),
]


@each_reader
@pytest.mark.parametrize(("unit", "microns"), UNITS)
@pytest.mark.parametrize("resolutionunit", ["NONE", "INCH", "CENTIMETER"])
def test_imagejs_unit_says_what_a_resolution_counts(tmp_path, reader, unit, microns, resolutionunit):
    per_unit = microns / 0.25
    path = write(
        tmp_path / "s.tif",
        PICTURE,
        tile=(128, 128),
        description=f"ImageJ=1.54f\nimages=1\nunit={unit}\n".encode(),
        resolution=(per_unit, per_unit),
        resolutionunit=resolutionunit,
    )
    with open_slide(path, reader=reader) as slide:
        assert slide.info.pixel_size.x_um == pytest.approx(0.25, rel=1e-4)


@pytest.mark.parametrize("unit", ["pixel", "furlong", ""])
def test_imagej_without_a_unit_gives_no_pixel_size(unit):
    line = f"unit={unit}\n" if unit else ""
    assert described(f"ImageJ=1.54f\n{line}", (4.0, 4.0)).pixel_size is None


def test_imagej_may_give_the_height_another_unit():
    said = described("ImageJ=1.54f\nunit=um\nyunit=nm\n", (4.0, 0.004))
    assert said.pixel_size == PixelSize(0.25, 0.25)


@each_reader
def test_a_pixel_size_that_no_microscope_gives_is_none(tmp_path, reader):
    how = {"resolution": (10_000 / 0.025, 10_000 / 0.025), "resolutionunit": "CENTIMETER"}
    with open_slide(write(tmp_path / "s.tif", PICTURE, tile=(128, 128), **how), reader=reader) as slide:
        assert slide.info.pixel_size is None
        assert slide.info.refused_pixel_size.x_um == pytest.approx(0.025)


@each_reader
def test_where_a_file_says_two_sizes_and_one_is_no_microscopes_the_other_is_used_and_told(tmp_path, reader):
    metadata = {"axes": "YXS", "PhysicalSizeX": 0.025, "PhysicalSizeY": 0.025}
    how = {"photometric": "rgb", "tile": (128, 128), "resolution": (40_000, 40_000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(tmp_path / "s.ome.tif", PICTURE, metadata=metadata, **how)
    with open_slide(tmp_path / "s.ome.tif", reader=reader) as slide:
        assert slide.info.pixel_size.x_um == pytest.approx(0.25)
        assert "0.025 x 0.025 um" in slide.info.remarks[0]


@pytest.mark.parametrize(
    "description",
    [
        "",
        "<OME/>",
        '<Pixels PhysicalSizeX="0.5"/>',
        '<Pixels PhysicalSizeX="a" PhysicalSizeY="1"/>',
        '<Pixels PhysicalSizeX="1" PhysicalSizeY="1" PhysicalSizeXUnit="furlong"/>',
    ],
)
def test_ome_metadata_without_a_pixel_size_gives_none(description):
    assert ome_pixel_size(description) is None


@pytest.mark.parametrize("unit", ["µm", "&#181;m", "&#xB5;m", "um"])
def test_ome_metadata_gives_the_first_images_pixel_size(unit):
    pixels = f"<OME:Pixels ID='Pixels:0' PhysicalSizeY='0.51' PhysicalSizeX=\"0.5\" PhysicalSizeXUnit=\"{unit}\">"
    assert ome_pixel_size(f"<OME>{pixels}</OME:Pixels><Pixels PhysicalSizeX='9'/>") == PixelSize(0.5, 0.51)
