import hashlib
import os
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
import tifffile
from made_slides import noise

from nuclick_wsi.errors import SlideError
from nuclick_wsi.slides.fingerprint import fingerprint, last_changed


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


def a_tiled_slide(path):
    tifffile.imwrite(path, noise(2048, 2048), photometric="rgb", tile=(256, 256), compression="jpeg", metadata=None)
    return path


def test_a_tile_of_another_length_in_the_middle_of_a_slide_is_another_slide(tmp_path):
    path = a_tiled_slide(tmp_path / "a.tif")
    content = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as file:
        lengths = file.pages[0].tags["TileByteCounts"]
    before, place = fingerprint(path), lengths.valueoffset + 4 * 32
    content[place : place + 4] = (lengths.value[32] - 2).to_bytes(4, "little")
    path.write_bytes(content)
    assert fingerprint(path) != before


def test_a_header_in_the_middle_of_a_file_counts(tmp_path):
    prints = set()
    for description in ("mpp 0.25", "mpp 0.50"):
        with tifffile.TiffWriter(tmp_path / "a.tif") as file:
            for said in (None, description, None):
                file.write(noise(1024, 1024), tile=(256, 256), description=said, metadata=None, software=False)
        prints.add(fingerprint(tmp_path / "a.tif"))
    assert len(prints) == 2


def test_a_tile_of_the_same_length_shows_in_the_time_alone(tmp_path):
    path = a_tiled_slide(tmp_path / "a.tif")
    before, changed = fingerprint(path), last_changed(path)
    assert last_changed(path) == changed
    with path.open("rb+") as file:
        file.seek(2 << 20)
        file.write(b"other pixels")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 5000))
    assert path.stat().st_size > 4 << 20
    assert fingerprint(path) == before
    assert last_changed(path) != changed


def test_the_other_files_of_a_slide_in_a_folder_count(tmp_path):
    (tmp_path / "1.dcm").write_bytes(b"level 0")
    (tmp_path / "2.dcm").write_bytes(b"level 1")
    (tmp_path / "notes.txt").write_bytes(b"mine")
    before, changed = fingerprint(tmp_path / "1.dcm"), last_changed(tmp_path / "1.dcm")
    (tmp_path / "notes.txt").write_bytes(b"mine, longer")
    assert (fingerprint(tmp_path / "1.dcm"), last_changed(tmp_path / "1.dcm")) == (before, changed)
    (tmp_path / "2.dcm").write_bytes(b"another level")
    assert fingerprint(tmp_path / "1.dcm") != before
    assert last_changed(tmp_path / "1.dcm") != changed


def test_a_slide_of_50_gb_has_its_fingerprint_at_once(tmp_path):
    """The file is sparse: its million tiles hold nothing, and their table is in the middle."""
    path, tiles, size = tmp_path / "large.tif", 1_000_000, 50 * 10**9
    table = size // 2
    tags = [(256, 4, 1, 256_000), (257, 4, 1, 256_000), (322, 4, 1, 256), (323, 4, 1, 256)]
    tags += [(324, 16, tiles, table), (325, 4, tiles, table + 8 * tiles)]
    prints = []
    for changed in (0, 1):
        with path.open("wb") as file:
            file.write(struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, len(tags)))
            file.write(b"".join(struct.pack("<HHQQ", *tag) for tag in tags) + bytes(8))
            file.seek(table)
            file.write(np.arange(tiles, dtype="<u8").tobytes() + np.full(tiles, 9 + changed, "<u4").tobytes())
            file.truncate(size)
        begun = time.process_time()
        prints.append(fingerprint(path))
        assert time.process_time() - begun < 0.5
    assert len(set(prints)) == 2


@pytest.mark.parametrize(
    ("module", "libraries"),
    [
        ("nuclick_wsi.slides.fingerprint", ("openslide", "tiffslide", "tifffile", "zarr")),
        ("nuclick_wsi.slides.slide", ("openslide", "tiffslide", "tifffile", "PIL", "zarr")),
        ("nuclick_wsi.slides.readers", ("openslide", "tiffslide", "tifffile", "zarr")),
    ],
)
def test_a_library_is_imported_only_by_the_slide_that_needs_it(module, libraries):
    code = f"import sys, {module}; print(*[name for name in {libraries!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []
