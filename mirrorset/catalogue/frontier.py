"""What a crawl has yet to ask for, and what came of the rest: the table that a kill cannot lose.

An entry is a listing, a page or an item. It is pending until it is settled, and it is settled in
the transaction that keeps what it brought: the entries found, the records made, or its rejection.
So a crawl killed anywhere goes on with exactly what it had not settled, and keeps nothing twice.

A crawl is done in runs. A run that ended is followed by a new one, which asks only for what is new
or may have changed: an item whose source says that it is unchanged, or that an earlier run
refused for good, is not asked for; one with an ETag or a date is asked for under that condition.

Several processes share a crawl: each takes the entries of its own hosts (`Shard`), so that a host's
limits hold in sum.
"""

import re
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import IntEnum
from functools import cached_property
from hashlib import sha256
from typing import Any, TypeVar
from urllib.parse import urlsplit

from sqlalchemy import (
    ColumnElement,
    Connection,
    Table,
    and_,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from mirrorset.catalogue.rows import records_of, upsert
from mirrorset.catalogue.store import Catalogue
from mirrorset.catalogue.tables import crawls, frontier, rejected, request_counts, sightings
from mirrorset.records import Record, Rejected, Sighting, utc_now

KNOWN = "known"
UNCHANGED = "unchanged"
STORED = "stored"
READ = "read"

T = TypeVar("T")

_KEYS_A_STATEMENT = 500
_IDENTITY = ("entry_id", "crawl_id", "key")
_ITEM_PREFIX = "item:"
_LISTING_PREFIX = "listing:"


class Kind(IntEnum):
    """What an entry is, in the order of taking: what has begun comes first."""

    ITEM = 0
    PAGE = 1
    LISTING = 2


@dataclass(frozen=True)
class Shard:
    """One of `count` processes of a crawl: it asks the hosts whose number leaves `index`."""

    index: int = 0
    count: int = 1

    def owns(self, host: str) -> bool:
        """Whether requests to `host` are this process's to make."""
        return host_number(host) % self.count == self.index


@dataclass(frozen=True)
class Entry:
    """One row of the frontier.

    key: unique within the crawl. url: where to ask now, which a redirect may have changed (hops
    counts these). content: an Ask or a Candidate as JSON. etag, last_modified: of the answer that
    an earlier run had, or "".
    """

    key: str
    kind: Kind
    url: str
    content: Mapping[str, Any]
    parent: str = ""
    etag: str = ""
    last_modified: str = ""
    hops: int = 0
    entry_id: int = 0

    @cached_property
    def host(self) -> str:
        """The host that is asked, or "" where none is."""
        return host_of(self.url)

    @property
    def source_item_id(self) -> str:
        """An item's id at its source."""
        return self.key.removeprefix(_ITEM_PREFIX)


@dataclass(frozen=True)
class Item:
    """An item found: a candidate's content, and what the source says of its present state.

    version: the source's own mark of the bytes, or "". statement: the words of its licence, ""
    where only the file has them. is_asked_again: whatever is known of it.
    """

    source_item_id: str
    url: str
    content: Mapping[str, Any]
    version: str = ""
    statement: str = ""
    is_asked_again: bool = False


@dataclass(frozen=True)
class Counts:
    """Items of the present run by outcome, and entries that wait, by kind."""

    outcomes: Mapping[str, int]
    pending: Mapping[Kind, int]

    @property
    def found(self) -> int:
        """Items found so far."""
        return sum(self.outcomes.values()) + self.pending.get(Kind.ITEM, 0)


def host_of(url: str) -> str:
    """The host name that a rate limit counts by; "" for what is not fetched over HTTP."""
    parts = urlsplit(url)
    return (parts.hostname or "").rstrip(".") if parts.scheme in ("http", "https") else ""


def host_number(host: str) -> int:
    """A number that spreads hosts over shards, equal in all processes (CRC-32, 31 bits)."""
    return zlib.crc32(host.encode()) & 0x7FFFFFFF


def crawl_id_of(title: str) -> str:
    """The id of the crawl with this title, whatever port its addresses name."""
    return sha256(re.sub(r":\d+", "", title).encode()).hexdigest()[:32]


def place(url: str) -> str:
    """An address without scheme and port: what stays the same when a site moves to https.

    >>> place("http://127.0.0.1:8080/a.jpg?n=1")
    '127.0.0.1/a.jpg?n=1'
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return url
    return f"{parts.hostname or ''}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")


def open_run(
    catalogue: Catalogue,
    source: str,
    title: str,
    began_with: Sequence[str],
    start: Mapping[str, Any] | None = None,
) -> int:
    """The number of the run to do now: the unfinished one, or a new one.

    start: where it looks, by which what it finds can be asked for again; None for a run that only
    does that. began_with: the addresses of the first listings. Where they moved since the
    unfinished run began, its entries are stale, and a new run begins; what was kept is known to it.
    """
    crawl_id = crawl_id_of(title)
    with catalogue.writing() as connection:
        row = connection.execute(select(crawls).where(crawls.c.crawl_id == crawl_id)).one_or_none()
        if row is not None and row.ended_at is None and row.began_with == list(began_with):
            return int(row.run)
        run = 1 if row is None else int(row.run) + 1
        values = {
            "source": source,
            "title": title,
            "run": run,
            "start": start,
            "began_with": list(began_with),
            "began_at": utc_now(),
            "ended_at": None,
        }
        if row is None:
            connection.execute(crawls.insert().values(crawl_id=crawl_id, **values))
        else:
            connection.execute(crawls.update().where(crawls.c.crawl_id == crawl_id).values(values))
        return run


class Frontier:
    """The entries of one run of one crawl, as one of its processes sees them."""

    def __init__(
        self,
        catalogue: Catalogue,
        source: str,
        title: str,
        run: int,
        shard: Shard | None = None,
        has_bytes: Callable[[str], bool] = lambda image_id: True,
        shows_author: bool = False,
    ) -> None:
        """has_bytes: whether the blob store still holds an image: else it is asked for anew.

        shows_author: whether what the crawl finds shows its own author, as `Sighting` has it. It
        becomes so of items that are known and not asked for, too.
        """
        self._catalogue = catalogue
        self._source = source
        self._crawl_id = crawl_id_of(title)
        self._run = run
        self._shard = shard or Shard()
        self._has_bytes = has_bytes
        self._shows_author = shows_author

    def begin(self, listings: Sequence[Entry]) -> None:
        """Enter the first listings; those that are there already stay as they are."""
        with self._catalogue.writing() as connection:
            self._enter(connection, listings)

    def take(
        self,
        count: int,
        taken: Iterable[int] = (),
        busy_hosts: Iterable[str] = (),
        is_item_taken: bool = True,
    ) -> list[Entry]:
        """Pending entries of this process's hosts, except those taken already and of busy hosts."""
        query = (
            select(frontier)
            .where(
                self._is_pending(is_item_taken),
                frontier.c.host_number % self._shard.count == self._shard.index,
                frontier.c.entry_id.not_in(list(taken)),
                frontier.c.host.not_in(list(busy_hosts)),
            )
            .order_by(frontier.c.kind, frontier.c.entry_id)
            .limit(count)
        )
        with self._catalogue.reading() as connection:
            return [_entry(row) for row in connection.execute(query)]

    def has_pending(self, is_item_taken: bool = True) -> bool:
        """Whether any process still has something to ask for."""
        query = select(frontier.c.entry_id).where(self._is_pending(is_item_taken)).limit(1)
        with self._catalogue.reading() as connection:
            return connection.execute(query).first() is not None

    def counts(self) -> Counts:
        """How far the run has come."""
        query = (
            select(frontier.c.kind, frontier.c.outcome, func.count())
            .where(frontier.c.crawl_id == self._crawl_id, frontier.c.run == self._run)
            .group_by(frontier.c.kind, frontier.c.outcome)
        )
        outcomes: dict[str, int] = {}
        pending: dict[Kind, int] = {}
        with self._catalogue.reading() as connection:
            for kind, outcome, number in connection.execute(query):
                if outcome is None:
                    pending[Kind(kind)] = number
                elif kind == Kind.ITEM:
                    outcomes[outcome] = number
        return Counts(outcomes, pending)

    def pending_items(self) -> Iterator[Entry]:
        """Items that wait, in the order in which they were found."""
        query = (
            select(frontier)
            .where(self._is_pending(is_item_taken=True), frontier.c.kind == Kind.ITEM)
            .order_by(frontier.c.entry_id)
        )
        with self._catalogue.reading() as connection:
            for row in connection.execution_options(yield_per=1000).execute(query):
                yield _entry(row)

    def count_named(self) -> int:
        """How many pages and items the run's listings have named."""
        named = frontier.c.parent.startswith(_LISTING_PREFIX), frontier.c.kind != Kind.LISTING
        return self._count(*named)

    def count_listings(self) -> int:
        """How many listings the run has."""
        return self._count(frontier.c.kind == Kind.LISTING)

    def sighting(self, source_item_id: str) -> Sighting | None:
        """The sighting that an earlier run kept of an item."""
        with self._catalogue.reading() as connection:
            row = self._seen(connection, [source_item_id]).get(source_item_id)
        return None if row is None else Sighting.model_validate(dict(row._mapping))

    def settle_read(
        self,
        entry: Entry,
        followed: Sequence[Entry],
        items: Sequence[Item],
        refused: Sequence[Rejected],
        etag: str = "",
        last_modified: str = "",
    ) -> None:
        """Settle a listing or page with all that it named, in one transaction.

        etag, last_modified: of its answer, for the next run.
        """
        with self._catalogue.writing() as connection:
            self._settle(connection, {entry.entry_id: READ}, etag, last_modified)
            self._enter(connection, [replace(one, parent=entry.key) for one in followed])
            self._enter_items(connection, items, entry.key)
            self._enter_refused(connection, refused, entry.key)

    def settle_refused(self, entry: Entry, refused: Rejected) -> None:
        """Settle a page that could not be had; the next run asks for it again."""
        with self._catalogue.writing() as connection:
            self._settle(connection, {entry.entry_id: str(refused.reason)})
            self._enter_refused(connection, [refused], entry.key)

    def settle_unchanged_page(self, entry: Entry) -> None:
        """Settle a page that is as it was: its items are as they were, too, or asked for again."""
        with self._catalogue.writing() as connection:
            self._settle(connection, {entry.entry_id: READ}, entry.etag, entry.last_modified)
            self._carry_over(connection, entry.key)

    def settle_items(self, settled: Sequence[tuple[Entry, str, Sequence[Record]]]) -> None:
        """Keep the records of entries and settle these as (entry, outcome, records), at once."""
        with self._catalogue.writing() as connection:
            upsert(connection, [record for _, _, records in settled for record in records])
            self._settle(connection, {entry.entry_id: outcome for entry, outcome, _ in settled})

    def move(self, entry: Entry, url: str) -> None:
        """Leave an entry that was redirected to the process whose host it now is."""
        with self._catalogue.writing() as connection:
            connection.execute(
                update(frontier)
                .where(frontier.c.entry_id == entry.entry_id)
                .values(url=url, hops=entry.hops + 1, **_hosts(url))
            )

    def count_requests(self, made: int) -> int:
        """Add to the source's requests of this day (UTC); returns how many it has had."""
        day = datetime.now(UTC).date().isoformat()
        key = and_(request_counts.c.source == self._source, request_counts.c.day == day)
        with self._catalogue.writing() as connection:
            insert = _insert(connection)(request_counts).values(
                source=self._source, day=day, requests=made
            )
            connection.execute(
                insert.on_conflict_do_update(
                    index_elements=["source", "day"],
                    set_={"requests": request_counts.c.requests + made},
                )
            )
            return int(
                connection.execute(select(request_counts.c.requests).where(key)).scalar_one()
            )

    def end(self) -> None:
        """The run is done: the next one begins anew."""
        with self._catalogue.writing() as connection:
            connection.execute(
                update(crawls).where(crawls.c.crawl_id == self._crawl_id).values(ended_at=utc_now())
            )

    def clear(self) -> None:
        """Forget all entries: what a later run finds is asked for whatever came of it before."""
        with self._catalogue.writing() as connection:
            connection.execute(frontier.delete().where(frontier.c.crawl_id == self._crawl_id))

    def _is_pending(self, is_item_taken: bool) -> ColumnElement[bool]:
        return and_(
            frontier.c.crawl_id == self._crawl_id,
            frontier.c.run == self._run,
            frontier.c.outcome.is_(None),
            *(() if is_item_taken else (frontier.c.kind != Kind.ITEM,)),
        )

    def _settle(
        self,
        connection: Connection,
        outcomes: Mapping[int, str],
        etag: str = "",
        last_modified: str = "",
    ) -> None:
        if not outcomes:
            return
        connection.execute(
            update(frontier)
            .where(frontier.c.entry_id == bindparam("settled_id"))
            .values(outcome=bindparam("came_to"), etag=etag, last_modified=last_modified),
            [
                {"settled_id": entry_id, "came_to": outcome}
                for entry_id, outcome in outcomes.items()
            ],
        )

    def _count(self, *conditions: ColumnElement[bool]) -> int:
        query = select(func.count()).where(
            frontier.c.crawl_id == self._crawl_id, frontier.c.run == self._run, *conditions
        )
        with self._catalogue.reading() as connection:
            return int(connection.execute(query).scalar_one())

    def _enter(self, connection: Connection, entries: Sequence[Entry]) -> None:
        """Enter listings and pages. A page that was read and cannot say whether it has changed is
        taken as it was.
        """
        before = self._rows(connection, [entry.key for entry in entries])
        rows: list[tuple[Entry, str | None]] = []
        as_they_were: list[str] = []
        for entry in entries:
            row = before.get(entry.key)
            is_read = row is not None and row.outcome == READ and row.url == entry.url
            if entry.kind != Kind.PAGE or not is_read or row is None:
                rows.append((entry, None))
            elif row.etag or row.last_modified:
                aged = replace(entry, etag=row.etag, last_modified=row.last_modified)
                rows.append((aged, None))
            else:
                rows.append((entry, READ))
                as_they_were += [entry.key] * (row.run < self._run)
        self._write(connection, rows)
        for key in as_they_were:
            self._carry_over(connection, key)

    def _enter_items(self, connection: Connection, items: Sequence[Item], parent: str) -> None:
        """Enter items; what is known of them already decides whether they are asked for."""
        for some in _portions(items):
            ids = [item.source_item_id for item in some]
            seen = self._seen(connection, ids)
            if self._shows_author and seen:
                connection.execute(
                    update(sightings)
                    .where(sightings.c.source == self._source)
                    .where(sightings.c.source_item_id.in_(list(seen)))
                    .values(shows_author=True)
                )
            refused_at = self._refused_at(connection, ids)
            before = self._rows(connection, [_ITEM_PREFIX + one for one in ids])
            rows: list[tuple[Entry, str | None]] = []
            for item in some:
                key = _ITEM_PREFIX + item.source_item_id
                entry = Entry(key, Kind.ITEM, item.url, item.content, parent)
                sighting = seen.get(item.source_item_id)
                is_lost = sighting is not None and not self._has_bytes(sighting.image_id)
                if item.is_asked_again or is_lost:
                    rows.append((entry, None))
                elif sighting is not None:
                    rows.append(_as_seen(entry, item, sighting, before.get(key)))
                elif _is_as_refused(entry, refused_at.get(item.source_item_id), before.get(key)):
                    rows.append((entry, KNOWN))
                else:
                    rows.append((entry, None))
            self._write(connection, rows)

    def _seen(self, connection: Connection, ids: Sequence[str]) -> dict[str, Any]:
        query = records_of(sightings).where(
            sightings.c.source == self._source, sightings.c.source_item_id.in_(ids)
        )
        return {row.source_item_id: row for row in connection.execute(query)}

    def _refused_at(self, connection: Connection, ids: Sequence[str]) -> dict[str, str]:
        """Where items were that an earlier run refused for good."""
        prefix = f"{self._source}:"
        query = select(rejected.c.item_id, rejected.c.image_url).where(
            rejected.c.step == "crawl",
            rejected.c.is_retryable.is_(False),
            rejected.c.item_id.in_([prefix + one for one in ids]),
        )
        return {
            row.item_id.removeprefix(prefix): row.image_url for row in connection.execute(query)
        }

    def _enter_refused(
        self, connection: Connection, refused: Sequence[Rejected], parent: str
    ) -> None:
        upsert(connection, self._new_rejections(connection, refused))
        rows: list[tuple[Entry, str | None]] = []
        for one in refused:
            key = _ITEM_PREFIX + one.item_id.removeprefix(f"{self._source}:")
            rows.append((Entry(key, Kind.ITEM, one.image_url, {}, parent), str(one.reason)))
        self._write(connection, rows)

    def _new_rejections(
        self, connection: Connection, refused: Sequence[Rejected]
    ) -> list[Rejected]:
        """Those that say something else than what is kept: another port alone is nothing new."""
        kept = {
            row.item_id: (row.reason, row.detail, place(row.image_url))
            for some in _portions(refused)
            for row in connection.execute(
                select(rejected).where(
                    rejected.c.step == "crawl",
                    rejected.c.item_id.in_([one.item_id for one in some]),
                )
            )
        }
        return [
            one
            for one in refused
            if kept.get(one.item_id) != (str(one.reason), one.detail, place(one.image_url))
        ]

    def _carry_over(self, connection: Connection, page_key: str) -> None:
        """Take what a page named in an earlier run into this one, as if it named it again."""
        rows = connection.execute(
            select(frontier).where(
                frontier.c.crawl_id == self._crawl_id,
                frontier.c.parent == page_key,
                frontier.c.kind == Kind.ITEM,
                frontier.c.run < self._run,
            )
        ).all()
        candidates = [_entry(row) for row in rows if row.content]
        items = [
            Item(one.source_item_id, one.url, one.content, statement=_statement(one.content))
            for one in candidates
        ]
        self._enter_items(connection, items, page_key)
        # Without content: refused where it stood.
        self._write(connection, [(_entry(row), row.outcome) for row in rows if not row.content])

    def _write(self, connection: Connection, rows: Sequence[tuple[Entry, str | None]]) -> None:
        """Insert entries, or renew those of an earlier run; those of this run stay as they are."""
        if not rows:
            return
        insert = _insert(connection)(frontier)
        renewed = [column.name for column in frontier.c if column.name not in _IDENTITY]
        connection.execute(
            insert.on_conflict_do_update(
                index_elements=["crawl_id", "key"],
                set_={name: insert.excluded[name] for name in renewed},
                where=frontier.c.run < self._run,
            ),
            [
                {
                    "crawl_id": self._crawl_id,
                    "key": entry.key,
                    "kind": int(entry.kind),
                    "parent": entry.parent,
                    "url": entry.url,
                    "content": dict(entry.content),
                    "run": self._run,
                    "outcome": outcome,
                    "etag": entry.etag,
                    "last_modified": entry.last_modified,
                    "hops": 0,
                    **_hosts(entry.url),
                }
                for entry, outcome in rows
            ],
        )

    def _rows(self, connection: Connection, keys: Sequence[str]) -> dict[str, Any]:
        return {
            row.key: row
            for some in _portions(keys)
            for row in connection.execute(
                select(frontier).where(
                    frontier.c.crawl_id == self._crawl_id, frontier.c.key.in_(some)
                )
            )
        }


def _as_seen(entry: Entry, item: Item, sighting: Any, before: Any) -> tuple[Entry, str | None]:
    """How an item that was stored before is entered: known, or to be asked for if it changed.

    before: its row of an earlier run, or None.
    """
    evidence = sighting.evidence
    stated = _statement(before.content) if before is not None else evidence["licence_text"]
    has_same_licence = item.statement in ("", stated)
    has_same_bytes = item.version != "" and item.version == evidence.get("version")
    aged = replace(
        entry,
        etag=evidence["headers"].get("etag", ""),
        last_modified=evidence["headers"].get("last-modified", ""),
    )
    can_change = item.version != "" or aged.etag != "" or aged.last_modified != ""
    if has_same_licence and (has_same_bytes or not can_change):
        return aged, KNOWN
    return aged, None


def _is_as_refused(entry: Entry, at: str | None, before: Any) -> bool:
    """Whether an earlier run asked for just this and refused it for good by what came back.

    at: the address of the lasting rejection, or None. before: as in `_as_seen`. Without content it
    was refused where it was named, and its source now says something else.
    """
    return (
        at is not None
        and place(at) == place(entry.url)
        and before is not None
        and _statement(before.content) == _statement(entry.content)
        and bool(before.content)
    )


def _statement(content: Mapping[str, Any]) -> str:
    permit = content.get("permit")
    return str(permit["statement"]["text"]) if permit else ""


def _entry(row: Any) -> Entry:
    return Entry(
        key=row.key,
        kind=Kind(row.kind),
        url=row.url,
        content=row.content,
        parent=row.parent,
        etag=row.etag,
        last_modified=row.last_modified,
        hops=row.hops,
        entry_id=row.entry_id,
    )


def _hosts(url: str) -> dict[str, str | int]:
    host = host_of(url)
    return {"host": host, "host_number": host_number(host)}


def _insert(connection: Connection) -> Callable[[Table], Any]:
    return postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert


def _portions(things: Sequence[T]) -> Iterator[Sequence[T]]:
    """Few enough for one statement."""
    for start in range(0, len(things), _KEYS_A_STATEMENT):
        yield things[start : start + _KEYS_A_STATEMENT]
