"""One process that reads inputs of one target, one after the other, under limits of time and memory."""

import json
import logging
import mmap
import os
import shutil
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from fuzz.seen import Seen
from fuzz.target import Target, numbered
from fuzz.targets import TARGETS
from fuzz.watch import ForbiddenError, Guard, limit_memory, limited_time, resident
from nuclick_wsi.errors import NuclickError


def _printed(line: str) -> None:
    print(line, flush=True)


class Worker:
    """Reads inputs; a fault is a line of JSON, on standard output.

    Parameters
    ----------
    shared
        Where what is seen is kept, at every moment.
    folder
        The only place that may be written to.
    """

    def __init__(self, name: str, target: Target, shared: mmap.mmap, folder: Path) -> None:
        self._name = name
        self._target = target
        self._shared = shared
        self._inputs = folder / "input"
        self._inputs.mkdir(exist_ok=True)
        self._guard = Guard(folder)
        self._start = resident()

    def work(self, start: int, end: int, say: Callable[[str], None] = _printed) -> None:
        """Read the inputs of these numbers, and say what is wrong."""
        seen = Seen(start)
        for number in range(start, end):
            seen.number = number
            self._shared[: Seen.LAYOUT.size] = seen.packed()
            begun = time.process_time()
            fault = self._fault(number, seen)
            spent = time.process_time() - begun
            if spent > seen.slowest:
                seen.slowest, seen.slowest_number = spent, number
            seen.memory = resident() - self._start
            if fault is not None:
                seen.faults += 1
                say(json.dumps({"number": number, "fault": fault}))
        seen.number = end
        self._shared[: Seen.LAYOUT.size] = seen.packed()

    def _fault(self, number: int, seen: Seen) -> str | None:
        """Read one input; return what is wrong with how it ended."""
        data = self._target.make(numbered(self._name, number))
        self._guard.is_on = True
        try:
            with limited_time():
                self._target.read(data, self._inputs)
            ended = "accepted"
        except NuclickError as error:
            str(error).encode()
            ended = "refused"
        except (Exception, ForbiddenError):  # noqa: BLE001 - all that is no error of ours is a fault
            return traceback.format_exc()[-1500:]
        finally:
            self._guard.is_on = False
            _empty(self._inputs)
        forbidden = self._guard.taken()
        if forbidden is None:
            setattr(seen, ended, getattr(seen, ended) + 1)
        return forbidden


def _empty(folder: Path) -> None:
    """Remove all that is in a folder; `shutil.rmtree` takes longer than reading most inputs."""
    with os.scandir(folder) as found:
        for one in found:
            if one.is_dir(follow_symlinks=False):
                shutil.rmtree(one)
            else:
                Path(one).unlink()


def _in_memory() -> str | None:
    """Return a folder whose files are on no disk, where the system has one."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main(name: str, start: str, end: str, shared: str) -> None:
    """Read inputs of one target; `shared` is the file for what is seen."""
    target = TARGETS[name]
    with TemporaryDirectory(dir=_in_memory()) as folder:
        # What is loaded when it is first needed is no input's memory.
        Worker("warm up", target, mmap.mmap(-1, 4096), Path(folder)).work(0, 30, say=lambda _: None)
        limit_memory()
        with Path(shared).open("r+b") as file, mmap.mmap(file.fileno(), 0) as seen:
            Worker(name, target, seen, Path(folder)).work(int(start), int(end))


if __name__ == "__main__":
    logging.disable()
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    main(*sys.argv[1:])
