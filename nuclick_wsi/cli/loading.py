"""Python's collector of garbage kept quiet while a command loads what it needs.

Hundreds of thousands of objects are made while modules are loaded, and none of them is garbage. Going through all of
them again and again takes a tenth of the time until a command's first result.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_WHILE_LOADING = 50_000
"""New objects after which the youngest are gone through."""


@contextmanager
def loading() -> Iterator[None]:
    """Load in the block; what is loaded by then is left out from then on."""
    as_always = gc.get_threshold()
    gc.set_threshold(_WHILE_LOADING, *as_always[1:])
    try:
        yield
    finally:
        gc.set_threshold(*as_always)
        gc.freeze()
