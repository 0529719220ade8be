"""Many inputs of all kinds over several processes, with what was seen kept on disk, so that it can go on later."""

import json
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryFile

from fuzz.seen import Seen
from fuzz.target import numbered
from fuzz.targets import SHARES, TARGETS

_WORK = (sys.executable, "-m", "fuzz.work")
_PART = 20_000
"""Inputs of one process; the next ones have a fresh one. It takes as long to start as some thousand inputs."""
_HANGS = 300.0
"""Seconds after which an input hangs in code that no alarm reaches."""


def fresh(state: Path) -> None:
    """Forget what earlier runs have seen."""
    shutil.rmtree(state, ignore_errors=True)


class Campaign:
    """What has been seen of each kind.

    Parameters
    ----------
    state
        The folder that keeps it.
    names
        The kinds of input.
    command
        What reads the inputs of one kind.
    """

    def __init__(self, state: Path, names: Sequence[str], command: Sequence[str] = _WORK) -> None:
        self._state = state
        self._names = names
        self._command = command
        self._guard = threading.Lock()
        (state / "faults").mkdir(parents=True, exist_ok=True)
        kept = state / "seen.json"
        before = json.loads(kept.read_text()) if kept.exists() else {}
        self._seen = {name: Seen(**before.get(name, {})) for name in {**before, **dict.fromkeys(names)}}

    @property
    def faults(self) -> int:
        """How many inputs have been faults."""
        return sum(seen.faults for seen in self._seen.values())

    def run(self, inputs: int, cores: int) -> None:
        """Read inputs until there have been so many, shared out among the kinds."""
        whole = sum(SHARES[name] for name in self._names)
        parts = []
        for name in self._names:
            wanted = -(-inputs * SHARES[name] // whole)
            done = self._seen[name].number
            parts += [(start, min(start + _PART, wanted), name) for start in range(done, wanted, _PART)]
        with ThreadPoolExecutor(cores) as pool:
            # The kinds in turn, so that a run that is stopped has seen something of each.
            list(pool.map(self._read_part, sorted(parts)))

    def _read_part(self, part: tuple[int, int, str]) -> None:
        start, end, name = part
        while start < end:
            seen = self._read(name, start, end)
            start = seen.number
            with self._guard:
                self._seen[name].add(seen)
                text = json.dumps({name: asdict(one) for name, one in self._seen.items()})
                (self._state / "seen.json").write_text(text)

    def _read(self, name: str, start: int, end: int) -> Seen:
        """Read inputs in a process of their own; return what it saw, up to one that ended it."""
        shared = self._state / f"{name} {start}.now"
        if shared.exists():  # from a campaign that was stopped
            return _taken(shared)
        shared.write_bytes(Seen(start).packed())
        command = [*self._command, name, str(start), str(end), str(shared)]
        with (
            TemporaryFile("w+") as complaints,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as process,
        ):
            watcher = threading.Thread(target=_kill_if_it_hangs, args=(process, shared))
            watcher.start()
            assert process.stdout is not None
            for line in process.stdout:
                fault = json.loads(line)
                self._keep(name, fault["number"], fault["fault"])
            watcher.join()
            complaints.seek(0)
            complaint = complaints.read()[-800:]
        seen = _taken(shared)
        if process.returncode:
            self._keep(name, seen.number, f"the process ended with {process.returncode}: {complaint}")
            seen.faults += 1
            seen.number += 1
        return seen

    def _keep(self, name: str, number: int, fault: str) -> None:
        path = self._state / "faults" / f"{name} {number}"
        path.write_bytes(TARGETS[name].make(numbered(name, number)))
        path.with_name(f"{path.name}.txt").write_text(fault)
        print(f"fault: {name} {number}: {fault.strip().splitlines()[-1]:.200}", flush=True)

    def table(self) -> str:
        """Return what has been seen, a line for each kind."""
        lines = [f"{'input':16}{'read':>10}{'refused':>10}{'accepted':>10}{'faults':>8}{'slowest':>10}{'memory':>10}"]
        whole = Seen()
        for name, seen in sorted(self._seen.items()):
            lines.append(_line(name, seen))
            whole.add(seen)
        return "\n".join([*lines, _line("in all", whole)])


def _taken(shared: Path) -> Seen:
    """Return what a process has seen, and remove the file in which it was kept."""
    seen = Seen.unpacked(shared.read_bytes())
    shared.unlink()
    return seen


def _line(name: str, seen: Seen) -> str:
    counts = f"{seen.inputs:10,}{seen.refused:10,}{seen.accepted:10,}{seen.faults:8,}"
    return f"{name:16}{counts}{seen.slowest:8.2f} s{seen.memory / 2**20:6.0f} MiB"


def _kill_if_it_hangs(process: "subprocess.Popen[str]", shared: Path) -> None:
    before, since = b"", time.monotonic()
    while process.poll() is None:
        time.sleep(0.2)
        now = shared.read_bytes()
        if now != before:
            before, since = now, time.monotonic()
        elif time.monotonic() - since > _HANGS:
            process.kill()
