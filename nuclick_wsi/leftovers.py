"""Names of temporary files, which say whose they are, and the removal of those whose process was killed.

A file that is being written ends in `.part`. One that changes places with a file of the user's ends in `.swap`, and
its name holds digests of both: should it hold anything else after a crash, another program saved the user's file at
that very moment, and that save is kept.
"""

import re
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from nuclick_wsi.digests import sha256_of
from nuclick_wsi.processes import ProcessName

_DIGITS = 16
"""Hexadecimal digits of a SHA-256 in a name."""
_NAME = re.compile(
    r"\.nuclick-(?P<machine>[0-9a-f]{8})-(?P<number>\d+)-(?P<started>\d*)-[0-9a-f]{12}"
    r"(?:\.part|-(?P<ours>[0-9a-f]{16})-(?P<theirs>[0-9a-f]{16})\.swap)"
)
_OLD = 24 * 3600.0
"""Seconds after which a file of a process on another computer counts as left behind."""


def part_name() -> str:
    """Return a free name for a file that is being written."""
    return f"{_prefix()}.part"


def swap_name(ours: bytes, theirs: bytes) -> str:
    """Return a free name for a file that is to change places with another, by the SHA-256 of both."""
    return f"{_prefix()}-{ours.hex()[:_DIGITS]}-{theirs.hex()[:_DIGITS]}.swap"


def remove_leftovers(folder: Path) -> list[Path]:
    """Delete the temporary files that killed processes have left in a folder; return those that are to be kept.

    Returns
    -------
    list of Path
        Files that hold what another program saved at the moment when its file was replaced.
    """
    kept = []
    for path, name in _left_in(folder):
        if name["ours"] is None:
            path.unlink(missing_ok=True)
        elif not discard(path):
            kept.append(path)
    return kept


def discard(swapped: Path) -> bool:
    """Delete a file that has changed places with another, unless it holds neither of what its name says.

    Return whether it is gone.
    """
    name = _NAME.fullmatch(swapped.name)
    try:
        if name is None or sha256_of(swapped).hex()[:_DIGITS] not in (name["ours"], name["theirs"]):
            return False
        swapped.unlink()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _prefix() -> str:
    own = ProcessName.own()
    return f".nuclick-{own.machine}-{own.number}-{own.started}-{uuid.uuid4().hex[:12]}"


def _left_in(folder: Path) -> Iterator[tuple[Path, re.Match[str]]]:
    try:
        paths = [path for path in folder.iterdir() if path.name.startswith(".nuclick-")]
    except OSError:
        return  # a folder that cannot be listed is said to be that by who needs it
    for path in paths:
        name = _NAME.fullmatch(path.name)
        if name is not None and path.is_file() and not path.is_symlink() and _is_left(path, name):
            yield path, name


def _is_left(path: Path, name: re.Match[str]) -> bool:
    owner = ProcessName("", name["machine"], int(name["number"]), name["started"])
    is_running = owner.is_running()
    try:
        return is_running is False or (is_running is None and time.time() - path.stat().st_mtime > _OLD)
    except OSError:
        return False  # gone
