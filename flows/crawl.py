"""Crawl: every source of params.yaml → original bytes, receipts and rejections in the catalogue."""

import hashlib
import ipaddress
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from crawlers.order import CommonsStart, CrawlOrder, CrawlSummary, GalleryStart, Politeness
from crawlers.run import crawl as crawl_source
from flows.engine import flow, task
from flows.progress import bar
from mirrorset.errors import SettingsError
from mirrorset.files import write_text
from mirrorset.params import Responsible
from mirrorset.pixels import PixelParams
from mirrorset.records import Record
from mirrorset.spool import ingest
from mirrorset.workspace import Workspace, open_workspace

Start = Annotated[CommonsStart | GalleryStart, Field(discriminator="source")]

#: The contact that a crawl of this machine itself is signed with, where none is stated.
_LOCAL_CONTACT = "https://localhost/"


class CrawlParams(Record):
    """The section `crawl`: where to look, how much to take and how politely.

    limit: items of each listing that are considered, or None for all of them.
    max_bytes: larger files are refused.
    """

    sources: tuple[Start, ...] = ()
    limit: int | None = Field(default=None, ge=1)
    max_bytes: int = Field(default=100_000_000, ge=1)
    pixels: PixelParams = PixelParams()
    politeness: Politeness = Politeness()


@flow(name="crawl")
def crawl(home: Path, sources: tuple[Start, ...] = ()) -> dict[str, CrawlSummary]:
    """Crawl `sources`, or those of params.yaml; what is known already is not fetched again.

    Returns the counts of each source by its title. Raises SettingsError where no source is
    configured, or where nobody answers for a crawl of other people's servers.
    """
    workspace = open_workspace(home)
    sources = sources or workspace.params("crawl", CrawlParams).sources
    if not sources:
        raise SettingsError(
            f"{workspace.params_file} lists no `crawl: sources:`: add one as docs/crawl.md shows."
        )
    for start in sources:
        require_answerable(start, workspace.responsible)
    with workspace.locked():
        return {title(start): crawl_one(workspace, start) for start in sources}


@task(name="crawl-source", retries=1, retry_delay_seconds=5)
def crawl_one(workspace: Workspace, start: Start) -> CrawlSummary:
    """Crawl one source in a child process, then ingest what it found."""
    with workspace.catalogue() as catalogue:
        # What a killed run left behind is known before anything is asked for again.
        ingest(workspace.spool, catalogue)
        known = workspace.private / "known" / f"{start.source}.txt"
        settled = sorted(catalogue.settled_items(start.source))
        write_text(known, "".join(f"{start.source}:{item}\n" for item in settled))
        progress = bar(f"crawl {start.source}")
        summary = crawl_source(
            _order(workspace, start, known),
            lambda so_far: progress.to(
                so_far.stored + so_far.already_known + sum(so_far.rejected.values()), so_far.found
            ),
        )
        ingest(workspace.spool, catalogue)
    return summary


def title(start: Start) -> str:
    """What is crawled, in words that tell two sources of one kind apart."""
    if isinstance(start, CommonsStart):
        return f"{start.source} {start.search or start.category}"
    return f"{start.source} {start.url}"


def require_answerable(start: Start, responsible: Responsible) -> None:
    """Raise SettingsError unless it is stated who answers for crawling this address.

    A server on this machine is one's own.
    """
    address = start.api_url if isinstance(start, CommonsStart) else start.url
    missing = [name for name, value in responsible if not value]
    if missing and not _is_this_machine(address):
        raise SettingsError(
            f"Before {urlsplit(address).hostname} is crawled, `responsible:` in params.yaml must "
            f"state {', '.join(missing)}: faces are personal data, and somebody answers for them."
        )


def _slug(text: str) -> str:
    """A file name that hardly two titles share; the port, which may change, is left out."""
    text = re.sub(r":\d+", "", text)
    readable = re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-")
    return f"{readable}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _is_this_machine(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _order(workspace: Workspace, start: Start, known: Path) -> CrawlOrder:
    params = workspace.params("crawl", CrawlParams)
    return CrawlOrder(
        start=start,
        intended_use=workspace.dataset.intended_use,
        blobs_url=workspace.settings.blobs_url,
        spool=workspace.spool,
        log=workspace.logs / f"crawl-{_slug(title(start))}.log",
        contact=workspace.responsible.contact or _LOCAL_CONTACT,
        known=known,
        limit=params.limit,
        max_bytes=params.max_bytes,
        pixels=params.pixels,
        politeness=params.politeness,
    )
