"""The one spider: it takes entries of the frontier, asks, and hands on what came back.

Scrapy's downloader fetches, behind its middlewares; its scheduler, item pipelines and callbacks are
left out. The frontier is the queue, and each entry is one task that reads from top to bottom.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

import fsspec
import scrapy
from scrapy import Request, signals
from scrapy.exceptions import DownloadCancelledError, IgnoreRequest, NotSupported
from scrapy.http import Response

from crawlers.decoders import Decoders, UndecodableError
from crawlers.embedded import HEAD_BYTES, read_embedded
from crawlers.entries import as_ask, as_candidate, entry_of, item_of
from crawlers.erased import tombstones_of, unless_erased
from crawlers.gatekeeper import (
    API,
    HOST_FILES,
    LISTING,
    PICTURE,
    MovedError,
    forbidden,
    http_refusal,
    too_large,
)
from crawlers.items import (
    Candidate,
    Picture,
    Refusal,
    RefusedError,
    Settled,
    Unchanged,
    judge,
    rejected,
    unreadable,
)
from crawlers.keeper import Keeper
from crawlers.order import CrawlOrder
from crawlers.reach import ForbiddenAddressError
from crawlers.settings import WINDOW
from crawlers.source import Answer, Ask, BusyError, Found, Source
from crawlers.sources import read_page
from crawlers.text import clean
from crawlers.under_way import ROOM, UnderWay
from mirrorset.catalogue.frontier import Entry, Frontier, Kind, host_of, place
from mirrorset.errors import InputError, MirrorsetError, UnavailableError
from mirrorset.masking import masked
from mirrorset.records import Reason, Rejected

logger = logging.getLogger(__name__)

Fetched = Picture | Unchanged | Settled

_LISTING_MAX_BYTES = 60_000_000
_PAGE_MAX_BYTES = 10_000_000
# An API says so of what was removed, and its source reads it.
_GONE = (404, 410)
# How long a process waits before it looks again whether others found something for its hosts.
_LOOK_AGAIN_S = 0.5
# How long it looks again while nothing changes.
_PATIENCE_S = 600.0
_RECEIPT_HEADERS = (
    "content-length", "content-type", "etag", "last-modified", "link", "tdm-policy",
    "tdm-reservation", "x-robots-tag",
)  # fmt: skip


class CrawlSpider(scrapy.Spider):
    """Drives one source. Everything that goes wrong is an item's rejection, or the crawl's fault.

    A listing that cannot be read is a fault: what was under way is finished first.
    """

    name = "mirrorset"

    def __init__(
        self,
        order: CrawlOrder,
        source: Source[Any],
        frontier: Frontier,
        decoders: Decoders,
        report: Callable[[int], None],
    ) -> None:
        super().__init__()
        self.order = order
        self.source = source
        self.frontier = frontier
        self.decoders = decoders
        self.under_way = UnderWay()
        self.fault: MirrorsetError | None = None
        self._keeper = Keeper(order, frontier, decoders, self._on_group, self.fail)
        self._report = report
        self._settling = asyncio.Lock()
        self._busy_times: Counter[int] = Counter()
        self._requests_made = 0
        self._pending_then = 0
        self._changed_at = time.monotonic()

    @classmethod
    def from_crawler(cls, crawler: Any, *args: Any, **kwargs: Any) -> "CrawlSpider":
        spider = super().from_crawler(crawler, *args, **kwargs)
        crawler.signals.connect(spider.count_request, signal=signals.request_reached_downloader)
        return spider

    def count_request(self) -> None:
        """A request is made: the daily cap counts it."""
        self._requests_made += 1

    async def start(self) -> AsyncIterator[Any]:
        """Work on entries until no process has any left, this one can take no more, or a fault.

        Scrapy is given nothing to schedule.
        """
        tasks: set[asyncio.Task[None]] = set()
        writing = asyncio.ensure_future(self._keeper.write())
        try:
            await self._login()
            listings = [entry_of(ask) for ask in self.source.begin()]
            await asyncio.to_thread(self.frontier.begin, listings)
            async for entry in self._entries():
                task = asyncio.ensure_future(self._work(entry))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        except Exception as error:
            self._fail_unforeseen(error)
        # A task says of itself what failed.
        await asyncio.gather(*tasks)
        self._keeper.close()
        await writing
        no_requests: tuple[Request, ...] = ()
        for request in no_requests:
            yield request

    def fail(self, error: BaseException) -> None:
        """Make `error` the crawl's fault, unless it has one: nothing more is taken."""
        if self.fault is None:
            self.fault = _fault(error)
        self.under_way.changed.set()

    def _fail_unforeseen(self, error: Exception) -> None:
        if not isinstance(error, MirrorsetError | OSError):
            logger.error("The crawl met an error of its own.", exc_info=error)
        self.fail(error)

    def _on_group(self, entries: Collection[Entry], are_written: bool) -> None:
        if are_written:
            self._report(len(entries))
        for entry in entries:
            self.under_way.remove(entry)

    # --- taking -------------------------------------------------------------------------------

    async def _entries(self) -> AsyncIterator[Entry]:
        """The entries that are this process's to work on, each under way from here on."""
        while not self.fault:
            self.under_way.changed.clear()
            entries = await self._take()
            for entry in entries:
                self.under_way.add(entry)
                yield entry
            if entries:
                continue
            if not self.under_way.entries and await self._is_over():
                return
            await self._something_changes()
            if not self.under_way.entries and self._has_waited_in_vain():
                return

    async def _take(self) -> list[Entry]:
        count = WINDOW - len(self.under_way.entries)
        if self.order.politeness.daily_cap is not None:
            count = min(count, await self._allowance(self.order.politeness.daily_cap))
        if count <= 0:
            return []
        # A slow host may not fill the window.
        most = 4 * self.order.politeness.concurrency_per_host
        entries = await asyncio.to_thread(
            self.frontier.take,
            min(count, most),
            list(self.under_way.entries),
            [host for host, number in self.under_way.by_host.items() if host and number >= most],
            is_item_taken=not self.order.is_dry_run,
        )
        return list(self._with_room(entries, most))

    def _with_room(self, entries: list[Entry], most: int) -> Iterator[Entry]:
        """The entries that leave no host with more than `most` under way."""
        by_host = Counter(self.under_way.by_host)
        for entry in entries:
            if not entry.host or by_host[entry.host] < most:
                by_host[entry.host] += 1
                yield entry

    async def _allowance(self, cap: int) -> int:
        """Entries that may still be taken today; each process keeps to its part."""
        made, self._requests_made = self._requests_made, 0
        had = await asyncio.to_thread(self.frontier.count_requests, made)
        # Rounded up, so that a small cap is not nobody's.
        return -((had - cap) // self.order.shards) - len(self.under_way.entries)

    async def _is_over(self) -> bool:
        cap = self.order.politeness.daily_cap
        if cap is not None and await self._allowance(cap) <= 0:
            return True
        return not await asyncio.to_thread(
            self.frontier.has_pending, is_item_taken=not self.order.is_dry_run
        )

    def _has_waited_in_vain(self) -> bool:
        """Whether the other processes, whose entries this one waits for, seem to be gone."""
        pending = sum(self.frontier.counts().pending.values())
        now = time.monotonic()
        if pending != self._pending_then or self.under_way.entries:
            self._pending_then, self._changed_at = pending, now
        return now - self._changed_at > _PATIENCE_S

    async def _something_changes(self) -> None:
        try:
            await asyncio.wait_for(self.under_way.changed.wait(), _LOOK_AGAIN_S)
        except TimeoutError:
            return

    # --- working ------------------------------------------------------------------------------

    async def _work(self, entry: Entry) -> None:
        """Do what an entry asks for; whatever goes wrong in that is the crawl's fault."""
        try:
            if entry.kind == Kind.ITEM:
                settled = await self._item(entry)
            else:
                settled = None
                await self._reading(entry)
        except Exception as error:
            self._fail_unforeseen(error)
            settled = None
        if settled is None:
            self.under_way.remove(entry)
        else:
            self._keeper.add(settled)

    async def _download(self, request: Request, further: Collection[int] = ()) -> Response:
        """A successful answer, or one of the `further` statuses.

        Raises RefusedError, and MovedError where another process has to ask.
        """
        if self.crawler.engine is None:
            raise RuntimeError("a spider without an engine has nobody to ask")
        try:
            response = await self.crawler.engine.download_async(request)
        except MovedError:
            raise
        except Exception as error:
            # Scrapy's handlers and middlewares raise many kinds.
            raise RefusedError(self._refusal_of(error, request)) from error
        if not 200 <= response.status < 300 and response.status not in further:
            raise RefusedError(http_refusal(response.status))
        return response

    async def _move(self, entry: Entry, moved: MovedError) -> None:
        await asyncio.to_thread(self.frontier.move, entry, moved.url)

    # --- listings and pages -------------------------------------------------------------------

    async def _reading(self, entry: Entry) -> None:
        """Ask for a listing or page, and settle it with what it names."""
        if not host_of(entry.url):
            await self._read(entry, Answer(url=entry.url))
            return
        ask = as_ask(entry)
        try:
            response = await self._download(self._reading_request(entry, ask), _read_statuses(ask))
        except MovedError as moved:
            await self._move(entry, moved)
        except RefusedError as error:
            if entry.kind == Kind.LISTING:
                raise UnavailableError(
                    f"The listing {entry.url} could not be had: {error.refusal.detail}"
                ) from error
            await self._not_read(entry, error.refusal)
        else:
            await self._on_answer(entry, response)

    def _reading_request(self, entry: Entry, ask: Ask) -> Request:
        url, headers = self.source.signed(ask)
        is_page = entry.kind == Kind.PAGE
        return Request(
            url if entry.url == ask.url else entry.url,
            method="POST" if ask.body else "GET",
            body=ask.body,
            headers={**headers, **_conditions(entry)},
            meta={
                API: ask.is_api,
                LISTING: not is_page,
                "download_maxsize": _PAGE_MAX_BYTES if is_page else _LISTING_MAX_BYTES,
                "redirect_times": entry.hops,
            },
        )

    async def _on_answer(self, entry: Entry, response: Response) -> None:
        if response.status == 401:
            await self._login_again(entry)
        elif response.status == 304 and not _conditions(entry):
            await self._not_read(entry, http_refusal(304))
        elif response.status == 304:
            await asyncio.to_thread(self.frontier.settle_unchanged_page, entry)
        else:
            await self._read(entry, _answer(response))

    async def _read(self, entry: Entry, answer: Answer) -> None:
        try:
            found = await self._found(as_ask(entry), answer)
        except BusyError as busy:
            await self._wait(entry, busy)
        except (UnavailableError, InputError, UndecodableError) as error:
            if entry.kind == Kind.LISTING:
                raise
            # A reader that died or was too slow says nothing of the page.
            later = Refusal(reason=Reason.HTTP_ERROR, detail=str(error), is_retryable=True)
            await self._not_read(entry, later)
        except Exception as error:
            # What one page does to us must not end the crawl.
            if entry.kind == Kind.LISTING:
                raise
            await self._not_read(entry, unreadable(error))
        else:
            # One after the other: each counts what the limits leave it.
            async with self._settling:
                await asyncio.to_thread(self._settle_found, entry, answer, found)

    async def _found(self, ask: Ask, answer: Answer) -> list[Found]:
        if ask.kind == "page" and not ask.is_api:
            # A stranger's page can keep its parser busy for minutes.
            terms = self.source.terms
            return await self.decoders.run(read_page, self.order.start, terms, ask, answer)
        return await asyncio.to_thread(lambda: list(self.source.read(ask, answer)))

    async def _not_read(self, entry: Entry, refusal: Refusal) -> None:
        """Refuse a page for the item that it stands for."""
        refused = self._refused_page(entry, refusal)
        await asyncio.to_thread(self._settle_refused, entry, refused)

    def _settle_found(self, entry: Entry, answer: Answer, found: list[Found]) -> None:
        if self.order.tombstone_key:
            standing = tombstones_of(self.order.catalogue_url, self.order.tombstone_key)
            found = [unless_erased(one, self.source.name, standing) for one in found]
        if entry.kind == Kind.LISTING:
            found = self._within_limits(found)
        self.frontier.settle_read(
            entry,
            followed=[entry_of(one) for one in found if isinstance(one, Ask)],
            items=[item_of(one) for one in found if isinstance(one, Candidate)],
            refused=[one for one in found if isinstance(one, Rejected)],
            etag=answer.headers.get("etag", ""),
            last_modified=answer.headers.get("last-modified", ""),
        )

    def _within_limits(self, found: list[Found]) -> list[Found]:
        """What the order's limit leaves of a listing, and the source's limit of listings."""
        further = [one for one in found if isinstance(one, Ask) and one.kind == "listing"]
        named = [one for one in found if not (isinstance(one, Ask) and one.kind == "listing")]
        if self.order.limit is not None:
            named = named[: max(0, self.order.limit - self.frontier.count_named())]
            if self.frontier.count_named() + len(named) >= self.order.limit:
                further = []
        room = max(0, self.source.max_listings - self.frontier.count_listings())
        for left_out in islice(further, room, None):
            logger.warning("%s is left out: max_listings is reached.", left_out.url)
        return [*named, *further[:room]]

    async def _wait(self, entry: Entry, busy: BusyError) -> None:
        """Leave the entry pending for as long as its API asks; then it is taken again."""
        self._busy_times[entry.entry_id] += 1
        if self._busy_times[entry.entry_id] > self.order.politeness.retries:
            raise UnavailableError(f"{entry.url} is busy: {busy}.")
        await asyncio.sleep(min(busy.wait_s, self.order.politeness.longest_wait_s))

    # --- pictures -----------------------------------------------------------------------------

    async def _item(self, entry: Entry) -> Settled | None:
        """What an item came to; None where it is another process's now."""
        try:
            fetched = await self._fetched(entry)
        except MovedError as moved:
            await self._move(entry, moved)
            return None
        except RefusedError as error:
            return self._refused(entry, error.refusal)
        except Exception as error:
            # What one answer does to us must not end the crawl.
            return self._refused(entry, unreadable(error))
        if isinstance(fetched, Settled):
            return fetched
        if isinstance(fetched, Picture):
            self.under_way.hold(entry, len(fetched.content))
        return await self._keeper.settled(entry, fetched)

    async def _fetched(self, entry: Entry) -> Fetched:
        """An item's bytes, or what it came to without them."""
        candidate = as_candidate(entry)
        if not host_of(entry.url):
            return await asyncio.to_thread(self._opened, entry, candidate)
        if candidate.permit is not None:
            return _picture(candidate, await self._picture_answer(entry))
        # The page was silent: the file's own metadata must name the licence.
        response = await self._picture_answer(entry, Range=f"bytes=0-{HEAD_BYTES - 1}")
        if response.status == 304:
            return Unchanged(candidate)
        embedded = read_embedded(response.body)
        permit = judge(embedded.statements, self.order.intended_use)
        if isinstance(permit, Refusal):
            return self._refused(entry, permit)
        author = candidate.author or embedded.author
        licensed = candidate.model_copy(update={"permit": permit, "author": author})
        if not _is_whole(response):
            response = await self._picture_answer(entry)
        return _picture(licensed, response)

    def _opened(self, entry: Entry, candidate: Candidate) -> Picture | Settled:
        try:
            with fsspec.open(entry.url, "rb") as opened:
                content = opened.read(self.order.max_bytes + 1)
        except Exception as error:
            # Each filesystem raises its own kinds.
            detail = f"It cannot be opened: {type(error).__name__}: {' '.join(str(error).split())}"
            return self._refused(entry, Refusal(reason=Reason.HTTP_ERROR, detail=detail))
        if len(content) > self.order.max_bytes:
            return self._refused(entry, too_large(self.order.max_bytes))
        return Picture(candidate, content, headers={}, host_files={})

    async def _picture_answer(self, entry: Entry, **headers: str) -> Response:
        further = [304] if _conditions(entry) else []
        return await self._download(self._picture_request(entry, headers), further)

    def _picture_request(self, entry: Entry, headers: dict[str, str]) -> Request:
        return Request(
            entry.url,
            # As stored on the server: no negotiated format, no transfer compression.
            headers={
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                **_conditions(entry),
                **headers,
            },
            meta={
                PICTURE: True,
                ROOM: partial(self.under_way.room, entry),
                "redirect_times": entry.hops,
            },
        )

    # --- what went wrong ----------------------------------------------------------------------

    def _settle_refused(self, entry: Entry, refused: Rejected) -> None:
        self.frontier.settle_refused(entry, refused)

    def _refusal_of(self, error: Exception, request: Request) -> Refusal:
        if isinstance(error, RefusedError):
            return error.refusal
        if isinstance(error, ForbiddenAddressError):
            return forbidden(error)
        # What swells beyond the limit as it is unpacked is ignored by Scrapy, and says so.
        if isinstance(error, DownloadCancelledError) or "DOWNLOAD_MAXSIZE" in str(error):
            return too_large(request.meta.get("download_maxsize", self.order.max_bytes))
        is_final = isinstance(error, IgnoreRequest | NotSupported | ValueError)
        said = masked(" ".join(str(error).split()))[:200]
        detail = f"No answer: {type(error).__name__}: {said}"
        return Refusal(reason=Reason.HTTP_ERROR, detail=detail, is_retryable=not is_final)

    def _refused(self, entry: Entry, refusal: Refusal) -> Settled:
        record = rejected(self.source.name, entry.source_item_id, entry.url, refusal)
        return Settled(entry, str(refusal.reason), (record,))

    def _refused_page(self, entry: Entry, refusal: Refusal) -> Rejected:
        item = as_ask(entry).source_item_id or place(entry.url)
        return rejected(self.source.name, item, "", refusal)

    # --- credentials --------------------------------------------------------------------------

    async def _login(self) -> None:
        ask = self.source.login()
        if ask is None or self.crawler.engine is None:
            return
        url, headers = self.source.signed(ask)
        request = Request(
            url,
            method="POST" if ask.body else "GET",
            body=ask.body,
            headers=headers,
            meta={API: True, "handle_httpstatus_all": True},
        )
        try:
            response = await self.crawler.engine.download_async(request)
        except Exception as error:
            host = urlsplit(ask.url).hostname
            raise UnavailableError(f"{host} could not be asked for a token: {error}.") from error
        self.source.logged_in(_answer(response))

    async def _login_again(self, entry: Entry) -> None:
        """After a 401: a new token once, then the refusal stands."""
        self._busy_times[entry.entry_id] += 1
        if self.source.login() is None or self._busy_times[entry.entry_id] > 1:
            raise UnavailableError(f"{entry.url} refuses our credentials (401).")
        await self._login()


def _read_statuses(ask: Ask) -> list[int]:
    """Answers other than a success that are no failure yet."""
    is_page = ask.kind == "page"
    return [
        *([304] if is_page else []),
        *([401] if ask.is_api else []),
        *(_GONE if ask.is_api and is_page else []),
    ]


def _answer(response: Response) -> Answer:
    headers = {
        name.decode("latin-1").lower(): b", ".join(response.headers.getlist(name)).decode("latin-1")
        for name in response.headers
    }
    return Answer(url=response.url, status=response.status, headers=headers, body=response.body)


def _conditions(entry: Entry) -> dict[str, str]:
    """Headers that ask for an entry only if it changed (RFC 9110, 13.1)."""
    asked = {"If-None-Match": entry.etag, "If-Modified-Since": entry.last_modified}
    return {name: value for name, value in asked.items() if value}


def _picture(candidate: Candidate, response: Response) -> Picture | Unchanged:
    """The bytes are here, or they are as they were."""
    if response.status == 304:
        return Unchanged(candidate)
    return Picture(
        candidate,
        content=response.body,
        headers=receipt_headers(response),
        host_files=response.meta.get(HOST_FILES, {}),
    )


def receipt_headers(response: Response) -> dict[str, str]:
    """The headers that bear on a picture's use, for its receipt."""
    return {
        name: clean(value.decode("latin-1"))
        for name in _RECEIPT_HEADERS
        if (value := response.headers.get(name)) is not None
    }


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
