"""The SQLite file of a journal: opened, or made, or moved aside where it is none.

A row carries a checksum of all that is in it, because SQLite itself notices damage of its pages' structure alone.
"""

import errno
import hashlib
import os
import sqlite3
from pathlib import Path

_APPLICATION = 0x4E754A31
"""The application id that marks a SQLite file as a journal of this program."""
_VERSION = 2
"""Of the tables; an older file is moved aside, and a newer one is left to the newer program."""
_TABLES = (
    "CREATE TABLE looks (image TEXT, prompt TEXT, shown BLOB, decoded BLOB, checksum BLOB, "
    "PRIMARY KEY (image, prompt))",
    "CREATE TABLE traces (image TEXT, prompt TEXT, shape BLOB, look TEXT, feature BLOB, checksum BLOB, "
    "PRIMARY KEY (image, prompt, shape, look))",
    "CREATE TABLE ends (image TEXT PRIMARY KEY, report TEXT, checksum BLOB)",
)
_SIDE_FILES = ("", "-journal", "-wal", "-shm")
PATIENCE = 5.0
"""Seconds to wait for another program that reads or writes the file."""
_NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)
"""What file systems without locks answer."""


class UnusableError(Exception):
    """A file cannot be a journal and stays where it is."""


def checksum(*fields: str | bytes) -> bytes:
    """Return 8 bytes that tell a row from any other, and from what is left of it after damage."""
    digest = hashlib.blake2b(digest_size=8)
    for field in fields:
        content = field.encode(errors="surrogatepass") if isinstance(field, str) else field
        digest.update(len(content).to_bytes(8, "little"))
        digest.update(content)
    return digest.digest()


def open_file(path: Path, patience: float) -> tuple[sqlite3.Connection, str | None]:
    """Open a journal's file, made where there is none; return also what the user is to know of it.

    Raises
    ------
    UnusableError
        If it is of a newer program.
    sqlite3.Error, OSError
        If it cannot be used just now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    connection, fault = _examined(path, patience)
    if fault is None:
        return connection, None
    connection.close()
    note = move_aside(path, fault)
    return _examined(path, patience)[0], note


def is_damage(error: Exception) -> bool:
    """Whether an error says that the file itself is broken, and not that it cannot be had just now."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def move_aside(path: Path, fault: str) -> str:
    """Rename a file, and what SQLite keeps beside it, to the first free name; return what the user is to know."""
    number = 1
    while os.path.lexists(aside := path.with_name(f"{path.name}.aside{number if number > 1 else ''}")):
        number += 1
    for suffix in _SIDE_FILES:
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(aside.with_name(aside.name + suffix))
    return f"{path} is {fault}. It was moved to {aside.name}, and everything is done anew."


def _examined(path: Path, patience: float) -> tuple[sqlite3.Connection, str | None]:
    """Return a file that is open, and why it cannot be used as a journal; a new one is given its tables."""
    connection = _connect(path, patience)
    try:
        fault = _fault_of(connection)
        if fault is None:
            _make_tables(connection)
    except BaseException:
        connection.close()
        raise
    return connection, fault


def _connect(path: Path, patience: float) -> sqlite3.Connection:
    # Where a file system has no locks, the run's own lock has to do.
    options = "" if not path.exists() or _has_locks(path) else "?nolock=1"
    connection = sqlite3.connect(path.absolute().as_uri() + options, timeout=patience, uri=True)
    connection.text_factory = lambda content: content.decode(errors="replace")  # its checksum tells that it is damaged
    return connection


def _has_locks(path: Path) -> bool:
    """Whether a file can be locked; another program's lock is one."""
    if os.name == "nt":
        return True
    import fcntl  # noqa: PLC0415  (Windows has none)

    with path.open("rb") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            return error.errno not in _NO_LOCKS
    return True


def _fault_of(connection: sqlite3.Connection) -> str | None:
    """Return why a file cannot be used as a journal; None where it can, or is new."""
    try:
        connection.execute("BEGIN")  # another run may be making the tables: all of them are seen, or none
        if connection.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
            return "damaged"
        if _is_new(connection):
            return None
        application, version = (_pragma(connection, name) for name in ("application_id", "user_version"))
        tables = connection.execute("SELECT sql FROM sqlite_master WHERE type = 'table'").fetchall()
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise  # locked, or not to be opened: the file may be perfectly well
        return "damaged, or no journal"
    finally:
        connection.rollback()
    if application != _APPLICATION:
        return "of another program"
    if version > _VERSION:
        raise UnusableError("it is of a newer version of nuclick-wsi")
    if version < _VERSION:
        return "of an older version"
    return None if {sql for (sql,) in tables} == set(_TABLES) else "damaged: a table is missing or another one"


def _make_tables(connection: sqlite3.Connection) -> None:
    if not _is_new(connection):
        return
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        if _is_new(connection):  # and not made by another run in the meantime
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
            for table in _TABLES:
                connection.execute(table)


def _is_new(connection: sqlite3.Connection) -> bool:
    return _pragma(connection, "schema_version") == 0


def _pragma(connection: sqlite3.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").fetchone()[0])
