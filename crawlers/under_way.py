"""What a process of the crawl has taken and not settled yet, and the bytes it holds for that."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mirrorset.catalogue.frontier import Entry

# Request.meta key: what the request waits for before it is sent.
ROOM = "room"
# Originals are large: let a few of them wait for a decoder while the next ones arrive.
_MOST_BYTES = 64_000_000


@dataclass
class UnderWay:
    """Entries taken and not settled yet, how many of each host, and bytes that wait for a decoder.

    changed: set when an entry is settled, or left to be taken again.
    """

    entries: dict[int, Entry] = field(default_factory=dict)
    by_host: Counter[str] = field(default_factory=Counter)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _held_bytes: int = 0
    _let_go: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, entry: Entry) -> None:
        """The entry is taken."""
        self.entries[entry.entry_id] = entry
        self.by_host[entry.host] += 1

    def remove(self, entry: Entry) -> None:
        """The entry is settled, or left to be taken again."""
        if self.entries.pop(entry.entry_id, None):
            self.by_host[entry.host] -= 1
            self.by_host += Counter()  # drops the zeros
            self.changed.set()

    @contextmanager
    def holding(self, size_bytes: int) -> Iterator[None]:
        """That many bytes wait for a decoder."""
        self._held_bytes += size_bytes
        try:
            yield
        finally:
            self._held_bytes -= size_bytes
            self._let_go.set()

    async def room(self) -> None:
        """Wait until no more bytes are held than may be."""
        while self._held_bytes > _MOST_BYTES:
            self._let_go.clear()
            await self._let_go.wait()
