"""Folders of results, such as a zarr store: written whole or not at all, and replaced only where they are ours.

A file in the folder says what it was made from and holds a digest of all its other files. So another program's folder
is never replaced, and one of ours that was edited since is kept under another name.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path

from nuclick_wsi.errors import ResultError, SettingsError
from nuclick_wsi.shared_files import exchange_names

SEAL = "nuclick-wsi.json"
"""The file in a folder of ours; it is written last."""
_GENERATOR = "nuclick-wsi"


class FolderState(Enum):
    """What is in the place of a folder that is to be written."""

    FREE = auto()
    """Nothing, or an empty folder."""
    OURS = auto()
    """Made by us from the same source, as it was written."""
    EDITED = auto()
    """Made by us from the same source, and changed since."""
    OTHER = auto()
    """Anything else."""


def state_of(target: Path, source: str) -> FolderState:
    """Return what is in a folder's place; files are read only where the seal is one of ours.

    Raises
    ------
    ResultError
        If it cannot be read.
    """
    try:
        if not os.path.lexists(target):
            return FolderState.FREE
        if target.is_symlink() or not target.is_dir():
            return FolderState.OTHER
        if not any(target.iterdir()):
            return FolderState.FREE
        seal = _read_seal(target)
        if seal.get("generator") != _GENERATOR or seal.get("source") != _source_digest(source):
            return FolderState.OTHER
        return FolderState.OURS if seal.get("content") == _content_digest(target) else FolderState.EDITED
    except OSError as error:
        raise ResultError(
            f"{target}: cannot be read ({error.strerror or error}), so nothing is written there."
        ) from error


def require_ours_or_free(target: Path, source: str) -> None:
    """Refuse a place in which something is that we did not make from the same source.

    Raises
    ------
    SettingsError
        If there is.
    """
    if state_of(target, source) is FolderState.OTHER:
        raise SettingsError(
            f"{target} is not written: what is there is no result of the same input, and nothing else is replaced. "
            "Name another place, or move it away."
        )


@contextmanager
def replaced_folder(target: Path, source: str) -> Iterator[tuple[Path, list[str]]]:
    """Lend an empty folder that takes the place of another when all went well, and a list that is given remarks then.

    A folder of ours that was edited since is renamed to `NAME.backup`. One that holds just the same files is left
    alone. Where the work ends with an error, or is killed, what was there is as it was.

    Raises
    ------
    SettingsError
        If something is there that is not ours.
    ResultError
        If it cannot be written.
    """
    require_ours_or_free(target, source)
    # One name for a target: what a killed run has left is taken away by the next.
    new = target.with_name(f".{target.name}.part")
    remarks: list[str] = []
    try:
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(parents=True)
        yield new, remarks
        _write_seal(new, source)
        remarks += _put(new, target, source)
    except ResultError:
        raise
    except OSError as error:
        raise ResultError(
            f"{target}: cannot be written ({error.strerror or error}). Results need a folder that you may write to, "
            "and room on the disk."
        ) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _put(new: Path, target: Path, source: str) -> list[str]:
    """Give a finished folder its name; return what the user is to know."""
    require_ours_or_free(target, source)  # looked for once more, at the end of the work
    state = state_of(target, source)
    if state is FolderState.OURS and _read_seal(target) == _read_seal(new):
        return []
    if state is FolderState.EDITED:
        copy = _free_backup(target)
        target.rename(copy)
        new.rename(target)
        return [f"{target} was edited since it was written: kept as {copy.name}"]
    if state is FolderState.OURS:
        exchange_names(new, target)  # the old one goes under the name of the new one
    else:
        if target.is_dir():
            target.rmdir()
        new.rename(target)
    return []


def _free_backup(target: Path) -> Path:
    number = 1
    while os.path.lexists(copy := target.with_name(f"{target.name}.backup{number if number > 1 else ''}")):
        number += 1
    return copy


def _write_seal(folder: Path, source: str) -> None:
    seal = {"generator": _GENERATOR, "source": _source_digest(source), "content": _content_digest(folder)}
    (folder / SEAL).write_text(json.dumps(seal), encoding="utf-8")


def _read_seal(folder: Path) -> dict[str, object]:
    try:
        seal = json.loads((folder / SEAL).read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return seal if isinstance(seal, dict) else {}


def _source_digest(source: str) -> str:
    return hashlib.sha256(source.encode()).hexdigest()


def _content_digest(folder: Path) -> str:
    """Return a digest of all files in a folder but its seal, with their names."""
    digest = hashlib.sha256()
    names = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    for name in sorted(names.keys() - {SEAL}):
        with names[name].open("rb") as file:
            digest.update(f"{name}\0".encode() + hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
