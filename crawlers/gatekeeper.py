"""Scrapy's way in and out: nothing is asked of who said no, and no body is read after a no."""

import asyncio
import logging
from datetime import UTC, datetime
from functools import partial
from typing import Self
from urllib.parse import urljoin, urlsplit

from scrapy import Request, Spider, signals
from scrapy.crawler import Crawler
from scrapy.exceptions import IgnoreRequest, StopDownload
from scrapy.http import Headers, Response
from scrapy.http.request import NO_CALLBACK

from crawlers.items import Refusal, RefusedError
from crawlers.optouts import HostRules, header_refusal
from crawlers.order import ShardOrder
from crawlers.pacing import TURN, Pacer, retry_after_s
from crawlers.reach import ForbiddenAddressError
from mirrorset.catalogue.frontier import Shard
from mirrorset.records import Reason

logger = logging.getLogger(__name__)

# Request.meta keys. An API request follows the terms of a documented API, not robots.txt. A
# listing is read for the addresses in it: "noindex" on a sitemap does not concern them. A picture
# of a host that is new is asked for by HEAD first.
API = "is_api"
LISTING = "is_listing"
PICTURE = "is_picture"
HOST_FILES = "host_files"

_RULES_MAX_BYTES = 4_000_000
_RULES_REDIRECTS = 5
# RFC 9309, 2.4: a robots.txt is not used for longer than a day.
_RULES_LAST_S = 86_400.0
# Hosts whose rules are held in memory.
_MOST_RULES = 10_000
# Answers to HEAD that say nothing about GET.
_HEAD_NOT_SPOKEN = (400, 403, 405, 501)


class MovedError(Exception):
    """A redirect led to a host that another process of the crawl asks."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.url = url


class Gatekeeper:
    """Downloader middleware: robots.txt, tdmrep.json, opt-out headers, Crawl-delay, HEAD first.

    A refusal reaches the request's errback as `RefusedError`. Redirects pass here again.
    """

    def __init__(self, crawler: Crawler, shard: ShardOrder) -> None:
        order = shard.order
        self._crawler = crawler
        self._shard = Shard(shard.index, order.shards)
        self._agent = order.robots_agent
        self._max_bytes = order.max_bytes
        self._longest_wait_s = order.politeness.longest_wait_s
        self._rules: dict[str, tuple[float, asyncio.Task[HostRules]]] = {}
        self._introductions: dict[str, asyncio.Lock] = {}
        self._introduced: set[str] = set()
        self.pacer = Pacer()

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        gatekeeper = cls(crawler, crawler.settings["SHARD_ORDER"])
        crawler.signals.connect(gatekeeper.stop_refused_body, signal=signals.headers_received)
        return gatekeeper

    async def process_request(self, request: Request) -> None:
        """Raise RefusedError where the host's rules forbid the request; else it waits for its turn.

        It does so where it leaves, behind Scrapy's queues: what waits in these would not know that
        a host has asked for a pause. Raises MovedError where the host is another process's.
        """
        host = _host(request.url)
        if not self._shard.owns(urlsplit(request.url).hostname or "") and not request.meta.get(API):
            raise MovedError(request.url)
        if request.meta.get(API):
            request.meta[TURN] = partial(self.pacer.turn, host, 0)
            return
        rules = await self._rules_of(request.url)
        if refusal := rules.refusal(request.url, self._agent):
            raise RefusedError(refusal)
        delay_s = rules.crawl_delay_s(self._agent)
        # Written so that "nan" is too long as well.
        if not delay_s <= self._longest_wait_s:
            detail = (
                f"The robots.txt of {host} asks for {delay_s:g} s between requests, "
                f"over longest_wait_s ({self._longest_wait_s:g} s)."
            )
            raise RefusedError(Refusal(reason=Reason.ROBOTS, detail=detail))
        request.meta[HOST_FILES] = rules.evidence
        if request.meta.get(PICTURE) and request.method == "GET":
            await self._introduce(request, host)
        request.meta[TURN] = partial(self.pacer.turn, host, delay_s)

    def process_response(self, request: Request, response: Response) -> Response:
        """Raise RefusedError where a successful answer's headers opt out."""
        is_answer = response.status < 300 or response.status == 304
        if is_answer and (refusal := self._header_refusal(request, response.headers)):
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

    async def _introduce(self, request: Request, host: str) -> None:
        """Ask a new host by HEAD, one picture after the other, until one may be fetched."""
        if host in self._introduced:
            return
        async with self._introductions.setdefault(host, asyncio.Lock()):
            if host in self._introduced:
                return
            head = request.replace(
                method="HEAD",
                callback=NO_CALLBACK,
                errback=None,
                meta={"dont_redirect": True, "handle_httpstatus_all": True},
                dont_filter=True,
            )
            response = await self._download(head)
            if response.status >= 400 and response.status not in _HEAD_NOT_SPOKEN:
                raise RefusedError(http_refusal(response.status))
            length = (response.headers.get("Content-Length") or b"").decode("latin-1")
            if response.status < 300 and length.isdecimal() and float(length) > self._max_bytes:
                raise RefusedError(too_large(self._max_bytes))
            self._introduced.add(host)

    async def _rules_of(self, url: str) -> HostRules:
        root = f"{urlsplit(url).scheme}://{_host(url)}/"
        now = asyncio.get_running_loop().time()
        if root not in self._rules or now - self._rules[root][0] > _RULES_LAST_S:
            if len(self._rules) >= _MOST_RULES:
                # The oldest; whoever needs them again reads them again.
                del self._rules[next(iter(self._rules))]
            self._rules[root] = (now, asyncio.ensure_future(self._read_rules(root)))
        return await self._rules[root][1]

    async def _read_rules(self, root: str) -> HostRules:
        robots = await self._ask(urljoin(root, "/robots.txt"))
        rules = HostRules.read(robots)
        if rules.robots is None:
            return rules
        tdmrep = await self._ask(urljoin(root, "/.well-known/tdmrep.json"))
        ai_txt = await self._ask(urljoin(root, "/ai.txt"))
        return HostRules.read(robots, tdmrep, ai_txt)

    async def _ask(self, url: str) -> tuple[int, bytes]:
        """Status and body; a lost connection reads as a server in trouble (503)."""
        request = Request(
            url,
            callback=NO_CALLBACK,
            meta={
                API: True,
                "download_maxsize": _RULES_MAX_BYTES,
                "redirect_ttl": _RULES_REDIRECTS,
            },
        )
        try:
            response = await self._download(request)
        except ForbiddenAddressError as error:
            raise RefusedError(forbidden(error)) from error
        except IgnoreRequest:
            # Redirected too often: as if there were no such file (RFC 9309, 2.3.1.2).
            return 302, b""
        except Exception as error:
            # Scrapy's handlers raise many kinds; whatever it is, the host did not answer.
            logger.warning("%s could not be had: %s", url, error)
            return 503, b""
        return response.status, response.body

    async def _download(self, request: Request) -> Response:
        if self._crawler.engine is None:
            raise RuntimeError("a gatekeeper without an engine has nobody to ask")
        return await self._crawler.engine.download_async(request)


class RetryAfter:
    """Downloader middleware below Scrapy's retries: a busy host is left alone as long as it asks.

    Without a Retry-After the pause doubles with every try, from one second.
    """

    def __init__(self, crawler: Crawler) -> None:
        self._crawler = crawler
        self._longest_wait_s = crawler.settings["CRAWL_ORDER"].politeness.longest_wait_s

    @classmethod
    def from_crawler(cls, crawler: Crawler) -> Self:
        return cls(crawler)

    def process_response(self, request: Request, response: Response) -> Response:
        """After a 429 or 503, hold all requests to the host."""
        if response.status in (429, 503):
            asked = (response.headers.get("Retry-After") or b"").decode("latin-1")
            wait_s = retry_after_s(asked, datetime.now(UTC)) or 2.0 ** request.meta.get(
                "retry_times", 0
            )
            gatekeeper = self._crawler.get_downloader_middleware(Gatekeeper)
            if gatekeeper is not None:
                gatekeeper.pacer.pause(_host(request.url), min(wait_s, self._longest_wait_s))
        return response


def _host(url: str) -> str:
    """Name and port; a user before them, as any page may write, makes no other host."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    # An IPv6 address is told from its port by brackets.
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"


def http_refusal(status: int) -> Refusal:
    """The refusal of an item whose server answered so."""
    return Refusal(
        reason=Reason.HTTP_ERROR,
        detail=f"The server answered {status}.",
        is_retryable=status >= 500 or status in (408, 425, 429),
    )


def too_large(limit_bytes: int) -> Refusal:
    """The refusal of an answer over the limit."""
    return Refusal(reason=Reason.TOO_LARGE, detail=f"The answer is over {limit_bytes} bytes.")


def forbidden(error: ForbiddenAddressError) -> Refusal:
    """The refusal of an address that the guard keeps out."""
    return Refusal(reason=Reason.FORBIDDEN_ADDRESS, detail=str(error))
