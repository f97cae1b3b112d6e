"""All that the catalogue knows of an image goes, from its file, too, and nothing else does."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.erase import (
    bury,
    bury_found_again,
    erase,
    held_by_annotators,
    pages_of,
    read_tombstones,
)
from mirrorset.catalogue.frontier import Entry, Frontier, Item, Kind, open_run
from mirrorset.catalogue.tables import TABLE_OF
from mirrorset.erasure import Gone
from mirrorset.records import (
    Annotation,
    Batch,
    Decision,
    Evidence,
    Honeypot,
    ImageRecord,
    LedgerEntry,
    Licence,
    Quarantine,
    Reason,
    Record,
    Rejected,
    Sent,
    Sighting,
    Verdict,
    Verification,
)

AT = datetime(2026, 5, 6, tzinfo=UTC)
GONE, KEPT = "ab" * 32, "cd" * 32
KEY = "ef" * 32


def known_of(image_id: str, item: str, page: str) -> list[Record]:
    """A record of every kind about one image."""
    label = Annotation(
        image_id=image_id, faces=(), origin="model", by="m", schema_version="1", made_at=AT
    )
    seen = {"image_id": image_id, "source": "gallery", "source_item_id": item}
    return [
        ImageRecord(
            image_id=image_id,
            media_type="image/jpeg",
            size_bytes=1,
            width_px=1,
            height_px=1,
            pixel_hash=image_id,
            phash=image_id[:16],
        ),
        Sighting(
            **seen,
            page_url=page,
            image_url=f"http://x/{item}.jpg",
            licence=Licence(code="CC0"),
            evidence=Evidence(licence_read_from="a", licence_text="b", crawler="c"),
            seen_at=AT,
        ),
        Verification(**seen, verified_at=AT),
        Quarantine(**seen, reason=Reason.GONE, detail="", since=AT, expires_at=AT),
        label,
        Verdict(image_id=image_id, check="adult", passed=True),
        Decision(
            image_id=image_id, gate="adult", action="release", by="A", reason="b", decided_at=AT
        ),
        Rejected(item_id=image_id, step="select", reason=Reason.POSE),
        Rejected(item_id=f"gallery:{item}", step="crawl", reason=Reason.GONE),
        Honeypot(batch_id="b1", image_id=image_id),
        Sent(batch_id="b1", image_id=image_id, annotation=label),
        LedgerEntry(
            image_id=image_id, group_id=image_id[:4], split="test", image_shard=0, minted_at=AT
        ),
    ]


@pytest.fixture
def catalogue(catalogue_url: str) -> Catalogue:
    with Catalogue(catalogue_url) as opened:
        opened.upsert(known_of(GONE, "1", "http://x/1.html"))
        opened.upsert(known_of(KEPT, "12", "http://x/12.html"))
        yield opened


GOING = Gone(
    frozenset({GONE}),
    frozenset({"gallery:1"}),
    frozenset({"http://x/1.html", "http://x/1.jpg"}),
)


def test_every_row_of_it_goes_and_no_other(catalogue: Catalogue, tmp_path: Path) -> None:
    kept = {kind: list(catalogue.read(kind)) for kind in TABLE_OF}
    listed = erase(catalogue, GOING, is_dry_run=True)
    assert {kind: list(catalogue.read(kind)) for kind in TABLE_OF} == kept
    assert erase(catalogue, GOING) == listed
    assert {one.name: one.count for one in listed} == {
        "rejected": 2, "sightings": 1, "verifications": 1, "quarantine": 1, "annotations": 1,
        "verdicts": 1, "decisions": 1, "honeypots": 1, "sent": 1, "ledger": 1, "images": 1,
    }  # fmt: skip
    left = [one for kind in TABLE_OF for one in catalogue.read(kind)]
    assert left == [
        one
        for kind in TABLE_OF
        for one in kept[kind]
        if getattr(one, "image_id", getattr(one, "item_id", "")) not in (GONE, "gallery:1")
    ]
    assert erase(catalogue, GOING) == []
    for file in tmp_path.iterdir():
        assert GONE.encode() not in file.read_bytes(), "not in what SQLite has freed either"


def test_what_a_crawl_found_of_it_is_forgotten(catalogue: Catalogue) -> None:
    run = open_run(catalogue, "gallery", "a gallery", ["http://x/"], start={})
    frontier = Frontier(catalogue, "gallery", "a gallery", run)
    pages = [Entry(f"page:x/{n}.html", Kind.PAGE, f"http://x/{n}.html", {}) for n in (1, 12)]
    listing = Entry("listing:x/", Kind.LISTING, "http://x/", {})
    frontier.begin([listing])
    (listing,) = frontier.take(1)
    items = [Item(n, f"http://x/{n}.png", {"page_url": f"http://x/{n}.html"}) for n in ("1", "12")]
    frontier.settle_read(listing, followed=pages, items=items, refused=[])
    erase(catalogue, GOING)
    assert {entry.key for entry in frontier.take(9)} == {"page:x/12.html"}
    assert frontier.counts().outcomes == {"known": 1}


def test_addresses_that_show_something_else_as_well_are_not_given_up(catalogue: Catalogue) -> None:
    both = "http://x/1.html"
    (seen, *_) = catalogue.read(Sighting, image_id=GONE)
    assert pages_of(catalogue, [seen]) == {both, "http://x/1.jpg"}
    (other, *_) = catalogue.read(Sighting, image_id=KEPT)
    catalogue.upsert([other.model_copy(update={"page_url": both})])
    assert pages_of(catalogue, [seen]) == {"http://x/1.jpg"}


def test_batches_wait_for_annotators(catalogue: Catalogue) -> None:
    batch = Batch(
        batch_id="b1",
        image_ids=(GONE, KEPT),
        schema_version="1",
        server="s",
        project="p",
        task="t",
        state="pushed",
    )
    catalogue.upsert([batch])
    erase(catalogue, GOING)
    assert held_by_annotators(catalogue, GOING.image_ids) == 1
    catalogue.upsert([batch.model_copy(update={"image_ids": (KEPT,)})])
    assert held_by_annotators(catalogue, GOING.image_ids) == 0


def test_where_an_erased_picture_is_met_again_is_kept_as_a_tombstone_alone(
    catalogue: Catalogue,
) -> None:
    bury(catalogue, KEY, [("bytes", GONE), ("item", "gallery:1")])
    first = read_tombstones(catalogue, KEY)
    bury(catalogue, KEY, [("bytes", GONE)])
    assert read_tombstones(catalogue, KEY) == first
    assert len(first.hashes) == 2
    assert read_tombstones(catalogue, "").standing([("bytes", GONE)]) is None
    run = open_run(catalogue, "gallery", "a gallery", ["http://x/"], start={})
    frontier = Frontier(catalogue, "gallery", "a gallery", run)
    frontier.begin([Entry("item:9", Kind.ITEM, "http://y/9.jpg", {"page_url": ""})])
    (entry,) = frontier.take(1)
    frontier.settle_items([(entry, str(Reason.ERASED), ())])
    bury_found_again(catalogue, KEY)
    assert frontier.counts().outcomes == {}
    now = read_tombstones(catalogue, KEY)
    assert now.standing([("item", "gallery:9")])
    assert now.standing([("address", "https://y/9.jpg")])


def test_forty_thousand_images_go_at_once(catalogue: Catalogue) -> None:
    """More than a statement of SQLite takes variables, or an expression parts."""
    others = [f"{number:064x}" for number in range(40_000)]
    many = Gone(
        GOING.image_ids | set(others),
        GOING.items | {f"gallery:b{number}" for number in range(40_000)},
        GOING.addresses | {f"http://y/{number}.jpg" for number in range(40_000)},
    )
    expected = erase(catalogue, GOING, is_dry_run=True)
    assert erase(catalogue, many, is_dry_run=True) == expected
    assert erase(catalogue, many) == expected


def test_many_words_are_found_as_few_are() -> None:
    words = [f"http://x/{number}/{number * 7919}.jpg" for number in range(200)]
    few, many = (
        Gone(frozenset(), addresses=frozenset(words[150:151])),
        Gone(frozenset({GONE}), frozenset({"gallery:1"}), frozenset(words)),
    )
    for text, is_there in (
        (f'{{"page_url":"{words[150]}"}}', True),
        (words[150], True),
        (words[150][1:], False),
        (words[150][:-1], False),
        ("", False),
        ("x", False),
    ):
        assert few.is_in(text.encode()) is many.is_in(text.encode()) is is_there
    assert many.is_in(b"see " + GONE[:16].encode())
    assert many.is_in(b"it was gallery:1.")
