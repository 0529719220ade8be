"""Writing files so that a half-written one is never seen and nothing of the user's is lost."""

import errno
import os
import shutil
import uuid
from pathlib import Path

from nuclick_wsi.errors import ResultError


def write_atomically(path: Path, content: bytes) -> bool:
    """Write a whole file or nothing; return False where it held exactly this already and was left alone.

    Raises
    ------
    ResultError
        If the folder cannot be made or written to.
    """
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)
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
    while (copy := path.with_name(f"{path.name}.backup{number if number > 1 else ''}")).exists():
        number += 1
    temporary = path.with_name(f".{uuid.uuid4().hex}.part")
    try:
        try:
            shutil.copy2(path, temporary)
            _sync_file(temporary)
            temporary.replace(copy)
            _sync_folder(copy.parent)
        finally:
            temporary.unlink(missing_ok=True)
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


def _sync_file(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
