"""The last station: a picture's bytes go to the blob store, its records into a shard."""

import asyncio
import hashlib
from typing import Self

from scrapy.crawler import Crawler
from twisted.internet.task import LoopingCall

from crawlers.embedded import read_embedded
from crawlers.items import Picture, Refusal, judge, rejected, unreadable
from crawlers.order import CrawlOrder
from crawlers.spiders.source import SourceSpider
from mirrorset.blobs import BlobStore
from mirrorset.pixels import PixelParams, UnusableImageError, inspect
from mirrorset.records import (
    Evidence,
    ImageRecord,
    IntendedUse,
    Reason,
    Record,
    Rejected,
    Sighting,
    utc_now,
)
from mirrorset.spool import write_shard

_ITEMS_A_SHARD = 16
_LONGEST_UNWRITTEN_S = 2.0


class Keeper:
    """Item pipeline: settles every item as image and sighting, or as rejected.

    A kill loses at most the items of the shard that was not written yet; their bytes may lie in
    the blob store already, where the next crawl finds them unchanged.
    """

    def __init__(self, order: CrawlOrder, crawler: Crawler) -> None:
        self._order = order
        self._crawler = crawler
        self._blobs = BlobStore(order.blobs_url)
        self._unwritten: list[tuple[Record, ...]] = []
        self._clock = LoopingCall(self._write)

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler.settings["CRAWL_ORDER"], crawler)

    def open_spider(self) -> None:
        """Begin to write on the clock, so that a slow crawl is kept as well."""
        self._clock.start(_LONGEST_UNWRITTEN_S, now=False)

    async def process_item(self, item: Picture | Rejected) -> Picture | Rejected:
        """Settle one item; decoding runs in a thread."""
        records: tuple[Record, ...]
        if isinstance(item, Rejected):
            records = (item,)
        else:
            records = await asyncio.to_thread(self._keep, item)
        self._unwritten.append(records)
        if len(self._unwritten) >= _ITEMS_A_SHARD:
            self._write()
        return item

    def close_spider(self) -> None:
        """Write what is left."""
        self._clock.stop()
        self._write()

    def _keep(self, picture: Picture) -> tuple[Record, ...]:
        order = self._order
        settled = settle(picture, order.pixels, order.intended_use, order.user_agent)
        if isinstance(settled, Rejected):
            return (settled,)
        self._blobs.put(picture.content)
        return settled

    @property
    def _spider(self) -> SourceSpider:
        spider = self._crawler.spider
        if not isinstance(spider, SourceSpider):
            raise TypeError(f"the keeper keeps for a SourceSpider, not for {spider!r}")
        return spider

    def _write(self) -> None:
        if not self._unwritten:
            return
        items, self._unwritten = self._unwritten, []
        spider = self._spider
        try:
            write_shard(self._order.spool, [record for records in items for record in records])
        except OSError as error:
            spider.fail(error)
            return
        for records in items:
            if isinstance(records[0], Rejected):
                reason = records[0].reason
                spider.tally.rejected[reason] = spider.tally.rejected.get(reason, 0) + 1
            else:
                spider.tally.stored += 1
        spider.report(spider.tally.summary())


def settle(
    picture: Picture, params: PixelParams, intended_use: IntendedUse, crawler: str
) -> tuple[ImageRecord, Sighting] | Rejected:
    """What a fetched picture comes to, judged by its bytes.

    A licence in the file counts beside the one it was fetched for: the more restrictive decides.
    """
    candidate = picture.candidate
    try:
        settled = _settle(picture, params, intended_use, crawler)
    except Exception as error:
        # Hostile bytes make decoders raise anything; that is one item's end, not the crawl's.
        settled = unreadable(error)
    if isinstance(settled, Refusal):
        return rejected(candidate.source, candidate.source_item_id, candidate.image_url, settled)
    return settled


def _settle(
    picture: Picture, params: PixelParams, intended_use: IntendedUse, crawler: str
) -> tuple[ImageRecord, Sighting] | Refusal:
    candidate = picture.candidate
    if candidate.permit is None:
        raise ValueError(f"{candidate.source_item_id} was fetched without a permit")
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
    permit = judge([candidate.permit.statement, *embedded.statements], intended_use)
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
            robots_sha256=picture.robots_sha256,
            headers=picture.headers,
            crawler=crawler,
        ),
        seen_at=utc_now(),
    )
    return image, sighting


def _sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
