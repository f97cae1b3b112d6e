"""Processes that decode: strangers' bytes can slow down, bloat or crash only these.

Decoding also keeps Python busy, which in the crawl's own process would make every answer wait.
"""

import asyncio
import ctypes
import multiprocessing
import os
import pickle
import platform
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from typing import Any, TypeVar, TypeVarTuple

Args = TypeVarTuple("Args")
R = TypeVar("R")

# One handful is worked on while the next one lies ready, so that no process is idle between two.
_HANDFULS = 2
# Handing over costs as much for several jobs as for one, while they are small.
_MOST_JOBS = 8
_HANDFUL_BYTES = 4_000_000
_LOOK_AT_PARENT_S = 0.5
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
# What a photograph of 20 megapixels takes as pixels; more is given back.
_KEPT_BYTES = 64_000_000
# Before each message: its length.
_LENGTH_BYTES = 8


class UndecodableError(Exception):
    """The work took too long, or ended its process.

    is_retryable: something else may have ended the process, as when memory was short.
    """

    def __init__(self, said: str, is_retryable: bool = False) -> None:
        super().__init__(said)
        self.is_retryable = is_retryable


@dataclass(frozen=True)
class _Job:
    """A piece of work, how much goes to the process for it, and where its outcome is waited for."""

    work: Callable[..., Any]
    args: tuple[Any, ...]
    size_bytes: int
    outcome: "asyncio.Future[Any]"


@dataclass
class _Worker:
    """A process, and our end of the socket to it: it answers handfuls in the order they come in.

    A pool of the standard library would take three threads, which contend with the event loop.
    """

    process: BaseProcess
    socket: socket.socket
    handfuls: int = 0
    is_ended: bool = False
    _sending: asyncio.Lock = field(default_factory=asyncio.Lock)
    _receiving: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def outcomes(self, jobs: list[_Job]) -> list[tuple[Any, Exception | None]]:
        """What each job returned, or what it raised. Raises OSError where the process is gone."""
        loop = asyncio.get_running_loop()
        async with self._sending:
            content = pickle.dumps([(job.work, job.args) for job in jobs])
            await loop.sock_sendall(self.socket, len(content).to_bytes(_LENGTH_BYTES))
            await loop.sock_sendall(self.socket, content)
        async with self._receiving:
            length = int.from_bytes(await self._received(_LENGTH_BYTES))
            answer = await self._received(length)
        outcomes: list[tuple[Any, Exception | None]] = pickle.loads(answer)  # noqa: S301  (its own process)
        return outcomes

    async def _received(self, length: int) -> bytearray:
        loop = asyncio.get_running_loop()
        content = bytearray(length)
        view, received = memoryview(content), 0
        while received < length:
            count = await loop.sock_recv_into(self.socket, view[received:])
            if count == 0:
                raise ConnectionError("the process is gone")
            received += count
        return content

    def end(self) -> None:
        """Kill the process; whoever waits for it meets the end of its socket."""
        self.is_ended = True
        self.process.kill()
        self.process.join()
        self.process.close()


class Decoders:
    """Processes that are replaced when what they are given ends them.

    Jobs that wait are handed out several at a time. Those that a process had while it died or one
    took too long are done again, each alone: so the guilty one is found, and no other suffers.
    """

    def __init__(self, processes: int, timeout_s: float) -> None:
        """Start the processes now, while there are no threads that a fork would cut off."""
        self._timeout_s = timeout_s
        self._workers = [_started() for _ in range(processes)]
        self._waiting: deque[_Job] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._alone = asyncio.Lock()

    async def run(self, work: Callable[[*Args], R], *args: *Args, size_bytes: int = 0) -> R:
        """What `work` returns; size_bytes: about what is handed over with `args`.

        Raises UndecodableError, whatever `work` raises, and OSError where no process starts.
        """
        outcome: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Job(work, args, size_bytes, outcome))
        self._hand_out()
        return await outcome

    @property
    def pids(self) -> list[int | None]:
        """The process ids."""
        return [worker.process.pid for worker in self._workers]

    def close(self) -> None:
        """End the processes."""
        for worker in self._workers:
            worker.end()
            worker.socket.close()

    def _hand_out(self) -> None:
        while self._waiting:
            worker = min(self._workers, key=lambda one: one.handfuls)
            if worker.handfuls == _HANDFULS:
                return
            jobs = self._handful()
            worker.handfuls += 1
            task = asyncio.ensure_future(self._do(worker, jobs))
            self._under_way.add(task)
            task.add_done_callback(self._one_is_done)

    def _handful(self) -> list[_Job]:
        """The next jobs that wait: several while they are small; a large one is the last."""
        jobs, size_bytes = [self._waiting.popleft()], 0
        while self._waiting and len(jobs) < _MOST_JOBS:
            size_bytes += jobs[-1].size_bytes
            if size_bytes > _HANDFUL_BYTES:
                break
            jobs.append(self._waiting.popleft())
        return jobs

    def _one_is_done(self, task: "asyncio.Task[None]") -> None:
        self._under_way.discard(task)
        self._hand_out()

    async def _do(self, worker: _Worker, jobs: list[_Job]) -> None:
        try:
            outcomes = await self._outcomes(worker, jobs)
        except Exception as unstarted:
            # No process could be started, as when there are too many, or files open.
            outcomes = [(None, unstarted)] * len(jobs)
        finally:
            worker.handfuls -= 1
            if worker.is_ended and not worker.handfuls:
                worker.socket.close()
        for job, (value, error) in zip(jobs, outcomes, strict=True):
            if job.outcome.cancelled():
                continue
            if error is None:
                job.outcome.set_result(value)
            else:
                job.outcome.set_exception(error)

    async def _outcomes(
        self, worker: _Worker, jobs: list[_Job]
    ) -> list[tuple[Any, Exception | None]]:
        try:
            # Those handed out before may take their time as well.
            limit_s = self._timeout_s * _HANDFULS * _MOST_JOBS
            return await asyncio.wait_for(worker.outcomes(jobs), limit_s)
        except Exception:
            # The process died or took too long, or an outcome could not be sent.
            if not worker.is_ended:
                worker.end()
            if worker in self._workers:
                self._workers[self._workers.index(worker)] = _started()
            async with self._alone:
                return [await self._alone_outcome(job) for job in jobs]

    async def _alone_outcome(self, job: _Job) -> tuple[Any, Exception | None]:
        worker = _started()
        try:
            (outcome,) = await asyncio.wait_for(worker.outcomes([job]), self._timeout_s)
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
            worker.end()
            worker.socket.close()


def _started() -> _Worker:
    # A forked process has all modules loaded; elsewhere forking is not safe.
    is_linux = platform.system() == "Linux"
    context = (
        multiprocessing.get_context("fork") if is_linux else multiprocessing.get_context("spawn")
    )
    ours, theirs = socket.socketpair()
    process = context.Process(target=_serve, args=(theirs, os.getpid()), daemon=True)
    process.start()
    theirs.close()
    ours.setblocking(False)
    return _Worker(process, ours)


def _serve(connection: socket.socket, parent_pid: int) -> None:
    """In a process of its own: answer handful after handful."""
    _begin(parent_pid)
    with connection.makefile("rwb") as stream:
        while length := stream.read(_LENGTH_BYTES):
            jobs = pickle.loads(stream.read(int.from_bytes(length)))  # noqa: S301  (our parent's)
            content = _pickled(_outcomes(jobs))
            stream.write(len(content).to_bytes(_LENGTH_BYTES) + content)
            stream.flush()


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


def _pickled(outcomes: list[tuple[Any, Exception | None]]) -> bytes:
    """The outcomes, or for each that it could not be sent."""
    try:
        return pickle.dumps(outcomes)
    except Exception as error:  # whatever a stranger's object does when it is pickled
        said = UndecodableError(f"What came of it could not be sent: {type(error).__name__}.")
        return pickle.dumps([(None, said)] * len(outcomes))


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
    # Ctrl-C reaches them too; their parent decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _keep_memory()

    def watch() -> None:
        while os.getppid() == parent_pid:
            time.sleep(_LOOK_AT_PARENT_S)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
