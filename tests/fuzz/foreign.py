"""Slides that are no TIFF, damaged around their pixels: Hamamatsu's VMS, MIRAX, Sakura's and DICOM."""

import json
import re
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from forged_slides import Files, mirax, sakura, vms, write_files
from made_slides import smooth_image

from fuzz.mutations import damaged_bytes, damaged_text
from fuzz.target import Target
from nuclick_wsi.geometry import Size
from nuclick_wsi.slides.fingerprint import fingerprint
from nuclick_wsi.slides.readers import open_slide

_TEXTS = (".vms", ".ini")
_WORDS = (
    "0",
    "-1",
    "2",
    "255",
    "46000",
    "65536",
    "1073741824",
    "2147483647",
    "4294967296",
    "9223372036854775807",
    "1e308",
    "nan",
    "../../etc/passwd",
    "/dev/zero",
    "Data0000.dat",
    "[HIERARCHICAL]",
    "VIMSLIDE_POSITION_BUFFER",
    "\nNoLayers=2\n",
)


@cache
def slides() -> tuple[Files, ...]:
    """Return a slide of each format."""
    found = [vms(), mirax(), sakura()]
    if find_spec("pydicom"):
        from test_dicom import write_level  # noqa: PLC0415  (it needs pydicom)

        with TemporaryDirectory() as folder:
            path = Path(folder) / "a.dcm"
            write_level(path, smooth_image(256, 128), 0.25)
            found.append({"a.dcm": path.read_bytes()})
    return tuple(found)


def make_foreign(random: Random) -> bytes:
    """Return the files of a slide as JSON, one of them damaged."""
    files = dict(random.choice(slides()))
    name = random.choice([one for one in files if not one.endswith((".opt", ".mrxs"))])
    if name.endswith(_TEXTS) and random.random() < 0.9:
        tokens = re.findall(r"\w+|.|\n", files[name].decode())
        files[name] = damaged_text(random, tokens, _WORDS).encode("utf-8", "surrogatepass")
    else:
        files[name] = damaged_bytes(random, files[name])
    return json.dumps({one: content.decode("latin-1") for one, content in files.items()}).encode()


def read_foreign(data: bytes, folder: Path) -> None:
    path = write_files(folder, {name: content.encode("latin-1") for name, content in json.loads(data).items()})
    fingerprint(path)
    with open_slide(path) as slide:
        str(slide.info)
        for number, level in enumerate(slide.info.levels[:4]):
            slide.read(number, 0, 0, Size(64, 64))
            slide.read(number, level.size.width - 40, level.size.height - 40, Size(64, 64))


TARGETS = {"foreign": Target(make_foreign, read_foreign)}
