"""The demo: a real QuPath project with clicks and squiggles, and its slide made on the spot.

The tissue is scikit-image's picture of a colon section (haematoxylin and DAB), which its wheel carries; the project's
files were written by QuPath 0.5.1.
"""

import shutil
from importlib.resources import as_file, files
from pathlib import Path

from skimage.data import immunohistochemistry

from nuclick_wsi.errors import ResultError
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import write_pyramid

SLIDE = Path("slides", "colon_ihc.svs")
PIXEL_SIZE = PixelSize(0.5, 0.5)
"""Estimated from the size of the nuclei: the picture comes without a pixel size."""


def make_demo(folder: Path) -> Path:
    """Build the demo's project in a folder, keeping what is there already; return its .qpproj.

    Raises
    ------
    ResultError
        If the folder cannot be written to.
    """
    try:
        (folder / SLIDE).parent.mkdir(parents=True, exist_ok=True)
        with as_file(files("nuclick_wsi") / "demo_project") as source:
            for file in sorted(path for path in source.rglob("*") if path.is_file()):
                target = folder / file.relative_to(source)
                target.parent.mkdir(parents=True, exist_ok=True)
                if not target.exists():
                    shutil.copyfile(file, target)
        if not (folder / SLIDE).exists():
            write_pyramid(folder / SLIDE, immunohistochemistry(), PIXEL_SIZE)
    except OSError as error:
        raise ResultError(f"{folder}: the demo cannot be written there ({error.strerror or error}).") from error
    return folder / "project.qpproj"
