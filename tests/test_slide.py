import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from nuclick_wsi.choices import ReaderChoice
from nuclick_wsi.errors import PixelSizeError, SlideError
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.slide import Level, SlideInfo, fingerprint, resolve_pixel_size

PROJECT, FILE, USER = PixelSize(0.2, 0.2), PixelSize(0.3, 0.3), PixelSize(0.4, 0.4)


def info(pixel_size: PixelSize | None = None, refused: PixelSize | None = None) -> SlideInfo:
    size = Size(100, 80)
    return SlideInfo(Path("s.svs"), ReaderChoice.IMAGE, size, (Level(1, size),), pixel_size, refused)


@pytest.mark.parametrize(
    ("project", "file", "user", "expected"),
    [
        (PROJECT, FILE, USER, PROJECT),
        (None, FILE, USER, FILE),
        (None, None, USER, USER),
        (PixelSize(352.78, 352.78), FILE, USER, FILE),
        (PixelSize(352.78, 352.78), None, USER, USER),
    ],
)
def test_the_pixel_size_is_the_projects_then_the_files_then_the_users(project, file, user, expected):
    assert resolve_pixel_size(info(file), project, user) == expected


def test_without_a_pixel_size_the_error_names_the_three_ways_to_give_one():
    with pytest.raises(PixelSizeError, match=r"s\.svs.*QuPath project.*metadata.*--mpp"):
        resolve_pixel_size(info())


@pytest.mark.parametrize("from_project", [None, PixelSize(352.78, 352.78)])
def test_a_pixel_size_that_no_microscope_gives_is_named_in_the_error(from_project):
    with pytest.raises(PixelSizeError, match=r"352\.78 x 352\.78 um"):
        resolve_pixel_size(info(refused=PixelSize(352.78, 352.78)), from_project)


def test_a_pixel_size_of_the_user_that_no_microscope_gives_is_refused():
    with pytest.raises(PixelSizeError, match=r"250 x 250 um.*0\.05 to 20"):
        resolve_pixel_size(info(), None, PixelSize(250, 250))


@pytest.mark.parametrize(
    "given", [{"from_project": PixelSize(0.25, 0.3)}, {"from_user": PixelSize(0.3, 0.25)}, {"file": PixelSize(1, 2)}]
)
def test_pixels_that_are_not_square_are_refused(given):
    file = given.pop("file", None)
    with pytest.raises(PixelSizeError, match="square"):
        resolve_pixel_size(info(file), **given)


def test_pixels_that_are_square_to_a_few_percent_are_taken():
    assert resolve_pixel_size(info(PixelSize(0.25, 0.27))) == PixelSize(0.25, 0.27)


def test_a_fingerprint_is_that_of_the_length_and_both_ends(tmp_path):
    path = tmp_path / "a.svs"
    path.write_bytes(b"slide")
    assert fingerprint(path) == hashlib.sha256(b"5\nslide").hexdigest()


def test_a_fingerprint_changes_with_the_first_byte_the_last_byte_and_the_length(tmp_path):
    content = bytearray(3 << 20)
    variants = [content, content + b"\0", b"x" + content[1:], content[:-1] + b"x"]
    prints = set()
    for number, variant in enumerate(variants):
        path = tmp_path / f"{number}.svs"
        path.write_bytes(variant)
        prints.add(fingerprint(path))
    assert len(prints) == 4


def test_a_fingerprint_does_not_depend_on_the_name_or_a_folder_beside_the_file(tmp_path):
    one, other = tmp_path / "one.svs", tmp_path / "other.svs"
    for path in (one, other):
        path.write_bytes(b"slide")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "results.geojson").write_bytes(b"{}")
    assert fingerprint(one) == fingerprint(other)


def test_the_fingerprint_of_a_mirax_slide_counts_its_folder(tmp_path):
    path = tmp_path / "s.mrxs"
    path.write_bytes(b"index")
    (tmp_path / "s").mkdir()
    before = fingerprint(path)
    (tmp_path / "s" / "Data0000.dat").write_bytes(b"pixels")
    assert fingerprint(path) != before


def test_a_folder_has_a_fingerprint(tmp_path):
    before = fingerprint(tmp_path)
    (tmp_path / "0.0").write_bytes(b"chunk")
    assert fingerprint(tmp_path) != before


def test_the_fingerprint_of_a_missing_file_is_a_slide_error(tmp_path):
    with pytest.raises(SlideError, match=r"gone\.svs"):
        fingerprint(tmp_path / "gone.svs")


@pytest.mark.parametrize(
    ("module", "libraries"),
    [
        ("nuclick_wsi.slides.slide", ("openslide", "tiffslide", "tifffile", "PIL", "zarr")),
        ("nuclick_wsi.slides.readers", ("openslide", "tiffslide", "tifffile", "zarr")),
    ],
)
def test_a_library_is_imported_only_by_the_slide_that_needs_it(module, libraries):
    code = f"import sys, {module}; print(*[name for name in {libraries!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
