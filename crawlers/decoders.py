"""Processes that decode: strangers' bytes can slow down, bloat or crash only these.

Decoding also keeps Python busy, which in the crawl's own process would make every answer wait.
"""

import asyncio
import multiprocessing
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import ParamSpec, TypeVar

import cv2

P = ParamSpec("P")
R = TypeVar("R")

# More than one can wait for each process, so that none is idle between two pictures.
_QUEUED = 3
_LOOK_AT_PARENT_S = 0.5


class UndecodableError(Exception):
    """The work took too long, or ended its process."""


class Decoders:
    """A pool of processes that survives what it is given.

    Work that is under way while a process dies or one takes too long is done again, each piece
    alone: so the guilty one is found, and no other suffers.
    """

    def __init__(self, processes: int, timeout_s: float) -> None:
        """Start the processes now, while there are no threads that a fork would cut off."""
        self._processes = processes
        self._timeout_s = timeout_s
        self._pool = _started(processes)
        self._places = asyncio.Semaphore(processes * (1 + _QUEUED))
        self._alone = asyncio.Lock()

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `work` returns. Raises UndecodableError, and whatever `work` raises."""
        async with self._places:
            pool = self._pool
            try:
                waited = asyncio.wrap_future(pool.submit(work, *args, **kwargs))
                # Those queued before it may take their time as well.
                return await asyncio.wait_for(waited, self._timeout_s * (1 + _QUEUED))
            except (BrokenProcessPool, RuntimeError, TimeoutError):
                if self._pool is pool:
                    _end(pool)
                    self._pool = _started(self._processes)
        async with self._alone:
            return await self._run_alone(work, *args, **kwargs)

    async def _run_alone(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        pool = _started(1)
        try:
            waited = asyncio.wrap_future(pool.submit(work, *args, **kwargs))
            return await asyncio.wait_for(waited, self._timeout_s)
        except TimeoutError:
            raise UndecodableError(
                f"It could not be decoded within {self._timeout_s:g} s."
            ) from None
        except BrokenProcessPool:
            raise UndecodableError("Decoding it ended the process that tried.") from None
        finally:
            _end(pool)

    def close(self) -> None:
        """End the processes."""
        _end(self._pool)


def _started(processes: int) -> ProcessPoolExecutor:
    # A forked process has all modules loaded; elsewhere forking is not safe.
    context = multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn")
    pool = ProcessPoolExecutor(
        processes, mp_context=context, initializer=_begin, initargs=(os.getpid(),)
    )
    for _ in range(processes):
        pool.submit(os.getpid)
    return pool


def _end(pool: ProcessPoolExecutor) -> None:
    for process in list((pool._processes or {}).values()):
        process.kill()
    pool.shutdown(wait=True, cancel_futures=True)


def _begin(parent_pid: int) -> None:
    """A killed parent cannot tell its processes to end: they look."""
    # There is a process for each core already.
    cv2.setNumThreads(1)

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(_LOOK_AT_PARENT_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
