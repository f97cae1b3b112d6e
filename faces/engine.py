"""Many items through work that releases Python's lock: batches in threads, results in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import cv2
from pydantic import Field

from mirrorset.records import Record

T = TypeVar("T")
R = TypeVar("R")


class EngineParams(Record):
    """workers: threads; None for as many as the processors this process may use. batch: items
    that a worker takes at once. Neither changes a result.
    """

    workers: int | None = Field(default=None, ge=1)
    batch: int = Field(default=4, ge=1)


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_batches(
    work: Callable[[Sequence[T]], Sequence[R]],
    items: Iterable[T],
    params: EngineParams | None = None,
) -> Iterator[R]:
    """What `work` gives for `items`, batch after batch, in their order.

    Each worker does a whole batch in one thread, from reading to records, so that one reads and
    decodes while another infers: on a CPU two such workers outrun any division of labour measured
    (docs/models.md). At most two batches a worker are taken from `items` ahead of the results.
    What `work` raises is raised here. OpenCV's own threads, which would compete with the workers,
    are switched off for the process.
    """
    wanted = params or EngineParams()
    workers = wanted.workers or processors()
    cv2.setNumThreads(1)
    source = iter(items)
    pending: deque[Future[Sequence[R]]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="engine") as pool:
        try:
            while batch := tuple(islice(source, wanted.batch)):
                pending.append(pool.submit(work, batch))
                if len(pending) == 2 * workers:
                    yield from pending.popleft().result()
            while pending:
                yield from pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
