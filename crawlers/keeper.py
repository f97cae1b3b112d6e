"""The last station: bytes go to the blob store, records to the catalogue with their entry settled.

Items are settled in groups: while one group is being written, the next gathers.
"""

import asyncio
import hashlib
import logging
from typing import Self

from scrapy.crawler import Crawler

from crawlers.embedded import read_embedded
from crawlers.items import Picture, Refusal, Settled, Unchanged, judge, rejected, unreadable
from crawlers.order import CrawlOrder
from crawlers.spider import CrawlSpider
from mirrorset.blobs import BlobStore
from mirrorset.catalogue.frontier import STORED, UNCHANGED
from mirrorset.errors import MirrorsetError
from mirrorset.pixels import PixelParams, UnusableImageError, inspect
from mirrorset.records import (
    Evidence,
    ImageRecord,
    IntendedUse,
    Reason,
    Record,
    Sighting,
    utc_now,
)

logger = logging.getLogger(__name__)

# A kill repeats what a group was gathering for.
_GATHERING_S = 0.05

Item = Picture | Unchanged | Settled


class Keeper:
    """Item pipeline: settles every item as image and sighting, as unchanged, or as rejected.

    A kill loses the items whose group was not written yet; their bytes may lie in the blob store
    already, where the next crawl finds them unchanged.
    """

    def __init__(self, crawler: Crawler) -> None:
        order: CrawlOrder = crawler.settings["CRAWL_ORDER"]
        self._order = order
        self._crawler = crawler
        self._blobs = BlobStore(order.blobs_url)
        self._unwritten: list[Settled] = []
        self._has_items = asyncio.Event()
        self._is_closing = False

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def open_spider(self) -> None:
        """Begin to write."""
        self._writer = asyncio.ensure_future(self._write_groups())

    async def process_item(self, item: Item) -> Item:
        """Settle one item; decoding runs in a thread."""
        try:
            settled = (
                item if isinstance(item, Settled) else await asyncio.to_thread(self._keep, item)
            )
        except (MirrorsetError, OSError) as error:
            self._spider.fail(error)
            self._spider.release(item.entry)
            return item
        self._unwritten.append(settled)
        self._has_items.set()
        return item

    async def close_spider(self) -> None:
        """Write what is left."""
        self._is_closing = True
        self._has_items.set()
        await self._writer

    def _keep(self, item: Picture | Unchanged) -> Settled:
        if isinstance(item, Unchanged):
            return Settled(item.entry, UNCHANGED, self._renewed(item))
        order = self._order
        settled = settle(item, order.pixels, order.intended_use, order.user_agent)
        if isinstance(settled, Refusal):
            candidate = item.candidate
            record = rejected(
                candidate.source, candidate.source_item_id, candidate.image_url, settled
            )
            return Settled(item.entry, str(settled.reason), (record,))
        self._blobs.put(item.content)
        return Settled(item.entry, STORED, settled)

    def _renewed(self, item: Unchanged) -> tuple[Record, ...]:
        """The sighting of unchanged bytes under the licence that its source states now."""
        permit, candidate = item.candidate.permit, item.candidate
        sighting = self._spider.frontier.sighting(candidate.source_item_id)
        if permit is None or sighting is None or sighting.licence == permit.licence:
            return ()
        evidence = sighting.evidence.model_copy(
            update={
                "licence_read_from": permit.statement.read_from,
                "licence_text": permit.statement.text,
            }
        )
        renewed = {"licence": permit.licence, "evidence": evidence, "seen_at": utc_now()}
        return (sighting.model_copy(update=renewed),)

    @property
    def _spider(self) -> CrawlSpider:
        spider = self._crawler.spider
        if not isinstance(spider, CrawlSpider):
            raise TypeError(f"the keeper keeps for a CrawlSpider, not for {spider!r}")
        return spider

    async def _write_groups(self) -> None:
        while not (self._is_closing and not self._unwritten):
            await self._has_items.wait()
            if not self._is_closing:
                await asyncio.sleep(_GATHERING_S)
            self._has_items.clear()
            group, self._unwritten = self._unwritten, []
            rows = [(one.entry, one.outcome, one.records) for one in group]
            try:
                await asyncio.to_thread(self._spider.frontier.settle_items, rows)
                self._spider.report(len(group))
            except Exception as error:
                # Whatever the database has against it: without it nothing can be kept.
                logger.exception("A group of items could not be written.")
                self._spider.fail(error)
            for one in group:
                self._spider.release(one.entry)


def settle(
    picture: Picture, params: PixelParams, intended_use: IntendedUse, crawler: str
) -> tuple[ImageRecord, Sighting] | Refusal:
    """What a fetched picture comes to, judged by its bytes.

    A licence in the file counts beside the one it was fetched for: the more restrictive decides.
    """
    try:
        return _settle(picture, params, intended_use, crawler)
    except Exception as error:
        # Hostile bytes make decoders raise anything; that is one item's end, not the crawl's.
        return unreadable(error)


def _settle(
    picture: Picture, params: PixelParams, intended_use: IntendedUse, crawler: str
) -> tuple[ImageRecord, Sighting] | Refusal:
    candidate = picture.candidate
    if candidate.sha1 and _sha1(picture.content) != candidate.sha1.lower():
        return Refusal(
            reason=Reason.CHECKSUM, detail=f"The bytes do not have the sha1 {candidate.sha1}."
        )
    try:
        image = inspect(picture.content, params)
    except UnusableImageError as unusable:
        return Refusal(reason=unusable.reason, detail=unusable.detail)
    embedded = read_embedded(picture.content)
    if embedded.mining_reserved_by:
        return Refusal(
            reason=Reason.OPT_OUT_TDM,
            detail=f"The file's metadata says {embedded.mining_reserved_by}.",
        )
    stated = [] if candidate.permit is None else [candidate.permit.statement]
    permit = judge([*stated, *embedded.statements], intended_use)
    if isinstance(permit, Refusal):
        return permit
    sighting = Sighting(
        image_id=image.image_id,
        source=candidate.source,
        source_item_id=candidate.source_item_id,
        page_url=candidate.page_url,
        image_url=candidate.image_url,
        licence=permit.licence,
        author=candidate.author or embedded.author,
        evidence=Evidence(
            licence_read_from=permit.statement.read_from,
            licence_text=permit.statement.text,
            version=candidate.version or candidate.sha1,
            host_files=picture.host_files,
            headers=picture.headers,
            crawler=crawler,
        ),
        seen_at=utc_now(),
    )
    return image, sighting


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
