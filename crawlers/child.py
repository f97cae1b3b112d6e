"""The process that crawls: `python -m crawlers.child ORDER.json`.

Each process of a crawl has an event loop of its own. It writes JSON lines to standard output: how
many items it settled, as it goes, and a fault where it could not go on. Its log goes to standard
error. It ends when its standard input does: a dead parent leaves no crawl behind.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from scrapy import signals
from scrapy.crawler import AsyncCrawlerProcess
from twisted.python.failure import Failure

from crawlers.order import ShardOrder
from crawlers.recheck import source_for
from crawlers.recheck_spider import RecheckSpider
from crawlers.secrets import MaskedFormatter
from crawlers.settings import scrapy_settings
from crawlers.spider import CrawlSpider
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.frontier import Frontier, Shard
from mirrorset.errors import MirrorsetError

_ORPHANED = 3
_LOG_FORMAT = "%(asctime)s [%(name)s] %(levelname)s: %(message)s"


def main(order_path: Path) -> int:
    """Do a shard's part of an order; the exit status is 0, or 1 after a fault."""
    out = _own_stdout()
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def say(**said: Any) -> None:
        print(json.dumps(said), file=out, flush=True)

    try:
        shard = ShardOrder.model_validate_json(order_path.read_bytes())
        _crawl(shard, lambda settled: say(settled=settled))
    except MirrorsetError as error:
        say(fault=type(error).__name__, message=str(error))
        return 1
    return 0


def _crawl(shard: ShardOrder, report: Callable[[int], None]) -> None:
    order = shard.order
    with Catalogue(order.catalogue_url) as catalogue:
        source = source_for(order, catalogue)
        frontier = Frontier(
            catalogue, source.name, source.title, shard.run, Shard(shard.index, order.shards)
        )
        process = AsyncCrawlerProcess(scrapy_settings(shard))
        for handler in logging.root.handlers:
            handler.setFormatter(MaskedFormatter(_LOG_FORMAT))
        crawler = process.create_crawler(CrawlSpider if order.recheck is None else RecheckSpider)
        for signal in (signals.spider_error, signals.item_error):
            crawler.signals.connect(partial(_on_error, crawler), signal=signal, weak=False)
        process.crawl(crawler, order, source, frontier, report)
        # A signal ends the process as a kill does: what is written is whole.
        process.start(install_signal_handlers=False)
    spider = crawler.spider
    if not isinstance(spider, CrawlSpider):
        raise MirrorsetError("The crawl could not be set up.")
    if spider.fault:
        raise spider.fault


def _on_error(crawler: Any, failure: Failure) -> None:
    if isinstance(crawler.spider, CrawlSpider) and isinstance(failure.value, Exception):
        crawler.spider.fail(failure.value)


def _own_stdout() -> Any:
    """Standard output for the protocol alone: stray prints go to the log."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return out


def _end_with_parent() -> None:
    while os.read(sys.stdin.fileno(), 4096):
        pass
    os._exit(_ORPHANED)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
