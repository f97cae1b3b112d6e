"""What a process of the crawl has taken and not settled yet, and the bytes it holds for that."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from mirrorset.catalogue.frontier import Entry

# Request.meta key: what the request waits for before it is sent.
ROOM = "room"
# Originals are large: let a few of them wait for a decoder while the next ones arrive.
_MOST_BYTES = 64_000_000
# What a picture is taken for until its like were seen.
_UNSEEN_BYTES = 2_000_000
# By which part each picture moves what the next is taken for.
_NEWS = 1 / 8


@dataclass
class UnderWay:
    """Entries taken and not settled yet, how many of each host, and the bytes of their pictures.

    changed: set when an entry is settled, or left to be taken again.
    """

    entries: dict[int, Entry] = field(default_factory=dict)
    by_host: Counter[str] = field(default_factory=Counter)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    _held_bytes: dict[int, float] = field(default_factory=dict)
    _expected_bytes: float = _UNSEEN_BYTES
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
        if self._held_bytes.pop(entry.entry_id, None) is not None:
            self._let_go.set()

    async def room(self, entry: Entry) -> None:
        """Wait until the bytes held and expected leave room for the entry's picture."""
        # Asked for again, it is expected anew.
        if self._held_bytes.pop(entry.entry_id, None) is not None:
            self._let_go.set()
        while sum(self._held_bytes.values()) > _MOST_BYTES:
            self._let_go.clear()
            await self._let_go.wait()
        self._held_bytes[entry.entry_id] = self._expected_bytes

    def hold(self, entry: Entry, size_bytes: int) -> None:
        """The entry's picture is here; it is held until the entry is removed."""
        self._held_bytes[entry.entry_id] = size_bytes
        self._expected_bytes += _NEWS * (size_bytes - self._expected_bytes)
