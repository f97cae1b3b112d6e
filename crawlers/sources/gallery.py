"""A web gallery: sitemap or linked pages → pictures, with the licence the page or file states."""

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from crawlers.addresses import web_address
from crawlers.items import Candidate, Refusal, item_id, judge, rejected, unreadable
from crawlers.markup import ShownImage, read_html
from crawlers.optouts import meta_refusal
from crawlers.source import Answer, Ask, Found, Source, SourceStart
from crawlers.terms import Terms
from mirrorset.errors import UnavailableError
from mirrorset.records import Reason, Rejected

logger = logging.getLogger(__name__)

_LISTING_MAX_BYTES = 60_000_000


class GalleryStart(SourceStart):
    """A web gallery.

    url: its sitemap (or an index of sitemaps), or an HTML page that links to the pages.
    link_pattern: regular expression that a page's address must match; an HTML page needs one.
    max_listings: sitemaps and index pages asked for. max_depth: how far indexes of sitemaps may
    be nested; an index page's next page is no deeper. Those beyond are left out, as the log says.
    """

    source: Literal["gallery"] = "gallery"
    url: str
    link_pattern: str = ""
    max_listings: int = Field(default=1000, ge=1)
    max_depth: int = Field(default=20, ge=0)

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        if not web_address(url):
            raise ValueError("give an address that begins with https:// or http://")
        return url

    @field_validator("link_pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


@dataclass(frozen=True)
class Listing:
    """Addresses that a listing names: pages with pictures, listings below it, and its next page."""

    pages: tuple[str, ...] = ()
    listings: tuple[str, ...] = ()
    following: tuple[str, ...] = ()


class Gallery(Source[GalleryStart]):
    """Names a gallery's pages and reads the pictures on them."""

    name = "gallery"

    def __init__(self, start: GalleryStart, terms: Terms) -> None:
        super().__init__(start, terms)
        self.max_listings = start.max_listings

    @property
    def title(self) -> str:
        """The gallery by its address."""
        return f"gallery {self.start.url}"

    @property
    def address(self) -> str:
        """The sitemap or index page."""
        return self.start.url

    def begin(self) -> Iterator[Ask]:
        """The sitemap or index page."""
        yield Ask(url=self.start.url, carried={"depth": 0})

    def read(self, ask: Ask, answer: Answer) -> Iterator[Found]:
        """Pages and further listings of a listing, or a page's pictures; at least one of a page.

        Raises UnavailableError where a listing is none.
        """
        if ask.kind == "listing":
            yield from self._read_listing(ask, answer)
        elif "image_url" in ask.carried:
            page_item_id = ask.source_item_id.partition("#")[0]
            shown = self._read_page(page_item_id, answer)
            yield _again(shown, ask.source_item_id, ask.carried["image_url"])
        else:
            yield from self._read_page(ask.source_item_id, answer)

    def recheck(self, source_item_id: str, page_url: str, image_url: str) -> Ask:
        """The page again."""
        return Ask(
            url=page_url,
            kind="page",
            source_item_id=source_item_id,
            carried={"image_url": image_url},
        )

    def _read_listing(self, ask: Ask, answer: Answer) -> Iterator[Ask]:
        try:
            listing = read_listing(answer.body, answer.url, self.start.link_pattern)
        except Exception as error:
            # Beside our own ValueError, whatever the parsers of gzip and XML meet.
            words = " ".join(str(error).split()) or type(error).__name__
            raise UnavailableError(f"The listing {answer.url} cannot be read: {words}.") from error
        depth = int(ask.carried.get("depth", 0))
        for url in listing.pages:
            yield Ask(url=url, kind="page", source_item_id=page_id(url))
        for url in listing.following:
            yield Ask(url=url, carried={"depth": depth})
        for url in listing.listings:
            if depth < self.start.max_depth:
                yield Ask(url=url, carried={"depth": depth + 1})
            else:
                logger.warning("%s is left out: it lies deeper than max_depth.", url)

    def _read_page(self, page_item_id: str, answer: Answer) -> list[Candidate | Rejected]:
        try:
            return read_page(
                answer.body,
                answer.url,
                page_item_id,
                self.terms,
                answer.headers.get("content-type", ""),
            )
        except Exception as error:
            # What one page does to us must not end the crawl.
            return [rejected(self.name, page_item_id, "", unreadable(error))]


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
    from scrapy.http import HtmlResponse  # noqa: PLC0415  (whoever reads params needs no Scrapy)
    from scrapy.utils.gz import gunzip  # noqa: PLC0415

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
        following=_on_host(following, url),
    )


def read_page(
    body: bytes, url: str, page_item_id: str, terms: Terms, content_type: str = ""
) -> list[Candidate | Rejected]:
    """The pictures of one page as candidates, or why they are none; never an empty list.

    url: where the page was found, after redirects. page_item_id: the `page_id` of the address that
    was asked for, which names the items. content_type: the header.
    """
    page = read_html(body, url, terms.pixels.min_side_px, content_type.encode() or None)
    if opted_out := meta_refusal(page.metas, terms.robots_agent):
        first = page.images[0].url if page.images else ""
        return [rejected(Gallery.name, page_item_id, first, opted_out)]
    if not page.images:
        silent = Refusal(reason=Reason.NOT_AN_IMAGE, detail="The page shows no picture.")
        return [rejected(Gallery.name, page_item_id, "", silent)]
    if len(page.images) == 1:
        return [_read_image(page.images[0], page_item_id, url, terms)]
    return [
        _read_image(image, f"{page_item_id}#{_place_on(image.url, url)}", url, terms)
        for image in page.images
    ]


def _place_on(image_url: str, page_url: str) -> str:
    """A picture's path and query, after its host where that is not the page's."""
    place = page_id(image_url)
    host = urlsplit(page_url).hostname or ""
    return place.removeprefix(host) if place.startswith(f"{host}/") else place


def _read_image(
    image: ShownImage, source_item_id: str, page_url: str, terms: Terms
) -> Candidate | Rejected:
    # Where the page is silent, the file's own metadata may still speak.
    permit = judge(image.statements, terms.intended_use) if image.statements else None
    if isinstance(permit, Refusal):
        if image.licence_page:
            detail = f"{permit.detail} One can be asked for at {image.licence_page}."
            permit = permit.model_copy(update={"detail": detail})
        return rejected(Gallery.name, source_item_id, image.url, permit)
    return Candidate(
        source=Gallery.name,
        source_item_id=source_item_id,
        page_url=page_url,
        image_url=image.url,
        author=image.author,
        permit=permit,
    )


def _again(
    shown: Sequence[Candidate | Rejected], item: str, image_url: str
) -> Candidate | Rejected:
    """What became of one item of a page, whose number of pictures, and so their ids, may change."""
    key = item_id(Gallery.name, item)
    by_id = {found.item_id: found for found in shown}
    by_address = {page_id(found.image_url): found for found in shown}
    found = by_id.get(key) or by_address.get(page_id(image_url))
    if found is None and len(shown) == 1 and isinstance(shown[0], Rejected):
        # The page refuses as a whole.
        found = shown[0]
    if isinstance(found, Candidate):
        return found.model_copy(update={"source_item_id": item})
    if isinstance(found, Rejected):
        return found.model_copy(update={"item_id": key})
    gone = Refusal(reason=Reason.NOT_AN_IMAGE, detail="The page no longer shows this picture.")
    return rejected(Gallery.name, item, image_url, gone)


def _sitemap(text: bytes) -> tuple[str, list[str]]:
    """The root element's name and the locations below it; ("", []) for what is no XML."""
    from scrapy.utils.sitemap import Sitemap  # noqa: PLC0415

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
