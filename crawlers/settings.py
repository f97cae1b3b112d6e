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

_UNUSED_DOWNLOADER = (
    "offsite.OffsiteMiddleware",
    "httpauth.HttpAuthMiddleware",
    "defaultheaders.DefaultHeadersMiddleware",
    # Its proxies would hide from the guard what is connected to.
    "httpproxy.HttpProxyMiddleware",
    "cookies.CookiesMiddleware",
    # The gatekeeper obeys robots.txt itself: Scrapy's own middleware drops items silently.
    "robotstxt.RobotsTxtMiddleware",
    "redirect.MetaRefreshMiddleware",
    "stats.DownloaderStats",
)
# The frontier counts; each of these is called for every answer.
_UNUSED_EXTENSIONS = (
    "corestats.CoreStats",
    "logcount.LogCount",
    "logstats.LogStats",
    "closespider.CloseSpider",
    "feedexport.FeedExporter",
    "memusage.MemoryUsage",
    "spiderstate.SpiderState",
)


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
        "DOWNLOADER_MIDDLEWARES": {
            "crawlers.gatekeeper.Gatekeeper": 100,
            "crawlers.gatekeeper.RetryAfter": 560,
            **{f"scrapy.downloadermiddlewares.{name}": None for name in _UNUSED_DOWNLOADER},
        },
        "ROBOTSTXT_OBEY": False,
        "EXTENSIONS": {f"scrapy.extensions.{name}": None for name in _UNUSED_EXTENSIONS},
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
        # Ports that run code.
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "LOG_LEVEL": "INFO",
        "LOG_FORMATTER": "crawlers.settings.Terse",
    }
