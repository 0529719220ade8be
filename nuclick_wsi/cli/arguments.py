"""Checks of arguments that several commands have."""

from pathlib import Path

from nuclick_wsi.errors import SettingsError
from nuclick_wsi.paths import existing
from nuclick_wsi.slides.readers.ome_zarr_reader import is_zarr_folder


def require_slide(slide: Path) -> None:
    """Refuse a slide that is named on the command line and is none.

    Raises
    ------
    SettingsError
        It is not there, or a folder.
    """
    slide = existing(slide)
    if slide.is_dir() and not is_zarr_folder(slide):
        raise SettingsError(
            f"--slide {slide}: is a folder, not a slide. Name the file in it that QuPath or ASAP opens."
        )
    if not slide.exists():
        raise SettingsError(f"--slide {slide}: there is no such file. Check the path.")
