"""Things that serve one thread at a time, lent to many threads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from queue import Empty, LifoQueue
from typing import Generic, TypeVar

T = TypeVar("T")


class Lending(Generic[T]):
    """As many equal things as threads have wanted at once: made when none is free, then kept."""

    def __init__(self, make: Callable[[], T], first: T | None = None) -> None:
        """first: one that is there already. Without it one is made at once, so that what `make`
        raises is raised here.
        """
        self._make = make
        self._free: LifoQueue[T] = LifoQueue()
        self._free.put(make() if first is None else first)

    @contextmanager
    def borrowed(self) -> Iterator[T]:
        """One of the things, the borrower's alone until the block ends."""
        try:
            thing = self._free.get_nowait()
        except Empty:
            thing = self._make()
        try:
            yield thing
        finally:
            self._free.put(thing)
