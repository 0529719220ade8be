"""Who is told how far the work is that comes after the network."""

from collections.abc import Callable
from typing import TypeAlias

OnStep: TypeAlias = Callable[[str, int, int], None]
"""Is told what is being done, and how much of it is done of how much; what it raises ends the work."""


def nobody(what: str, done: int, total: int) -> None:
    """Take no notice."""
