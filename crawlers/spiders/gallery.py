"""A web gallery: sitemap or linked pages → pictures, with the licence the page or file states."""

import logging
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlsplit

from scrapy import Request
from scrapy.http import HtmlResponse, Response
from scrapy.utils.gz import gunzip
from scrapy.utils.sitemap import Sitemap
from twisted.python.failure import Failure

from crawlers.addresses import web_address
from crawlers.gatekeeper import LISTING
from crawlers.items import Candidate, Refusal, item_id, judge, rejected, unreadable
from crawlers.markup import ShownImage, read_html
from crawlers.optouts import meta_refusal
from crawlers.order import CrawlOrder, GalleryStart
from crawlers.spiders.source import Outcome, SourceSpider
from mirrorset.errors import UnavailableError
from mirrorset.records import Reason, Rejected

logger = logging.getLogger(__name__)

SOURCE = "gallery"
_PAGE_MAX_BYTES = 10_000_000
_LISTING_MAX_BYTES = 60_000_000


@dataclass(frozen=True)
class Listing:
    """Addresses that a listing names: of pages with pictures, and of further listings."""

    pages: tuple[str, ...] = ()
    listings: tuple[str, ...] = ()


class GallerySpider(SourceSpider):
    """Walks a gallery's pages and takes the pictures whose licence allows the use."""

    name = SOURCE
    _listings_asked = 0

    async def start(self) -> AsyncIterator[Request]:
        """Ask for the sitemap or index."""
        for request in self._ask_listings([self._start.url]):
            yield request

    def on_listing(self, response: Response) -> Iterator[Request]:
        """Ask for the pages that are not known, and for further listings."""
        try:
            listing = read_listing(response.body, response.url, self._start.link_pattern)
        except ValueError as error:
            self.fail(UnavailableError(f"The listing {response.url} cannot be read: {error}."))
            return
        for url in listing.pages:
            if self.is_new(item_id(SOURCE, page_id(url))):
                yield Request(
                    url,
                    callback=partial(self.on_page, url),
                    errback=partial(self.on_page_failure, url),
                    meta={"download_maxsize": _PAGE_MAX_BYTES},
                    dont_filter=True,
                )
        if not self.is_full:
            yield from self._ask_listings(listing.listings)

    def on_page(self, url: str, response: Response) -> Iterator[Outcome]:
        """Consider the page's pictures; the page was counted for the first of them."""
        try:
            items = read_page(
                response.body, response.url, self.order, url, response.headers.get("Content-Type")
            )
        except Exception as error:
            # What one page does to us must not end the crawl.
            items = [rejected(SOURCE, page_id(url), "", unreadable(error))]
        if len(items) == 1:
            yield from self.consider(items)
            return
        self.tally.found -= 1
        for item in items:
            if self.is_new(item.item_id):
                yield from self.consider([item])

    def on_page_failure(self, url: str, failure: Failure) -> Iterator[Outcome]:
        """A page that cannot be had is an item refused."""
        yield rejected(SOURCE, page_id(url), "", self.refusal_of(failure))

    def _ask_listings(self, urls: Iterable[str]) -> Iterator[Request]:
        # Scrapy's filter of repeated addresses keeps sitemaps that name each other from a loop,
        # the limit those that always name another.
        for url in urls:
            if self._listings_asked >= self._start.max_listings:
                logger.warning("%s is left out: max_listings is reached.", url)
                return
            self._listings_asked += 1
            yield Request(
                url,
                callback=self.on_listing,
                errback=self.on_listing_failure,
                meta={LISTING: True, "download_maxsize": _LISTING_MAX_BYTES},
            )

    @property
    def _start(self) -> GalleryStart:
        if not isinstance(self.order.start, GalleryStart):
            raise TypeError(f"the gallery spider cannot start from {self.order.start!r}")
        return self.order.start


def page_id(url: str) -> str:
    """A page's stable id: host name, path and query, without scheme and port.

    >>> page_id("http://127.0.0.1:8080/gallery/ada.html")
    '127.0.0.1/gallery/ada.html'
    """
    parts = urlsplit(url)
    return f"{parts.hostname or ''}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


def read_listing(body: bytes, url: str, link_pattern: str) -> Listing:
    """A sitemap, an index of sitemaps (both also gzipped), or an HTML page's matching links.

    Only addresses of the listing's own host count (https://www.sitemaps.org/protocol.html).
    Raises ValueError where the body is none of these, or HTML without a link pattern.
    """
    text = gunzip(body, max_size=_LISTING_MAX_BYTES) if body.startswith(b"\x1f\x8b") else body
    kind, locations = _sitemap(text)
    if kind == "sitemapindex":
        return Listing(listings=_on_host(locations, url))
    if kind == "urlset":
        return Listing(pages=_on_host(locations, url, link_pattern))
    if not link_pattern:
        raise ValueError("it is no sitemap, and an HTML page needs a link_pattern")
    html = HtmlResponse(url=url, body=text).selector
    following = html.xpath('//*[(self::a or self::link) and @rel="next"]/@href').getall()
    return Listing(
        pages=_on_host(html.xpath("//a/@href").getall(), url, link_pattern),
        listings=_on_host(following, url),
    )


def read_page(
    body: bytes,
    url: str,
    order: CrawlOrder,
    asked_url: str | None = None,
    content_type: bytes | None = None,
) -> list[Candidate | Rejected]:
    """The pictures of one page as candidates, or why they are none; never an empty list.

    asked_url: the address before redirects, which names the items. content_type: the header.
    """
    page_item_id = page_id(asked_url or url)
    page = read_html(body, url, order.pixels.min_side_px, content_type)
    if opted_out := meta_refusal(page.metas, order.robots_agent):
        first = page.images[0].url if page.images else ""
        return [rejected(SOURCE, page_item_id, first, opted_out)]
    if not page.images:
        silent = Refusal(reason=Reason.NOT_AN_IMAGE, detail="The page shows no picture.")
        return [rejected(SOURCE, page_item_id, "", silent)]
    if len(page.images) == 1:
        return [_read_image(page.images[0], page_item_id, url, order)]
    return [
        _read_image(image, f"{page_item_id}#{urlsplit(image.url).path}", url, order)
        for image in page.images
    ]


def _read_image(
    image: ShownImage, source_item_id: str, page_url: str, order: CrawlOrder
) -> Candidate | Rejected:
    # Where the page is silent, the file's own metadata may still speak.
    permit = judge(image.statements, order.intended_use) if image.statements else None
    if isinstance(permit, Refusal):
        if image.licence_page:
            detail = f"{permit.detail} One can be asked for at {image.licence_page}."
            permit = permit.model_copy(update={"detail": detail})
        return rejected(SOURCE, source_item_id, image.url, permit)
    return Candidate(
        source=SOURCE,
        source_item_id=source_item_id,
        page_url=page_url,
        image_url=image.url,
        author=image.author,
        permit=permit,
    )


def _sitemap(text: bytes) -> tuple[str, list[str]]:
    """The root element's name and the locations below it; ("", []) for what is no XML."""
    try:
        sitemap = Sitemap(text)
        return sitemap.type, [entry["loc"] for entry in sitemap]
    except (SyntaxError, StopIteration):
        return "", []


def _on_host(addresses: list[str], url: str, pattern: str = "") -> tuple[str, ...]:
    """The absolute addresses on the host of `url` that match, each once."""
    host = urlsplit(url).netloc
    absolute = (web_address(address, url) for address in addresses)
    return tuple(
        dict.fromkeys(
            address
            for address in absolute
            if urlsplit(address).netloc == host and re.search(pattern, address)
        )
    )
