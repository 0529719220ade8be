"""What a process has seen so far, in a form that outlives it: an input that ends the process is known by its number."""

import struct
from dataclasses import dataclass, fields
from typing import ClassVar, Self


@dataclass
class Seen:
    """Counts of inputs.

    Attributes
    ----------
    number
        Of the input that is being read; after the last one, the one that would follow.
    refused
        Inputs that ended in an error of our own, which says what is wrong.
    slowest, slowest_number
        The longest time of an input in seconds of processor time, and which it was.
    memory
        The most bytes that the process took beside those at its start.
    """

    number: int = 0
    refused: int = 0
    accepted: int = 0
    faults: int = 0
    slowest: float = 0.0
    slowest_number: int = 0
    memory: int = 0

    LAYOUT: ClassVar[struct.Struct] = struct.Struct("qqqqdqq")

    def packed(self) -> bytes:
        return self.LAYOUT.pack(*(getattr(self, one.name) for one in fields(self)))

    @classmethod
    def unpacked(cls, data: bytes) -> Self:
        return cls(*cls.LAYOUT.unpack(data[: cls.LAYOUT.size]))

    def add(self, other: "Seen") -> None:
        """Add what another process has seen, which went on from here."""
        self.number = max(self.number, other.number)
        self.refused += other.refused
        self.accepted += other.accepted
        self.faults += other.faults
        if other.slowest > self.slowest:
            self.slowest, self.slowest_number = other.slowest, other.slowest_number
        self.memory = max(self.memory, other.memory)

    @property
    def inputs(self) -> int:
        return self.refused + self.accepted + self.faults
