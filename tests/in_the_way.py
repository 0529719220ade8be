"""What of a user's can be in the way of a file that is to be written, and how to see that it is left alone."""

import os
import unicodedata
from pathlib import Path


def _same_name(path: Path) -> None:
    path.write_text("the user's")


def _other_case(path: Path) -> None:
    path.with_name(path.name.upper()).write_text("the user's")


def _other_form(path: Path) -> None:
    path.with_name(unicodedata.normalize("NFD", path.name)).write_text("the user's")


def _symlink(path: Path) -> None:
    (path.parent / "slide.svs").write_text("the user's")
    path.symlink_to(path.parent / "slide.svs")


def _hardlink(path: Path) -> None:
    (path.parent / "slide.svs").write_text("the user's")
    os.link(path.parent / "slide.svs", path)


def _link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent / "unplugged.svs")


IN_THE_WAY = [_same_name, _other_case, _other_form, _symlink, _hardlink, _link_to_nothing]


def contents(folder: Path) -> dict[str, bytes]:
    """Return what all files below a folder hold, and where links lead."""
    return {
        path.relative_to(folder).as_posix(): os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }
