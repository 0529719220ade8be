"""What a slide's file is, in little time however large it is: a digest of its ends, headers and tables of tiles.

Pixels are not read. A tile that is written anew shows in the tables, where its length or place is another; one of the
same length in the same place shows in nothing but the time of change.
"""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from nuclick_wsi.errors import SlideError
from nuclick_wsi.slides.readers.tiff_directories import Directory, MissingDataError, directories, is_tiff

_ENDS = 1 << 20
"""Bytes at either end of a file."""
_WITH_FOLDER = ".mrxs"
"""A slide whose pixels are in a folder of the same name beside it."""
_WITH_SIBLINGS = {".dcm": (".dcm",), ".vms": (".jpg", ".opt"), ".vmu": (".ngr", ".opt")}
"""Slides of several files in one folder: the endings of the others."""
_MICROSECOND = 1000
"""Nanoseconds; what is finer differs between a computer and those that it shares a file with."""


def fingerprint(path: Path) -> str:
    """Return a cheap name for the content of a slide's file: 64 hexadecimal digits.

    It is the SHA-256 of the file's length, of its first and last MiB, and of a TIFF's directories: every tag of every
    picture, with the places and lengths of all tiles. A folder, and the other files of a slide of many files, count by
    their names and lengths.

    Raises
    ------
    SlideError
        If the file cannot be read.
    """
    digest = hashlib.sha256()
    try:
        if not path.is_dir():
            digest.update(_ends(path))
            if is_tiff(path):
                for part in _tables(path):
                    digest.update(part)
        for file in _others(path):
            digest.update(f"{_name_in(path, file)}\0{file.stat().st_size}\n".encode())
    except OSError as error:
        raise _unreadable(path, error) from error
    return digest.hexdigest()


def last_changed(path: Path) -> str:
    """Return when a slide's files were changed last, as a digest: with the fingerprint, the identity of what is read.

    Raises
    ------
    SlideError
        If the file cannot be read.
    """
    try:
        times = [file.stat().st_mtime_ns // _MICROSECOND for file in (path, *_others(path))]
    except OSError as error:
        raise _unreadable(path, error) from error
    return hashlib.sha256(repr(times).encode()).hexdigest()


def _unreadable(path: Path, error: OSError) -> SlideError:
    return SlideError(f"{path}: cannot be read ({error.strerror or error}).")


def _ends(path: Path) -> bytes:
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(0)
        first = file.read(_ENDS)
        file.seek(max(len(first), length - _ENDS))
        return f"{length}\n".encode() + first + file.read()


def _tables(path: Path) -> Iterator[bytes]:
    """Yield all that the directories of a TIFF say, as far as they can be read."""
    with path.open("rb") as file:
        try:
            for directory in directories(file):
                yield from _said_by(directory)
        except MissingDataError:
            return  # the readers say what is wrong with it


def _said_by(directory: Directory) -> Iterator[bytes]:
    for tag, entry in sorted(directory.entries.items()):
        yield entry
        yield directory.content(tag)


def _others(path: Path) -> list[Path]:
    """Return the files that belong to a slide beside the one that is opened, in the order of their names."""
    suffix = path.suffix.lower()
    if path.is_dir() or suffix == _WITH_FOLDER:
        found = (path if path.is_dir() else path.with_suffix("")).rglob("*")
    elif suffix in _WITH_SIBLINGS:
        found = (one for one in path.parent.iterdir() if one.suffix.lower() in _WITH_SIBLINGS[suffix] and one != path)
    else:
        return []
    return sorted(one for one in found if one.is_file())


def _name_in(path: Path, file: Path) -> str:
    folder = path if path.is_dir() else path.with_suffix("") if path.suffix.lower() == _WITH_FOLDER else path.parent
    return file.relative_to(folder).as_posix()
