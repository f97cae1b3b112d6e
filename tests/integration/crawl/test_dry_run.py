"""A dry run counts what there is, by licence, and asks for no picture."""

from pathlib import Path

from loopback import (
    BY,
    Answer,
    Site,
    Wiki,
    file_page,
    fill_gallery,
    kept,
    ordered,
    page,
    photograph,
)

from crawlers.order import CrawlSummary
from crawlers.run import crawl
from crawlers.sources.commons import CommonsStart
from crawlers.sources.gallery import GalleryStart
from mirrorset.records import Reason

ND = "https://creativecommons.org/licenses/by-nd/4.0/"
ZERO = "https://creativecommons.org/publicdomain/zero/1.0/"


def test_a_gallery_is_counted_by_licence(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 6)
    site.answers["/p/1.html"] = page("/i/1.jpg", licence=ZERO)
    site.answers["/p/2.html"] = page("/i/2.jpg", licence=ND)
    site.answers["/p/3.html"] = page("/i/3.jpg", licence="")
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"), is_dry_run=True)
    assert crawl(order) == CrawlSummary(
        found=6,
        rejected={Reason.NO_DERIVATIVES: 1},
        would_fetch={"CC-BY": 3, "CC0": 1, "in the file": 1},
    )
    assert not [path for _, path in site.asked if path.startswith("/i/")]
    assert kept(order).settled == []
    assert not Path(order.blobs_url).exists()
    # A crawl after it begins from nothing.
    whole = crawl(order.model_copy(update={"is_dry_run": False}))
    assert (whole.found, whole.stored) == (6, 4)


def test_an_api_is_counted_to_its_end(site: Site, tmp_path: Path) -> None:
    pages = [file_page(site, number, photograph(number)) for number in range(1, 8)]
    pages[2] = file_page(site, 3, photograph(3), extmetadata={"LicenseUrl": {"value": ZERO}})
    pages[4] = file_page(site, 5, photograph(5), extmetadata={})
    Wiki(site, pages)
    api = CommonsStart(api_url=f"{site.url}/w/api.php", search="selfie", page_size=3)
    counted = crawl(ordered(tmp_path, api, is_dry_run=True))
    assert counted == CrawlSummary(
        found=7, rejected={Reason.LICENCE_MISSING: 1}, would_fetch={"CC-BY": 5, "CC0": 1}
    )
    assert {path for _, path in site.asked} == {"/w/api.php"}


def test_a_limit_holds_for_a_dry_run_too(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 6)
    site.answers["/p/0.html"] = Answer(
        f'<img src="/i/0.jpg"><a rel="license" href="{BY}">'.encode()
    )
    start = GalleryStart(url=f"{site.url}/sitemap.xml")
    assert crawl(ordered(tmp_path, start, is_dry_run=True, limit=2)).would_fetch == {"CC-BY": 2}
