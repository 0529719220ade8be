"""Seals in files that this program makes: digests of what a file was made from, and of its own content.

Files are read and written in parts, so that one of any size takes little memory.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nuclick_wsi.shared_files import Stamp

_SEAL = re.compile(rb"nuclick-wsi/([0-9a-f]{64})/([0-9a-f]{64})")
_LONGEST = len("nuclick-wsi/") + 2 * 64 + 1
_BLANK = "0" * 64
_HEAD = 300
_PART = 1 << 20


def blank_seal(source: str) -> str:
    """Return the text that the maker puts into a file before `sealed` or `write_sealed` fills in the digest."""
    return f"nuclick-wsi/{hash_of(source)}/{_BLANK}"


def hash_of(source: str) -> str:
    """Return the digest by which a seal knows what a file was made from."""
    return hashlib.sha256(source.encode()).hexdigest()


def sealed(content: bytes) -> bytes:
    """Return a content in which the first seal holds the digest of all the rest."""
    found = _SEAL.search(content)
    assert found is not None, "the maker has put a blank seal in"
    start, end = found.span(2)
    blank = content[:start] + _BLANK.encode() + content[end:]
    return content[:start] + hashlib.sha256(blank).hexdigest().encode() + content[end:]


def write_sealed(path: Path, parts: Iterable[bytes]) -> None:
    """Write a content, of which the first part holds a blank seal, as `sealed` returns it; OSError if it cannot."""
    digest = hashlib.sha256()
    place: int | None = None
    with path.open("wb") as file:
        for part in parts:
            if place is None:
                found = _SEAL.search(part)
                assert found is not None, "the maker has put a blank seal in"
                place = found.start(2)
            digest.update(part)
            file.write(part)
        file.seek(place or 0)
        file.write(digest.hexdigest().encode())


@dataclass(frozen=True, slots=True)
class SealedContent:
    """What is known of a content that was read once.

    Attributes
    ----------
    head
        Its first bytes.
    source
        The digest of what it was made from, as its first seal says; None where it has no seal.
    is_whole
        Whether the seal's other digest is that of all the rest.
    """

    stamp: Stamp
    head: bytes
    source: str | None
    is_whole: bool

    @classmethod
    def of(cls, file: BinaryIO) -> "SealedContent":
        """Read a content to its end; OSError if it cannot be read."""
        whole, blank = hashlib.sha256(), hashlib.sha256()
        head, waiting, size = b"", b"", 0
        seal: re.Match[bytes] | None = None
        while part := file.read(_PART):
            whole.update(part)
            head, size = (head + part[:_HEAD])[:_HEAD], size + len(part)
            waiting += part
            if seal is None and (seal := _SEAL.search(waiting)):
                start, end = seal.span(2)
                waiting = waiting[:start] + _BLANK.encode() + waiting[end:]
            # What may be the beginning of a seal waits for the rest of it.
            ready = len(waiting) if seal else max(0, len(waiting) - _LONGEST)
            blank.update(waiting[:ready])
            waiting = waiting[ready:]
        blank.update(waiting)
        source, said = (seal[1].decode(), seal[2].decode()) if seal else (None, None)
        return cls(Stamp(size, whole.digest()), head, source, said == blank.hexdigest())
