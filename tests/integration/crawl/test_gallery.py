"""A web gallery over real HTTP, with every bad case."""

import gzip
import hashlib
import json
import time
from io import BytesIO
from pathlib import Path

import pytest
from loopback import (
    BY,
    Answer,
    Site,
    fill_gallery,
    kept,
    ordered,
    page,
    photograph,
    sitemap,
)
from PIL import Image

from crawlers.order import CrawlSummary
from crawlers.run import crawl
from crawlers.sources.gallery import GalleryStart
from mirrorset.blobs import BlobStore
from mirrorset.errors import MirrorsetError, UnavailableError
from mirrorset.records import Reason

ROBOTS = b"User-agent: *\nDisallow: /i/disallowed.jpg\nDisallow: /p/private.html\n"


def fill_with_every_case(site: Site) -> dict[str, bytes]:
    """A gallery behind a site map of site maps; returns some good pictures by their page."""
    good, described = photograph(1), photograph(2)
    xmp = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        f'xmlns:cc="http://creativecommons.org/ns#"><cc:license rdf:resource="{BY}"/>'
        "</rdf:Description></rdf:RDF>"
    )
    licensed = photograph(3, xmp=xmp.encode())
    bomb = Image.new("1", (20000, 20000))
    bomb_bytes = BytesIO()
    bomb.save(bomb_bytes, "PNG")
    pictures = {
        "good": Answer(good, headers={"ETag": '"7"', "Content-Type": "image/jpeg"}),
        "described": Answer(described),
        "licensed-in-file": Answer(licensed),
        "one": Answer(photograph(4)),
        "two": Answer(photograph(5)),
        "moved": Answer(status=302, headers={"Location": "/i/good.jpg"}),
        "disallowed": Answer(photograph(6)),
        "moved-to-disallowed": Answer(status=302, headers={"Location": "/i/disallowed.jpg"}),
        "noai": Answer(photograph(7), headers={"X-Robots-Tag": "noai"}),
        "noai-on-get": Answer(photograph(8), 200, {"X-Robots-Tag": "mirrorset: noai"}, True),
        "not-for-others": Answer(photograph(9), headers={"X-Robots-Tag": "otherbot: noai"}),
        "tdm": Answer(photograph(10), headers={"tdm-reservation": "1"}),
        "tdmrep": Answer(photograph(11)),
        "meta-noai": Answer(photograph(12)),
        "no-licence": Answer(photograph(13)),
        "odd-licence": Answer(photograph(14)),
        "no-derivatives": Answer(photograph(15)),
        "html": Answer(b"<html>Sorry</html>"),
        "truncated": Answer(photograph(16)[:-2000]),
        "bomb": Answer(bomb_bytes.getvalue()),
        "small": Answer(photograph(17, side_px=100)),
        "large": Answer(photograph(18) + b"\0" * 200_000),
        "gone": Answer(status=404),
        "broken": Answer(status=500),
    }
    site.answers |= {f"/i/{name}.jpg": answer for name, answer in pictures.items()}
    pages = {name: page(f"/i/{name}.jpg") for name in pictures if name not in ("one", "two")}
    node = {
        "@type": "ImageObject",
        "contentUrl": "/i/described.jpg",
        "license": BY,
        "creator": "Ada",
    }
    pages |= {
        "described": Answer(
            f'<script type="application/ld+json">{json.dumps(node)}</script>'.encode()
        ),
        "pair": page("/i/one.jpg", extra='<img src="/i/two.jpg">'),
        "licensed-in-file": page("/i/licensed-in-file.jpg", licence=""),
        "meta-noai": page("/i/meta-noai.jpg", extra='<meta name="robots" content="noai">'),
        "no-licence": page("/i/no-licence.jpg", licence=""),
        "odd-licence": page("/i/odd-licence.jpg", licence="/terms.html"),
        "no-derivatives": page("/i/x.jpg", licence=BY.replace("/by/", "/by-nd/")),
        "no-picture": Answer(b"<html>Words</html>"),
        "lost-page": Answer(status=404),
        "private": page("/i/good.jpg"),
    }
    site.answers |= {f"/p/{name}.html": answer for name, answer in pages.items()}
    site.answers["/robots.txt"] = Answer(ROBOTS)
    reserved = [{"location": "/i/tdmrep.jpg$", "tdm-reservation": 1}]
    site.answers["/.well-known/tdmrep.json"] = Answer(json.dumps(reserved).encode())
    # One site map is kept out of search results, as is usual; the other is gzipped.
    listed = [f"/p/{name}.html" for name in pages]
    halves = {"/a.xml": listed[:10], "/b.xml.gz": listed[10:]}
    first, second = (sitemap(site, half) for half in halves.values())
    first.headers["X-Robots-Tag"] = "noindex, follow"
    second.body = gzip.compress(second.body)
    site.answers |= {"/a.xml": first, "/b.xml.gz": second}
    index = "".join(f"<sitemap><loc>{site.url}{path}</loc></sitemap>" for path in halves)
    site.answers["/sitemap.xml"] = Answer(f"<sitemapindex>{index}</sitemapindex>".encode())
    return {
        "/p/good.html": good,
        "/p/described.html": described,
        "/p/licensed-in-file.html": licensed,
    }


def test_a_gallery_with_every_bad_case(site: Site, tmp_path: Path) -> None:
    good = fill_with_every_case(site)
    start = GalleryStart(url=f"{site.url}/sitemap.xml")
    order = ordered(tmp_path, start, max_bytes=100_000)
    progress: list[CrawlSummary] = []
    summary = crawl(order, progress.append)
    store = kept(order)

    assert store.reasons == {
        "disallowed.html": Reason.ROBOTS,
        "moved-to-disallowed.html": Reason.ROBOTS,
        "private.html": Reason.ROBOTS,
        "noai.html": Reason.OPT_OUT_NOAI,
        "noai-on-get.html": Reason.OPT_OUT_NOAI,
        "meta-noai.html": Reason.OPT_OUT_NOAI,
        "tdm.html": Reason.OPT_OUT_TDM,
        "tdmrep.html": Reason.OPT_OUT_TDM,
        "no-licence.html": Reason.LICENCE_MISSING,
        "odd-licence.html": Reason.LICENCE_UNKNOWN,
        "no-derivatives.html": Reason.NO_DERIVATIVES,
        "html.html": Reason.NOT_AN_IMAGE,
        "no-picture.html": Reason.NOT_AN_IMAGE,
        "truncated.html": Reason.TRUNCATED,
        "bomb.html": Reason.DECOMPRESSION_BOMB,
        "small.html": Reason.TOO_SMALL,
        "large.html": Reason.TOO_LARGE,
        "gone.html": Reason.HTTP_ERROR,
        "lost-page.html": Reason.HTTP_ERROR,
        "broken.html": Reason.HTTP_ERROR,
    }
    retryable = {item.item_id for item in store.rejected if item.is_retryable}
    assert retryable == {"gallery:127.0.0.1/p/broken.html"}
    assert all(item.detail and item.step == "crawl" for item in store.rejected)

    sightings = {seen.source_item_id.removeprefix("127.0.0.1"): seen for seen in store.sightings}
    assert set(sightings) == {
        "/p/good.html", "/p/moved.html", "/p/described.html", "/p/licensed-in-file.html",
        "/p/not-for-others.html", "/p/pair.html#/i/one.jpg", "/p/pair.html#/i/two.jpg",
    }  # fmt: skip
    blobs = BlobStore(order.blobs_url)
    for path, content in good.items():
        assert blobs.get(sightings[path].image_id) == content
    images = {image.image_id: image for image in store.images}
    assert set(images) == {seen.image_id for seen in sightings.values()}
    receipt = sightings["/p/good.html"]
    assert receipt.image_url == f"{site.url}/i/good.jpg"
    assert receipt.evidence.licence_text == BY
    assert receipt.evidence.host_files["robots.txt"] == hashlib.sha256(ROBOTS).hexdigest()
    assert receipt.evidence.headers["etag"] == '"7"'
    assert sightings["/p/described.html"].author == "Ada"
    in_file = sightings["/p/licensed-in-file.html"].evidence
    assert in_file.licence_read_from == "xmp cc:license"

    # What can be known before the bytes is known before the bytes.
    for name in ("disallowed", "tdmrep", "meta-noai", "odd-licence", "x"):
        assert f"/i/{name}.jpg" not in {path for _, path in site.asked}, name
    assert site.gets("/p/private.html") == 0
    # A new host is asked by HEAD first, and only then.
    pictures = [method for method, path in site.asked if path.startswith("/i/")]
    assert pictures.index("GET") == pictures.count("HEAD")
    assert site.gets("/robots.txt") == 1
    assert site.gets("/i/licensed-in-file.jpg") == 1
    assert {one.agent for one in site.log} == {f"{order.user_agent} (+crawl@example.org)"}

    assert summary.waiting == 0
    assert summary.found == len(store.settled) == len(set(store.settled))
    assert summary.stored == len(sightings)
    assert summary == progress[-1]
    assert sum(summary.rejected.values()) == len(store.reasons)


def test_a_busy_or_slow_host_is_given_its_time(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 2)
    site.answers["/robots.txt"] = Answer(b"User-agent: *\nCrawl-delay: 0.4\n")
    asked_at: list[float] = []

    def busy_once(_: dict[str, str]) -> Answer:
        asked_at.append(time.monotonic())
        if len(asked_at) == 1:
            return Answer(b"", 503, {"Retry-After": "1"})
        return Answer(photograph(0))

    site.answers["/i/0.jpg"] = busy_once
    began_at = time.monotonic()
    summary = crawl(ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml")))
    assert summary == CrawlSummary(found=2, stored=2)
    # The first question, and the same again after the wait.
    assert len(asked_at) >= 2
    assert asked_at[1] - asked_at[0] >= 1.0
    # A site map, two pages, four requests for pictures: six waits.
    assert time.monotonic() - began_at >= 6 * 0.4


@pytest.mark.parametrize(
    ("robots", "listing", "message"),
    [
        (Answer(status=404), Answer(status=404), "answered 404"),
        (Answer(status=503), Answer(b""), "robots.txt of .* could not be read"),
    ],
)
def test_a_listing_that_cannot_be_had(
    site: Site, tmp_path: Path, robots: Answer, listing: Answer, message: str
) -> None:
    site.answers |= {"/robots.txt": robots, "/sitemap.xml": listing}
    with pytest.raises(UnavailableError, match=message):
        crawl(ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml")))


@pytest.mark.processes
def test_a_store_that_cannot_keep_ends_the_crawl(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 3)
    (tmp_path / "blobs").write_text("a file where a folder should be")
    with pytest.raises(MirrorsetError, match=r"The log is .*crawl\.log"):
        crawl(ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml")))


def test_hostile_items_do_not_end_the_crawl(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 4)
    # An IPTC record that ends within its head.
    resource = b"8BIM\x04\x04\0\0" + (4).to_bytes(4) + b"\x1c\x02\x74\x05"
    iptc = b"Photoshop 3.0\0" + resource
    plain = photograph(1)
    site.answers["/i/1.jpg"] = Answer(
        plain[:2] + b"\xff\xed" + (len(iptc) + 2).to_bytes(2) + iptc + plain[2:]
    )
    site.answers["/p/2.html"] = page("/i/2.jpg", extra=f'<img src="/x.jpg" width="{"9" * 5000}">')
    site.answers["/p/3.html"] = Answer(b"<html>" + b" " * 12_000_000)
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))
    summary = crawl(order)
    assert summary.waiting == 0
    store = kept(order)
    details = {item.item_id.rpartition("/")[2]: item.detail for item in store.rejected}
    assert details["3.html"] == "The answer is over 10000000 bytes."
    stored = {seen.source_item_id.rpartition("/")[2] for seen in store.sightings}
    assert stored == {"0.html", "1.html", "2.jpg"}


def test_listings_without_end_are_bounded(site: Site, tmp_path: Path) -> None:
    def index(query: dict[str, str]) -> Answer:
        following = f"{site.url}/sitemap.xml?n={int(query.get('n', 0)) + 1}"
        return Answer(
            f"<sitemapindex><sitemap><loc>{following}</loc></sitemap></sitemapindex>".encode()
        )

    site.answers["/sitemap.xml"] = index
    start = GalleryStart(url=f"{site.url}/sitemap.xml", max_listings=7)
    order = ordered(tmp_path, start)
    assert crawl(order) == CrawlSummary()
    assert site.gets("/sitemap.xml") == 7
    assert "max_listings is reached" in order.log.read_text()
