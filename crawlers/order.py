"""What to crawl, for what use and how politely; and what came of it."""

from importlib.metadata import version
from pathlib import Path
from typing import Self

from pydantic import AwareDatetime, Field, IPvAnyNetwork, model_validator

from crawlers.sources import Start
from crawlers.terms import Terms
from mirrorset.pixels import PixelParams
from mirrorset.records import IntendedUse, Reason, Record


class Politeness(Record):
    """How a host is treated. Delays adapt to its answers (Scrapy's AutoThrottle), with jitter.

    min_delay_s, start_delay_s, max_delay_s: between two requests to a host. target_concurrency:
    requests wanted in flight at a time; concurrency_per_host: never more than these.
    timeout_s: a whole answer must be there by then. retries: further attempts after a 429, a 5xx
    or a lost connection. longest_wait_s: a Retry-After beyond this is not waited for, and a host
    with a longer Crawl-delay is left alone. max_redirects: of one request. daily_cap: requests to
    a source in a day (UTC); what is beyond waits in the frontier. Of what was begun below it, the
    rules of a new host and retries may exceed it by a few. None: no cap.
    """

    min_delay_s: float = Field(default=0.0, ge=0)
    start_delay_s: float = Field(default=0.1, ge=0)
    max_delay_s: float = Field(default=60.0, ge=0)
    target_concurrency: float = Field(default=2.0, gt=0)
    concurrency_per_host: int = Field(default=4, ge=1)
    timeout_s: float = Field(default=60.0, gt=0)
    retries: int = Field(default=3, ge=0)
    longest_wait_s: float = Field(default=300.0, ge=0)
    max_redirects: int = Field(default=5, ge=0)
    daily_cap: int | None = Field(default=None, ge=1)


class VerifyParams(Record):
    """How often receipts are checked again, and how long a picture may wait in quarantine.

    every_days: since a receipt was last seen or found to hold. quarantine_days: a picture that no
    check has released by then is due for erasure.
    """

    every_days: int = Field(default=30, ge=1)
    quarantine_days: int = Field(default=30, ge=1)


class RecheckTerms(Record):
    """Which receipts are checked again, and how long one that fails may wait in quarantine.

    due_before: receipts that were last found to hold before this time, and all in quarantine.
    """

    due_before: AwareDatetime
    quarantine_days: int = Field(default=30, ge=1)


class CrawlOrder(Record):
    """One crawl of one source.

    catalogue_url: database of the frontier and of what is kept. blobs_url: the blob store's
    address. log: file that receives the crawl's log. limit: how many of the pages and items that
    the listing names are considered. contact: mail address or page where the crawled can reach us,
    sent with every request. max_bytes: larger files are refused. allow_addresses: networks that
    may be connected to though they are not public. is_answered_for: whether somebody is named who
    answers for asking other people's servers; else only allow_addresses are asked. shards:
    processes that share the work, each with hosts of its own. dask_scheduler: address of the
    cluster whose workers run them ("" for this machine). is_dry_run: listings and pages are read
    and counted, no picture is asked for and nothing is kept. recheck: not the listing, but what the
    source's crawl found before is asked for again. tombstone_key: by which erased pictures are
    known again, "" where none was ever erased.
    """

    start: Start
    intended_use: IntendedUse
    catalogue_url: str = Field(repr=False)
    blobs_url: str = Field(repr=False)
    log: Path
    contact: str
    user_agent: str = f"mirrorset/{version('mirrorset')}"
    limit: int | None = Field(default=None, ge=1)
    max_bytes: int = Field(default=100_000_000, ge=1)
    pixels: PixelParams = PixelParams()
    politeness: Politeness = Politeness()
    allow_addresses: tuple[IPvAnyNetwork, ...] = ()
    is_answered_for: bool = True
    shards: int = Field(default=1, ge=1)
    dask_scheduler: str = ""
    is_dry_run: bool = False
    recheck: RecheckTerms | None = None
    tombstone_key: str = Field(default="", repr=False)

    @model_validator(mode="after")
    def _is_contactable(self) -> Self:
        if "@" not in self.contact and "://" not in self.contact:
            raise ValueError("contact must be a mail address or a page's address")
        return self

    @property
    def terms(self) -> Terms:
        """What an item must meet."""
        return Terms(
            intended_use=self.intended_use,
            pixels=self.pixels,
            max_bytes=self.max_bytes,
            robots_agent=self.robots_agent,
        )

    @property
    def signed_user_agent(self) -> str:
        """The User-Agent header: "mirrorset/0.1.0 (+contact)"."""
        return f"{self.user_agent} (+{self.contact})"

    @property
    def robots_agent(self) -> str:
        """The name that robots.txt and X-Robots-Tag know us by."""
        return self.user_agent.partition("/")[0].strip().lower()


class ShardOrder(Record):
    """What one of an order's processes does: which run of the crawl, and whose hosts."""

    order: CrawlOrder
    run: int
    index: int = 0


class CrawlSummary(Record):
    """Counts of one run of a crawl: found = stored + already_known + all rejected + waiting.

    found: items that the source listed. stored: sightings written, each with its image.
    already_known: unchanged since an earlier run. waiting: beyond the daily cap, or after a fault.
    would_fetch: of a dry run, items by the code of their licence ("in the file" where only the
    picture can tell). fault: why it could not be crawled to its end, or "".
    """

    found: int = 0
    stored: int = 0
    rejected: dict[Reason, int] = Field(default_factory=dict)
    already_known: int = 0
    waiting: int = 0
    would_fetch: dict[str, int] = Field(default_factory=dict)
    fault: str = ""


class RecheckSummary(Record):
    """Counts of one run of a re-check: each receipt that was due is in one of them.

    verified: hold as they were. renewed: hold under another licence, which the new receipt states.
    released: hold again, and are out of quarantine. quarantined: hold no longer, by reason.
    still_quarantined: as before. unreachable: nobody could tell; asked again next time. waiting:
    beyond the daily cap, or after a fault.
    """

    verified: int = 0
    renewed: int = 0
    released: int = 0
    quarantined: dict[Reason, int] = Field(default_factory=dict)
    still_quarantined: int = 0
    unreachable: int = 0
    waiting: int = 0
