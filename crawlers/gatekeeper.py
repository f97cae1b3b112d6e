"""Scrapy's way in and out: nothing is asked of who said no, and no body is read after a no."""

import asyncio
import logging
from typing import Self
from urllib.parse import urljoin, urlsplit

from protego import Protego
from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import StopDownload
from scrapy.http import Headers, Response
from scrapy.http.request import NO_CALLBACK

from crawlers.items import Refusal, RefusedError
from crawlers.optouts import HostRules, header_refusal, read_robots, read_tdmrep
from crawlers.order import CrawlOrder
from mirrorset.records import Reason

logger = logging.getLogger(__name__)

# Request.meta keys. An API request follows the terms of a documented API, not robots.txt. A
# listing is read for the addresses in it: "noindex" on a sitemap does not concern them.
API = "is_api"
LISTING = "is_listing"
ROBOTS_SHA256 = "robots_sha256"

_RULES_MAX_BYTES = 4_000_000


class Gatekeeper:
    """Downloader middleware: robots.txt, tdmrep.json, opt-out headers and Crawl-delay.

    A refusal reaches the request's errback as `RefusedError`. Redirects pass here again.
    """

    def __init__(self, crawler: Crawler, order: CrawlOrder) -> None:
        self._crawler = crawler
        self._agent = order.robots_agent
        self._longest_wait_s = order.politeness.longest_wait_s
        self._rules: dict[str, asyncio.Task[HostRules]] = {}
        self._next_turn_at: dict[str, float] = {}

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        gatekeeper = cls(crawler, crawler.settings["CRAWL_ORDER"])
        crawler.signals.connect(gatekeeper.stop_refused_body, signal=signals.headers_received)
        return gatekeeper

    async def process_request(self, request: Request) -> None:
        """Raise RefusedError where the host's rules forbid the request; else wait for its turn."""
        if request.meta.get(API):
            return
        rules = await self._rules_of(request.url)
        if refusal := rules.refusal(request.url, self._agent):
            raise RefusedError(refusal)
        host, delay_s = urlsplit(request.url).netloc, rules.crawl_delay_s(self._agent)
        # Written so that "nan" is too long as well.
        if not delay_s <= self._longest_wait_s:
            detail = (
                f"The robots.txt of {host} asks for {delay_s:g} s between requests, "
                f"over longest_wait_s ({self._longest_wait_s:g} s)."
            )
            raise RefusedError(Refusal(reason=Reason.ROBOTS, detail=detail))
        request.meta[ROBOTS_SHA256] = rules.robots_sha256
        await self._wait_for_turn(host, delay_s)

    def process_response(self, request: Request, response: Response) -> Response:
        """Raise RefusedError where a successful answer's headers opt out."""
        if response.status < 300 and (refusal := self._header_refusal(request, response.headers)):
            raise RefusedError(refusal)
        return response

    def stop_refused_body(
        self, headers: Headers, body_length: int, request: Request, spider: Spider
    ) -> None:
        """Let go of a body whose headers opt out; `process_response` then says why."""
        if self._header_refusal(request, headers):
            raise StopDownload(fail=False)

    def _header_refusal(self, request: Request, headers: Headers) -> Refusal | None:
        if request.meta.get(API) or request.meta.get(LISTING):
            return None
        return header_refusal(headers, self._agent)

    async def _rules_of(self, url: str) -> HostRules:
        parts = urlsplit(url)
        root = f"{parts.scheme}://{parts.netloc}/"
        if root not in self._rules:
            self._rules[root] = asyncio.ensure_future(self._read_rules(root))
        return await self._rules[root]

    async def _read_rules(self, root: str) -> HostRules:
        robots: Protego | None
        robots, robots_sha256 = read_robots(*await self._ask(urljoin(root, "/robots.txt")))
        if robots is None:
            return HostRules(robots=None, robots_sha256="")
        tdmrep = await self._ask(urljoin(root, "/.well-known/tdmrep.json"))
        return HostRules(robots, robots_sha256, reserved=read_tdmrep(*tdmrep))

    async def _ask(self, url: str) -> tuple[int, bytes]:
        """Status and body; a lost connection reads as a server in trouble (503)."""
        request = Request(
            url,
            callback=NO_CALLBACK,
            meta={API: True, "download_maxsize": _RULES_MAX_BYTES},
        )
        engine = self._crawler.engine
        if engine is None:
            raise RuntimeError("a gatekeeper without an engine has nobody to ask")
        try:
            response = await engine.download_async(request)
        except Exception as error:
            # Scrapy's handlers raise many kinds; whatever it is, the host did not answer.
            logger.warning("%s could not be had: %s", url, error)
            return 503, b""
        return response.status, response.body

    async def _wait_for_turn(self, host: str, delay_s: float) -> None:
        if not delay_s:
            return
        now = asyncio.get_running_loop().time()
        turn_at = max(now, self._next_turn_at.get(host, now))
        self._next_turn_at[host] = turn_at + delay_s
        await asyncio.sleep(turn_at - now)


class RetryAfter:
    """Downloader middleware below Scrapy's retries: waits as long as a busy server asks for."""

    def __init__(self, longest_wait_s: float, retries: int) -> None:
        self._longest_wait_s = longest_wait_s
        self._retries = retries

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        politeness = crawler.settings["CRAWL_ORDER"].politeness
        return cls(politeness.longest_wait_s, politeness.retries)

    async def process_response(self, request: Request, response: Response) -> Response:
        """Hold a 429 or 503 that will be retried for its Retry-After."""
        has_retries_left = request.meta.get("retry_times", 0) < self._retries
        if response.status in (429, 503) and has_retries_left:
            await asyncio.sleep(min(retry_after_s(response), self._longest_wait_s))
        return response


def retry_after_s(response: Response) -> float:
    """Seconds of the Retry-After header; 0 where it is absent or a date."""
    value = (response.headers.get("Retry-After") or b"").decode("latin-1").strip()
    return float(value) if value.isdecimal() else 0.0
