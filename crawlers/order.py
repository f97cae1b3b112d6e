"""What to crawl, for what use and how politely; and what came of it."""

import re
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from mirrorset.pixels import PixelParams
from mirrorset.records import IntendedUse, Reason, Record


class CommonsStart(Record):
    """Wikimedia Commons, or any MediaWiki with the same API: one search or one category.

    search: words for the wiki's search, images only. category: its name, without "Category:".
    page_size: images an API answer lists. maxlag_s: the API is asked to refuse us while its
    databases lag more than this (MediaWiki's `maxlag`).
    """

    source: Literal["commons"] = "commons"
    api_url: str = "https://commons.wikimedia.org/w/api.php"
    search: str = ""
    category: str = ""
    page_size: int = Field(default=50, ge=1, le=500)
    maxlag_s: int = Field(default=5, ge=1)

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        if bool(self.search) == bool(self.category):
            raise ValueError("give either a search or a category")
        return self


class GalleryStart(Record):
    """A web gallery.

    url: its sitemap (or an index of sitemaps), or an HTML page that links to the pages.
    link_pattern: regular expression that a page's address must match; an HTML page needs one.
    max_listings: sitemaps and index pages asked for; those beyond are left out, as the log says.
    """

    source: Literal["gallery"] = "gallery"
    url: str
    link_pattern: str = ""
    max_listings: int = Field(default=1000, ge=1)

    @field_validator("link_pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str) -> str:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"not a regular expression: {error}") from None
        return pattern


class Politeness(Record):
    """How a host is treated. Delays adapt to its answers (Scrapy's AutoThrottle).

    min_delay_s, start_delay_s, max_delay_s: between two requests to a host. target_concurrency:
    requests wanted in flight at a time; concurrency_per_host: never more than these.
    retries: further attempts after a 429, a 5xx or a lost connection. longest_wait_s: a
    Retry-After beyond this is not waited for, and a host with a longer Crawl-delay is left alone.
    """

    min_delay_s: float = Field(default=0.0, ge=0)
    start_delay_s: float = Field(default=0.1, ge=0)
    max_delay_s: float = Field(default=60.0, ge=0)
    target_concurrency: float = Field(default=2.0, gt=0)
    concurrency_per_host: int = Field(default=4, ge=1)
    timeout_s: float = Field(default=60.0, gt=0)
    retries: int = Field(default=3, ge=0)
    longest_wait_s: float = Field(default=300.0, ge=0)


class CrawlOrder(Record):
    """One crawl of one source.

    blobs_url: the blob store's address. spool: folder that receives shards. log: file that
    receives the crawl's log. known: file of settled item ids ("source:source_item_id"), one a
    line; their images are not asked for again. limit: how many items of the listing are
    considered, known ones included, so that a repeated crawl ends with the same set.
    contact: mail address or page where the crawled can reach us, sent with every request.
    max_bytes: larger files are refused.
    """

    start: Annotated[CommonsStart | GalleryStart, Field(discriminator="source")]
    intended_use: IntendedUse
    blobs_url: str
    spool: Path
    log: Path
    contact: str
    user_agent: str = f"mirrorset/{version('mirrorset')}"
    known: Path | None = None
    limit: int | None = Field(default=None, ge=1)
    max_bytes: int = Field(default=100_000_000, ge=1)
    pixels: PixelParams = PixelParams()
    politeness: Politeness = Politeness()

    @model_validator(mode="after")
    def _is_contactable(self) -> Self:
        if "@" not in self.contact and "://" not in self.contact:
            raise ValueError("contact must be a mail address or a page's address")
        return self

    @property
    def source(self) -> str:
        """The source's name, the first part of its item ids."""
        return self.start.source

    @property
    def signed_user_agent(self) -> str:
        """The User-Agent header: "mirrorset/0.1.0 (+contact)"."""
        return f"{self.user_agent} (+{self.contact})"

    @property
    def robots_agent(self) -> str:
        """The name that robots.txt and X-Robots-Tag know us by."""
        return self.user_agent.partition("/")[0].strip().lower()


class CrawlSummary(Record):
    """Counts of one crawl. At its end, found = stored + already_known + all rejected.

    found: items that the source listed. stored: sightings written, each with its image.
    """

    found: int = 0
    stored: int = 0
    rejected: dict[Reason, int] = Field(default_factory=dict)
    already_known: int = 0

    @property
    def unsettled(self) -> int:
        """Items found that did not come to an end yet; none when a crawl has ended."""
        return self.found - self.stored - self.already_known - sum(self.rejected.values())


@dataclass
class Tally:
    """The counts of a crawl under way."""

    found: int = 0
    stored: int = 0
    already_known: int = 0
    rejected: dict[Reason, int] = field(default_factory=dict)

    def summary(self) -> CrawlSummary:
        """The counts so far, reasons in alphabetical order."""
        return CrawlSummary(
            found=self.found,
            stored=self.stored,
            rejected=dict(sorted(self.rejected.items())),
            already_known=self.already_known,
        )
