"""A MediaWiki API over real HTTP: continued, lagging, refusing; and what its hosts ask for."""

import hashlib
from pathlib import Path

import pytest
from loopback import BY, Answer, Site, Wiki, file_page, kept, ordered, photograph

from crawlers.order import CrawlSummary
from crawlers.run import crawl
from crawlers.sources.commons import CommonsStart
from mirrorset.blobs import BlobStore
from mirrorset.catalogue import Catalogue
from mirrorset.errors import UnavailableError
from mirrorset.pixels import inspect
from mirrorset.records import Evidence, Licence, Reason, Sighting, utc_now


def searched(site: Site) -> CommonsStart:
    return CommonsStart(api_url=f"{site.url}/w/api.php", search="selfie", page_size=3)


def seen_before(site: Site, number: int, content: bytes) -> Sighting:
    """What another crawl of the wiki kept of a file."""
    return Sighting(
        image_id=hashlib.sha256(content).hexdigest(),
        source="commons",
        source_item_id=str(number),
        page_url=f"{site.url}/wiki/File:{number}.jpg",
        image_url=f"{site.url}/commons/{number}.jpg",
        licence=Licence(code="CC-BY", version="4.0", url=BY),
        evidence=Evidence(
            licence_read_from="extmetadata.LicenseUrl",
            licence_text=BY,
            version=hashlib.sha1(content, usedforsecurity=False).hexdigest(),
            crawler="mirrorset/0",
        ),
        seen_at=utc_now(),
    )


def test_commons_continues_waits_and_verifies(site: Site, tmp_path: Path) -> None:
    pages = [file_page(site, number, photograph(number)) for number in range(1, 8)]
    pages[1] = file_page(site, 2, photograph(2), sha1="0" * 40)
    pages[3] = file_page(site, 4, photograph(4), extmetadata={})
    pages[4] = file_page(site, 5, photograph(5), mime="image/svg+xml")
    wiki = Wiki(site, pages)
    order = ordered(tmp_path, searched(site))
    BlobStore(order.blobs_url).put(photograph(7))
    with Catalogue(order.catalogue_url) as catalogue:
        catalogue.upsert(
            [inspect(photograph(7), order.pixels), seen_before(site, 7, photograph(7))]
        )
    summary = crawl(order)
    store = kept(order)

    assert {seen.source_item_id for seen in store.sightings} == {"1", "3", "6", "7"}
    assert {item.item_id: item.reason for item in store.rejected} == {
        "commons:2": Reason.CHECKSUM,
        "commons:4": Reason.LICENCE_MISSING,
        "commons:5": Reason.NOT_AN_IMAGE,
    }
    assert (summary.found, summary.stored, summary.already_known) == (7, 3, 1)
    assert {seen.author for seen in store.sightings if seen.source_item_id != "7"} == {"Ada"}
    for number in (4, 5, 7):
        assert site.gets(f"/commons/{number}.jpg") == 0
    # first half, maxlag, second half, two more batches
    assert len(wiki.queries) == 5
    assert wiki.queries[1] == wiki.queries[2]
    assert all(query["maxlag"] == "5" for query in wiki.queries)


def test_a_limit_counts_known_items_too(site: Site, tmp_path: Path) -> None:
    Wiki(site, [file_page(site, number, photograph(number)) for number in range(1, 8)])
    order = ordered(tmp_path, searched(site), limit=4)
    assert crawl(order) == CrawlSummary(found=4, stored=4)
    assert crawl(order) == CrawlSummary(found=4, already_known=4)
    assert {seen.source_item_id for seen in kept(order).sightings} == {"1", "2", "3", "4"}


def test_an_api_that_refuses(site: Site, tmp_path: Path) -> None:
    site.answers["/w/api.php"] = Answer(b'{"error": {"code": "badvalue", "info": "No"}}')
    with pytest.raises(UnavailableError, match="badvalue: No"):
        crawl(ordered(tmp_path, searched(site)))


def test_a_host_that_asks_for_endless_patience_is_left_alone(site: Site, tmp_path: Path) -> None:
    Wiki(site, [file_page(site, 1, photograph(1))])
    site.answers["/robots.txt"] = Answer(b"User-agent: *\nCrawl-delay: 1e9\n")
    order = ordered(tmp_path, searched(site))
    assert crawl(order).rejected == {Reason.ROBOTS: 1}
    (refused,) = kept(order).rejected
    assert "asks for 1e+09 s between requests" in refused.detail
