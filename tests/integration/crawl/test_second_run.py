"""A crawl that is run again asks only for what is new or may have changed."""

from pathlib import Path

from loopback import Answer, Site, fill_gallery, kept, ordered, page, photograph, sitemap

from crawlers.order import CrawlSummary
from crawlers.run import crawl
from crawlers.sources.gallery import GalleryStart
from mirrorset.records import Reason

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
