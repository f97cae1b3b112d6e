"""What all sources share: a candidate is asked about (HEAD), fetched (GET), or refused."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import scrapy
from scrapy import Request
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest, NotSupported
from scrapy.http import Response
from scrapy.spidermiddlewares.httperror import HttpError
from twisted.python.failure import Failure

from crawlers.embedded import HEAD_BYTES, read_embedded
from crawlers.gatekeeper import ROBOTS_SHA256
from crawlers.items import (
    Candidate,
    Picture,
    Refusal,
    RefusedError,
    judge,
    rejected,
    unreadable,
)
from crawlers.order import CrawlOrder, CrawlSummary, Tally
from crawlers.text import clean
from mirrorset.errors import MirrorsetError, UnavailableError
from mirrorset.records import Reason, Rejected

Outcome = Request | Rejected | Picture

_FAILED = list(range(400, 600))
# Answers to HEAD that say nothing about GET.
_HEAD_NOT_SPOKEN = (400, 403, 405, 501)
_RECEIPT_HEADERS = (
    "content-length", "content-type", "etag", "last-modified", "link", "tdm-policy",
    "tdm-reservation", "x-robots-tag",
)  # fmt: skip


class SourceSpider(scrapy.Spider):
    """Base of the spiders: a source adds how its listing is asked for and read.

    Items go through `consider` once each. A listing that cannot be read is the crawl's `fault`;
    everything else that goes wrong is an item's refusal.
    """

    def __init__(
        self,
        order: CrawlOrder,
        known: frozenset[str],
        report: Callable[[CrawlSummary], None],
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.order = order
        self.tally = Tally()
        self.report = report
        self.fault: MirrorsetError | None = None
        self._known = known
        self._seen: set[str] = set()

    def is_new(self, key: str) -> bool:
        """Count the item with this item id; False if it is known, repeated or beyond the limit."""
        if key in self._seen or self.is_full:
            return False
        self._seen.add(key)
        self.tally.found += 1
        self.tally.already_known += key in self._known
        return key not in self._known

    @property
    def is_full(self) -> bool:
        """Whether the order's limit is reached."""
        return self.order.limit is not None and self.tally.found >= self.order.limit

    def fail(self, error: BaseException) -> None:
        """Make `error` the crawl's fault, unless it has one, and end it after what is under way."""
        if self.fault is None:
            self.fault = _fault(error)
        if self.crawler.engine is not None:
            self._closing = asyncio.ensure_future(
                self.crawler.engine.close_spider_async(reason="fault")
            )

    def consider(self, items: Iterable[Candidate | Rejected]) -> Iterator[Outcome]:
        """Go on with what a listing or page was read as, already counted."""
        for item in items:
            yield item if isinstance(item, Rejected) else self._ask("HEAD", item, self.on_head)

    def on_head(self, candidate: Candidate, response: Response) -> Iterator[Outcome]:
        """The headers allow it: fetch the picture, or first its head where the licence may be."""
        if response.status >= 400 and response.status not in _HEAD_NOT_SPOKEN:
            yield self.refuse(candidate, _http_refusal(response.status))
            return
        length = (response.headers.get("Content-Length") or b"").decode("latin-1")
        if response.status < 300 and length.isdecimal() and float(length) > self.order.max_bytes:
            yield self.refuse(candidate, _too_large(self.order.max_bytes))
        elif candidate.permit is None:
            yield self._ask(
                "GET", candidate, self.on_file_head, {"Range": f"bytes=0-{HEAD_BYTES - 1}"}
            )
        else:
            yield self._ask("GET", candidate, self.on_picture)

    def on_file_head(self, candidate: Candidate, response: Response) -> Iterator[Outcome]:
        """The page was silent: the file's own metadata must name the licence."""
        embedded = read_embedded(response.body)
        permit = judge(embedded.statements, self.order.intended_use)
        if isinstance(permit, Refusal):
            yield self.refuse(candidate, permit)
            return
        author = candidate.author or embedded.author
        licensed = candidate.model_copy(update={"permit": permit, "author": author})
        if _is_whole(response):
            yield from self.on_picture(licensed, response)
        else:
            yield self._ask("GET", licensed, self.on_picture)

    def on_picture(self, candidate: Candidate, response: Response) -> Iterator[Outcome]:
        """The bytes are here."""
        yield Picture(
            candidate=candidate,
            content=response.body,
            headers={
                name: clean(value.decode("latin-1"))
                for name in _RECEIPT_HEADERS
                if (value := response.headers.get(name)) is not None
            },
            robots_sha256=response.meta.get(ROBOTS_SHA256, ""),
        )

    def refuse(self, candidate: Candidate, refusal: Refusal) -> Rejected:
        """The record of a candidate that was not taken."""
        return rejected(self.name, candidate.source_item_id, candidate.image_url, refusal)

    def refusal_of(self, failure: Failure) -> Refusal:
        """Why a request did not bring an answer."""
        error = failure.value
        if isinstance(error, RefusedError):
            return error.refusal
        if isinstance(error, HttpError):
            return _http_refusal(error.response.status)
        if isinstance(error, DownloadCancelledError):
            meta = failure.request.meta if hasattr(failure, "request") else {}
            return _too_large(meta.get("download_maxsize", self.order.max_bytes))
        is_final = isinstance(error, IgnoreRequest | NotSupported | ValueError)
        detail = f"No answer: {type(error).__name__}: {' '.join(str(error).split())[:200]}"
        return Refusal(reason=Reason.HTTP_ERROR, detail=detail, is_retryable=not is_final)

    def on_listing_failure(self, failure: Failure) -> Iterator[Outcome]:
        """A listing that cannot be had ends the crawl with a fault, after what was found."""
        url = failure.request.url if hasattr(failure, "request") else self.name
        refusal = self.refusal_of(failure)
        self.fault = UnavailableError(f"The listing {url} could not be had: {refusal.detail}")
        yield from ()

    def _ask(
        self,
        method: str,
        candidate: Candidate,
        callback: Callable[[Candidate, Response], Iterator[Outcome]],
        headers: dict[str, str] | None = None,
    ) -> Request:
        return Request(
            candidate.image_url,
            method=method,
            callback=partial(self._on_answer, callback, candidate),
            errback=partial(self._on_failure, candidate),
            # As stored on the server: no negotiated format, no transfer compression.
            headers={"Accept": "*/*", "Accept-Encoding": "identity", **(headers or {})},
            meta={"handle_httpstatus_list": _FAILED} if method == "HEAD" else {},
            # What has begun is finished before more of the listing is asked for.
            priority=1 if method == "HEAD" else 2,
            dont_filter=True,
        )

    def _on_answer(
        self,
        callback: Callable[[Candidate, Response], Iterator[Outcome]],
        candidate: Candidate,
        response: Response,
    ) -> Iterator[Outcome]:
        # What one answer does to us must not end the crawl.
        try:
            yield from callback(candidate, response)
        except Exception as error:
            yield self.refuse(candidate, unreadable(error))

    def _on_failure(self, candidate: Candidate, failure: Failure) -> Iterator[Outcome]:
        yield self.refuse(candidate, self.refusal_of(failure))


def _too_large(limit_bytes: int) -> Refusal:
    return Refusal(reason=Reason.TOO_LARGE, detail=f"The answer is over {limit_bytes} bytes.")


def _is_whole(response: Response) -> bool:
    """Whether the answer to a Range request holds the whole file."""
    held = (response.headers.get("Content-Range") or b"").decode("latin-1")
    return response.status == 200 or held.endswith(
        f"-{len(response.body) - 1}/{len(response.body)}"
    )


def _fault(error: BaseException) -> MirrorsetError:
    if isinstance(error, MirrorsetError):
        return error
    words = f"{type(error).__name__}: {' '.join(str(error).split())}"
    if isinstance(error, OSError):
        return UnavailableError(f"The crawl could not keep what it found: {words}.")
    return MirrorsetError(f"The crawl met an error of its own: {words}.")


def _http_refusal(status: int) -> Refusal:
    return Refusal(
        reason=Reason.HTTP_ERROR,
        detail=f"The server answered {status}.",
        is_retryable=status >= 500 or status in (408, 425, 429),
    )
