import numpy as np
import openslide
import pytest
import tifffile
import tiffslide
from made_slides import noise, shrunk, smooth_image
from skimage.data import immunohistochemistry

from nuclick_wsi.errors import ResultError
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import PyramidCompression, PyramidLayout, write_pyramid

LOSSLESS = PyramidLayout(compression=PyramidCompression.LOSSLESS)
HALF = PixelSize(0.5, 0.5)


def layout_of(path):
    with tifffile.TiffFile(path) as file:
        return [(page.shape, page.is_tiled, page.compression.name) for page in file.pages]


def test_the_demos_slide_has_the_layout_of_the_one_that_its_project_was_drawn_on(tmp_path, shared_data):
    path = tmp_path / "colon_ihc.svs"
    write_pyramid(path, immunohistochemistry(), HALF)
    drawn_on = shared_data / "qupath/demo_v0.5.1/slides/colon_ihc.svs"
    assert layout_of(path) == layout_of(drawn_on)
    with openslide.OpenSlide(path) as made, openslide.OpenSlide(drawn_on) as original:
        assert made.level_dimensions == original.level_dimensions == ((512, 512), (256, 256), (128, 128))
        for name in ("openslide.mpp-x", "openslide.mpp-y", "openslide.objective-power", "openslide.vendor"):
            assert made.properties[name] == original.properties[name]


@pytest.mark.parametrize("size", [(512, 512), (300, 200), (16, 1040), (5, 3)])
@pytest.mark.parametrize("library", [openslide.OpenSlide, tiffslide.TiffSlide])
def test_a_lossless_pyramid_holds_the_picture_and_the_means_of_its_squares(tmp_path, size, library):
    path, image = tmp_path / "s.svs", noise(*size)
    write_pyramid(path, image, HALF, LOSSLESS)
    padded = np.pad(image, ((0, -size[1] % 4), (0, -size[0] % 4), (0, 0)), constant_values=255)
    with library(path) as slide:
        assert slide.level_count == 3
        for level, factor in enumerate((1, 2, 4)):
            seen = np.asarray(slide.read_region((0, 0), level, slide.level_dimensions[level]).convert("RGB"))
            # The writer rounds halves up, numpy's round to even.
            assert np.abs(seen.astype(int) - shrunk(padded, factor)).max() <= (factor > 1)


def test_jpeg_keeps_a_smooth_picture_within_a_few_grey_levels(tmp_path):
    image = smooth_image(256, 256)
    write_pyramid(tmp_path / "s.svs", image, HALF)
    with openslide.OpenSlide(tmp_path / "s.svs") as slide:
        seen = np.asarray(slide.read_region((0, 0), 0, (256, 256)).convert("RGB"))
    assert np.abs(seen.astype(int) - image).mean() < 3


@pytest.mark.parametrize("layout", [PyramidLayout(), LOSSLESS, PyramidLayout((1, 4, 16), tile=128, quality=70)])
def test_the_same_picture_gives_the_same_bytes(tmp_path, layout):
    for name in ("a.svs", "b.svs"):
        write_pyramid(tmp_path / name, immunohistochemistry(), HALF, layout)
    assert (tmp_path / "a.svs").read_bytes() == (tmp_path / "b.svs").read_bytes()


@pytest.mark.parametrize("mpp", [0.25, 0.499, 0.62, 1.0])
def test_both_libraries_read_the_pixel_size(tmp_path, mpp):
    write_pyramid(tmp_path / "s.svs", noise(64, 64), PixelSize(mpp, mpp))
    with openslide.OpenSlide(tmp_path / "s.svs") as one, tiffslide.TiffSlide(tmp_path / "s.svs") as other:
        assert float(one.properties["openslide.mpp-x"]) == other.properties["tiffslide.mpp-x"] == mpp


def test_a_slide_can_be_made_without_a_pixel_size(tmp_path):
    write_pyramid(tmp_path / "s.svs", noise(64, 64), None)
    with openslide.OpenSlide(tmp_path / "s.svs") as slide:
        assert "openslide.mpp-x" not in slide.properties


@pytest.mark.parametrize("downsamples", [(), (2, 4), (1, 4, 2), (1, 2, 3), (1, 1)])
def test_downsamples_that_do_not_divide_are_refused(downsamples):
    with pytest.raises(ValueError, match="downsamples"):
        PyramidLayout(downsamples)


@pytest.mark.parametrize("shape", [(8, 8), (8, 8, 4), (0, 8, 3)])
def test_what_is_no_rgb_picture_is_refused(tmp_path, shape):
    with pytest.raises(ValueError, match="uint8"):
        write_pyramid(tmp_path / "s.svs", np.zeros(shape, np.uint8), None)


def test_a_folder_that_is_not_there_is_a_result_error(tmp_path):
    with pytest.raises(ResultError, match="cannot be written"):
        write_pyramid(tmp_path / "none" / "s.svs", noise(8, 8), None)
