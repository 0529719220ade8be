"""Which file a result may replace: only one that this program made from the same input and that was not edited since.

A file of results carries a seal: digests of what it was made from and of its own content. So no record beside it is
needed. Any other file stays, and the result is written under a free name, which the user is told.
"""

import io
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

from nuclick_wsi.errors import ResultError, SettingsError
from nuclick_wsi.files import back_up
from nuclick_wsi.paths import comparable, told_apart
from nuclick_wsi.seals import SealedContent, blank_seal, hash_of, sealed
from nuclick_wsi.shared_files import Stamp, replace_if_unchanged


class Origin(Enum):
    """What is known of a file that is in the way of a result."""

    OURS = auto()
    """Made by us from this input, unchanged since."""
    EDITED = auto()
    """Made by us from this input, or by a version that kept no digest, and perhaps edited since."""
    OTHER = auto()
    """Anything else."""


FindOrigin = Callable[[SealedContent, str], Origin]
"""Says of a content and a source what is known of it."""


@dataclass(frozen=True, slots=True)
class ResultPlace:
    """Where a result goes.

    Attributes
    ----------
    source
        What it is made from, as `source_name` says it.
    seen
        What is there now; None where there is nothing.
    remarks
        What the user is to know of the place, each a clause.
    """

    path: Path
    source: str
    seen: Stamp | None = None
    remarks: tuple[str, ...] = ()

    @property
    def seal(self) -> str:
        """What the maker puts into the file, as `blank_seal` says."""
        return blank_seal(self.source)


def origin_of(content: SealedContent, source: str) -> Origin:
    """Return what the seal in a content says."""
    if content.source != hash_of(source):
        return Origin.OTHER
    return Origin.OURS if content.is_whole else Origin.EDITED


def origin_of_bytes(content: bytes, source: str) -> Origin:
    """Return what the seal in a content says that is in memory."""
    return origin_of(SealedContent.of(io.BytesIO(content)), source)


def choose_place(wanted: Path, source: str, origin: FindOrigin = origin_of) -> ResultPlace:
    """Return the first name that is free or ours; an edited file of ours is copied beside itself first.

    Names that differ in case or Unicode form only are one name here, as they are to many file systems.

    Raises
    ------
    ResultError
        If the folder cannot be read, or the copy not be written.
    """
    path, whose, seen = _first_not_of_others(wanted, source, origin)
    remarks: tuple[str, ...] = ()
    if path != wanted:
        there = told_apart([*(one.name for one in namesakes(wanted)[:1]), wanted.name])[0]
        remarks += (
            f"{wanted.with_name(there)} is not a result of this input and stays as it is: written to {path.name}",
        )
    if whose is Origin.EDITED:
        remarks += (f"{path} may have been edited since it was written: kept as {back_up(path).path.name}",)
    return ResultPlace(path, source, seen, remarks)


def find_ours(wanted: Path, source: str, origin: FindOrigin = origin_of) -> Path | None:
    """Return where what was made from a source is, as `choose_place` put it; None where there is nothing."""
    path, whose, _ = _first_not_of_others(wanted, source, origin)
    return None if whose is None else path


def write_picture(wanted: Path, picture: bytes, source: str) -> ResultPlace:
    """Write a PNG file's content where `choose_place` says, with a seal behind its end; return where.

    A digest inside would have to be part of the checksum of its own chunk.

    Raises
    ------
    ResultError
        If it cannot be written.
    """
    return _write(wanted, picture + b"%s", source)


def write_page(wanted: Path, page: bytes, source: str) -> ResultPlace:
    """Write an HTML file's content as `write_picture` does, with the seal as a comment behind its end."""
    return _write(wanted, page + b"<!-- %s -->\n", source)


def remove_ours(folder: Path, start: str, names: Collection[str], source: str) -> None:
    """Delete the pictures whose names start so, but for these, that were made from a source and not edited since.

    Raises
    ------
    ResultError
        If one cannot be read or deleted.
    """
    for path in sorted(folder.iterdir()):
        if not path.name.startswith(start) or path.name in names or path.is_symlink() or not path.is_file():
            continue
        if origin_of(_look_at(path), _of_name(source, path)) is Origin.OURS:
            try:
                path.unlink()
            except OSError as error:
                raise ResultError(f"{path}: an old picture cannot be deleted ({error.strerror or error}).") from error


def require_free(target: Path, content: bytes | None = None) -> None:
    """Refuse to write over a file that the user named as a target, unless it holds just this content already.

    Raises
    ------
    SettingsError
        If something is there.
    """
    found = namesakes(target)
    if found == [target] and content is not None and not target.is_symlink() and _read(target) == content:
        return
    if found:
        there = told_apart([found[0].name, target.name])[0]
        raise SettingsError(
            f"{target} is not written: {there} is there already, and no file that you name is overwritten. "
            "Name another one, or move that one away."
        )


def source_name(out: Path, *inputs: Path) -> str:
    """Return what inputs are called in a seal: their paths as seen from the results, so that both can be moved."""
    return "\n".join(_relative(path.resolve(), out.resolve()) for path in inputs)


def namesakes(path: Path) -> list[Path]:
    """Return what is in a folder under a name, whatever its case and Unicode form."""
    try:
        beside = list(path.parent.iterdir()) if path.parent.is_dir() else []
    except OSError as error:
        raise _cannot_read(path.parent, error) from error
    return [found for found in beside if comparable(found.name) == comparable(path.name)]


def _write(wanted: Path, content: bytes, source: str) -> ResultPlace:
    """Write a content in which the last %s is where the seal goes."""
    place = choose_place(wanted, _of_name(source, wanted))
    before, after = content.rsplit(b"%s", 1)
    replace_if_unchanged(place.path, sealed(before + place.seal.encode() + after), place.seen)
    return place


def _of_name(source: str, wanted: Path) -> str:
    """Return the source of one of several files that are made from the same."""
    return f"{source}\n{wanted.name}"


def _relative(path: Path, folder: Path) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # another drive of Windows
        return path.as_posix()


def _first_not_of_others(wanted: Path, source: str, origin: FindOrigin) -> tuple[Path, Origin | None, Stamp | None]:
    """Return the first name under which nobody else's file is, and what `_found` says of it."""
    path, number = wanted, 1
    while (found := _found(path, source, origin))[0] is Origin.OTHER:
        number += 1
        path = wanted.with_name(f"{wanted.stem} {number}{wanted.suffix}")
    return path, *found


def _found(path: Path, source: str, origin: FindOrigin) -> tuple[Origin | None, Stamp | None]:
    """Return whose file is in a place and what it holds, None for nothing; a link is never ours."""
    found = namesakes(path)
    if not found:
        return None, None
    if found != [path] or path.is_symlink() or not path.is_file():
        return Origin.OTHER, None
    content = _look_at(path)
    return origin(content, source), content.stamp


def _look_at(path: Path) -> SealedContent:
    try:
        with path.open("rb") as file:
            return SealedContent.of(file)
    except OSError as error:
        raise _cannot_read(path, error) from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _cannot_read(path, error) from error


def _cannot_read(path: Path, error: OSError) -> ResultError:
    return ResultError(f"{path}: cannot be read ({error.strerror or error}), so nothing is written there.")
