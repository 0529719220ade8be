"""The journal never stops a run: whatever becomes of its file, a run goes on, says so once, with the same result."""

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from in_faulty_system import faulty_system
from test_engine import click

from nuclick_wsi.instances import Reason, Rejection
from nuclick_wsi.prompts import ObjectKind
from nuclick_wsi.runs import journal_file
from nuclick_wsi.runs.journal import Journal
from nuclick_wsi.runs.patch_codec import decode, encode
from nuclick_wsi.runs.written_objects import WrittenObject, WrittenObjects
from nuclick_wsi.scale import Window
from nuclick_wsi.segmentation.patch import Patch

ABOUT = {kind: f"the {kind} model".encode() for kind in ObjectKind}
NOTHING = Rejection("", Reason.NO_OBJECT, "nothing")


def is_remembered(path: Path) -> bool:
    """Whether a journal keeps what it is given, without a word on its file."""
    with Journal(path) as journal:
        journal.image("slide", ABOUT).remember(click(1, 1), b"digest", NOTHING)
    with Journal(path) as journal:
        found = journal.image("slide", ABOUT).recall(click(1, 1), b"digest")
    return found is not None and journal.notes == []


def goes_on_without(journal: Journal) -> str:
    """Work with a journal whose file cannot be used; return what it says, once."""
    with journal:
        for number in range(3):
            cache = journal.image(f"slide {number}", ABOUT)
            assert cache.recall(click(1, 1), b"digest") is None
            cache.remember(click(1, 1), b"digest", NOTHING)
            cache.forget_others(set())
            journal.note_end(f"slide {number}", {"status": "done"})
            written = WrittenObjects(journal, "slide")
            written.add({"id": WrittenObject(b"shape", "", b"")})
            written.replace({})
            assert written.read() == {}
    (note,) = journal.notes
    return note


def a_damaged_journal(path: Path) -> None:
    with Journal(path) as journal:
        for number in range(300):
            journal.image("slide", ABOUT).remember(click(number, 1), b"s", Rejection("", Reason.TAKEN, "x" * 300))
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)


def a_foreign_database(path: Path) -> None:
    changed(path, "CREATE TABLE looks (mine TEXT)")


def a_missing_table(path: Path) -> None:
    assert is_remembered(path)
    changed(path, "DROP TABLE looks")


def an_older_version(path: Path) -> None:
    assert is_remembered(path)
    changed(path, "PRAGMA user_version = 1")


def changed(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    "make",
    [
        a_damaged_journal,
        a_foreign_database,
        a_missing_table,
        an_older_version,
        lambda path: path.write_text("a note\n" * 99),
    ],
)
def test_a_journal_that_is_none_is_moved_aside(make: Callable[[Path], None], tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    make(path)
    content = path.read_bytes()
    with Journal(path) as journal:
        assert journal.image("slide", ABOUT).recall(click(1, 1), b"digest") is None
    (note,) = journal.notes
    assert "moved to journal.sqlite.aside" in note
    assert (tmp_path / "journal.sqlite.aside").read_bytes() == content
    assert is_remembered(path)


def test_an_empty_file_becomes_a_journal(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").touch()
    assert is_remembered(tmp_path / "journal.sqlite")


def test_a_newer_journal_is_left_to_the_newer_program(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    assert is_remembered(path)
    changed(path, "PRAGMA user_version = 99")
    content = path.read_bytes()
    assert "newer version" in goes_on_without(Journal(path))
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == {"journal.sqlite": content}


def test_a_folder_in_the_place_of_the_journal_is_left(tmp_path: Path) -> None:
    (tmp_path / "journal.sqlite").mkdir()
    assert "goes on without it" in goes_on_without(Journal(tmp_path / "journal.sqlite"))
    (tmp_path / "file").touch()
    assert "goes on without it" in goes_on_without(Journal(tmp_path / "file" / "journal.sqlite"))


def test_a_locked_journal_is_waited_for_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nuclick_wsi.runs.journal.PATIENCE", 0.5)
    path = tmp_path / "journal.sqlite"
    assert is_remembered(path)
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    begun = time.monotonic()
    assert "locked" in goes_on_without(Journal(path))
    assert time.monotonic() - begun < 5
    holder.close()
    assert is_remembered(path)


def test_what_was_done_while_the_journal_was_locked_is_kept_once_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nuclick_wsi.runs.journal.PATIENCE", 0.1)
    monkeypatch.setattr("nuclick_wsi.runs.journal._PAUSE", 0.0)
    path = tmp_path / "journal.sqlite"
    assert is_remembered(path)
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    with Journal(path) as journal:
        journal.image("slide", ABOUT).remember(click(2, 2), b"digest", NOTHING)
        journal.save()
        holder.close()
    assert len(journal.notes) == 1
    assert Journal(path).image("slide", ABOUT).recall(click(2, 2), b"digest") is not None


def test_a_file_system_without_locks_keeps_a_journal_all_the_same(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.touch()
    code = "import sys, test_journal, pathlib; print(test_journal.is_remembered(pathlib.Path(sys.argv[1])))"
    environment = {**faulty_system(tmp_path), "FAULT_LOCKS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    said = subprocess.run([sys.executable, "-c", code, str(path)], env=environment, check=True, capture_output=True)
    assert said.stdout == b"True\n"


OPENED = """
import sys, time
from pathlib import Path
from nuclick_wsi.runs.journal_file import open_file
for number in range(int(sys.argv[2])):
    print("ready", flush=True)
    sys.stdin.readline()
    connection, note = open_file(Path(sys.argv[1]) / str(number) / "journal.sqlite", 5)
    connection.close()
    print(note, flush=True)
"""


def test_three_processes_may_open_a_new_journal_at_the_same_instant(tmp_path: Path) -> None:
    rounds = 30
    command = [sys.executable, "-c", OPENED, str(tmp_path), str(rounds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    children = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        for _ in range(3)
    ]
    for _ in range(rounds):
        assert [child.stdout.readline() for child in children] == ["ready\n"] * 3  # type: ignore[union-attr]
        for child in children:
            child.stdin.write("\n")  # type: ignore[union-attr]
            child.stdin.flush()  # type: ignore[union-attr]
        assert [child.stdout.readline() for child in children] == ["None\n"] * 3  # type: ignore[union-attr]
    for child in children:
        child.communicate()
        assert child.returncode == 0


def a_patch(number: int) -> Patch:
    rng = np.random.default_rng(number)
    probabilities = rng.random((20, 20), np.float32)
    return Patch(click(number, 1), Window(number, 7, 20, 20), probabilities > 0.4, probabilities, np.array([[5, 5]]))


def is_same(one: object, other: Patch) -> bool:
    return isinstance(one, Patch) and one.window == other.window and np.array_equal(one.mask, other.mask)


def test_no_flipped_bit_of_the_file_changes_a_result(tmp_path: Path) -> None:
    path, rng = tmp_path / "journal.sqlite", random.Random(3)
    patches, written = [a_patch(number) for number in range(12)], WrittenObject(b"shape", "look", b"feature")
    with Journal(path) as journal:
        for patch in patches:
            journal.image("slide", ABOUT).remember(patch.prompt, b"digest", patch)
        WrittenObjects(journal, "slide").add({"id": written})
        journal.note_end("slide", {"status": "done"})
    whole = path.read_bytes()
    lost = 0
    for _ in range(400):
        flipped = bytearray(whole)
        flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        path.write_bytes(flipped)
        with Journal(path) as journal:
            cache = journal.image("slide", ABOUT)
            for patch in patches:
                found = cache.recall(patch.prompt, b"digest")
                assert found is None or is_same(found, patch)
                lost += found is None
            assert WrittenObjects(journal, "slide").read() in (
                {},
                {"id": [WrittenObject(b"shape", "look", b"feature")]},
            )
            assert journal.ends() in ({}, {"slide": {"status": "done"}})
            cache.forget_others({patch.prompt.id for patch in patches})
    assert lost > 0


def test_a_row_of_another_prompt_is_not_taken_for_this_one(tmp_path: Path) -> None:
    """As a damaged index might find it."""
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        journal.image("slide", ABOUT).remember(click(1, 1), b"digest", NOTHING)
    changed(path, f"UPDATE looks SET prompt = '{click(2, 2).id}'")
    with Journal(path) as journal:
        assert journal.image("slide", ABOUT).recall(click(2, 2), b"digest") is None


@pytest.mark.parametrize("seed", range(200))
def test_a_damaged_result_is_refused_and_asks_for_no_memory(seed: int) -> None:
    rng = random.Random(seed)
    content = bytearray(encode(a_patch(1)))
    for _ in range(rng.randrange(1, 4)):
        content[rng.randrange(1, min(len(content), 21))] = rng.randrange(256)
    try:
        found = decode(click(1, 1), bytes(content))
    except ValueError:
        return
    assert isinstance(found, Patch)
    assert found.mask.size < 8 * 4096


def test_damage_that_shows_while_a_run_goes_on_is_moved_aside(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    with Journal(path) as journal:
        for number in range(2000):
            journal.image("slide", ABOUT).remember(click(number, 1), b"s", Rejection("", Reason.TAKEN, "x" * 300))
        journal.save()
        with path.open("rb+") as file:
            file.seek(2 * 4096)
            file.write(os.urandom(path.stat().st_size - 2 * 4096))
        connection = journal._connection
        assert connection is not None
        connection.execute("PRAGMA cache_size = 1")
        for number in range(0, 2000, 100):
            journal.image("slide", ABOUT).recall(click(number, 1), b"s")
            journal.image("slide", ABOUT).remember(click(number, 1), b"s", NOTHING)
        journal.save()
    (note,) = journal.notes
    assert "damaged" in note
    assert is_remembered(path)


def test_the_tables_are_those_that_a_journal_is_known_by(tmp_path: Path) -> None:
    connection, note = journal_file.open_file(tmp_path / "journal.sqlite", 1)
    connection.close()
    assert note is None
    again, note = journal_file.open_file(tmp_path / "journal.sqlite", 1)
    again.close()
    assert note is None
