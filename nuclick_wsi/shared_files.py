"""Files that other programs save too: read as they are at one moment, and replaced only while they still are that.

A save that another program makes in between is never lost, whether it writes into the file or puts another one in its
place: the file that was replaced is read once more, and put back where it is not what was read.
"""

import ctypes
import errno
import hashlib
import os
import shutil
import sys
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from nuclick_wsi.errors import FileChangedError, ResultError
from nuclick_wsi.files import sync_file, temporary_beside
from nuclick_wsi.leftovers import discard, swap_name


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file held at one moment. Two stamps are equal where the content is, whenever it was saved."""

    size: int
    sha256: bytes

    @classmethod
    def of(cls, content: bytes) -> "Stamp":
        """Return the stamp of a content."""
        return cls(len(content), hashlib.sha256(content).digest())

    @classmethod
    def of_file(cls, path: Path) -> "Stamp":
        """Return the stamp of a file as it is now; OSError where it cannot be read."""
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
            return cls(file.tell(), digest)


def replace_if_unchanged(path: Path, content: bytes, seen: Stamp | None) -> None:
    """Replace a file by another content, unless it is no longer what was read; one that held just this is left alone.

    Parameters
    ----------
    seen
        The file as it was read; None where there was none.

    Raises
    ------
    FileChangedError
        If another program has saved the file since; then that save is what is there.
    ResultError
        If the file cannot be written; then it is as it was.
    """
    if Stamp.of(content) != seen:
        write_if_unchanged(path, lambda temporary: temporary.write_bytes(content), seen)


def write_if_unchanged(path: Path, write: Callable[[Path], object], seen: Stamp | None) -> None:
    """Replace a file as `replace_if_unchanged` does by what `write` puts into a file beside it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary_beside(path) as temporary:
            write(temporary)
            if Stamp.of_file(temporary) != seen:
                put_if_unchanged(temporary, path, seen)
    except ResultError:
        raise
    except OSError as error:
        raise _cannot_write(path, error) from error


def put_if_unchanged(temporary: Path, path: Path, seen: Stamp | None) -> None:
    """Put a complete file in the place of another, as `replace_if_unchanged` does; both lie in one folder."""
    try:
        sync_file(temporary)
        if seen is None:
            _put_new(temporary, path)
        else:
            _put_over(temporary, path, seen)
    except ResultError:
        raise
    except (FileNotFoundError, FileExistsError) as error:
        raise _changed(path) from error
    except OSError as error:
        raise _cannot_write(path, error) from error


def _put_new(temporary: Path, path: Path) -> None:
    """Give a file its name, unless there is a file of that name by now."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without second names for a file
        if path.exists():
            raise FileExistsError(path) from None
        temporary.replace(path)


def _put_over(temporary: Path, path: Path, seen: Stamp) -> None:
    # Most saves are found here, before anything is touched.
    if Stamp.of_file(path) != seen:
        raise _changed(path)
    shutil.copymode(path, temporary)
    ours = Stamp.of_file(temporary)
    swapped = temporary.rename(temporary.with_name(swap_name(ours.sha256, seen.sha256)))
    try:
        _swap(swapped, path, path.with_name(swap_name(ours.sha256, seen.sha256)))
        # A save that came between the look and the swap is under the temporary name now.
        if Stamp.of_file(swapped) != seen:
            _put_back(swapped, path, ours)
            swapped.unlink(missing_ok=True)  # of the saves, the last one is there
            raise _changed(path)
    finally:
        discard(swapped)


def _put_back(temporary: Path, path: Path, ours: Stamp) -> None:
    """Put back what another program has saved; where it saves again while we do, its last save is what stays."""
    expected = ours
    while True:
        back = Stamp.of_file(temporary)
        try:
            _swap(temporary, path, path.with_name(swap_name(ours.sha256, back.sha256)))
        except FileNotFoundError:  # taken away to be replaced by a newer save
            return
        if Stamp.of_file(temporary) == expected:
            return
        expected = back


def exchange_names(one: Path, other: Path) -> None:
    """Have two files or folders change names, in one step where the system can; OSError where they cannot."""
    if _exchange(one, other):
        return
    aside = other.with_name(f".{uuid.uuid4().hex}.part")
    other.rename(aside)
    one.rename(other)
    aside.rename(one)


def _swap(one: Path, other: Path, aside: Path) -> None:
    """Have two files change names, in one step where the system can, so that neither name is ever without a file.

    `aside` is a free name for the time between two steps.
    """
    if _exchange(one, other):
        return
    try:
        # The same file under a second name: what another program still writes into it is seen.
        os.link(other, aside)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(other, aside)
    one.replace(other)
    aside.replace(one)


_HERE = -100
"""AT_FDCWD of Linux: a path that is not absolute counts from the working directory."""
_EXCHANGE = 2
"""RENAME_EXCHANGE of Linux."""


def _exchange(one: Path, other: Path) -> bool:
    """Have two files change names in one step; return False where system or file system cannot."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        return False
    if rename(_HERE, os.fsencode(one), _HERE, os.fsencode(other), ctypes.c_uint(_EXCHANGE)) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS):
        raise OSError(number, os.strerror(number), str(other))
    return False


def _changed(path: Path) -> FileChangedError:
    return FileChangedError(
        f"{path} has changed since it was read, so it is not overwritten: another program has probably saved it. "
        "Save and close it there, then run again; what was computed is remembered."
    )


def _cannot_write(path: Path, error: OSError) -> ResultError:
    return ResultError(
        f"{path}: cannot be replaced ({error.strerror or error}), so it is as it was. Results need a folder that you "
        "may write to, and a file that no other program holds."
    )
