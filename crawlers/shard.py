"""The part of a crawl that one process does, from its event loop's start to its end."""

import gc
import logging
import os
from collections.abc import Callable

from scrapy.crawler import AsyncCrawlerProcess

from crawlers.decoders import Decoders
from crawlers.order import ShardOrder
from crawlers.recheck import source_for
from crawlers.recheck_spider import RecheckSpider
from crawlers.settings import scrapy_settings
from crawlers.spider import CrawlSpider
from mirrorset.blobs import BlobStore
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.frontier import Frontier, Shard
from mirrorset.errors import MirrorsetError
from mirrorset.logs import MaskedFormatter

_LOG_FORMAT = "%(asctime)s [%(name)s] %(levelname)s: %(message)s"
# No picture within the pixel and scan limits takes a tenth of this.
_DECODE_S = 60.0


def do_shard(
    shard: ShardOrder,
    report: Callable[[int], None],
    on_started: Callable[[], None] = lambda: None,
) -> None:
    """Ask for all that is this process's to ask for; once in a process, before it has threads.

    report: called with the number of items each time that some were settled. on_started: called
    when its further processes are there, and threads may be.
    Raises the fault that ended the crawl, if one did; what was finished is kept.
    """
    order = shard.order
    # What is loaded now stays: no collection need look at it, and forked processes share it. Few
    # of the objects that a request makes are in cycles: looking for these less often is enough.
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)
    decoders = Decoders(os.cpu_count() or 1, _DECODE_S)
    on_started()
    try:
        with Catalogue(order.catalogue_url) as catalogue:
            source = source_for(order, catalogue)
            blobs, intimate = BlobStore(order.blobs_url), catalogue.failed("intimate")
            frontier = Frontier(
                catalogue,
                source.name,
                source.title,
                shard.run,
                Shard(shard.index, order.shards),
                # Bytes that were removed because of what they show are not missed.
                has_bytes=lambda image_id: image_id in intimate or blobs.has(image_id),
                shows_author=order.start.shows_author,
            )
            process = AsyncCrawlerProcess(scrapy_settings(shard))
            for handler in logging.root.handlers:
                handler.setFormatter(MaskedFormatter(_LOG_FORMAT))
            crawler = process.create_crawler(RecheckSpider if order.recheck else CrawlSpider)
            process.crawl(crawler, order, source, frontier, decoders, report)
            # A signal ends the process as a kill does: what is written is whole.
            process.start(install_signal_handlers=False)
    finally:
        decoders.close()
    spider = crawler.spider
    if not isinstance(spider, CrawlSpider):
        raise MirrorsetError("The crawl could not be set up.")
    if spider.fault:
        raise spider.fault
