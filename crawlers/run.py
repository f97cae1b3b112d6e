"""Runs a crawl in child processes and follows them."""

import json
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO, TypeVar

from crawlers.entries import as_candidate
from crawlers.order import CrawlOrder, CrawlSummary, RecheckSummary, ShardOrder
from crawlers.recheck import (
    RELEASED,
    RENEWED,
    STILL_QUARANTINED,
    UNREACHABLE,
    VERIFIED,
    source_for,
)
from mirrorset import errors
from mirrorset.blobs import BlobStore
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.frontier import KNOWN, STORED, UNCHANGED, Frontier, open_run
from mirrorset.errors import MirrorsetError, UnavailableError
from mirrorset.files import write_text
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


def recheck(
    order: CrawlOrder, on_progress: Callable[[RecheckSummary], None] | None = None
) -> RecheckSummary:
    """Check the receipts of what the order's source found before, as `order.recheck` says.

    Each receipt's outcome is in the catalogue as soon as it is settled. Raises as `crawl` does.
    """
    with Catalogue(order.catalogue_url) as catalogue:
        source = source_for(order, catalogue)
        began_with = [ask.url for ask in source.begin()]
        run = open_run(catalogue, source.name, source.title, began_with)
        frontier = Frontier(catalogue, source.name, source.title, run)
        summary = _done(order, run, partial(_recheck_summary, frontier), on_progress)
        if not summary.waiting:
            frontier.clear()
            frontier.end()
        return summary


def _crawl(order: CrawlOrder, on_progress: OnProgress | None) -> CrawlSummary:
    with Catalogue(order.catalogue_url) as catalogue:
        source = source_for(order, catalogue)
        began_with = [ask.url for ask in source.begin()]
        start = order.start.model_dump(mode="json")
        run = open_run(catalogue, source.name, source.title, began_with, start)
        frontier = Frontier(catalogue, source.name, source.title, run)
        summary = _done(order, run, partial(_summary, frontier, order), on_progress)
        if not summary.waiting and not order.is_dry_run:
            frontier.end()
        return summary


def _done(
    order: CrawlOrder,
    run: int,
    summarise: Callable[[], S],
    on_progress: Callable[[S], None] | None,
) -> S:
    """Let the order's processes do the run; returns what it came to."""
    shards = [ShardOrder(order=order, run=run, index=index) for index in range(order.shards)]
    with ExitStack() as stack:
        children = [stack.enter_context(_started(shard)) for shard in shards]
        look_at = 0.0
        for _ in _followed(children, order):
            if on_progress and (began_at := time.monotonic()) >= look_at:
                on_progress(summarise())
                # Counting a long frontier may not slow the crawl down.
                took_s = time.monotonic() - began_at
                look_at = began_at + max(_LOOK_EVERY_S, 20 * took_s)
    return summarise()


def _followed(children: Sequence["subprocess.Popen[bytes]"], order: CrawlOrder) -> Iterator[None]:
    """Yield as items are settled, until all children have ended.

    The fault of one ends all: the others may wait for what it would have found.
    """
    with selectors.DefaultSelector() as selector:
        for child in children:
            if child.stdout is not None:
                selector.register(child.stdout, selectors.EVENT_READ, child)
        while selector.get_map():
            for key, _ in selector.select():
                line = key.fileobj.readline()  # type: ignore[union-attr]
                if not line:
                    selector.unregister(key.fileobj)
                    _require_well_ended(key.data, order)
                    continue
                said = json.loads(line)
                if "fault" in said:
                    kind: type[MirrorsetError] = getattr(errors, said["fault"])
                    raise kind(f"{said['message']} The log is {order.log}.")
                yield


def _require_well_ended(child: "subprocess.Popen[bytes]", order: CrawlOrder) -> None:
    # The child ends with its standard input, so that stays open until the child has ended.
    if (status := child.wait()) != 0:
        raise UnavailableError(
            f"The crawl of {order.start.source} died (status {status}): what it finished is kept, "
            f"run it again to go on; the log is {order.log}."
        )


@contextmanager
def _started(shard: ShardOrder) -> Iterator["subprocess.Popen[bytes]"]:
    log_path = shard.order.log
    log_path.parent.mkdir(parents=True, exist_ok=True)
    order_path = log_path.with_suffix(f".order-{shard.index}.json")
    write_text(order_path, shard.model_dump_json(indent=2) + "\n")
    with log_path.open("ab") as log, _child(order_path, log) as child:
        yield child
        # Leaving closes its standard input, and waits for the end that follows from it.
        if child.stdin is not None:
            child.stdin.close()


def _child(order_path: Path, log: BinaryIO) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "crawlers.child", str(order_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        # Ctrl-C reaches the parent alone, which then closes the child's standard input.
        start_new_session=True,
    )


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
        waiting=0 if order.is_dry_run else sum(counts.pending.values()),
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
