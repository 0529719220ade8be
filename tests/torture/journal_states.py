"""Journals in every state in which a run may find one."""

import random
import signal
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from torture.children import tell_itself
from torture.trials import Bench, Row

Action = Callable[[], None]


def journals(bench: Bench, chance: random.Random) -> Iterator[Row]:
    """Yield what comes of journals in every state, before a run that has been killed goes on."""
    for name, spoil in JOURNALS.items():
        row = Row(f"journal {name}", bench.target.name)
        bench.fresh()
        bench.run(at_put=(len(bench.undisturbed.puts), partial(tell_itself, signal.SIGTERM)))
        journal = next(bench.folder.rglob("journal.sqlite"))
        undo = spoil(journal, chance)
        ended = bench.run()
        undo()
        if journal.is_dir():
            journal.rmdir()
        bench.check(row, ended, (0,))
        yield row


def _nothing() -> None:
    return None


def _empty(path: Path, _: random.Random) -> Action:
    path.write_bytes(b"")
    return _nothing


def _random_bytes(path: Path, chance: random.Random) -> Action:
    path.write_bytes(chance.randbytes(path.stat().st_size))
    return _nothing


def _one_bit(path: Path, chance: random.Random) -> Action:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return _nothing


def _newer(path: Path, _: random.Random) -> Action:
    return _statement(path, "PRAGMA user_version = 99")


def _no_table(path: Path, _: random.Random) -> Action:
    return _statement(path, "DROP TABLE looks")


def _statement(path: Path, statement: str) -> Action:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()
    return path.unlink if "99" in statement else _nothing


def _locked(path: Path, _: random.Random) -> Action:
    connection = sqlite3.connect(path)
    connection.execute("BEGIN EXCLUSIVE")
    return connection.close


def _folder(path: Path, _: random.Random) -> Action:
    path.unlink()
    path.mkdir()
    return _nothing


JOURNALS: dict[str, Callable[[Path, random.Random], Action]] = {
    "empty": _empty,
    "of random bytes": _random_bytes,
    "with one flipped bit": _one_bit,
    "of a newer version": _newer,
    "without a table": _no_table,
    "locked by another program": _locked,
    "is a folder": _folder,
}
