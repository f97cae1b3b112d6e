"""A start says that its pictures show their own author: sightings keep it, and groups follow."""

import json
from io import BytesIO
from pathlib import Path

import numpy as np
from loopback import Answer, Site, kept, ordered, page, sitemap
from PIL import Image

from crawlers.order import CrawlOrder, CrawlSummary
from crawlers.run import crawl
from crawlers.sources.gallery import GalleryStart
from curation.group import GroupParams, group
from curation.records import GroupMember
from mirrorset.blobs import BlobStore
from mirrorset.catalogue import Catalogue
from mirrorset.files import read_records, write_records
from mirrorset.records import (
    Annotation,
    Decision,
    ImageRecord,
    LedgerEntry,
    Quarantine,
    Record,
    Sighting,
    Verdict,
    utc_now,
)

SNAPSHOT: dict[str, type[Record]] = {
    "images": ImageRecord,
    "sightings": Sighting,
    "annotations": Annotation,
    "verdicts": Verdict,
    "quarantine": Quarantine,
    "decisions": Decision,
}


def shown(site: Site, number: int, author: str) -> str:
    """A page with a picture that is like no other, and its author; returns its path."""
    cells = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(cells).resize((256, 256)).save(out, "JPEG", quality=90)
    site.answers[f"/i/{number}.jpg"] = Answer(out.getvalue())
    node = {"@type": "ImageObject", "contentUrl": f"/i/{number}.jpg", "creator": author}
    said = f'<script type="application/ld+json">{json.dumps(node)}</script>'
    site.answers[f"/p/{number}.html"] = page(f"/i/{number}.jpg", extra=said)
    return f"/p/{number}.html"


def flags(order: CrawlOrder) -> dict[str, bool]:
    """What each sighting says, by its page's name."""
    return {
        seen.source_item_id.rpartition("/")[2].removesuffix(".html"): seen.shows_author
        for seen in kept(order).sightings
    }


def grouped(order: CrawlOrder, folder: Path) -> dict[str, str]:
    """The key of each image's group, by its page's name."""
    with Catalogue(order.catalogue_url) as catalogue:
        for name, kind in SNAPSHOT.items():
            write_records(folder / f"{name}.jsonl", list(catalogue.read(kind)))
        page_of = {
            seen.image_id: seen.source_item_id.rpartition("/")[2].removesuffix(".html")
            for seen in catalogue.read(Sighting)
        }
    # What the ledger holds is compared, whatever is selected today.
    write_records(
        folder / "ledger.jsonl",
        [
            LedgerEntry(
                image_id=image_id, group_id=image_id, split="train", image_shard=0,
                minted_at=utc_now(),
            )
            for image_id in page_of
        ],
    )  # fmt: skip
    write_records(folder / "selected.jsonl", [])
    group(folder, folder, BlobStore(order.blobs_url), GroupParams())
    members = read_records(folder / "groups.jsonl", GroupMember)
    return {page_of[member.image_id]: member.key for member in members}


def test_selfies_by_one_author_are_grouped_and_other_peoples_portraits_are_not(
    site: Site, tmp_path: Path
) -> None:
    selfies = [
        shown(site, number, author)
        for number, author in enumerate(("Jane Doe", " jane  DOE", "Unknown author", "unknown"))
    ]
    portraits = [shown(site, number, "Studio North") for number in (4, 5)]
    site.answers["/selfies.xml"] = sitemap(site, selfies)
    # One selfie is among the portraits, where it is found first.
    site.answers["/portraits.xml"] = sitemap(site, [selfies[1], *portraits])

    of_portraits = ordered(tmp_path, GalleryStart(url=f"{site.url}/portraits.xml"))
    assert crawl(of_portraits) == CrawlSummary(found=3, stored=3)
    start = GalleryStart(url=f"{site.url}/selfies.xml", shows_author=True)
    assert crawl(ordered(tmp_path, start)) == CrawlSummary(found=4, stored=3, already_known=1)
    assert crawl(of_portraits) == CrawlSummary(found=3, already_known=3)
    expected = {"0": True, "1": True, "2": True, "3": True, "4": False, "5": False}
    assert flags(of_portraits) == expected

    keys = grouped(of_portraits, tmp_path / "snapshot")
    assert keys["0"] == keys["1"]
    assert len(set(keys.values())) == 5


def test_a_start_may_say_so_later(site: Site, tmp_path: Path) -> None:
    pages = [shown(site, number, "Jane Doe") for number in (0, 1)]
    site.answers["/sitemap.xml"] = sitemap(site, pages)
    start = GalleryStart(url=f"{site.url}/sitemap.xml")
    order = ordered(tmp_path, start)
    assert crawl(order).stored == 2
    assert flags(order) == {"0": False, "1": False}
    says_so = start.model_copy(update={"shows_author": True})
    assert crawl(ordered(tmp_path, says_so)) == CrawlSummary(found=2, already_known=2)
    assert flags(order) == {"0": True, "1": True}
