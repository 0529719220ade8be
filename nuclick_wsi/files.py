"""Writing files so that a half-written one is never seen and nothing of the user's is lost."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from nuclick_wsi.digests import sha256_of
from nuclick_wsi.errors import ResultError
from nuclick_wsi.leftovers import part_name, remove_leftovers


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Lend a free name in a file's folder; a file of that name that is left is deleted, by a later run if need be."""
    _tidy(path.parent)
    temporary = path.with_name(part_name())
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


@cache
def _tidy(folder: Path) -> None:
    """Remove from a folder what killed processes have left, once per process."""
    remove_leftovers(folder)


def sync_file(path: Path) -> None:
    """Have a file's content on disk; it is opened to be written to, without which Windows refuses."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def write_atomically(path: Path, content: bytes) -> bool:
    """Write a whole file or nothing; return False where it held exactly this already and was left alone.

    Raises
    ------
    ResultError
        If the folder cannot be made or written to.
    """
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path) as temporary:
            temporary.write_bytes(content)
            sync_file(temporary)
            temporary.replace(path)
            _sync_folder(path.parent)
    except OSError as error:
        raise ResultError(
            f"{path}: cannot be written ({error.strerror or error}). Results need a folder that you may write to: "
            "free this one, or choose another with --out."
        ) from error
    return True


@dataclass(frozen=True, slots=True)
class Backup:
    """A copy of a file beside it, and whether it was made just now or is one of an earlier run that was killed."""

    path: Path
    is_new: bool


def back_up(path: Path) -> Backup:
    """Copy a file beside itself under the first free name `NAME.backup`, `NAME.backup2`, ...; return the copy.

    Where the last copy holds just this already, it is taken: a run that was killed before it replaced the file had
    made it.

    Raises
    ------
    ResultError
        If the copy cannot be written.
    """
    copy, last = _free_backup(path)
    try:
        if last is not None and sha256_of(path) == sha256_of(last):
            return Backup(last, is_new=False)
        with temporary_beside(path) as temporary:
            shutil.copyfile(path, temporary)
            sync_file(temporary)  # before it may become read-only, as the original
            shutil.copystat(path, temporary)
            temporary.replace(copy)
            _sync_folder(copy.parent)
    except OSError as error:
        raise ResultError(
            f"{path}: no backup can be made at {copy.name} ({error.strerror or error}), so it is not changed. "
            "Free the folder, or choose another with --out."
        ) from error
    return Backup(copy, is_new=True)


def _free_backup(path: Path) -> tuple[Path, Path | None]:
    """Return the first free name of a copy, and the plain file that has the name before it."""
    number, last = 1, None
    # A link that leads nowhere is in the way too.
    while os.path.lexists(copy := path.with_name(f"{path.name}.backup{number if number > 1 else ''}")):
        last = copy if copy.is_file() and not copy.is_symlink() else None
        number += 1
    return copy, last


def _sync_folder(folder: Path) -> None:
    """Have a folder's names on disk, where the system can do that: Windows opens no folder."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems sync no folder
            raise
    finally:
        os.close(descriptor)
