"""A crawl that is run again asks only for what is new or may have changed."""

from pathlib import Path

from loopback import (
    BY,
    Answer,
    Site,
    fill_gallery,
    kept,
    ordered,
    page,
    photograph,
    serving,
    sitemap,
)

from crawlers.order import CrawlSummary
from crawlers.run import crawl
from crawlers.sources.gallery import GalleryStart
from mirrorset.blobs import BlobStore
from mirrorset.catalogue import Catalogue
from mirrorset.records import Reason, Verdict

ETAG = {"ETag": '"1"'}


def test_what_cannot_say_that_it_changed_is_not_asked_for_again(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 3)
    site.answers["/p/2.html"] = page("/i/2.jpg", licence="all rights reserved")
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))
    assert crawl(order).stored == 2
    site.forget()
    again = crawl(order)
    assert again == CrawlSummary(found=3, already_known=2, rejected={Reason.LICENCE_UNKNOWN: 1})
    assert {path for _, path in site.asked} <= {
        "/sitemap.xml", "/robots.txt", "/ai.txt", "/.well-known/tdmrep.json",
    }  # fmt: skip


def test_what_has_an_etag_is_asked_for_if_it_changed(site: Site, tmp_path: Path) -> None:
    for n in range(3):
        site.answers[f"/p/{n}.html"] = page(f"/i/{n}.jpg", ETag='"1"')
        site.answers[f"/i/{n}.jpg"] = Answer(photograph(n), headers=ETAG)
    pages = [f"/p/{n}.html" for n in range(3)]
    site.answers["/sitemap.xml"] = sitemap(site, pages)
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))
    assert crawl(order) == CrawlSummary(found=3, stored=3)

    site.forget()
    site.answers["/i/1.jpg"] = Answer(photograph(11), headers={"ETag": '"2"'})
    site.answers["/p/2.html"] = page(
        "/i/2.jpg", licence="https://creativecommons.org/licenses/by-nd/4.0/", ETag='"2"'
    )
    site.answers["/p/3.html"] = page("/i/3.jpg")
    site.answers["/i/3.jpg"] = Answer(photograph(3))
    site.answers["/sitemap.xml"] = sitemap(site, [*pages, "/p/3.html"])
    again = crawl(order)
    assert again == CrawlSummary(
        found=4, stored=2, already_known=1, rejected={Reason.NO_DERIVATIVES: 1}
    )
    assert site.gets("/i/2.jpg") == 0
    for one in site.log:
        if one.method == "GET" and one.path in (*pages, "/i/0.jpg", "/i/1.jpg"):
            assert one.headers["if-none-match"] == '"1"'
    assert {seen.image_id for seen in kept(order).sightings if "/p/1.html" in seen.source_item_id}


def test_what_failed_for_a_time_is_tried_again(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 2)
    site.answers["/i/0.jpg"] = Answer(status=500)
    site.answers["/p/1.html"] = Answer(status=503)
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))
    assert crawl(order).rejected == {Reason.HTTP_ERROR: 2}
    fill_gallery(site, 2)
    assert crawl(order) == CrawlSummary(found=2, stored=2)
    assert kept(order).rejected == ()


def test_a_lost_blob_is_fetched_again(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 3)
    for n in range(3):
        site.answers[f"/i/{n}.jpg"] = Answer(photograph(n), headers={"ETag": f'"{n}"'})
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))
    crawl(order)
    (lost, *_) = kept(order).images
    blobs = BlobStore(order.blobs_url)
    (path,) = Path(order.blobs_url).rglob(lost.image_id)
    path.unlink()
    assert crawl(order) == CrawlSummary(found=3, stored=1, already_known=2)
    assert blobs.has(lost.image_id)


def test_the_same_bytes_sent_again_change_nothing(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 2)
    modified = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    for n in range(2):
        site.answers[f"/i/{n}.jpg"] = Answer(photograph(n), headers=modified)
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))
    crawl(order)
    before = kept(order)
    assert crawl(order) == CrawlSummary(found=2, already_known=2)
    assert site.gets("/i/0.jpg") == 2, "this server knows no conditions"
    assert kept(order) == before


def test_pictures_that_differ_by_query_or_host_are_items_of_their_own(
    site: Site, tmp_path: Path
) -> None:
    with serving("127.0.0.2") as other:
        other.answers["/img.php"] = Answer(photograph(9))
        site.answers["/img.php"] = lambda query: Answer(photograph(int(query["id"])))
        shown = [f"/img.php?id={n}" for n in range(4)]
        images = "".join(f'<img src="{src}">' for src in [*shown, f"{other.url}/img.php"])
        licence = f'<a rel="license" href="{BY}">CC BY</a>'
        site.answers["/p.html"] = Answer(f"<html>{images}{licence}</html>".encode())
        site.answers["/sitemap.xml"] = sitemap(site, ["/p.html"])
        order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))
        assert crawl(order) == CrawlSummary(found=5, stored=5)


def test_nobody_answers_for_other_peoples_servers(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 1)
    site.answers["/p/0.html"] = page("http://93.184.215.14/x.jpg")
    start = GalleryStart(url=f"{site.url}/sitemap.xml")
    order = ordered(tmp_path, start, is_answered_for=False)
    assert crawl(order).rejected == {Reason.FORBIDDEN_ADDRESS: 1}
    assert "nobody answers for asking it" in kept(order).rejected[0].detail


def test_another_licence_for_the_same_bytes_renews_the_receipt(site: Site, tmp_path: Path) -> None:
    share_alike = "https://creativecommons.org/licenses/by-sa/4.0/"
    site.answers["/p.html"] = page("/i.jpg", ETag='"1"')
    site.answers["/i.jpg"] = Answer(photograph(1), headers=ETAG)
    site.answers["/sitemap.xml"] = sitemap(site, ["/p.html"])
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))
    crawl(order)
    (before,) = kept(order).sightings
    site.answers["/p.html"] = page("/i.jpg", licence=share_alike, ETag='"2"')
    assert crawl(order) == CrawlSummary(found=1, already_known=1)
    (after,) = kept(order).sightings
    assert (before.licence.code, after.licence.code) == ("CC-BY", "CC-BY-SA")
    assert after.evidence.licence_text == share_alike
    assert after.evidence.headers == before.evidence.headers
    assert after.image_id == before.image_id
    assert after.seen_at > before.seen_at


def test_bytes_removed_for_what_they_show_are_not_fetched_again(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 2)
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))
    assert crawl(order).stored == 2
    gone = next(one for one in kept(order).sightings if one.image_url.endswith("/i/1.jpg"))
    with Catalogue(order.catalogue_url) as catalogue:
        catalogue.upsert([Verdict(image_id=gone.image_id, check="intimate", passed=False)])
    BlobStore(order.blobs_url).remove(gone.image_id)
    site.forget()
    assert crawl(order).already_known == 2
    assert site.gets("/i/1.jpg") == 0
    assert not BlobStore(order.blobs_url).has(gone.image_id)
