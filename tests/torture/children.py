"""Runs in processes of their own, each made as a copy of this one, in which everything is loaded already."""

import ctypes
import gc
import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch

from nuclick_wsi.cli import app
from nuclick_wsi.runs.journal import Journal, Row

LONGEST_S = 600.0
"""A run that takes longer hangs."""
_PUT = struct.Struct("<d")
_PAST_RIGHTS = 0b110
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH of Linux."""


def load_everything(arguments: Sequence[str]) -> None:
    """Run once in this process, on one thread as threads are not copied, so that its copies need load nothing."""
    torch.set_num_threads(1)
    sys.argv = ["nuclick-wsi", "run", *arguments, "--device", "cpu", "--threads", "1", "--quiet"]
    with suppress(SystemExit):
        app.main()
    gc.freeze()


@dataclass(frozen=True)
class Ended:
    """How a run ended.

    Attributes
    ----------
    code
        Exit code; negative where a signal ended it.
    said
        All that it printed.
    room, changes
        How many calls needed room on the disk, and changed files.
    puts
        When each result came to the journal, in seconds of the monotonic clock.
    """

    code: int
    said: str
    room: int
    changes: int
    puts: Sequence[float]
    killed_at: float

    @property
    def is_clean(self) -> bool:
        """Whether it ended by itself, in words for a user."""
        return self.code >= 0 and "Traceback" not in self.said and "A fault of nuclick-wsi" not in self.said


class Child:
    """A run of `nuclick-wsi run` that goes on beside this process.

    Parameters
    ----------
    arguments
        Of the command.
    logs
        A folder for what it prints.
    faults
        Variables for `faulty_calls.c`.
    at_put
        What to do in that process when its Nth result comes to the journal: (N, action).
    prepare
        What to do in that process before the command begins.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        logs: Path,
        faults: Mapping[str, str] | None = None,
        at_put: tuple[int, Callable[[], None]] | None = None,
        prepare: Callable[[], None] = lambda: None,
    ) -> None:
        logs.mkdir(exist_ok=True)
        self.logs = logs
        for name in ("puts", "said", "counts"):
            (logs / name).write_bytes(b"")
        sys.stdout.flush()
        self.number = os.fork()
        if self.number == 0:
            self._be(arguments, faults or {}, at_put, prepare)

    def _be(
        self,
        arguments: Sequence[str],
        faults: Mapping[str, str],
        at_put: tuple[int, Callable[[], None]] | None,
        prepare: Callable[[], None],
    ) -> None:
        code = 70
        try:
            said = os.open(self.logs / "said", os.O_WRONLY | os.O_APPEND)
            for stream in (1, 2):
                os.dup2(said, stream)
            os.environ.update(faults)
            for name in ("SIGINT", "SIGHUP"):  # which shells ignore in what they start in the background
                signal.signal(getattr(signal, name), signal.SIG_DFL)
            _watch_puts(self.logs / "puts", at_put)
            prepare()
            sys.argv = ["nuclick-wsi", "run", *arguments, "--device", "cpu"]
            try:
                app.main()
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
            sys.stdout.flush()
            for name in faults:
                del os.environ[name]
            counts = [str(_variable(name).value) for name in ("fault_room", "fault_changes")]
            (self.logs / "counts").write_text(" ".join(counts))
        except BaseException:  # noqa: BLE001 - a copy of the parent must not go on as the parent
            import traceback  # noqa: PLC0415

            traceback.print_exc()
        finally:
            os._exit(code)

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        with suppress(ProcessLookupError):
            os.kill(self.number, number)

    def ended(self) -> Ended:
        """Wait until it has ended; one that hangs is killed."""
        deadline = time.monotonic() + LONGEST_S
        while (found := os.waitpid(self.number, os.WNOHANG))[0] == 0:
            if time.monotonic() > deadline:
                self.kill()
            time.sleep(0.005)
        counts = [int(text) for text in (self.logs / "counts").read_text().split()] or [0, 0]
        puts = [when for (when,) in _PUT.iter_unpack((self.logs / "puts").read_bytes())]
        said = (self.logs / "said").read_text(errors="replace")
        return Ended(os.waitstatus_to_exitcode(found[1]), said, *counts, puts, time.monotonic())


def tell_itself(number: int) -> None:
    """Send a signal to this process."""
    os.kill(os.getpid(), number)


def _watch_puts(log: Path, at_put: tuple[int, Callable[[], None]] | None) -> None:
    """Write down when each result comes to the journal, and do something at one of them."""
    put, file, seen = Journal.put, os.open(log, os.O_WRONLY | os.O_APPEND), 0

    def watched(self: Journal, row: Row) -> None:
        nonlocal seen
        seen += 1
        os.write(file, _PUT.pack(time.monotonic()))
        if at_put is not None and seen == at_put[0]:
            at_put[1]()
        put(self, row)

    Journal.put = watched  # type: ignore[method-assign]


def move_clock(seconds: int) -> None:
    """Put the time of day of this process forward or back."""
    _variable("fault_clock").value = seconds


def obey_rights() -> None:
    """Have rights of files bind this process, also where it is the administrator's."""
    system, version_3 = ctypes.CDLL(None), (ctypes.c_uint32 * 2)(0x20080522, 0)
    sets = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable, each twice
    if system.capget(version_3, sets) == 0:
        sets[0] &= ~_PAST_RIGHTS
        system.capset(version_3, sets)


def _variable(name: str) -> ctypes.c_long:
    return ctypes.c_long.in_dll(ctypes.CDLL(None), name)
