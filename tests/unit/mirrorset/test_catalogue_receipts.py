"""Receipts by image, and which of them are due to be checked."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.frontier import Entry, Frontier, Item, Kind, open_run
from mirrorset.catalogue.receipts import count_orphans, crawled, due, receipt_of, sightings_of
from mirrorset.errors import InputError
from mirrorset.records import (
    Evidence,
    ImageRecord,
    Licence,
    Quarantine,
    Reason,
    Record,
    Sighting,
    Verification,
    utc_now,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
START = {"source": "gallery", "url": "http://h.org/map.xml"}


@pytest.fixture
def catalogue(catalogue_url: str) -> Iterator[Catalogue]:
    with Catalogue(catalogue_url) as opened:
        yield opened


def image_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def seen(name: str, at: datetime = NOON, source: str = "gallery") -> list[Record]:
    """An image and its sighting, each named alike."""
    image = ImageRecord(
        image_id=image_id(name), media_type="image/jpeg", size_bytes=1, width_px=1, height_px=1,
        pixel_hash=image_id(name), phash="0" * 16,
    )  # fmt: skip
    sighting = Sighting(
        image_id=image.image_id,
        source=source,
        source_item_id=name,
        page_url=f"http://h.org/{name}",
        image_url=f"http://h.org/{name}.jpg",
        licence=Licence(code="CC0", version="1.0"),
        evidence=Evidence(licence_read_from="x", licence_text="CC0", crawler="mirrorset/0"),
        seen_at=at,
    )
    return [image, sighting]


def found_by(catalogue: Catalogue, title: str, *names: str) -> None:
    """A crawl that found items of these names."""
    run = open_run(catalogue, "gallery", title, [], START)
    frontier = Frontier(catalogue, "gallery", title, run)
    listing = Entry(f"listing:{title}", Kind.LISTING, "http://h.org/map.xml", {})
    frontier.begin([listing])
    (taken,) = frontier.take(1)
    items = [Item(name, f"http://h.org/{name}.jpg", {}) for name in names]
    frontier.settle_read(taken, [], items, [])
    frontier.end()


def verification(name: str, at: datetime) -> Verification:
    return Verification(
        image_id=image_id(name), source="gallery", source_item_id=name, verified_at=at
    )


def quarantine(name: str, expires_at: datetime, released: datetime | None = None) -> Quarantine:
    return Quarantine(
        image_id=image_id(name),
        source="gallery",
        source_item_id=name,
        reason=Reason.GONE,
        detail="The server answered 404.",
        since=NOON,
        expires_at=expires_at,
        released_at=released,
    )


def names(catalogue: Catalogue, before: datetime, after: str = "", count: int = 9) -> list[str]:
    found = due(catalogue, "gallery", "gallery a", before, after, count)
    return [one.source_item_id for one in found]


def test_due_is_what_was_neither_seen_nor_verified_since(catalogue: Catalogue) -> None:
    for name in "abcd":
        catalogue.upsert(seen(name, at=NOON if name != "d" else NOON + 5 * DAY))
    found_by(catalogue, "gallery a", *"abcd")
    catalogue.upsert([verification("b", NOON + DAY), verification("c", NOON + 9 * DAY)])
    assert names(catalogue, NOON) == []
    assert names(catalogue, NOON + DAY) == ["a"]
    assert names(catalogue, NOON + 2 * DAY) == ["a", "b"]
    assert names(catalogue, NOON + 10 * DAY) == ["a", "b", "c", "d"]
    assert names(catalogue, NOON + 10 * DAY, after="b", count=1) == ["c"]


def test_what_is_in_quarantine_is_due_until_it_expires(catalogue: Catalogue) -> None:
    for name in "abc":
        catalogue.upsert(seen(name))
    found_by(catalogue, "gallery a", *"abc")
    catalogue.upsert(
        [
            quarantine("a", utc_now() + DAY),
            quarantine("b", utc_now() - DAY),
            quarantine("c", utc_now() + DAY, released=utc_now()),
        ]
    )
    assert names(catalogue, NOON) == ["a"]
    assert names(catalogue, utc_now()) == ["a", "c"]
    for name, is_held in (("a", True), ("b", True), ("c", False)):
        kept = receipt_of(catalogue, "gallery", name)
        assert kept is not None
        assert kept[0].source_item_id == name
        assert (kept[1] is not None) == is_held
    assert receipt_of(catalogue, "gallery", "no") is None


def test_a_quarantine_is_of_one_image(catalogue: Catalogue) -> None:
    catalogue.upsert(seen("a"))
    found_by(catalogue, "gallery a", "a")
    catalogue.upsert([quarantine("a", utc_now() + DAY)])
    (image, sighting) = seen("b")
    renewed = sighting.model_copy(update={"source_item_id": "a"})
    catalogue.upsert([image, renewed])
    kept = receipt_of(catalogue, "gallery", "a")
    assert kept == (renewed, None)


def test_what_two_crawls_found_is_checked_by_one(catalogue: Catalogue) -> None:
    for name in "abc":
        catalogue.upsert(seen(name))
    found_by(catalogue, "gallery a", "a", "b")
    found_by(catalogue, "gallery b", "b", "c")
    shares = [
        [one.source_item_id for one in due(catalogue, "gallery", title, utc_now(), "", 9)]
        for title in ("gallery a", "gallery b")
    ]
    assert sorted(shares[0] + shares[1]) == ["a", "b", "c"]
    assert [one.title for one in crawled(catalogue)] == ["gallery a", "gallery b"]
    assert [dict(one.start) for one in crawled(catalogue)] == [START, START]


def test_what_no_crawl_found_is_counted(catalogue: Catalogue) -> None:
    catalogue.upsert([*seen("a"), *seen("b")])
    assert count_orphans(catalogue) == 2
    found_by(catalogue, "gallery a", "a")
    assert count_orphans(catalogue) == 1
    # A re-check has no start of its own, and adopts nothing.
    open_run(catalogue, "gallery", "verify gallery a", [])
    assert [one.title for one in crawled(catalogue)] == ["gallery a"]


def test_an_image_is_found_by_the_first_digits_of_its_id(catalogue: Catalogue) -> None:
    catalogue.upsert(seen("a"))
    catalogue.upsert([one for one in seen("a", source="wiki") if isinstance(one, Sighting)])
    catalogue.upsert(seen("b"))
    for image in (image_id("a"), image_id("a")[:8]):
        assert [one.source for one in sightings_of(catalogue, image)] == ["gallery", "wiki"]
    for wrong in ("", image_id("a")[:7], "g" * 64, image_id("a") + "0", "%" * 8):
        with pytest.raises(InputError, match="no image id"):
            sightings_of(catalogue, wrong)
    with pytest.raises(InputError, match="No receipt is kept of an image 00000000"):
        sightings_of(catalogue, "0" * 8)


def test_an_id_that_begins_several_is_refused(catalogue: Catalogue) -> None:
    for last in "12":
        image, sighting = seen(last)
        same = {"image_id": "a" * 63 + last}
        catalogue.upsert([image.model_copy(update=same), sighting.model_copy(update=same)])
    with pytest.raises(InputError, match=r"2 images begin with aaaaaaaa.*more digits"):
        sightings_of(catalogue, "a" * 8)
