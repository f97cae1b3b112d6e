"""Batches in threads: everything once, in order, and no more at once than there is room for."""

import threading
from collections.abc import Iterator, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from faces.engine import EngineParams, in_batches, processors
from faces.lending import Lending


def doubled(batch: Sequence[int]) -> list[int]:
    return [2 * item for item in batch]


@settings(deadline=None)
@given(
    items=st.lists(st.integers(), max_size=40),
    workers=st.integers(1, 3),
    batch=st.integers(1, 9),
)
def test_results_come_in_the_order_of_the_items(items: list[int], workers: int, batch: int) -> None:
    params = EngineParams(workers=workers, batch=batch)
    assert list(in_batches(doubled, items, params)) == [2 * item for item in items]


def test_no_more_is_taken_than_two_batches_a_worker() -> None:
    taken = 0

    def source() -> Iterator[int]:
        nonlocal taken
        for item in range(1000):
            taken += 1
            yield item

    results = in_batches(doubled, source(), EngineParams(workers=2, batch=5))
    for seen in range(200):
        next(results)
        assert taken <= seen + 2 * 2 * 5 + 5
    results.close()
    assert taken < 250


def test_two_workers_work_at_once() -> None:
    meeting = threading.Barrier(2, timeout=20)

    def meet(batch: Sequence[int]) -> Sequence[int]:
        meeting.wait()
        return batch

    assert list(in_batches(meet, range(4), EngineParams(workers=2, batch=1))) == [0, 1, 2, 3]


def test_what_work_raises_is_raised_and_what_waits_is_dropped() -> None:
    done = []

    def work(batch: Sequence[int]) -> Sequence[int]:
        if 3 in batch:
            raise ZeroDivisionError
        done.extend(batch)
        return batch

    results = in_batches(work, range(1000), EngineParams(workers=1, batch=1))
    with pytest.raises(ZeroDivisionError):
        list(results)
    assert len(done) < 10


def test_there_is_a_processor() -> None:
    assert processors() >= 1


def test_a_thing_is_lent_to_one_thread_at_a_time_and_kept() -> None:
    made = iter(range(100))
    things = Lending(lambda: next(made))
    with things.borrowed() as first:
        with things.borrowed() as second:
            assert {first, second} == {0, 1}
        with things.borrowed() as third:
            assert third == second
    assert next(made) == 2


def test_a_thing_that_cannot_be_made_is_known_at_once() -> None:
    with pytest.raises(ZeroDivisionError):
        Lending(lambda: 1 / 0)
