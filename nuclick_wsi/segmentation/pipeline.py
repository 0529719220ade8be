"""Work in threads, some items ahead of the consumer, with results in the order of the items."""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def ordered_map(work: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    """Yield `work(item)` for every item, in order, computed by threads at most two items a worker ahead.

    An exception of the work is raised where its result would have been. Where the consumer stops early, nothing goes
    on running but the items already begun.

    Parameters
    ----------
    work
        Must not depend on the order in which it is called.
    items
        Drawn from this thread only.
    workers
        Threads; with 0 the work is done here, item by item.
    """
    if workers == 0:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(work, item))
                if len(pending) > 2 * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def gathered(items: Iterable[Item], most: int, seconds: float) -> Iterator[list[Item]]:
    """Yield items together that come soon after each other: at most so many, and none later than the next one.

    Parameters
    ----------
    seconds
        From the first item of a group; what comes later is the group's last.
    """
    group: list[Item] = []
    begun = 0.0
    for item in items:
        if not group:
            begun = time.monotonic()
        group.append(item)
        if len(group) == most or time.monotonic() - begun > seconds:
            yield group
            group = []
    if group:
        yield group
