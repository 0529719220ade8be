"""One run at a time in a folder of results: a file there says which process works in it, and since when.

Locks of the operating system end with their process, but many shared file systems have none. So the file names host,
process and start time, and its time of change moves on every few seconds while the process lives. A lock of a process
that is known to have ended, or of a computer from which nothing has been heard for a while, is taken over.
"""

import json
import os
import threading
import time
import uuid
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from nuclick_wsi.errors import BusyError, ResultError
from nuclick_wsi.leftovers import part_name, remove_leftovers
from nuclick_wsi.processes import ProcessName

FILE_NAME = "run.lock"


@dataclass(frozen=True, slots=True)
class Rhythm:
    """How often a run shows that it is alive, and after how long without a sign it counts as dead; seconds."""

    beat: float = 5.0
    patience: float = 30.0


@dataclass(frozen=True, slots=True)
class LockHolder:
    """Who has a folder's lock; `token` tells this run from every other one."""

    process: ProcessName
    since: str
    token: str

    @classmethod
    def own(cls) -> "LockHolder":
        """Return this process, from now on."""
        return cls(ProcessName.own(), datetime.now(UTC).isoformat(timespec="seconds"), uuid.uuid4().hex)

    @classmethod
    def parse(cls, content: bytes) -> "LockHolder | None":
        """Return what a file says; None of one that was not written to its end, or not by this program."""
        try:
            said = json.loads(content)
            process = ProcessName(**said["process"])
            is_right = isinstance(process.number, int) and process.number > 0
            return cls(process, str(said["since"]), str(said["token"])) if is_right else None
        except (ValueError, TypeError, KeyError):
            return None

    def __str__(self) -> str:
        return f"process {self.process.number} on {self.process.host}, since {self.since}"


def holder_of(folder: Path) -> LockHolder | None:
    """Return who has the lock of a folder, as its file says; None where nobody has."""
    try:
        return LockHolder.parse((folder / FILE_NAME).read_bytes())
    except OSError:
        return None


class RunLock:
    """The lock of a folder of results, held inside a `with`; the folder is made, and taken away where it stays empty.

    What killed runs have left there is removed.

    Raises
    ------
    BusyError
        If another run has the lock.
    ResultError
        If the folder cannot be made or written to.
    """

    def __init__(self, folder: Path, rhythm: Rhythm = Rhythm()) -> None:
        self._folder = folder
        self._path = folder / FILE_NAME
        self._rhythm = rhythm
        self._own = LockHolder.own()
        self._is_over = threading.Event()
        self._made: list[Path] = []

    def __enter__(self) -> "RunLock":
        try:
            self._made = [one for one in (self._folder, *self._folder.parents) if not one.exists()]
            self._folder.mkdir(parents=True, exist_ok=True)
            while not self._take():
                self._remove_stale()
        except BusyError:
            raise
        except OSError as error:
            raise ResultError(
                f"{self._folder}: results cannot be kept there ({error.strerror or error}). Free the folder, or choose "
                "another with --out."
            ) from error
        for folder in (self._folder, self._folder / "runs"):
            remove_leftovers(folder)
        threading.Thread(target=self._beat, name="run lock", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        with suppress(OSError):
            if self._is_own():
                self._path.unlink()
            for folder in self._made:
                folder.rmdir()  # fails where there is something in it, as it should

    def _take(self) -> bool:
        """Make the lock's file; return whether there was none."""
        try:
            descriptor = os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(descriptor, "wb") as file:
            file.write(json.dumps(asdict(self._own)).encode())
            file.flush()
            os.fsync(file.fileno())
        return self._is_own()

    def _remove_stale(self) -> None:
        """Remove the lock of a run that has ended; BusyError where it goes on."""
        try:
            content = self._path.read_bytes()
            if self._is_alive(LockHolder.parse(content)):
                raise _busy(self._folder, LockHolder.parse(content))
            aside = self._folder / part_name()
            self._path.rename(aside)
        except FileNotFoundError:  # its run has just ended, or another took it over
            return
        if aside.read_bytes() == content:
            aside.unlink()
        else:  # another run took the lock over between the look and the renaming: it is given back
            with suppress(OSError):
                os.link(aside, self._path)
            aside.unlink()

    def _is_alive(self, holder: LockHolder | None) -> bool:
        is_running = holder.process.is_running() if holder is not None else None
        return self._shows_life() if is_running is None else is_running

    def _shows_life(self) -> bool:
        """Whether the lock's file is touched while it is looked at; clocks of other computers may be wrong."""
        first, deadline = self._touched(), time.monotonic() + self._rhythm.patience
        while time.monotonic() < deadline:
            time.sleep(min(1.0, self._rhythm.beat / 2))
            if self._touched() != first:
                return True
        return False

    def _touched(self) -> int:
        # To open a file makes a shared file system ask its server, which a mere look at its times does not.
        with self._path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns

    def _beat(self) -> None:
        while not self._is_over.wait(self._rhythm.beat):
            with suppress(OSError):
                if not self._is_own():
                    return  # taken over, as this computer was asleep: the files' own checks keep results whole
                os.utime(self._path)

    def _is_own(self) -> bool:
        holder = holder_of(self._folder)
        return holder is not None and holder.token == self._own.token


def _busy(folder: Path, holder: LockHolder | None) -> BusyError:
    who = f" ({holder})" if holder is not None else ""
    return BusyError(
        f"Another run is at work in {folder}{who}. Run again when it has ended, or keep these results elsewhere with "
        "--out."
    )
