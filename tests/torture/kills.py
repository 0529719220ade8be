"""Kills without warning: at random moments, and at every call that changes a file."""

import random
import sqlite3
import time
from collections.abc import Iterator

from torture.children import Ended
from torture.trials import Bench, Row, moments

_MOST_AT_ONCE = 4
"""Kills before a run is left in peace."""


def kill_at_random(bench: Bench, kills: int, chance: random.Random) -> Iterator[Row]:
    """Yield what comes of kills at random moments; after one to four of them, a run comes to its end."""
    row = Row("SIGKILL at a random moment", bench.target.name)
    began = time.monotonic()
    bench.fresh()
    bench.run()
    length = time.monotonic() - began
    again = 0.0
    while row.times < kills:
        bench.fresh()
        for _ in range(min(chance.randint(1, _MOST_AT_ONCE), kills - row.times)):
            child = bench.start()
            time.sleep(chance.uniform(0, length))
            child.kill()
            again = max(again, _done_again(bench, child.ended()))
            row.times += 1
            bench.check_users(row)
        bench.check_recovery(row)
    row.seen.add(f"at most {again:.1f} s of work done again")
    if again > 2.5:
        row.lost(f"{again:.1f} s of work was lost")
    yield row


def kill_at_calls(bench: Bench, kills: int, chance: random.Random) -> Iterator[Row]:
    """Yield what comes of kills at calls that write, rename, link, delete or sync: each once, if there are not more."""
    row = Row("SIGKILL at a call that changes a file", bench.target.name)
    for number in moments(chance, bench.undisturbed.changes, kills):
        bench.fresh()
        ended = bench.run(bench.faults(FAULT_KILL=number))
        row.times += 1
        row.seen.add("killed" if ended.code < 0 else "came to its end before")
        bench.check_users(row)
        bench.check_recovery(row)
    yield row


def _done_again(bench: Bench, ended: Ended) -> float:
    """Return for how long before its end a run had computed results that are not kept: 0 where all are."""
    path = next(bench.folder.rglob("journal.sqlite"), None)
    kept = 0
    if path is not None:
        connection = sqlite3.connect(path)
        try:
            kept = connection.execute("SELECT COUNT(*) FROM looks").fetchone()[0]
        except sqlite3.OperationalError:
            kept = 0  # killed before the tables were made
        finally:
            connection.close()
    lost = ended.puts[kept:] if len(ended.puts) > kept else []
    return ended.killed_at - lost[0] if lost else 0.0
