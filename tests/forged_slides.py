"""Slides of formats that no library writes: Hamamatsu's VMS, MIRAX and Sakura's SQLite, each as small as it gets.

The texts and tables in them are what a forger would change; `files` are by name, the first the one to open.
"""

import io
import sqlite3
import struct
from collections.abc import Mapping
from pathlib import Path

from made_slides import smooth_image
from PIL import Image

Files = dict[str, bytes]

_VMS = """[Virtual Microscope Specimen]
NoLayers=1
NoJpegColumns=1
NoJpegRows=1
ImageFile=a.jpg
MapFile=b.jpg
OptimisationFile=a.opt
MacroImage=b.jpg
PhysicalWidth=64000
PhysicalHeight=48000
SourceLens=20
"""
_MIRAX = """[GENERAL]
SLIDE_ID=0123456789ABCDEF0123456789ABCDEF
IMAGENUMBER_X=2
IMAGENUMBER_Y=2
OBJECTIVE_MAGNIFICATION=20
CameraImageDivisionsPerSide=1
[HIERARCHICAL]
HIER_COUNT=1
NONHIER_COUNT=0
INDEXFILE=Index.dat
HIER_0_NAME=Slide zoom level
HIER_0_COUNT=1
HIER_0_VAL_0_SECTION=LEVEL_0
[DATAFILE]
FILE_COUNT=1
FILE_0=Data0000.dat
[LEVEL_0]
OVERLAP_X=0
OVERLAP_Y=0
MICROMETER_PER_PIXEL_X=0.25
MICROMETER_PER_PIXEL_Y=0.25
IMAGE_FILL_COLOR_BGR=16777215
IMAGE_FORMAT=JPEG
IMAGE_CONCAT_FACTOR=0
DIGITIZER_WIDTH=64
DIGITIZER_HEIGHT=64
"""


def vms(**changes: int | str) -> Files:
    """Return a slide of one JPEG; keyword arguments are other values of its text."""
    picture, overview = _jpeg(256, 192, restart_marker_rows=1), _jpeg(64, 48, restart_marker_rows=1)
    return {
        "a.vms": _changed(_VMS, changes),
        "a.jpg": picture,
        "b.jpg": overview,
        "a.opt": b"",
    }


def mirax(**changes: int | str) -> Files:
    """Return a slide of four tiles; keyword arguments are other values of `Slidedat.ini`."""
    tile, head = _jpeg(64, 64), b"01.02" + b"0123456789ABCDEF0123456789ABCDEF"
    entries = [struct.pack("<4i", place, 37, len(tile), 0) for place in range(4)]
    index = head + struct.pack("<8i", 45, 0, 49, 0, 57, 4, 0, 0)[:20] + struct.pack("<2i", 4, 0) + b"".join(entries)
    return {
        "a.mrxs": b"MIRAX",
        "a/Slidedat.ini": _changed(_MIRAX, changes),
        "a/Index.dat": index,
        "a/Data0000.dat": head + tile,
    }


def sakura() -> Files:
    """Return a slide of one tile in tables of SQLite."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(
        "CREATE TABLE SVSlideDataXPO (OID INTEGER, m_labelScan, m_overviewScan, SlideId, Date, Creator, Description, "
        "Keywords);"
        "CREATE TABLE SVHRScanDataXPO (OID INTEGER, ParentSlide, ScanId, Date, Description, Name, ResolutionMmPerPix, "
        "NominalLensMagnification, FocussingMethod, UNIQUE_TABLE);"
        "CREATE TABLE DataManagerSQLiteConfigXPO (TableName TEXT);"
        "CREATE TABLE tiles (id TEXT, size INTEGER, data BLOB);"
        "INSERT INTO DataManagerSQLiteConfigXPO VALUES ('tiles');"
        "INSERT INTO SVSlideDataXPO VALUES (1, 0, 0, 'a', 'b', 'c', 'd', 'e');"
        "INSERT INTO SVHRScanDataXPO VALUES (1, 1, 'a', 'b', 'c', 'd', 0.00025, 20, 'e', 'f');"
    )
    header = struct.pack("<8I", 64, 256, 192, 8, 3, 1, 0, 0)
    rows = [("++MagicBytes", b"SVGigaPixelImage"), ("Header", header), ("T;0|0;1;0;0", _jpeg(64, 64))]
    connection.executemany("INSERT INTO tiles VALUES (?, ?, ?)", [(name, len(data), data) for name, data in rows])
    return {"a.svslide": connection.serialize()}


def write_files(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Write the files of a slide; return the one to open."""
    for name, content in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / next(iter(files))


def _changed(text: str, changes: Mapping[str, int | str]) -> bytes:
    lines = [line.partition("=") for line in text.splitlines()]
    return "\n".join(f"{key}{equals}{changes.get(key, value)}" for key, equals, value in lines).encode()


def _jpeg(width: int, height: int, **options: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(smooth_image(width, height)).save(file, "jpeg", **options)
    return file.getvalue()
