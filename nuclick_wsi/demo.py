"""The demo: a real QuPath project with clicks and squiggles, and its slide made on the spot.

The tissue is scikit-image's picture of a colon section (haematoxylin and DAB), which its wheel carries; the project's
files were written by QuPath 0.5.1.
"""

import os
from collections.abc import Iterable
from importlib.resources import as_file, files
from pathlib import Path

from skimage.data import immunohistochemistry

from nuclick_wsi.errors import ResultError, SettingsError
from nuclick_wsi.files import write_atomically
from nuclick_wsi.ownership import namesakes
from nuclick_wsi.scale import PixelSize
from nuclick_wsi.slides.pyramid import write_pyramid

PROJECT = "project.qpproj"
SLIDE = Path("slides", "colon_ihc.svs")
PIXEL_SIZE = PixelSize(0.5, 0.5)
"""Estimated from the size of the nuclei: the picture comes without a pixel size."""


def make_demo(folder: Path) -> Path:
    """Build the demo's project in a folder, keeping what is there of it already; return its .qpproj.

    Raises
    ------
    SettingsError
        If the folder has other files under names of the demo's, or is none.
    ResultError
        If the folder cannot be written to.
    """
    if folder.exists() and not folder.is_dir():
        raise SettingsError(f"{folder} is a file, and the demo is a folder: name one, which need not exist.")
    project = folder / PROJECT
    try:
        with as_file(files("nuclick_wsi") / "demo_project") as source:
            if not _is_demo(project):
                _require_free(folder, [*(path.name for path in source.iterdir()), SLIDE.parts[0]])
            for file in sorted(path for path in source.rglob("*") if path.is_file()):
                if not os.path.lexists(target := folder / file.relative_to(source)):
                    write_atomically(target, file.read_bytes())
        if not os.path.lexists(folder / SLIDE):
            (folder / SLIDE).parent.mkdir(parents=True, exist_ok=True)
            write_pyramid(folder / SLIDE, immunohistochemistry(), PIXEL_SIZE)
    except OSError as error:
        raise ResultError(f"{folder}: the demo cannot be written there ({error.strerror or error}).") from error
    return project


def _is_demo(project: Path) -> bool:
    """Whether a project is one of ours, by the slide that it names; QuPath may have written it since."""
    return project.is_file() and SLIDE.name in project.read_text(encoding="utf-8", errors="replace")


def _require_free(folder: Path, names: Iterable[str]) -> None:
    for found in (found for name in names for found in namesakes(folder / name)):
        raise SettingsError(
            f"{folder}: {found.name} is there already and is not the demo's, so nothing is written. Name a new folder."
        )
