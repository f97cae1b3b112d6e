"""Wikimedia Commons by its MediaWiki API: generator → imageinfo with extmetadata, continued.

https://www.mediawiki.org/wiki/API:Imageinfo, API:Continue and Manual:Maxlag_parameter.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlencode

from parsel import Selector
from pydantic import BaseModel, ConfigDict, ValidationError
from scrapy import Request
from scrapy.http import Response

from crawlers.addresses import web_address
from crawlers.gatekeeper import API, retry_after_s
from crawlers.items import Candidate, Refusal, Statement, item_id, judge, rejected, unreadable
from crawlers.order import CommonsStart, CrawlOrder
from crawlers.spiders.source import Outcome, SourceSpider
from crawlers.text import read_json
from mirrorset.errors import UnavailableError
from mirrorset.records import Reason, Rejected

SOURCE = "commons"
# The wiki is busy: the same question is asked again later.
_BUSY = frozenset({"maxlag", "ratelimited", "readonly"})
_WAIT_S = 5.0
_MEDIA_TYPES = frozenset({"image/jpeg", "image/png", "image/webp"})
_LICENCE_FIELDS = ("LicenseUrl", "LicenseShortName", "UsageTerms")

Page = dict[str, Any]


class _Metadata(BaseModel):
    value: str | int | float | bool = ""


class _ImageInfo(BaseModel):
    """One imageinfo entry; all fields are optional as the API leaves out what it lacks."""

    model_config = ConfigDict(extra="ignore")

    url: str = ""
    descriptionurl: str = ""
    descriptionshorturl: str = ""
    mime: str = ""
    size: int = 0
    width: int = 0
    height: int = 0
    sha1: str = ""
    user: str = ""
    extmetadata: dict[str, _Metadata] = {}


class Answer(BaseModel):
    """One answer of the API. continuation: parameters that ask for the rest, or empty."""

    pages: list[Page] = []
    continuation: dict[str, str] = {}
    is_batch_complete: bool = True
    error_code: str = ""
    error_info: str = ""


class CommonsSpider(SourceSpider):
    """Lists images of one search or category and takes those whose licence allows the use."""

    name = SOURCE

    async def start(self) -> AsyncIterator[Request]:
        """Ask for the first page of the listing."""
        yield self._question({}, {})

    async def on_answer(
        self, batch: dict[str, Page], continuation: dict[str, str], response: Response
    ) -> AsyncIterator[Outcome]:
        """Consider the pages of a whole batch, and ask for what follows."""
        try:
            answer = read_answer(response.body)
        except ValueError as error:
            self.fail(UnavailableError(f"{self._api_url} answered no MediaWiki JSON: {error}."))
            return
        if answer.error_code:
            if again := await self._ask_again(answer, response):
                yield again
            return
        merged = merge(batch, answer.pages)
        is_whole = answer.is_batch_complete or not answer.continuation
        if is_whole:
            for page in in_order(merged):
                if self.is_new(item_id(SOURCE, page_key(page))):
                    for outcome in self.consider([self._read(page)]):
                        yield outcome
        if answer.continuation and not self.is_full:
            yield self._question({} if is_whole else merged, answer.continuation)

    def _read(self, page: Page) -> Candidate | Rejected:
        try:
            return read_page(page, self.order)
        except Exception as error:
            # What one page does to us must not end the crawl.
            return rejected(SOURCE, page_key(page), "", unreadable(error))

    async def _ask_again(self, answer: Answer, response: Response) -> Request | None:
        tries = response.meta.get("busy_times", 0) + 1
        if answer.error_code not in _BUSY or tries > self.order.politeness.retries:
            said = f"{answer.error_code}: {answer.error_info}"
            self.fail(UnavailableError(f"{self._api_url} refused the listing: {said}."))
            return None
        wait_s = retry_after_s(response) or _WAIT_S
        await asyncio.sleep(min(wait_s, self.order.politeness.longest_wait_s))
        if response.request is None:
            raise TypeError("an answer without its request cannot be asked again")
        return response.request.replace(
            meta={**response.request.meta, "busy_times": tries}, dont_filter=True
        )

    def _question(self, batch: dict[str, Page], continuation: dict[str, str]) -> Request:
        start = self.order.start
        if not isinstance(start, CommonsStart):
            raise TypeError(f"the commons spider cannot start from {start!r}")
        return Request(
            f"{start.api_url}?{urlencode({**query(start), **continuation})}",
            callback=partial(self.on_answer, batch, continuation),
            errback=self.on_listing_failure,
            meta={API: True},
            dont_filter=True,
        )

    @property
    def _api_url(self) -> str:
        return self.order.start.api_url if isinstance(self.order.start, CommonsStart) else ""


def query(start: CommonsStart) -> dict[str, str]:
    """The parameters that list images with all that a licence receipt needs."""
    listing = (
        {
            "generator": "search",
            "gsrsearch": f"{start.search} filetype:bitmap",
            "gsrnamespace": "6",
            "gsrlimit": str(start.page_size),
        }
        if start.search
        else {
            "generator": "categorymembers",
            "gcmtitle": f"Category:{start.category}",
            "gcmtype": "file",
            "gcmlimit": str(start.page_size),
        }
    )
    return {
        "action": "query",
        "format": "json",
        "formatversion": "2",
        "maxlag": str(start.maxlag_s),
        **listing,
        "prop": "imageinfo",
        "iiprop": "url|size|mime|sha1|extmetadata|user",
        "iiextmetadatalanguage": "en",
    }


def read_answer(body: bytes) -> Answer:
    """An API answer of either formatversion. Raises ValueError where the body is none."""
    answer = read_json(body)
    if not isinstance(answer, dict):
        raise ValueError("the answer is no JSON object")
    error = answer.get("error") or {}
    pages = (answer.get("query") or {}).get("pages") or []
    return Answer(
        pages=list(pages.values()) if isinstance(pages, dict) else pages,
        continuation=_continuation(answer.get("continue") or {}),
        # formatversion 1 writes "" for true.
        is_batch_complete=answer.get("batchcomplete", False) is not False,
        error_code=str(error.get("code", "")),
        error_info=str(error.get("info", "")),
    )


def _continuation(stated: Mapping[str, object]) -> dict[str, str]:
    """Parameters of the next question; "continue" alone, without a position, leads nowhere."""
    return {key: str(value) for key, value in stated.items()} if set(stated) - {"continue"} else {}


def merge(batch: Mapping[str, Page], pages: list[Page]) -> dict[str, Page]:
    """The pages of a batch with what a continued answer adds to them."""
    merged = dict(batch)
    for page in pages:
        key = page_key(page)
        merged[key] = {**merged.get(key, {}), **page}
    return merged


def in_order(pages: Mapping[str, Page]) -> Iterator[Page]:
    """Pages in the listing's order: by the search's index, otherwise by page id."""
    yield from sorted(
        pages.values(), key=lambda page: (page.get("index", 0), page.get("pageid", 0))
    )


def page_key(page: Page) -> str:
    """A page's stable id: its page id, or its title where it has none (a missing page)."""
    return str(page.get("pageid") or page.get("title") or "unnamed")


def read_page(page: Page, order: CrawlOrder) -> Candidate | Rejected:
    """One page of an answer as a candidate, or why it is none: all that is known before a byte."""
    key = page_key(page)
    infos = page.get("imageinfo") or [{}]
    try:
        info = _ImageInfo.model_validate(infos[0])
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        refusal = Refusal(
            reason=Reason.NOT_AN_IMAGE, detail=f"imageinfo.{where} cannot be read: {first['msg']}."
        )
        return rejected(SOURCE, key, "", refusal)
    if refused := _file_refusal(info, order):
        return rejected(SOURCE, key, info.url, refused)
    permit = judge(_statements(info), order.intended_use)
    if isinstance(permit, Refusal):
        return rejected(SOURCE, key, info.url, permit)
    artist = info.extmetadata.get("Artist", _Metadata())
    return Candidate(
        source=SOURCE,
        source_item_id=key,
        page_url=info.descriptionurl or info.descriptionshorturl,
        image_url=info.url,
        author=plain(str(artist.value)) or info.user,
        permit=permit,
        sha1=info.sha1,
    )


def plain(html: str) -> str:
    """The words of an HTML fragment, without tags.

    >>> plain('<a href="//example.org">Ada</a> &amp; Grace')
    'Ada & Grace'
    """
    if not html.strip():
        return ""
    return " ".join("".join(Selector(text=html).xpath("//text()").getall()).split())


def _statements(info: _ImageInfo) -> list[Statement]:
    return [
        Statement(read_from=f"extmetadata.{field}", text=plain(str(info.extmetadata[field].value)))
        for field in _LICENCE_FIELDS
        if field in info.extmetadata
    ]


def _file_refusal(info: _ImageInfo, order: CrawlOrder) -> Refusal | None:
    """What the API's figures already rule out."""
    if not web_address(info.url):
        return Refusal(reason=Reason.NOT_AN_IMAGE, detail="The page names no picture file.")
    if info.mime and info.mime not in _MEDIA_TYPES:
        return Refusal(
            reason=Reason.NOT_AN_IMAGE, detail=f"The file is {info.mime}, not JPEG, PNG or WebP."
        )
    if info.size > order.max_bytes:
        return Refusal(
            reason=Reason.TOO_LARGE,
            detail=f"The file has {info.size} bytes, over {order.max_bytes}.",
        )
    if info.width * info.height > order.pixels.max_pixels:
        return Refusal(
            reason=Reason.DECOMPRESSION_BOMB,
            detail=f"{info.width}×{info.height} px are over {order.pixels.max_pixels} pixels.",
        )
    shorter_px = min(info.width, info.height)
    if 0 < shorter_px < order.pixels.min_side_px:
        return Refusal(
            reason=Reason.TOO_SMALL,
            detail=f"{info.width}×{info.height} px: "
            f"the shorter side is under {order.pixels.min_side_px} px.",
        )
    return None
