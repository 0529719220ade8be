"""Writing files so that a half-written one is never seen and nothing of the user's is lost."""

import errno
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nuclick_wsi.errors import ResultError


@contextmanager
def temporary_beside(path: Path) -> Iterator[Path]:
    """Lend a free name in a file's folder; a file of that name that is left is deleted."""
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)


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


def back_up(path: Path) -> Path:
    """Copy a file beside itself under the first free name `NAME.backup`, `NAME.backup2`, ...; return the copy.

    Raises
    ------
    ResultError
        If the copy cannot be written.
    """
    number = 1
    # A link that leads nowhere is in the way too.
    while os.path.lexists(copy := path.with_name(f"{path.name}.backup{number if number > 1 else ''}")):
        number += 1
    try:
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
    return copy


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
