"""Work in threads comes back in order, and stops with whoever asked for it."""

import threading
import time
from itertools import count, islice

import pytest

from nuclick_wsi.segmentation.pipeline import ordered_map


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_come_in_the_order_of_the_items(workers: int) -> None:
    def slow_first(number: int) -> int:
        time.sleep(0.01 if number % 3 == 0 else 0)
        return number * number

    assert list(ordered_map(slow_first, range(20), workers)) == [n * n for n in range(20)]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_raised_where_its_result_would_have_been(workers: int) -> None:
    results = ordered_map(lambda number: 1 // (number - 3), range(10), workers)
    assert list(islice(results, 3)) == [-1, -1, -1]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_items_are_drawn_only_a_little_ahead() -> None:
    drawn = []

    def items() -> "object":
        for number in count():
            drawn.append(number)
            yield number

    results = ordered_map(lambda number: number, items(), 2)
    assert list(islice(results, 5)) == [0, 1, 2, 3, 4]
    assert len(drawn) <= 5 + 2 * 2 + 1
    results.close()


def test_closing_early_leaves_no_thread_behind() -> None:
    before = threading.active_count()
    results = ordered_map(lambda number: number, range(100), 2)
    next(results)
    results.close()
    assert threading.active_count() == before
