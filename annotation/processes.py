"""Labelling workers as processes of this machine, one thread each."""

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from types import TracebackType
from typing import Self

from annotation.worker import LabelOrder, begin_process, label


class Processes:
    """`count` processes, each an executor by itself: one that dies takes no other with it."""

    lost: type[Exception] = BrokenProcessPool

    def __init__(self, count: int) -> None:
        self._executors = [_executor() for _ in range(count)]
        self._at_work: list[Future[bytes] | None] = [None] * count

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for executor in self._executors:
            executor.shutdown(wait=False, cancel_futures=True)
        for executor in self._executors:
            executor.shutdown()

    @property
    def room(self) -> int:
        """One shard a process."""
        return len(self._executors)

    def begin(self, order: LabelOrder, image_ids: Sequence[str]) -> Future[bytes]:
        """Have an idle process label the images; one that is dead is replaced by a new one."""
        index = next(i for i, work in enumerate(self._at_work) if work is None or work.done())
        with _interrupts_held_back():
            try:
                work = self._executors[index].submit(label, order, image_ids)
            except BrokenProcessPool:
                self._executors[index] = _executor()
                work = self._executors[index].submit(label, order, image_ids)
        self._at_work[index] = work
        return work


def _executor() -> ProcessPoolExecutor:
    # Models and threads do not survive a fork.
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=begin_process)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Processes started inside never see Ctrl-C: it is their parent's, and they end with it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
