"""Which process it was: on which computer, and whether it still runs. Files that processes leave behind name theirs."""

import hashlib
import os
import socket
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_PROCESSES = Path("/proc")
_STARTED = 19
"""Place of the start time among the fields of Linux's /proc/PID/stat that follow the name in brackets."""


@dataclass(frozen=True, slots=True)
class ProcessName:
    """One process, told apart from a later one of the same number.

    Attributes
    ----------
    host
        The name of its computer.
    machine
        What tells computers, and containers, of one name apart, and a computer from itself before it was started anew.
    number
        Its number there.
    started
        When it was started, in the system's own count; empty where the system does not say.
    """

    host: str
    machine: str
    number: int
    started: str

    @classmethod
    def own(cls) -> "ProcessName":
        """Return that of this process."""
        number = os.getpid()
        return cls(socket.gethostname(), _machine(), number, _started(number))

    def is_running(self) -> bool | None:
        """Whether it runs; None where that cannot be known from here."""
        if self.machine != _machine() or os.name == "nt":
            return None
        if not _exists(self.number):
            return False
        started = _started(self.number)
        return started == self.started if started and self.started else None


@cache
def _machine() -> str:
    """Return what tells this computer since its last start, and this container, from others: 8 hexadecimal digits."""
    said = [socket.gethostname()]
    for place in ("sys/kernel/random/boot_id", "self/ns/pid"):
        try:
            path = _PROCESSES / place
            said.append(str(path.readlink()) if path.is_symlink() else path.read_text())
        except OSError:
            said.append("")
    return hashlib.blake2b("\n".join(said).encode(), digest_size=4).hexdigest()


def _exists(number: int) -> bool:
    try:
        os.kill(number, 0)  # asks only; on Windows it would end the process
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def _started(number: int) -> str:
    try:
        return (_PROCESSES / str(number) / "stat").read_text().rpartition(")")[2].split()[_STARTED]
    except (OSError, IndexError):
        return ""
