"""Scrapy's settings for one order. What differs from Scrapy's defaults is said here, once."""

from typing import Any

from crawlers.order import CrawlOrder


def scrapy_settings(order: CrawlOrder) -> dict[str, Any]:
    """Settings for `scrapy.crawler.CrawlerProcess`."""
    polite = order.politeness
    return {
        "CRAWL_ORDER": order,
        "BOT_NAME": "mirrorset",
        "USER_AGENT": order.signed_user_agent,
        # The gatekeeper obeys robots.txt itself: Scrapy's own middleware drops items silently.
        "ROBOTSTXT_OBEY": False,
        "DOWNLOADER_MIDDLEWARES": {
            "crawlers.gatekeeper.Gatekeeper": 100,
            "crawlers.gatekeeper.RetryAfter": 560,
        },
        "ITEM_PIPELINES": {"crawlers.keeper.Keeper": 100},
        "AUTOTHROTTLE_ENABLED": True,
        "AUTOTHROTTLE_START_DELAY": polite.start_delay_s,
        "AUTOTHROTTLE_MAX_DELAY": polite.max_delay_s,
        "AUTOTHROTTLE_TARGET_CONCURRENCY": polite.target_concurrency,
        "DOWNLOAD_DELAY": polite.min_delay_s,
        "CONCURRENT_REQUESTS_PER_DOMAIN": polite.concurrency_per_host,
        "DOWNLOAD_TIMEOUT": polite.timeout_s,
        "RETRY_TIMES": polite.retries,
        "RETRY_GIVE_UP_LOG_LEVEL": "WARNING",
        "DOWNLOAD_MAXSIZE": order.max_bytes,
        "DOWNLOAD_WARNSIZE": 0,
        "DOWNLOAD_VERIFY_CERTIFICATES": True,
        # Originals are large: let a few of them be decoded while the next ones arrive.
        "SCRAPER_SLOT_MAX_ACTIVE_SIZE": 64_000_000,
        # Scrapy starts this many tasks for each answer; ours bring one item, or requests.
        "CONCURRENT_ITEMS": 2,
        # Both would make an item vanish without a reason.
        "URLLENGTH_LIMIT": 0,
        "METAREFRESH_ENABLED": False,
        "COOKIES_ENABLED": False,
        "REFERRER_POLICY": "no-referrer",
        # Ports that run code.
        "TELNETCONSOLE_ENABLED": False,
        "REMOTE_CONTROL_ENABLED": False,
        "LOG_LEVEL": "INFO",
    }
