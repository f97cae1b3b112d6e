"""Processes that decode: strangers' bytes can slow down, bloat or crash only these.

Decoding also keeps Python busy, which in the crawl's own process would make every answer wait.
"""

import asyncio
import ctypes
import multiprocessing
import os
import platform
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

# One handful is worked on while the next one lies ready, so that no process is idle between two.
_HANDFULS = 2
# Handing over costs as much for several jobs as for one.
_MOST_JOBS = 8
_LOOK_AT_PARENT_S = 0.5
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# What a photograph of 20 megapixels takes as pixels; more is given back.
_KEPT_BYTES = 64_000_000


class UndecodableError(Exception):
    """The work took too long, or ended its process.

    is_retryable: something else may have ended the process, as when memory was short.
    """

    def __init__(self, said: str, is_retryable: bool = False) -> None:
        super().__init__(said)
        self.is_retryable = is_retryable


@dataclass(frozen=True)
class _Job:
    """A piece of work, and where its outcome is waited for."""

    work: Callable[..., Any]
    args: tuple[Any, ...]
    outcome: "asyncio.Future[Any]"


class Decoders:
    """A pool of processes that survives what it is given.

    Jobs that wait are handed out several at a time. Those under way while a process dies or one
    takes too long are done again, each alone: so the guilty one is found, and no other suffers.
    """

    def __init__(self, processes: int, timeout_s: float) -> None:
        """Start the processes now, while there are no threads that a fork would cut off."""
        self._processes = processes
        self._timeout_s = timeout_s
        self._pool = _started(processes)
        self._waiting: deque[_Job] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._alone = asyncio.Lock()

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What `work` returns. Raises UndecodableError, and whatever `work` raises."""
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(partial(work, **kwargs), args, outcome))
        self._hand_out()
        return await outcome

    def close(self) -> None:
        """End the processes."""
        _end(self._pool)

    def _hand_out(self) -> None:
        while self._waiting and len(self._under_way) < self._processes * _HANDFULS:
            jobs = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_JOBS))]
            task = asyncio.ensure_future(self._do(jobs))
            self._under_way.add(task)
            task.add_done_callback(self._one_is_done)

    def _one_is_done(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self._hand_out()

    async def _do(self, jobs: list[_Job]) -> None:
        pool = self._pool
        try:
            submitted = pool.submit(_outcomes, [(job.work, job.args) for job in jobs])
            # Those handed out before may take their time as well.
            limit_s = self._timeout_s * _HANDFULS * _MOST_JOBS
            outcomes = await asyncio.wait_for(asyncio.wrap_future(submitted), limit_s)
        except Exception:
            # A process died or took too long, or an outcome could not be sent.
            if self._pool is pool:
                _end(pool)
                self._pool = _started(self._processes)
            async with self._alone:
                outcomes = [await self._alone_outcome(job) for job in jobs]
        for job, (value, error) in zip(jobs, outcomes, strict=True):
            if job.outcome.cancelled():
                continue
            if error is None:
                job.outcome.set_result(value)
            else:
                job.outcome.set_exception(error)

    async def _alone_outcome(self, job: _Job) -> tuple[Any, Exception | None]:
        pool = _started(1)
        try:
            submitted = pool.submit(_outcomes, [(job.work, job.args)])
            waited = asyncio.wait_for(asyncio.wrap_future(submitted), self._timeout_s)
            (outcome,) = await waited
        except TimeoutError:
            said = f"It could not be decoded within {self._timeout_s:g} s."
            return None, UndecodableError(said)
        except Exception:
            return None, UndecodableError(
                "Decoding it ended the process that tried.", is_retryable=True
            )
        else:
            return outcome
        finally:
            _end(pool)


def _outcomes(
    jobs: list[tuple[Callable[..., Any], tuple[Any, ...]]],
) -> list[tuple[Any, Exception | None]]:
    """In a process of the pool: what each job returned, or what it raised."""
    outcomes: list[tuple[Any, Exception | None]] = []
    for work, args in jobs:
        try:
            outcomes.append((work(*args), None))
        except Exception as error:
            # Raised where it is waited for.
            outcomes.append((None, error))
    return outcomes


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


def _keep_memory() -> None:
    """Let the allocator keep what one picture took for the next: else each is paged in anew.

    That took as long as decoding. The numbers are mallopt(3)'s of glibc; others have their own way.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _begin(parent_pid: int) -> None:
    """A killed parent cannot tell its processes to end: they look."""
    _keep_memory()

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(_LOOK_AT_PARENT_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
