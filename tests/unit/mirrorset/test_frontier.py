"""The frontier loses nothing and does nothing twice, in any order and killed anywhere."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import event

from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.frontier import (
    KNOWN,
    STORED,
    UNCHANGED,
    Entry,
    Frontier,
    Item,
    Kind,
    Shard,
    crawl_id_of,
    host_number,
    host_of,
    open_run,
    place,
)
from mirrorset.records import (
    Evidence,
    ImageRecord,
    Licence,
    Reason,
    Record,
    Rejected,
    Sighting,
    utc_now,
)

SOURCE, TITLE = "gallery", "gallery http://h.org:8000/map.xml"
LISTING = "http://h.org:8000/map.xml"
BY = "https://creativecommons.org/licenses/by/4.0/"


@pytest.fixture
def catalogue(catalogue_url: str) -> Iterator[Catalogue]:
    with Catalogue(catalogue_url) as opened:
        yield opened


def begun(catalogue: Catalogue, shard: Shard | None = None) -> Frontier:
    """The frontier of the run to do now, with its first listing."""
    run = open_run(catalogue, SOURCE, TITLE, [LISTING])
    frontier = Frontier(catalogue, SOURCE, TITLE, run, shard)
    frontier.begin([Entry(f"listing:{place(LISTING)}", Kind.LISTING, LISTING, {})])
    return frontier


def page(name: str, host: str = "h.org") -> Entry:
    url = f"http://{host}/{name}.html"
    return Entry(f"page:{place(url)}", Kind.PAGE, url, {})


def item(name: str, host: str = "h.org", version: str = "", statement: str = BY) -> Item:
    """An item whose candidate's content is as the crawlers write it, as far as it is read here."""
    content: dict[str, Any] = {"name": name}
    if statement:
        content["permit"] = {"statement": {"text": statement}}
    return Item(name, f"http://{host}/{name}.jpg", content, version, statement)


def stored(entry: Entry, version: str = "", **headers: str) -> tuple[Entry, str, Sequence[Record]]:
    """An item settled as stored, with its records."""
    image_id = hashlib.sha256(entry.key.encode()).hexdigest()
    image = ImageRecord(
        image_id=image_id, media_type="image/jpeg", size_bytes=1, width_px=1, height_px=1,
        pixel_hash=image_id, phash="0" * 16,
    )  # fmt: skip
    sighting = Sighting(
        image_id=image_id,
        source=SOURCE,
        source_item_id=entry.source_item_id,
        page_url="",
        image_url=entry.url,
        licence=Licence(code="CC-BY", version="4.0", url=BY),
        evidence=Evidence(
            licence_read_from="x",
            licence_text=BY,
            version=version,
            headers=headers,
            crawler="mirrorset/0",
        ),
        seen_at=utc_now(),
    )
    return entry, STORED, (image, sighting)


def refused(
    entry: Entry, reason: Reason, is_retryable: bool = False
) -> tuple[Entry, str, Sequence[Record]]:
    """An item settled as rejected."""
    record = Rejected(
        item_id=f"{SOURCE}:{entry.source_item_id}",
        step="crawl",
        reason=reason,
        image_url=entry.url,
        is_retryable=is_retryable,
    )
    return entry, str(reason), (record,)


def read_listing(frontier: Frontier, *found: Entry | Item, etag: str = "") -> None:
    """Settle the one entry that waits, a listing or page, with what it named."""
    (entry,) = frontier.take(10)
    frontier.settle_read(
        entry,
        followed=[one for one in found if isinstance(one, Entry)],
        items=[one for one in found if isinstance(one, Item)],
        refused=[],
        etag=etag,
    )


def names(entries: Sequence[Entry]) -> list[str]:
    return [entry.key for entry in entries]


def test_what_has_begun_comes_first(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    further = Entry("listing:h.org/more", Kind.LISTING, "http://h.org/more", {})
    read_listing(frontier, further, page("a"), item("b"))
    assert names(frontier.take(10)) == ["item:b", "page:h.org/a.html", "listing:h.org/more"]
    assert names(frontier.take(2)) == ["item:b", "page:h.org/a.html"]
    assert names(frontier.take(10, is_item_taken=False)) == [
        "page:h.org/a.html", "listing:h.org/more",
    ]  # fmt: skip


def test_what_is_taken_or_of_a_busy_host_is_passed_over(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    read_listing(frontier, item("a"), item("b", host="other.org"))
    (first, second) = frontier.take(10)
    assert names(frontier.take(10, taken=[first.entry_id])) == ["item:b"]
    assert names(frontier.take(10, busy_hosts=["h.org"])) == ["item:b"]
    assert frontier.take(10, taken=[second.entry_id], busy_hosts=["h.org"]) == []
    assert frontier.has_pending()


def test_a_run_goes_on_with_what_is_not_settled(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    read_listing(frontier, page("p"), item("a"), item("b"))
    first, *_ = frontier.take(1)
    frontier.settle_items([stored(first)])
    again = begun(catalogue)
    assert names(again.take(10)) == ["item:b", "page:h.org/p.html"]
    counts = again.counts()
    assert (counts.outcomes, counts.pending) == ({STORED: 1}, {Kind.ITEM: 1, Kind.PAGE: 1})
    assert counts.found == 2


def test_a_settled_read_is_whole_or_absent(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    (listing,) = frontier.take(1)
    damaged = Rejected(item_id="gallery:x\ud800", step="crawl", reason=Reason.ROBOTS)
    with pytest.raises(Exception, match=r"refuses|surrogates"):
        frontier.settle_read(listing, [page("p")], [item("a")], [damaged])
    assert names(frontier.take(10)) == names([listing])


def test_one_item_named_twice_is_one_item(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    read_listing(frontier, page("p"), item("a"), item("a"))
    (first, second) = frontier.take(2)
    frontier.settle_items([stored(first)])
    frontier.settle_read(second, [page("p")], [item("a")], [])
    assert not frontier.has_pending()
    assert frontier.counts().found == 1


def test_a_second_run_asks_only_for_what_is_new(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    read_listing(frontier, item("a"), item("b"), item("c"))
    a, b, c = frontier.take(10)
    frontier.settle_items(
        [stored(a), refused(b, Reason.TOO_SMALL), refused(c, Reason.HTTP_ERROR, is_retryable=True)]
    )
    frontier.end()

    second = begun(catalogue)
    read_listing(second, item("a"), item("b"), item("c"), item("d"))
    assert names(second.take(10)) == ["item:c", "item:d"]
    assert second.counts().outcomes == {KNOWN: 2}


@pytest.mark.parametrize(
    ("before", "now", "is_asked"),
    [
        (("1", {}), ("1", BY), False),
        (("1", {}), ("2", BY), True),
        (("1", {}), ("1", "CC BY-SA 4.0"), True),
        (("", {}), ("", BY), False),
        (("", {}), ("", ""), False),
        (("", {"etag": '"x"'}), ("", BY), True),
        (("", {"last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"}), ("", BY), True),
        (("1", {"etag": '"x"'}), ("1", BY), False),
    ],
)
def test_what_was_stored_is_asked_for_where_it_may_have_changed(
    catalogue: Catalogue, before: tuple[str, dict[str, str]], now: tuple[str, str], is_asked: bool
) -> None:
    version, headers = before
    frontier = begun(catalogue)
    read_listing(frontier, item("a", version=version))
    (entry,) = frontier.take(1)
    frontier.settle_items([stored(entry, version, **headers)])
    frontier.end()

    second = begun(catalogue)
    read_listing(second, item("a", version=now[0], statement=now[1]))
    taken = second.take(10)
    assert bool(taken) is is_asked
    if taken:
        assert taken[0].etag == headers.get("etag", "")
        assert taken[0].last_modified == headers.get("last-modified", "")
        second.settle_items([(taken[0], UNCHANGED, ())])
    assert second.counts().outcomes == {UNCHANGED if is_asked else KNOWN: 1}


@pytest.mark.parametrize(
    "changed",
    [item("a", statement="CC BY-SA 4.0"), replace(item("a"), url="http://h.org/larger.jpg")],
)
def test_what_was_refused_is_asked_for_where_its_source_says_something_else(
    catalogue: Catalogue, changed: Item
) -> None:
    frontier = begun(catalogue)
    read_listing(frontier, item("a"))
    (entry,) = frontier.take(1)
    frontier.settle_items([refused(entry, Reason.TOO_SMALL)])
    frontier.end()
    second = begun(catalogue)
    read_listing(second, changed)
    assert names(second.take(10)) == ["item:a"]


def test_what_was_refused_where_it_was_named_is_asked_for_when_it_is_not_any_more(
    catalogue: Catalogue,
) -> None:
    frontier = begun(catalogue)
    (listing,) = frontier.take(1)
    no_licence = Rejected(item_id="gallery:a", step="crawl", reason=Reason.LICENCE_MISSING)
    frontier.settle_read(listing, [], [], [no_licence])
    assert frontier.counts().outcomes == {"licence_missing": 1}
    frontier.end()
    second = begun(catalogue)
    read_listing(second, item("a"))
    assert names(second.take(10)) == ["item:a"]


def test_a_page_that_cannot_say_whether_it_changed_is_carried_over(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    read_listing(frontier, page("p"), page("failed"))
    failed, shown = sorted(frontier.take(2), key=lambda entry: entry.key)
    no_licence = Rejected(item_id="gallery:n", step="crawl", reason=Reason.LICENCE_MISSING)
    frontier.settle_read(shown, [], [item("a"), item("b")], [no_licence])
    a, b = frontier.take(2, taken=[failed.entry_id])
    frontier.settle_items([stored(a), refused(b, Reason.HTTP_ERROR, is_retryable=True)])
    lost = Rejected(item_id="gallery:f", step="crawl", reason=Reason.HTTP_ERROR, is_retryable=True)
    frontier.settle_refused(failed, lost)
    assert not frontier.has_pending()
    frontier.end()

    second = begun(catalogue)
    read_listing(second, page("p"), page("failed"))
    assert names(second.take(10)) == ["item:b", "page:h.org/failed.html"]
    assert second.counts().outcomes == {KNOWN: 1, "licence_missing": 1}


def test_a_page_with_an_etag_is_asked_for_under_it(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    read_listing(frontier, page("p"))
    read_listing(frontier, item("a"), etag='"1"')
    frontier.settle_items([stored(frontier.take(1)[0])])
    frontier.end()

    second = begun(catalogue)
    read_listing(second, page("p"))
    (asked,) = second.take(10)
    assert asked.etag == '"1"'
    second.settle_unchanged_page(asked)
    assert not second.has_pending()
    assert second.counts().outcomes == {KNOWN: 1}
    second.end()

    # It keeps its ETag for the run after.
    third = begun(catalogue)
    read_listing(third, page("p"))
    assert third.take(10)[0].etag == '"1"'


def test_a_limit_counts_what_listings_name(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    further = Entry("listing:h.org/more", Kind.LISTING, "http://h.org/more", {})
    read_listing(frontier, further, page("p"), item("a"))
    assert (frontier.count_named(), frontier.count_listings()) == (2, 2)
    shown = next(entry for entry in frontier.take(10) if entry.kind == Kind.PAGE)
    frontier.settle_read(shown, [], [item("b"), item("c")], [])
    assert frontier.count_named() == 2
    frontier.end()
    assert begun(catalogue).count_named() == 0


def test_what_moved_is_left_to_the_process_whose_host_it_is(catalogue: Catalogue) -> None:
    hosts = {host_number(f"{name}.org") % 2: f"{name}.org" for name in "abcdefgh"}
    frontier = begun(catalogue)
    read_listing(frontier, item("a", host=hosts[0]))
    first, second = (begun(catalogue, Shard(index, 2)) for index in range(2))
    (entry,) = first.take(10)
    assert second.take(10) == []
    first.move(entry, f"http://{hosts[1]}/b.jpg")
    assert first.take(10) == []
    (moved,) = second.take(10)
    assert (moved.url, moved.hops, moved.key) == (f"http://{hosts[1]}/b.jpg", 1, "item:a")
    assert second.has_pending()
    assert first.has_pending()


@given(
    hosts=st.lists(st.from_regex(r"[a-z0-9\-]{1,20}(\.[a-z]{2,6}){0,2}", fullmatch=True)),
    count=st.integers(1, 9),
)
def test_every_host_is_of_one_process(hosts: list[str], count: int) -> None:
    shards = [Shard(index, count) for index in range(count)]
    for host in hosts:
        assert sum(shard.owns(host) for shard in shards) == 1


def test_shards_take_everything_once(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    read_listing(frontier, *(item(str(n), host=f"h{n % 7}.org") for n in range(100)))
    frontier.begin([Entry("listing:x", Kind.LISTING, "list:///x.csv", {})])
    shares = [begun(catalogue, Shard(index, 3)).take(1000) for index in range(3)]
    assert sum(map(len, shares)) == 101
    assert len({entry.entry_id for share in shares for entry in share}) == 101
    of_hosts = [{entry.host for entry in share} for share in shares]
    assert not of_hosts[0] & of_hosts[1]
    assert not of_hosts[1] & of_hosts[2]


def test_requests_of_a_day_are_counted_over_all_processes(catalogue: Catalogue) -> None:
    first, second = (begun(catalogue, Shard(index, 2)) for index in range(2))
    assert first.count_requests(3) == 3
    assert second.count_requests(4) == 7
    assert first.count_requests(0) == 7
    other = Frontier(catalogue, "commons", "commons selfie", 1)
    assert other.count_requests(1) == 1


def test_an_ended_run_is_followed_by_a_new_one(catalogue: Catalogue) -> None:
    assert open_run(catalogue, SOURCE, TITLE, [LISTING]) == 1
    assert open_run(catalogue, SOURCE, TITLE, [LISTING]) == 1
    begun(catalogue).end()
    assert open_run(catalogue, SOURCE, TITLE, [LISTING]) == 2
    assert open_run(catalogue, SOURCE, "gallery http://other.org/", []) == 1


def test_addresses_that_moved_begin_a_new_run_of_the_same_crawl(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    read_listing(frontier, item("a"), item("b"))
    frontier.settle_items([stored(frontier.take(1)[0])])
    moved, title = LISTING.replace("8000", "8001"), TITLE.replace("8000", "8001")
    assert crawl_id_of(title) == crawl_id_of(TITLE)
    assert open_run(catalogue, SOURCE, title, [moved]) == 2
    second = Frontier(catalogue, SOURCE, title, 2)
    assert second.take(10) == []
    second.begin([Entry(f"listing:{place(moved)}", Kind.LISTING, moved, {})])
    read_listing(second, item("a"), item("b"))
    assert names(second.take(10)) == ["item:b"]


def test_what_is_known_shows_its_author_once_a_start_says_so(catalogue: Catalogue) -> None:
    frontier = begun(catalogue)
    read_listing(frontier, item("a"), item("b"))
    frontier.settle_items([stored(entry) for entry in frontier.take(2)])
    frontier.end()

    def shown() -> dict[str, bool]:
        return {one.source_item_id: one.shows_author for one in catalogue.read(Sighting)}

    assert shown() == {"a": False, "b": False}
    title = "gallery http://h.org/selfies.xml"
    run = open_run(catalogue, SOURCE, title, [LISTING])
    selfies = Frontier(catalogue, SOURCE, title, run, shows_author=True)
    selfies.begin([Entry(f"listing:{place(LISTING)}", Kind.LISTING, LISTING, {})])
    read_listing(selfies, item("a"))
    assert selfies.take(10) == []
    assert shown() == {"a": True, "b": False}

    # Found anew where nothing is said of it.
    for key in ("item:a", "item:b"):
        _, _, records = stored(Entry(key, Kind.ITEM, "http://h.org/x.jpg", {}))
        catalogue.upsert(records)
    assert shown() == {"a": True, "b": False}


@pytest.mark.parametrize(
    ("url", "host", "stays"),
    [
        ("http://H.org:80/a?b#c", "h.org", "h.org/a?b"),
        ("https://me:secret@h.org", "h.org", "h.org/"),
        ("http://[::1]:8080/a", "::1", "::1/a"),
        ("list:///a.csv?first=0", "", "list:///a.csv?first=0"),
        ("s3://bucket/a.jpg", "", "s3://bucket/a.jpg"),
    ],
)
def test_a_host_and_a_place_outlive_schemes_and_ports(url: str, host: str, stays: str) -> None:
    assert (host_of(url), place(url)) == (host, stays)


# --- killed anywhere --------------------------------------------------------------------------


@st.composite
def sites(draw: st.DrawFn) -> dict[str, list[str]]:
    """What each listing (0 is the first), and each page, names."""
    listings = [f"L{n}" for n in range(draw(st.integers(1, 4)))]
    pages = [f"p{n}" for n in range(draw(st.integers(0, 6)))]
    items = [f"i{n}" for n in range(draw(st.integers(1, 12)))]
    named = {name: draw(st.lists(st.sampled_from(items), max_size=5)) for name in pages}
    some = [*pages, *items, *listings]
    return named | {name: draw(st.lists(st.sampled_from(some), max_size=8)) for name in listings}


def reachable(site: dict[str, list[str]]) -> set[str]:
    seen: set[str] = set()
    waiting = ["L0"]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += site.get(name, [])
    return {name for name in seen if name.startswith("i")}


class KilledError(Exception):
    """What `kill -9` is to a transaction: it is as if it had not begun."""


@contextmanager
def maybe_killed(catalogue: Catalogue, is_killed: bool) -> Iterator[None]:
    """A transaction inside that is undone where the process is killed before it commits."""

    def kill(_: object) -> None:
        raise KilledError

    if is_killed:
        event.listen(catalogue._engine, "commit", kill)
    try:
        yield
    except KilledError:
        pass
    finally:
        if is_killed:
            event.remove(catalogue._engine, "commit", kill)


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a catalogue without a record: to make its tables takes longest of all."""
    file = tmp_path_factory.mktemp("empty") / "catalogue.sqlite"
    with Catalogue(f"sqlite:///{file}"):
        return file


@given(site=sites(), draws=st.data(), shards=st.integers(1, 3))
def test_every_item_is_settled_exactly_once(
    tmp_path_factory: pytest.TempPathFactory,
    empty: Path,
    site: dict[str, list[str]],
    draws: st.DataObject,
    shards: int,
) -> None:
    """Whatever is settled in whichever order by whichever process, and killed wherever."""
    settled: list[str] = []

    def as_entry(name: str) -> Entry:
        kind = Kind.LISTING if name.startswith("L") else Kind.PAGE
        prefix = "listing" if kind == Kind.LISTING else "page"
        return Entry(f"{prefix}:{name}", kind, f"http://{name}.org/", {"name": name})

    file = shutil.copy(empty, tmp_path_factory.mktemp("killed"))
    with Catalogue(f"sqlite:///{file}") as catalogue:
        run = open_run(catalogue, SOURCE, TITLE, [])
        processes = [
            Frontier(catalogue, SOURCE, TITLE, run, Shard(index, shards)) for index in range(shards)
        ]
        for process in processes:
            process.begin([as_entry("L0")])
        while processes[0].has_pending():
            process = draws.draw(st.sampled_from(processes))
            taken = process.take(draws.draw(st.integers(1, 8)))
            if not taken:
                continue
            entry = draws.draw(st.sampled_from(taken))
            is_killed = draws.draw(st.booleans())
            with maybe_killed(catalogue, is_killed):
                if entry.kind == Kind.ITEM:
                    process.settle_items([stored(entry)])
                    settled.append(entry.source_item_id)
                    continue
                named = site[entry.content["name"]]
                process.settle_read(
                    entry,
                    followed=[as_entry(name) for name in named if name in site],
                    items=[item(name, host=f"{name}.org") for name in named if name not in site],
                    refused=[],
                )
        counts = processes[0].counts()
        seen = sorted(one.source_item_id for one in catalogue.read(Sighting))
    assert sorted(settled) == seen == sorted(reachable(site))
    assert counts.outcomes == ({STORED: len(seen)} if seen else {})
