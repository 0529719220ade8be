"""Slides with damaged headers, and the OME-XML and ImageJ texts in them.

OpenSlide, libtiff and the codecs are C: what ends the process is a fault too.
"""

import io
import re
import struct
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
import tifffile
from made_slides import RAW, TILED, smooth_image, write_leica

from fuzz.mutations import damaged_bytes, damaged_text
from fuzz.target import Target
from nuclick_wsi.geometry import Size
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.fingerprint import fingerprint
from nuclick_wsi.slides.pyramid import PyramidLayout, write_pyramid
from nuclick_wsi.slides.readers import open_slide
from nuclick_wsi.slides.readers.tiff_description import described
from nuclick_wsi.slides.slide import Frame

_VALUES = (0, 1, 2, 3, 7, 16, 255, 256, 4096, 65535, 65536, 2**24, 301204687, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63)
_TYPES = (0, 1, 2, 3, 4, 5, 7, 11, 12, 13, 16, 17, 18, 99)
_TAGS = (254, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 282, 284, 296, 317, 320, 322, 323, 324, 325,
    330, 338, 339, 347, 530, 34675, 65420, 65426)  # fmt: skip
_OME = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels DimensionOrder="XYCZT" ID="Pixels:0" SizeX="512" SizeY="384" SizeC="3" SizeZ="1" '
    'SizeT="1" Type="uint8" PhysicalSizeX="0.25" PhysicalSizeXUnit="µm" PhysicalSizeY="0.25" PhysicalSizeYUnit="µm">'
    '<Channel ID="Channel:0" SamplesPerPixel="3"/><TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>'
)
_IMAGEJ = "ImageJ=1.53t\nimages=1\nchannels=1\nslices=1\nunit=micron\nspacing=1.0\nloop=false\n"


@cache
def slides() -> tuple[bytes, ...]:
    """Return small slides of the kinds that hospitals have."""
    image = smooth_image(512, 384)
    with TemporaryDirectory() as name:
        folder = Path(name)
        write_pyramid(folder / "a.svs", image, PixelSize(0.25, 0.25), PyramidLayout((1, 2)))
        write_leica(folder / "b.scn", image, (64, 64), Size(1024, 1024))
        found = [path.read_bytes() for path in sorted(folder.iterdir())]
    tiled = {**TILED, "tile": (128, 128)}
    for big in (False, True):
        found.append(_written(big, image, description=_OME.encode(), subifds=1, **tiled))
    found.append(_written(False, image, **{**RAW, "compression": "jpeg", "tile": (128, 128)}))
    found.append(_written(False, image, rowsperstrip=32, description=_IMAGEJ, **RAW))
    found.append(_written(False, image[..., 0].copy(), **{**RAW, "photometric": "minisblack", "compression": "lzw"}))
    return tuple(found)


def _written(big: bool, image: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=big) as writer:
        writer.write(image, **options)
        if "subifds" in options:
            writer.write(image[::2, ::2].copy(), subfiletype=1, **{**TILED, "tile": (128, 128)})
    return file.getvalue()


def entries_of(data: bytes) -> list[tuple[int, int, str]]:
    """Return place, width of a count and byte order of every entry of the directories in a TIFF."""
    order = "<" if data[:2] == b"II" else ">"
    big = data[2:4] in (b"+\0", b"\0+")
    count, number, size, width = ("Q", "Q", 20, 8) if big else ("H", "I", 12, 4)
    (offset,) = struct.unpack_from(order + number, data, 8 if big else 4)
    found, seen = [], set()
    while offset and offset not in seen and offset + 8 < len(data):
        seen.add(offset)
        (entries,) = struct.unpack_from(order + count, data, offset)
        start = offset + struct.calcsize(count)
        found += [(start + size * place, width, order) for place in range(entries)]
        (offset,) = struct.unpack_from(order + number, data, start + size * entries)
    return found


def make_slide(random: Random) -> bytes:
    """Return a slide with damaged entries of its directories, or damaged bytes, or another description."""
    data = bytearray(random.choice(slides()))
    if random.random() < 0.15:
        return damaged_bytes(random, bytes(data))
    if random.random() < 0.15:
        text = make_description(random)
        return _written(False, smooth_image(256, 256), description=text, **{**RAW, "tile": (128, 128)})
    entries = entries_of(data)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        place, width, order = random.choice(entries)
        letter = "Q" if width == 8 else "I"
        largest = (1 << 8 * width) - 1
        match random.randrange(8):
            case 0:
                struct.pack_into(order + "H", data, place, random.choice(_TAGS))
            case 1:
                struct.pack_into(order + "H", data, place + 2, random.choice(_TYPES))
            case 2:
                struct.pack_into(order + letter, data, place + 4, min(random.choice(_VALUES), largest))
            case _:
                # As a long: the value of most tags stands in its entry.
                struct.pack_into(order + "H", data, place + 2, random.choice((3, 4, 4)))
                value = min(random.choice(_VALUES), largest)
                struct.pack_into(order + letter, data, place + 4 + width, value)
    return bytes(data)


def read_slide(data: bytes, folder: Path) -> None:
    path = folder / "slide.tif"
    path.write_bytes(data)
    fingerprint(path)
    with open_slide(path, frame=Frame.BOUNDS) as slide:
        str(slide.info)
        for number, level in enumerate(slide.info.levels[:4]):
            slide.read(number, 0, 0, Size(64, 64))
            slide.read(number, level.size.width - 40, level.size.height - 40, Size(64, 64))


_DESCRIPTIONS = [re.findall(r'<[/\w?]+|"[^"]*"|>|[^<>"=]+|=', text) for text in (_OME, _IMAGEJ)]
_DESCRIPTION_WORDS = (
    '"0"',
    '"-1"',
    '"nan"',
    '"1e400"',
    '"' + "9" * 400 + '"',
    '"' + "9" * 5000 + '"',
    "9" * 5000,
    "<Pixels",
    "<Pixels " * 4000,
    "a" * 60_000,
    "a " * 30_000,
    "<a:" * 9000,
    "<!DOCTYPE a [<!ENTITY b 'cccc'><!ENTITY d '&b;&b;&b;&b;&b;&b;&b;&b;'>]>",
    "\\u00B5m",
    "\\uffffm",
    "channels=" + "9" * 30,
)


def make_description(random: Random) -> bytes:
    text = damaged_text(random, random.choice(_DESCRIPTIONS), _DESCRIPTION_WORDS)
    return text.encode("utf-8", "replace").replace(b"\0", b"")


def read_description(data: bytes, _: Path) -> None:
    described(data.decode(errors="replace"), (40_000.0, 40_000.0))


TARGETS = {"slide": Target(make_slide, read_slide), "description": Target(make_description, read_description)}
