"""Labelling workers as processes of this machine, one thread each."""

import signal
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from annotation.worker import LabelOrder, begin_process, label

# Models and threads do not survive a fork.
_SPAWN = get_context("spawn")


class DeadProcessError(Exception):
    """The process that was at a shard has ended."""


class Processes:
    """`count` processes, started when there is work, each kept busy by a thread of this one.

    One that died takes no other with it; its place is taken by a new one. Leaving ends all, also
    amid a shard.
    """

    lost: type[Exception] = DeadProcessError

    def __init__(self, count: int) -> None:
        self.room = count
        self._threads = ThreadPoolExecutor(count)
        self._of_thread = threading.local()
        self._children: set[_Child] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._end_children()
        self._threads.shutdown()
        # One may have been starting.
        self._end_children()

    def begin(self, order: LabelOrder, image_ids: Sequence[str]) -> Future[bytes]:
        """Have an idle process label the images."""
        return self._threads.submit(self._label, order, tuple(image_ids))

    def _end_children(self) -> None:
        for child in tuple(self._children):
            child.end()

    def _label(self, order: LabelOrder, image_ids: tuple[str, ...]) -> bytes:
        child: _Child | None = getattr(self._of_thread, "child", None)
        if child is None:
            child = self._of_thread.child = _Child()
            self._children.add(child)
        try:
            return child.label(order, image_ids)
        except DeadProcessError:
            self._children.discard(child)
            self._of_thread.child = None
            raise


class _Child:
    def __init__(self) -> None:
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs,), daemon=True)
        # What this thread starts never sees Ctrl-C: it is this process's, with which it ends. The
        # tracker that multiprocessing starts with the first child would lift the block.
        resource_tracker.ensure_running()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        self._process.start()
        theirs.close()

    def label(self, order: LabelOrder, image_ids: tuple[str, ...]) -> bytes:
        """What the process makes of the images, or the error that it met."""
        try:
            self._pipe.send((order, image_ids))
            answer: bytes | Exception = self._pipe.recv()
        except (EOFError, OSError):
            self.end()
            raise DeadProcessError from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def end(self) -> None:
        self._process.kill()
        self._process.join()


def _serve(pipe: Connection) -> None:
    """In the child: label what is asked for until nobody asks any more."""
    begin_process()
    while True:
        try:
            order, image_ids = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(label(order, image_ids))
        except Exception as error:
            error.add_note(traceback.format_exc())
            pipe.send(error)
