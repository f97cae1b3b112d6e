"""The last station: bytes go to the blob store, records to the catalogue with their entry settled.

Items are settled in groups: while one group is being written, the next gathers.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from functools import cache

from crawlers.decoders import Decoders, UndecodableError
from crawlers.erased import erased_image
from crawlers.items import Picture, Refusal, Settled, Unchanged, rejected
from crawlers.order import CrawlOrder
from crawlers.recheck import renewed
from crawlers.settling import settle
from mirrorset.blobs import BlobStore
from mirrorset.catalogue.frontier import STORED, UNCHANGED, Entry, Frontier
from mirrorset.records import Reason, Record, Sighting, utc_now

logger = logging.getLogger(__name__)

# A kill repeats what a group was gathering for.
_GATHERING_S = 0.05


class Keeper:
    """Settles every item as image and sighting, as unchanged, or as rejected.

    A kill loses the items whose group was not written yet; their bytes may lie in the blob store
    already, where the next crawl finds them unchanged.
    """

    def __init__(
        self,
        order: CrawlOrder,
        frontier: Frontier,
        decoders: Decoders,
        on_group: Callable[[Collection[Entry], bool], None],
        fail: Callable[[BaseException], None],
    ) -> None:
        """on_group: told the entries of a group, and whether it is written.

        fail: told why one is not.
        """
        self._order = order
        self._frontier = frontier
        self._decoders = decoders
        self._on_group = on_group
        self._fail = fail
        self._unwritten: list[Settled] = []
        self._has_items = asyncio.Event()
        self._is_closing = False

    async def settled(self, entry: Entry, item: Picture | Unchanged) -> Settled:
        """What an entry's item comes to; decoding is done by processes of its own.

        Raises MirrorsetError and OSError where bytes cannot be kept.
        """
        if isinstance(item, Unchanged):
            return Settled(entry, UNCHANGED, await asyncio.to_thread(self._renewed, item))
        try:
            outcome, records = await self._decoders.run(
                keep, item, self._order, size_bytes=len(item.content)
            )
        except UndecodableError as error:
            refusal = Refusal(
                reason=Reason.NOT_AN_IMAGE, detail=str(error), is_retryable=error.is_retryable
            )
            outcome, records = _refused(item, refusal)
        settled = Settled(entry, outcome, records)
        if outcome == STORED and (entry.etag or entry.last_modified):
            return await asyncio.to_thread(self._as_before, settled)
        return settled

    def add(self, settled: Settled) -> None:
        """Let it be written with the next group."""
        self._unwritten.append(settled)
        self._has_items.set()

    async def write(self) -> None:
        """Write group after group, until closed and empty."""
        while not (self._is_closing and not self._unwritten):
            await self._has_items.wait()
            if not self._is_closing:
                await asyncio.sleep(_GATHERING_S)
            self._has_items.clear()
            group, self._unwritten = self._unwritten, []
            rows = [(one.entry, one.outcome, one.records) for one in group]
            are_written = False
            try:
                await asyncio.to_thread(self._frontier.settle_items, rows)
                are_written = True
            except Exception as error:
                # Whatever the database has against it: without it nothing can be kept.
                logger.exception("A group of items could not be written.")
                self._fail(error)
            self._on_group([one.entry for one in group], are_written)

    def close(self) -> None:
        """Nothing more is added."""
        self._is_closing = True
        self._has_items.set()

    def _as_before(self, settled: Settled) -> Settled:
        """Unchanged, where a server that was asked for changes sent the same again."""
        sighting = next(record for record in settled.records if isinstance(record, Sighting))
        kept = self._frontier.sighting(sighting.source_item_id)
        is_same = kept is not None and (kept.image_id, kept.licence, kept.author) == (
            sighting.image_id,
            sighting.licence,
            sighting.author,
        )
        return Settled(settled.entry, UNCHANGED) if is_same else settled

    def _renewed(self, item: Unchanged) -> tuple[Record, ...]:
        """The sighting of unchanged bytes under the licence that its source states now."""
        permit, candidate = item.candidate.permit, item.candidate
        sighting = self._frontier.sighting(candidate.source_item_id)
        if permit is None or sighting is None or sighting.licence == permit.licence:
            return ()
        was = sighting.evidence
        agent = self._order.user_agent
        return (renewed(sighting, permit, agent, utc_now(), was.headers, was.host_files),)


def keep(picture: Picture, order: CrawlOrder) -> tuple[str, tuple[Record, ...]]:
    """Judge a picture, and put its bytes into the blob store where it is taken.

    Returns its outcome and the records to keep.
    """
    settled = settle(
        picture,
        order.pixels,
        order.intended_use,
        order.user_agent,
        shows_author=order.start.shows_author,
    )
    if isinstance(settled, Refusal):
        return _refused(picture, settled)
    if refused := erased_image(settled[0], picture.candidate.source, order):
        return str(refused.reason), (refused,)
    _blobs(order.blobs_url).put(picture.content)
    return STORED, settled


@cache
def _blobs(url: str) -> BlobStore:
    """The store, opened once in each process."""
    return BlobStore(url)


def _refused(picture: Picture, refusal: Refusal) -> tuple[str, tuple[Record, ...]]:
    candidate = picture.candidate
    record = rejected(candidate.source, candidate.source_item_id, candidate.image_url, refusal)
    return str(refusal.reason), (record,)
