"""Two runs in one folder of results: the second is refused by name; the lock of a run that has ended is no obstacle."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from nuclick_wsi.errors import BusyError, ResultError
from nuclick_wsi.leftovers import part_name
from nuclick_wsi.processes import ProcessName
from nuclick_wsi.runs.run_lock import FILE_NAME, LockHolder, Rhythm, RunLock, holder_of

FAST = Rhythm(beat=0.1, patience=0.6)
ELSEWHERE = ProcessName("scanner-2", "00000000", 4711, "12345")

HOLD = """
import sys, pathlib
from nuclick_wsi.runs.run_lock import RunLock
with RunLock(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def left_lock(folder: Path, process: ProcessName) -> Path:
    """Put the lock of another process into a folder."""
    path = folder / FILE_NAME
    path.write_text(json.dumps(asdict(replace(LockHolder.own(), process=process))))
    return path


def test_the_lock_names_its_process_and_leaves_nothing(tmp_path: Path) -> None:
    with RunLock(tmp_path / "new" / "nuclick"):
        holder = holder_of(tmp_path / "new" / "nuclick")
        assert holder is not None
        assert holder.process == ProcessName.own()
    assert not list(tmp_path.iterdir())


def test_a_folder_with_results_in_it_stays(tmp_path: Path) -> None:
    with RunLock(tmp_path / "nuclick"):
        (tmp_path / "nuclick" / "a.geojson").touch()
    assert [one.name for one in (tmp_path / "nuclick").iterdir()] == ["a.geojson"]


def test_a_second_run_is_refused_with_host_and_process_until_the_first_has_ended_or_was_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        host = ProcessName.own().host
        with pytest.raises(BusyError, match=rf"process {child.pid} on {host}, since 20.*--out"), RunLock(tmp_path):
            pass
        child.kill()
        child.wait()
    assert (tmp_path / FILE_NAME).exists()
    with RunLock(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_later_process_of_the_same_number_is_not_taken_for_the_one_that_was_killed(tmp_path: Path) -> None:
    if not ProcessName.own().started:
        pytest.skip("this system does not say when a process was started")
    left_lock(tmp_path, replace(ProcessName.own(), started="1"))
    with RunLock(tmp_path):
        pass


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"process": {}}', b"\xff"])
def test_a_lock_that_shows_no_life_is_taken_over(content: bytes | None, tmp_path: Path) -> None:
    """That of another computer, and one that was not written to its end."""
    path = left_lock(tmp_path, ELSEWHERE)
    if content is not None:
        path.write_bytes(content)
    with RunLock(tmp_path, FAST):
        assert holder_of(tmp_path) != ELSEWHERE
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("moved_s", [0.0, -86400.0, 86400.0])
def test_a_run_on_another_computer_is_found_alive_by_its_signs_whatever_its_clock_says(
    moved_s: float, tmp_path: Path
) -> None:
    path, is_over = left_lock(tmp_path, ELSEWHERE), threading.Event()

    def live() -> None:
        while not is_over.wait(0.1):
            os.utime(path, (time.time() + moved_s, time.time() + moved_s))

    threading.Thread(target=live).start()
    try:
        with pytest.raises(BusyError, match="process 4711 on scanner-2"), RunLock(tmp_path, Rhythm(0.1, 5)):
            pass
    finally:
        is_over.set()


def test_a_run_shows_that_it_lives(tmp_path: Path) -> None:
    with RunLock(tmp_path, FAST):
        first = (tmp_path / FILE_NAME).stat().st_mtime_ns
        deadline = time.monotonic() + 10
        while (tmp_path / FILE_NAME).stat().st_mtime_ns == first:
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_of_many_that_take_over_a_dead_lock_at_once_one_has_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    left_lock(tmp_path, replace(ProcessName.own(), started="1"))
    children = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(6)
    ]
    waiting = [child for child in children if child.stdout is not None and child.stdout.readline() == "held\n"]
    assert len(waiting) == 1
    for child in children:
        child.communicate("")
    assert sorted(child.returncode for child in children) == [0, 1, 1, 1, 1, 1]


def test_what_a_killed_run_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    own = part_name()
    dead = own.replace(f"-{os.getpid()}-", "-999999999-")
    names = [own, dead, ".part", ".nuclick-notes.part", "slide.part", f"{dead}.xml"]
    for name in names:
        (tmp_path / name).write_text("mine")
    with RunLock(tmp_path):
        assert {one.name for one in tmp_path.iterdir()} == {*names, FILE_NAME} - {dead}


def test_a_folder_that_cannot_be_used_is_named_before_anything_is_computed(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ResultError, match="choose another with --out"), RunLock(tmp_path / "file" / "nuclick"):
        pass
