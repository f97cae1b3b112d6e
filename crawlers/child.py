"""The process that crawls: `python -m crawlers.child ORDER.json`.

Twisted's reactor runs once in a process, so each crawl has its own. It writes JSON lines to
standard output: CrawlSummary records as it goes, and a fault where it could not go on. Its log
goes to standard error. It ends when its standard input does: a dead parent leaves no crawl behind.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from scrapy import signals
from scrapy.crawler import CrawlerProcess
from twisted.python.failure import Failure

from crawlers.known import settled_items
from crawlers.order import CrawlOrder, CrawlSummary
from crawlers.settings import scrapy_settings
from crawlers.spiders import SPIDERS
from crawlers.spiders.source import SourceSpider
from mirrorset.errors import MirrorsetError

_ORPHANED = 3


def main(order_path: Path) -> int:
    """Run the order; the exit status is 0, or 1 after a fault."""
    out = _own_stdout()
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def report(summary: CrawlSummary) -> None:
        print(summary.model_dump_json(), file=out, flush=True)

    try:
        order = CrawlOrder.model_validate_json(order_path.read_bytes())
        spider = _crawl(order, report)
        summary = spider.tally.summary()
        report(summary)
        if spider.fault:
            raise spider.fault
        if summary.unsettled:
            raise MirrorsetError(f"{summary.unsettled} items found came to no end: this is a bug.")
    except MirrorsetError as error:
        fault = {"fault": type(error).__name__, "message": str(error)}
        print(json.dumps(fault), file=out, flush=True)
        return 1
    return 0


def _crawl(order: CrawlOrder, report: Callable[[CrawlSummary], None]) -> SourceSpider:
    process = CrawlerProcess(scrapy_settings(order))
    crawler = process.create_crawler(SPIDERS[order.source])

    def on_error(failure: Failure) -> None:
        if isinstance(crawler.spider, SourceSpider) and isinstance(failure.value, Exception):
            crawler.spider.fail(failure.value)

    for signal in (signals.spider_error, signals.item_error):
        crawler.signals.connect(on_error, signal=signal)
    known = settled_items(order.known, order.spool)
    process.crawl(crawler, order=order, known=known, report=report)
    # A signal ends the process as a kill does: what is written is whole.
    process.start(install_signal_handlers=False)
    if not isinstance(crawler.spider, SourceSpider):
        raise MirrorsetError("The crawl could not be set up.")
    return crawler.spider


def _own_stdout() -> TextIO:
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
