"""The results of earlier runs, kept in one SQLite file: a run goes on where another ended or was killed.

Everything in it can be computed again. So a file that is damaged or of another program is moved aside, which costs
time and no result. Every batch of prompts is one transaction, so a run may be killed at any moment.
"""

import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from nuclick_wsi.errors import ResultError
from nuclick_wsi.prompts import ObjectKind, Prompt
from nuclick_wsi.runs.patch_codec import decode, encode
from nuclick_wsi.segmentation.result_cache import Decoded

FILE_NAME = "journal.sqlite"

_APPLICATION = 0x4E754A31
"""The application id that marks a SQLite file as a journal of this program."""
_VERSION = 1
"""Of the tables; a file of another version is moved aside."""
_TABLES = """
CREATE TABLE looks (image TEXT, prompt TEXT, shown BLOB, decoded BLOB, PRIMARY KEY (image, prompt));
CREATE TABLE traces (
    image TEXT, prompt TEXT, shape BLOB, look TEXT, feature BLOB, PRIMARY KEY (image, prompt, shape, look)
);
"""
_SIDE_FILES = ("", "-journal", "-wal", "-shm")
_BATCH = 256
_SECONDS = 2.0
"""Prompts, and seconds, after which results are written: a killed run loses no more than that."""
_PATIENCE = 30.0
"""Seconds to wait for another run that is writing."""

Row = tuple[str, str, bytes, bytes]


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
        self._waiting: list[Row] = []
        self._saved = time.monotonic()

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
        """Return the encoded result of a prompt with these inputs, if it is kept; ResultError as for all methods."""
        query = "SELECT decoded FROM looks WHERE image = ? AND prompt = ? AND shown = ?"
        with self.lent() as connection:
            row = connection.execute(query, (image, prompt, digest)).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, row: Row) -> None:
        """Keep the result of a prompt: image, prompt id, digest of the inputs, encoded result."""
        self._waiting.append(row)
        if len(self._waiting) >= _BATCH or time.monotonic() - self._saved > _SECONDS:
            self.save()

    def save(self) -> None:
        """Write the results that are not written yet.

        Raises
        ------
        ResultError
            If the file cannot be written.
        """
        self._saved = time.monotonic()
        if self._waiting:
            with self.lent() as connection, connection:
                connection.executemany("INSERT OR REPLACE INTO looks VALUES (?, ?, ?, ?)", self._waiting)
            self._waiting.clear()

    def forget_others(self, image: str, prompts: Collection[str]) -> None:
        """Forget the prompts of an image that it no longer has."""
        self.save()
        with self.lent() as connection, connection:
            known = connection.execute("SELECT prompt FROM looks WHERE image = ?", (image,)).fetchall()
            gone = [(image, prompt) for (prompt,) in known if prompt not in prompts]
            connection.executemany("DELETE FROM looks WHERE image = ? AND prompt = ?", gone)

    def close(self) -> None:
        """Write the results that are not written yet, and close the file."""
        try:
            self.save()
        finally:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def lent(self) -> Iterator[sqlite3.Connection]:
        """Yield the open file; errors of SQLite become a `ResultError`."""
        try:
            if self._connection is None:
                self._connection = self._opened()
            yield self._connection
        except (sqlite3.Error, OSError) as error:
            raise ResultError(
                f"{self.path}: cannot be used ({error}). What runs have done is kept there: free the file and its "
                "folder, or choose another folder with --out."
            ) from error

    def _opened(self) -> sqlite3.Connection:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        connection = _connect(self.path)
        try:
            fault = _fault_of(connection)
        except BaseException:
            connection.close()
            raise
        if fault is not None:
            connection.close()
            aside = _move_aside(self.path)
            self.notes.append(f"{self.path} is {fault}. It was moved to {aside.name}, and everything is done anew.")
            connection = _connect(self.path)
        if connection.execute("PRAGMA schema_version").fetchone() == (0,):
            connection.executescript(
                f"BEGIN; PRAGMA application_id = {_APPLICATION}; PRAGMA user_version = {_VERSION}; {_TABLES} COMMIT;"
            )
        return connection


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
        self._journal.put((self._name, prompt.id, self._key(prompt, digest), encode(decoded)))

    def forget_others(self, prompts: Collection[str]) -> None:
        """Forget all prompts but these."""
        self._journal.forget_others(self._name, prompts)

    def _key(self, prompt: Prompt, digest: bytes) -> bytes:
        return self._contexts[prompt.kind] + digest


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=_PATIENCE)


def _fault_of(connection: sqlite3.Connection) -> str | None:
    """Return why a file cannot be used as a journal; None where it can."""
    try:
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            return "damaged"
        marks = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("application_id", "user_version")]
        is_new = connection.execute("PRAGMA schema_version").fetchone() == (0,)
    except sqlite3.OperationalError:
        raise  # locked, or not to be opened: the file may be perfectly well
    except sqlite3.DatabaseError:
        return "damaged, or no journal"
    return None if is_new or marks == [_APPLICATION, _VERSION] else "of another program or version"


def _move_aside(path: Path) -> Path:
    """Rename a file, and what SQLite keeps beside it, to the first free name; return that."""
    number = 1
    while (aside := path.with_name(f"{path.name}.aside{number if number > 1 else ''}")).exists():
        number += 1
    for suffix in _SIDE_FILES:
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(aside.with_name(aside.name + suffix))
    return aside
