"""What work costs, alone and beside programs that keep the cores busy."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

BUSY = 2
"""Programs that compute without an end, as on a desktop where others work too."""


@dataclass(frozen=True)
class Cost:
    """Seconds on the clock, and of the processor."""

    clock: float
    processor: float


def cost_of(work: Callable[[], object], rounds: int = 2) -> Cost:
    """Return the least of a few rounds, each figure by itself."""
    costs = []
    for _ in range(rounds):
        clock, processor = time.perf_counter(), time.process_time()
        work()
        costs.append(Cost(time.perf_counter() - clock, time.process_time() - processor))
    return Cost(min(one.clock for one in costs), min(one.processor for one in costs))


@contextmanager
def busy_programs() -> Iterator[None]:
    """Keep the cores busy beside the block."""
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(BUSY)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()
