"""Crawl: every source of params.yaml → original bytes, receipts and rejections in the catalogue."""

import hashlib
import ipaddress
import re
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from pydantic import Field, IPvAnyNetwork, field_validator, model_validator

from crawlers.order import CrawlOrder, CrawlSummary, Politeness, VerifyParams
from crawlers.presets import expanded
from crawlers.run import crawl as crawl_source
from crawlers.sources import Start, source_of
from crawlers.sources.folder import FolderStart
from crawlers.sources.urls import UrlsStart
from crawlers.terms import Terms
from flows.at_work import at_work, place_on
from flows.engine import flow, outside
from flows.progress import bar
from mirrorset.catalogue.erase import bury_found_again
from mirrorset.errors import InputError, SettingsError, UnavailableError
from mirrorset.masking import masked
from mirrorset.params import Responsible
from mirrorset.pixels import PixelParams
from mirrorset.records import Record
from mirrorset.spool import ingest
from mirrorset.tombstones import read_key
from mirrorset.workspace import Workspace, open_workspace

#: The contact that a crawl of this machine itself is signed with, where none is stated.
_LOCAL_CONTACT = "https://localhost/"


class CrawlParams(Record):
    """The section `crawl`: where to look, how much to take and how politely.

    sources: starts and presets. limit: pages and items of each listing that are considered, or
    None for all of them. max_bytes: larger files are refused. allow_addresses: networks that may be
    connected to though they are not public ("127.0.0.0/8"). shards: processes that share a crawl.
    verify: how often receipts are checked.
    """

    sources: tuple[Start, ...] = ()
    limit: int | None = Field(default=None, ge=1)
    max_bytes: int = Field(default=100_000_000, ge=1)
    pixels: PixelParams = PixelParams()
    politeness: Politeness = Politeness()
    allow_addresses: tuple[IPvAnyNetwork, ...] = ()
    shards: int = Field(default=1, ge=1)
    verify: VerifyParams = VerifyParams()

    @field_validator("sources", mode="before")
    @classmethod
    def _with_presets(cls, sources: Any) -> Any:
        return expanded(sources) if isinstance(sources, list) else sources

    @model_validator(mode="after")
    def _ids_of_one_place(self) -> Self:
        """Item ids are an API's or a folder's own: two of a kind would mistake each other's."""
        places: dict[str, str] = {}
        for start in self.sources:
            place = getattr(start, "api_url", "") or getattr(start, "path", "")
            if start.source in ("gallery", "urls"):
                continue
            if places.setdefault(start.source, place) != place:
                raise ValueError(
                    f"{place} and {places[start.source]} would give their items the same ids: "
                    f"a workspace crawls one {start.source} place"
                )
        return self


@flow(name="crawl")
def crawl(
    home: Path,
    sources: tuple[Start, ...] = (),
    shards: int | None = None,
    is_dry_run: bool = False,
) -> dict[str, CrawlSummary]:
    """Crawl `sources`, or those of params.yaml; what is known already is not fetched again.

    shards: overrides params.yaml. is_dry_run: only count what would be fetched.
    Returns the counts of each source by its title; one that could not be crawled to its end says
    why in `fault`, and the others are crawled all the same. Raises SettingsError where no source is
    configured, or where nobody answers for a crawl of other people's servers.
    """
    workspace = open_workspace(home)
    sources = sources or workspace.params("crawl", CrawlParams).sources
    if not sources:
        raise SettingsError(
            f"{workspace.params_file} lists no `crawl: sources:`: add one as docs/crawl.md shows."
        )
    sources = tuple(_from_home(start, workspace.home) for start in sources)
    for start in sources:
        require_answerable(start, workspace.responsible)
    with at_work(workspace, *map(place_of, sources)):
        return {title(start): _crawled(workspace, start, shards, is_dry_run) for start in sources}


def crawl_from(
    workspace: Workspace, start: Start, shards: int | None, is_dry_run: bool
) -> CrawlSummary:
    """Crawl one source of params.yaml. Raises what keeps it from being crawled to its end."""
    start = _from_home(start, workspace.home)
    require_answerable(start, workspace.responsible)
    with at_work(workspace, place_of(start)):
        return crawl_one(workspace, start, shards, is_dry_run)


def _crawled(
    workspace: Workspace, start: Start, shards: int | None, is_dry_run: bool
) -> CrawlSummary:
    try:
        return crawl_one(workspace, start, shards, is_dry_run)
    except (UnavailableError, InputError, SettingsError) as error:
        return CrawlSummary(fault=masked(str(error)))


def _run_name(parameters: dict[str, Any]) -> str:
    return f"crawl {title(parameters['start'])}"


@outside("crawl-source", _run_name)
def crawl_one(
    workspace: Workspace, start: Start, shards: int | None, is_dry_run: bool
) -> CrawlSummary:
    """Crawl one source in child processes of its own."""
    with workspace.catalogue() as catalogue:
        # What a killed run of another step left behind.
        ingest(workspace.spool, catalogue)
    progress = bar(f"crawl {start.source}")

    def tell(so_far: CrawlSummary) -> None:
        done = so_far.stored + so_far.already_known + sum(so_far.rejected.values())
        progress.to(done, so_far.found)

    ordered = order(workspace, start, shards, is_dry_run)
    summary = crawl_source(ordered, tell)
    # It may end between two looks at it.
    tell(summary)
    if ordered.tombstone_key:
        with workspace.catalogue() as catalogue:
            bury_found_again(catalogue, ordered.tombstone_key)
    return summary


def title(start: Start) -> str:
    """What is crawled, in words that tell two sources of one kind apart."""
    return source_of(start, Terms()).title


def place_of(start: Start) -> str:
    """Name of the concurrency limit of the server that is crawled."""
    return place_on("host", source_of(start, Terms()).address)


def sources_by_place(workspace: Workspace) -> dict[str, list[Start]]:
    """The sources of params.yaml by the server that has them, or by title where none does."""
    places: dict[str, list[Start]] = {}
    for start in workspace.params("crawl", CrawlParams).sources:
        source = source_of(start, Terms())
        places.setdefault(urlsplit(source.address).netloc or source.title, []).append(start)
    return places


def require_answerable(start: Start, responsible: Responsible) -> None:
    """Raise SettingsError unless it is stated who answers for crawling this address.

    A server on this machine is one's own.
    """
    address = source_of(start, Terms()).address
    missing = _missing(responsible)
    if missing and not _is_this_machine(address):
        raise SettingsError(
            f"Before {urlsplit(address).hostname or address} is crawled, `responsible:` in "
            f"params.yaml must state {', '.join(missing)}: faces are personal data, and somebody "
            "answers for them."
        )


def _missing(responsible: Responsible) -> list[str]:
    return [name for name, value in responsible if not value]


def _from_home(start: Start, home: Path) -> Start:
    """A start whose path, if it has one, is looked for in the workspace and not in this folder."""
    if isinstance(start, UrlsStart | FolderStart) and "://" not in start.path:
        return start.model_copy(update={"path": str(home / start.path)})
    return start


def slug(text: str) -> str:
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


def order(
    workspace: Workspace, start: Start, shards: int | None = None, is_dry_run: bool = False
) -> CrawlOrder:
    """The order to crawl `start` as params.yaml says."""
    params = workspace.params("crawl", CrawlParams)
    return CrawlOrder(
        start=start,
        intended_use=workspace.dataset.intended_use,
        catalogue_url=workspace.settings.catalogue_url,
        blobs_url=workspace.settings.blobs_url,
        log=workspace.logs / f"crawl-{slug(title(start))}.log",
        contact=workspace.responsible.contact or _LOCAL_CONTACT,
        limit=params.limit,
        max_bytes=params.max_bytes,
        pixels=params.pixels,
        politeness=params.politeness,
        allow_addresses=params.allow_addresses,
        is_answered_for=not _missing(workspace.responsible),
        shards=shards or params.shards,
        dask_scheduler=workspace.settings.dask_scheduler,
        is_dry_run=is_dry_run,
        tombstone_key=read_key(workspace.private),
    )
