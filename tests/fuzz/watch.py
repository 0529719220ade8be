"""What no input may do, whatever it is: take long, take much memory, write outside its folder, start a program.

Limits hold for the whole process, so it is made for the purpose.
"""

import os
import resource
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

SECONDS = 10
BYTES = 1 << 30

_PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen", "pty.spawn")
_CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "shutil.rmtree")


_TRIAL = "openslide_trial.py"
"""The one program that reading starts, by itself."""


class ForbiddenError(BaseException):
    """An input made the program do what no input may; no handler of `Exception` keeps it from being seen."""


def limit_memory() -> None:
    """Allow the process so much more memory than it has now, where the system can."""
    if not sys.platform.startswith("linux"):
        return
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + BYTES, used + BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def resident() -> int:
    """Return the most bytes of memory that the process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def limited_time(seconds: float = SECONDS) -> Iterator[None]:
    """Raise `ForbiddenError` in the block when its time of the processor is over: others may be busy beside it."""

    def stop(_: int, __: FrameType | None) -> None:
        raise ForbiddenError(f"more than {seconds:g} s")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


class Guard:
    """Notes programs that are started, and files outside a folder that are written; one for a process."""

    def __init__(self, folder: Path) -> None:
        self._folder = os.path.realpath(folder)
        self._seen: list[str] = []
        self.is_on = False
        sys.addaudithook(self._audit)

    def taken(self) -> str | None:
        """Return what was seen since it was last asked for."""
        found, self._seen = self._seen[:3], []
        return f"forbidden: {found}" if found else None

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if not self.is_on:
            return
        if event in _PROGRAMS and _TRIAL not in repr(args):
            self._seen.append(f"{event} {args!r:.200}")
        elif event == "open" and _writes(args) and not self._inside(args[0]):
            self._seen.append(f"writes {args[0]!r:.200}")
        elif event in _CHANGES and not self._inside(args[0]):
            self._seen.append(f"{event} {args[0]!r:.200}")

    def _inside(self, path: Any) -> bool:
        if not isinstance(path, str | bytes | os.PathLike):
            return True  # a file that is open already
        return os.path.realpath(os.fsdecode(path)).startswith((self._folder, os.devnull))


def _writes(args: tuple[Any, ...]) -> bool:
    _, mode, flags = args
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
