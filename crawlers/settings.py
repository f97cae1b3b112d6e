"""Scrapy's settings for one order. What differs from Scrapy's defaults is said here, once."""

from typing import Any

from scrapy.logformatter import LogFormatter

from crawlers.order import ShardOrder


class Terse(LogFormatter):
    """Leaves out the lines for each answer and item, which Scrapy makes before it drops them."""

    def crawled(self, *_: Any) -> None:  # type: ignore[override]
        """No line."""

    def scraped(self, *_: Any) -> None:  # type: ignore[override]
        """No line."""


#: What is asked once more. Scrapy's own list also names errors of Twisted's client, whose modules
#: take a tenth of a second to load.
_LOST = (
    "scrapy.exceptions.CannotResolveHostError",
    "scrapy.exceptions.DownloadConnectionRefusedError",
    "scrapy.exceptions.DownloadFailedError",
    "scrapy.exceptions.DownloadTimeoutError",
    "scrapy.exceptions.ResponseDataLossError",
    # By HttpCompressionMiddleware, of an empty answer.
    OSError,
)
#: Entries of the frontier that one process has under way.
WINDOW = 256

# Scrapy's own, in its own order. What stands in its list and is switched off is loaded all the
# same, with all that it needs. Left out are: robots.txt, that the gatekeeper obeys itself (theirs
# drops items silently); proxies, that would hide from the guard what is connected to; cookies,
# passwords, and statistics, that the frontier keeps.
_DOWNLOADER = {
    "downloadtimeout.DownloadTimeoutMiddleware": 350,
    "useragent.UserAgentMiddleware": 500,
    "retry.RetryMiddleware": 550,
    "httpcompression.HttpCompressionMiddleware": 590,
    "redirect.RedirectMiddleware": 600,
}


def scrapy_settings(shard: ShardOrder) -> dict[str, Any]:
    """Settings for `scrapy.crawler.AsyncCrawlerProcess`."""
    order = shard.order
    polite = order.politeness
    handler = "crawlers.reach.GuardedDownloadHandler"
    return {
        "CRAWL_ORDER": order,
        "SHARD_ORDER": shard,
        "BOT_NAME": "mirrorset",
        "USER_AGENT": order.signed_user_agent,
        "TWISTED_REACTOR_ENABLED": False,
        "DOWNLOAD_HANDLERS": {
            "http": handler,
            "https": handler,
            "ftp": None,
            "s3": None,
            "file": None,
            "data": None,
        },
        "DOWNLOADER_MIDDLEWARES_BASE": {
            f"scrapy.downloadermiddlewares.{name}": order for name, order in _DOWNLOADER.items()
        },
        "DOWNLOADER_MIDDLEWARES": {
            "crawlers.gatekeeper.Gatekeeper": 100,
            "crawlers.gatekeeper.RetryAfter": 560,
        },
        # Others among them open ports that run code.
        "EXTENSIONS_BASE": {"scrapy.extensions.throttle.AutoThrottle": 0},
        "SPIDER_MIDDLEWARES_BASE": {},
        "AUTOTHROTTLE_ENABLED": bool(polite.start_delay_s or polite.max_delay_s),
        "AUTOTHROTTLE_START_DELAY": polite.start_delay_s,
        "AUTOTHROTTLE_MAX_DELAY": polite.max_delay_s,
        "AUTOTHROTTLE_TARGET_CONCURRENCY": polite.target_concurrency,
        "DOWNLOAD_DELAY": polite.min_delay_s,
        "CONCURRENT_REQUESTS": WINDOW,
        "CONCURRENT_REQUESTS_PER_DOMAIN": polite.concurrency_per_host,
        "DOWNLOAD_TIMEOUT": polite.timeout_s,
        "RETRY_TIMES": polite.retries,
        "RETRY_EXCEPTIONS": _LOST,
        "RETRY_GIVE_UP_LOG_LEVEL": "WARNING",
        "REDIRECT_MAX_TIMES": polite.max_redirects,
        "DOWNLOAD_MAXSIZE": order.max_bytes,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        "LOG_LEVEL": "INFO",
        "LOG_FORMATTER": "crawlers.settings.Terse",
    }
