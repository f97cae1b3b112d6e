"""Runs a crawl in processes of its own and counts what comes of it."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from crawlers.entries import as_candidate
from crawlers.order import CrawlOrder, CrawlSummary, RecheckSummary, ShardOrder
from crawlers.processes import done_by_processes
from crawlers.recheck import (
    RELEASED,
    RENEWED,
    STILL_QUARANTINED,
    UNREACHABLE,
    VERIFIED,
    source_for,
)
from mirrorset.blobs import BlobStore
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.frontier import KNOWN, STORED, UNCHANGED, Frontier, Kind, open_run
from mirrorset.errors import SettingsError
from mirrorset.records import Reason

OnProgress = Callable[[CrawlSummary], None]
S = TypeVar("S", CrawlSummary, RecheckSummary)

_LOOK_EVERY_S = 0.5


def crawl(order: CrawlOrder, on_progress: OnProgress | None = None) -> CrawlSummary:
    """Crawl one source; what is finished is in the catalogue, whatever happens.

    on_progress: called with the counts so far, at most twice a second.
    Raises UnavailableError where the source's listing, the catalogue or the store could not be
    reached or a child died, InputError where a file that the order names cannot be read. Running
    it again goes on.
    """
    if order.is_dry_run:
        with tempfile.TemporaryDirectory() as folder:
            aside = {"catalogue_url": f"sqlite:///{folder}/dry.sqlite", "blobs_url": "memory://"}
            return _crawl(order.model_copy(update=aside), on_progress)
    BlobStore(order.blobs_url).clear_aside()
    return _crawl(order, on_progress)


def crawl_here(order: CrawlOrder) -> CrawlSummary:
    """Crawl one source in this very process, once in its life: its event loop is the crawl's.

    Raises what `crawl` raises.
    """
    from crawlers.shard import do_shard  # noqa: PLC0415  (whoever starts children needs no Scrapy)

    BlobStore(order.blobs_url).clear_aside()
    with _run(order) as (frontier, run):
        do_shard(ShardOrder(order=order, run=run), report=lambda settled: None)
        return _ended(frontier, order)


def recheck(
    order: CrawlOrder, on_progress: Callable[[RecheckSummary], None] | None = None
) -> RecheckSummary:
    """Check the receipts of what the order's source found before, as `order.recheck` says.

    Each receipt's outcome is in the catalogue as soon as it is settled. Raises as `crawl` does.
    """
    with _run(order) as (frontier, run):
        _follow(order, run, partial(_recheck_summary, frontier), on_progress)
        summary = _recheck_summary(frontier)
        if not summary.waiting:
            # What a page said this time is asked anew the next time.
            frontier.clear()
            frontier.end()
        return summary


def _crawl(order: CrawlOrder, on_progress: OnProgress | None) -> CrawlSummary:
    with _run(order) as (frontier, run):
        _follow(order, run, partial(_summary, frontier, order), on_progress)
        return _ended(frontier, order)


def _follow(
    order: CrawlOrder,
    run: int,
    summarise: Callable[[], S],
    on_progress: Callable[[S], None] | None,
) -> None:
    """Let the order's shards be done, and say how far they have come."""
    shards = [ShardOrder(order=order, run=run, index=index) for index in range(order.shards)]
    look_at = 0.0
    for _ in _done(order, shards):
        if on_progress and (began_at := time.monotonic()) >= look_at:
            on_progress(summarise())
            # Counting a long frontier may not slow the crawl down.
            took_s = time.monotonic() - began_at
            look_at = began_at + max(_LOOK_EVERY_S, 20 * took_s)


def _done(order: CrawlOrder, shards: Sequence[ShardOrder]) -> Iterator[None]:
    if not order.dask_scheduler:
        return done_by_processes(shards)
    try:
        from crawlers.cluster import done_by_workers  # noqa: PLC0415  (an extra)
    except ImportError:
        raise SettingsError(
            "dask_scheduler is set, but Dask is not installed: install requirements-cluster.lock."
        ) from None
    return done_by_workers(order.dask_scheduler, shards)


@contextmanager
def _run(order: CrawlOrder) -> Iterator[tuple[Frontier, int]]:
    """The run to do now."""
    with Catalogue(order.catalogue_url) as catalogue:
        source = source_for(order, catalogue)
        began_with = [ask.url for ask in source.begin()]
        start = None if order.recheck else order.start.model_dump(mode="json")
        run = open_run(catalogue, source.name, source.title, began_with, start)
        yield Frontier(catalogue, source.name, source.title, run), run


def _ended(frontier: Frontier, order: CrawlOrder) -> CrawlSummary:
    summary = _summary(frontier, order)
    if not summary.waiting and not order.is_dry_run:
        frontier.end()
    return summary


def _summary(frontier: Frontier, order: CrawlOrder) -> CrawlSummary:
    counts = frontier.counts()
    outcomes = Counter(counts.outcomes)
    stored, known = outcomes.pop(STORED, 0), outcomes.pop(KNOWN, 0) + outcomes.pop(UNCHANGED, 0)
    would_fetch: Counter[str] = Counter()
    if order.is_dry_run:
        for entry in frontier.pending_items():
            permit = as_candidate(entry).permit
            would_fetch[permit.licence.code if permit else "in the file"] += 1
    return CrawlSummary(
        found=counts.found,
        stored=stored,
        already_known=known,
        rejected={Reason(name): number for name, number in sorted(outcomes.items())},
        waiting=sum(
            number
            for kind, number in counts.pending.items()
            if not (order.is_dry_run and kind == Kind.ITEM)
        ),
        would_fetch=dict(sorted(would_fetch.items())),
    )


def _recheck_summary(frontier: Frontier) -> RecheckSummary:
    counts = frontier.counts()
    outcomes = Counter(counts.outcomes)
    return RecheckSummary(
        verified=outcomes.pop(VERIFIED, 0),
        renewed=outcomes.pop(RENEWED, 0),
        released=outcomes.pop(RELEASED, 0),
        still_quarantined=outcomes.pop(STILL_QUARANTINED, 0),
        unreachable=outcomes.pop(UNREACHABLE, 0),
        quarantined={Reason(name): number for name, number in sorted(outcomes.items())},
        waiting=sum(counts.pending.values()),
    )
