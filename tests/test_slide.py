import hashlib
import subprocess
import sys

import pytest

from nuclick_wsi.errors import SlideError
from nuclick_wsi.slides.slide import fingerprint


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
