"""The results of earlier runs, kept in one SQLite file: a run goes on where another ended or was killed.

Everything in it can be computed again, so it never stops a run: a file that is damaged or of another program is moved
aside, and one that cannot be used is done without, which costs time and no result. Every batch of prompts is one
transaction, so a run may be killed at any moment.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from nuclick_wsi.prompts import ObjectKind, Prompt
from nuclick_wsi.runs.journal_file import PATIENCE, UnusableError, checksum, is_damage, move_aside, open_file
from nuclick_wsi.runs.patch_codec import decode, encode
from nuclick_wsi.segmentation.result_cache import Decoded

FILE_NAME = "journal.sqlite"

_BATCH = 256
_SECONDS = 1.0
"""Prompts, and seconds, after which results are written when the next one comes: a killed run loses two seconds at
most, unless a batch takes longer than one."""
_ENCODED_AT_ONCE = 64
"""Results that are encoded together: after the network has had the processor's caches, the first one costs ten times
as much as the next."""
_MOST_WAITING = 16 * _BATCH
"""Results that are held while another program has locked the file; those before them are computed again some day."""
_PAUSE = 30.0
"""Seconds after which a file that could not be used is tried again."""
_LITTLE_PATIENCE = 0.2
"""Seconds to wait for it then."""

Row = tuple[str, str, bytes, Decoded]
"""Image, prompt id, digest of the inputs, result."""
End = tuple[str, str, bytes]
Answer = TypeVar("Answer")


class Journal:
    """The journal of a folder of results; the file is opened, or made, when it is first needed.

    Parameters
    ----------
    path
        The file.
    fresh
        Whether to recall nothing; new results are kept all the same.
    """

    def __init__(self, path: Path, fresh: bool = False) -> None:
        self.path = path
        self.fresh = fresh
        self.notes: list[str] = []
        """What the user is to know of the file itself."""
        self._connection: sqlite3.Connection | None = None
        self._new: list[Row] = []
        self._waiting: list[tuple[str, str, bytes, bytes, bytes]] = []
        self._ends: list[End] = []
        self._saved = time.monotonic()
        self._has_failed = False
        self._usable_from = 0.0
        """When the file may be tried again, in seconds of the monotonic clock."""

    def __enter__(self) -> "Journal":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def image(self, name: str, contexts: Mapping[ObjectKind, bytes]) -> "ImageResultCache":
        """Return the result cache of one image.

        Parameters
        ----------
        name
            The image's key, the same in every run.
        contexts
            The context key of each kind of object.
        """
        return ImageResultCache(self, name, contexts)

    def find(self, image: str, prompt: str, digest: bytes) -> bytes | None:
        """Return the encoded result of a prompt with these inputs, if it is kept and whole."""
        query = "SELECT decoded, checksum FROM looks WHERE image = ? AND prompt = ? AND shown = ?"
        row = self.do(lambda connection: connection.execute(query, (image, prompt, digest)).fetchone(), None)
        if row is None or not isinstance(row[0], bytes):
            return None
        return row[0] if checksum(image, prompt, digest, row[0]) == row[1] else None

    def put(self, row: Row) -> None:
        """Keep the result of a prompt."""
        self._new.append(row)
        if len(self._new) >= _ENCODED_AT_ONCE:
            self._encode()
        if len(self._waiting) >= _BATCH or time.monotonic() - self._saved > _SECONDS:
            self.save()

    def _encode(self) -> None:
        for image, prompt, digest, decoded in self._new:
            content = encode(decoded)
            self._waiting.append((image, prompt, digest, content, checksum(image, prompt, digest, content)))
        self._new.clear()

    def save(self) -> None:
        """Write the results that are not written yet."""
        self._saved = time.monotonic()
        self._encode()
        rows = self._waiting
        if not rows or self.do(lambda connection: _insert_looks(connection, rows), False):
            self._waiting.clear()
        del self._waiting[:-_MOST_WAITING]

    def forget_others(self, image: str, prompts: Collection[str]) -> None:
        """Forget the prompts of an image that it no longer has."""
        self.save()
        self.do(lambda connection: _forget_others(connection, image, prompts), None)

    def note_end(self, image: str, report: Mapping[str, Any], is_news: bool = True) -> None:
        """Keep how a run of an image has ended, in place of how an earlier one did.

        Parameters
        ----------
        is_news
            Whether that is worth a file; what is not is kept along with what is.
        """
        text = json.dumps(report)
        self._ends.append((image, text, checksum(image, text)))
        if is_news:
            self._save_ends()

    def _save_ends(self) -> None:
        self.save()
        self.do(lambda connection: _insert_ends(connection, self._ends), None)
        self._ends.clear()

    def ends(self) -> dict[str, dict[str, Any]]:
        """Return how the last run of each image has ended, as `note_end` was told; by the image's key."""
        rows: list[End] = self.do(lambda connection: connection.execute("SELECT * FROM ends").fetchall(), [])
        return {image: json.loads(text) for image, text, check in rows if check == checksum(image, text)}

    def kept(self) -> dict[str, int]:
        """Return how many prompts' results are kept of each image, by the image's key."""
        query = "SELECT image, COUNT(*) FROM looks GROUP BY image"
        return dict(self.do(lambda connection: connection.execute(query).fetchall(), []))

    def close(self) -> None:
        """Write the results that are not written yet, and close the file."""
        try:
            self.save()
            if self._ends and self._connection is not None:
                self._save_ends()
        finally:
            self._disconnect()

    def do(self, work: Callable[[sqlite3.Connection], Answer], otherwise: Answer) -> Answer:
        """Return what some work on the open file returns; another answer where the file cannot be used.

        The user is told once why it cannot.
        """
        if time.monotonic() < self._usable_from:
            return otherwise
        try:
            if self._connection is None:
                self._connection = self._opened()
            return work(self._connection)
        except (sqlite3.Error, OSError, UnicodeError, UnusableError) as error:
            self._go_on_without(error)
            return otherwise

    def _opened(self) -> sqlite3.Connection:
        connection, note = open_file(self.path, _LITTLE_PATIENCE if self._has_failed else PATIENCE)
        if note is not None:
            self.notes.append(note)
        return connection

    def _go_on_without(self, error: Exception) -> None:
        """Do without the file for a while; one that is damaged is moved aside, and a new one made when it is needed."""
        self._disconnect()
        if is_damage(error) and not self._has_failed:
            try:
                self.notes.append(move_aside(self.path, f"damaged ({error})"))
            except OSError as failed:
                error = failed
            else:
                self._has_failed = True
                return
        if not self._has_failed:
            self.notes.append(
                f"{self.path} cannot be used ({error}), so the run goes on without it: what earlier runs have done is "
                "done again, and the next one may do again what this one does."
            )
        self._has_failed = True
        self._usable_from = time.monotonic() + _PAUSE

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class ImageResultCache:
    """The `ResultCache` of one image of a journal; it counts the results that it could recall."""

    def __init__(self, journal: Journal, name: str, contexts: Mapping[ObjectKind, bytes]) -> None:
        self.recalled = 0
        self._journal = journal
        self._name = name
        self._contexts = contexts

    def recall(self, prompt: Prompt, digest: bytes) -> Decoded | None:
        """Return the result of a prompt with these inputs; None where it is not known."""
        if self._journal.fresh:
            return None
        content = self._journal.find(self._name, prompt.id, self._key(prompt, digest))
        try:
            decoded = None if content is None else decode(prompt, content)
        except ValueError:
            return None  # as good as unknown
        self.recalled += decoded is not None
        return decoded

    def remember(self, prompt: Prompt, digest: bytes, decoded: Decoded) -> None:
        """Keep the result of a prompt in place of an earlier one."""
        self._journal.put((self._name, prompt.id, self._key(prompt, digest), decoded))

    def forget_others(self, prompts: Collection[str]) -> None:
        """Forget all prompts but these."""
        self._journal.forget_others(self._name, prompts)

    def _key(self, prompt: Prompt, digest: bytes) -> bytes:
        return self._contexts[prompt.kind] + digest


def _insert_looks(connection: sqlite3.Connection, rows: Sequence[tuple[str | bytes, ...]]) -> bool:
    with connection:
        connection.executemany("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?, ?)", rows)
    return True


def _forget_others(connection: sqlite3.Connection, image: str, prompts: Collection[str]) -> None:
    with connection:
        # Gone through row by row: there may be a million.
        known = connection.execute("SELECT rowid, prompt FROM looks WHERE image = ?", (image,))
        gone = [(row,) for row, prompt in known if prompt not in prompts]
        connection.executemany("DELETE FROM looks WHERE rowid = ?", gone)


def _insert_ends(connection: sqlite3.Connection, rows: list[End]) -> None:
    with connection:
        connection.executemany("INSERT OR REPLACE INTO ends VALUES (?, ?, ?)", rows)
