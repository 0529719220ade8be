"""What is fuzzed: a maker of damaged inputs, and what the program does with one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random


@dataclass(frozen=True)
class Target:
    """One kind of input.

    Attributes
    ----------
    make
        Makes the bytes of one input out of random numbers.
    read
        Reads an input the way that the program does, in a folder of its own. A `NuclickError` is a refusal, no error an
        acceptance, and everything else a fault.
    """

    make: Callable[[Random], bytes]
    read: Callable[[bytes, Path], None]


def numbered(name: str, number: int) -> Random:
    """Return the random numbers of one input."""
    return Random(f"{name} {number}")
