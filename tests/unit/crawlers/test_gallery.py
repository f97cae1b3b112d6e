import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crawlers.items import Candidate
from crawlers.order import CrawlOrder
from crawlers.spiders.gallery import Listing, page_id, read_listing, read_page
from mirrorset.records import Reason, Rejected

PAGE = "http://h.org:8080/gallery/ada.html"
BY = "https://creativecommons.org/licenses/by/4.0/"
BY_ND = "https://creativecommons.org/licenses/by-nd/4.0/"


def read(html: str, order: CrawlOrder) -> list[Candidate | Rejected]:
    return read_page(f"<html>{html}</html>".encode(), PAGE, order)


def linked_data(**fields: object) -> str:
    node = {"@type": "ImageObject", "contentUrl": "/images/ada.jpg", **fields}
    return f'<script type="application/ld+json">{json.dumps(node)}</script>'


def only(items: list[Candidate | Rejected]) -> Candidate | Rejected:
    (item,) = items
    return item


def permit(item: Candidate | Rejected) -> tuple[str, str]:
    assert isinstance(item, Candidate)
    assert item.permit is not None
    return item.permit.licence.code, item.permit.statement.read_from


def reason(item: Candidate | Rejected) -> Reason:
    assert isinstance(item, Rejected)
    return item.reason


def test_ids_outlive_port_and_scheme() -> None:
    assert page_id("https://h.org/a.html?n=1#x") == page_id("http://h.org:81/a.html?n=1")
    assert page_id("http://h.org/a.html") != page_id("http://other.org/a.html")
    assert page_id("http://h.org") == "h.org/"


@pytest.mark.parametrize("element", ["a", "link"])
def test_rel_license_speaks_for_the_page(order: CrawlOrder, element: str) -> None:
    html = f'<img src="images/ada.jpg"><{element} rel="nofollow license" href="{BY}">CC'
    item = only(read(html, order))
    assert permit(item) == ("CC-BY", f"{element} rel=license")
    assert isinstance(item, Candidate)
    assert item.image_url == "http://h.org:8080/gallery/images/ada.jpg"
    assert item.item_id == "gallery:h.org/gallery/ada.html"
    assert item.page_url == PAGE


def test_linked_data_speaks_for_its_picture(order: CrawlOrder) -> None:
    stated = linked_data(license=BY, creator={"@type": "Person", "name": "Ada"}, creditText="Lab")
    item = only(read(stated + f'<img src="logo.jpg"><a rel=license href="{BY_ND}">', order))
    assert permit(item) == ("CC-BY", "json-ld ImageObject.license")
    assert isinstance(item, Candidate)
    assert (item.author, item.image_url) == ("Ada", "http://h.org:8080/images/ada.jpg")


@pytest.mark.parametrize(
    ("fields", "author"),
    [
        ({"creditText": "Lab"}, "Lab"),
        ({"creator": [{"name": "Ada"}, {"name": "Bo"}]}, "Ada"),
        ({"creator": "Ada"}, "Ada"),
        ({"author": {"name": "Grace"}}, "Grace"),
    ],
)
def test_linked_data_names_the_author(
    order: CrawlOrder, fields: dict[str, object], author: str
) -> None:
    item = only(read(linked_data(license={"@id": BY}, **fields), order))
    assert isinstance(item, Candidate)
    assert item.author == author


def test_linked_data_is_found_at_any_depth(order: CrawlOrder) -> None:
    node = {"@type": ["Photograph"], "contentUrl": "/images/ada.jpg", "license": BY}
    graph = json.dumps({"@graph": [{"@type": "WebPage", "image": [node]}]})
    html = f'<script type="application/ld+json">{graph}</script>'
    broken = '<script type="application/ld+json">{"@type": </script>'
    assert permit(only(read(broken + html, order)))[0] == "CC-BY"


def test_all_that_is_stated_of_a_picture_counts(order: CrawlOrder) -> None:
    silent, free, bound = linked_data(), linked_data(license=BY), linked_data(license=BY_ND)
    assert permit(only(read(free + silent, order)))[0] == "CC-BY"
    assert reason(only(read(free + bound, order))) is Reason.NO_DERIVATIVES


def test_a_silent_page_leaves_the_word_to_the_file(order: CrawlOrder) -> None:
    item = only(read('<img src="/images/ada.jpg">', order))
    assert isinstance(item, Candidate)
    assert item.permit is None


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (f'<img src="/a.jpg"><a rel=license href="{BY_ND}">', Reason.NO_DERIVATIVES),
        ('<img src="/a.jpg"><a rel=license href="/terms">', Reason.LICENCE_UNKNOWN),
        (linked_data(license="https://h.org/buy"), Reason.LICENCE_UNKNOWN),
        ('<meta name="robots" content="noai"><img src="/a.jpg">', Reason.OPT_OUT_NOAI),
        ('<meta name="tdm-reservation" content="1"><img src="/a.jpg">', Reason.OPT_OUT_TDM),
        ('<meta http-equiv="X-Robots-Tag" content="noai"><img src="/a.jpg">', Reason.OPT_OUT_NOAI),
        (linked_data(license=[BY, BY_ND]), Reason.NO_DERIVATIVES),
        ("<p>Nothing here</p>", Reason.NOT_AN_IMAGE),
        ('<img src="data:image/png;base64,AAAA"><img src="/logo.svg">', Reason.NOT_AN_IMAGE),
        ('<img src="/icon.png" width="32" height="32">', Reason.NOT_AN_IMAGE),
    ],
)
def test_pages_that_give_no_candidate(order: CrawlOrder, html: str, expected: Reason) -> None:
    assert reason(only(read(html, order))) is expected


def test_an_unknown_licence_tells_where_one_can_be_asked_for(order: CrawlOrder) -> None:
    stated = linked_data(license="https://h.org/terms", acquireLicensePage="https://h.org/buy")
    item = only(read(stated, order))
    assert isinstance(item, Rejected)
    assert "https://h.org/buy" in item.detail


def test_pictures_of_one_page_are_told_apart(order: CrawlOrder) -> None:
    html = "".join(
        f'<figure><img src="/i/{name}.jpg"><figcaption>Photo by {name}'
        f'<a rel="license" href="{licence}">licence</a></figcaption></figure>'
        for name, licence in (("ada", BY), ("bo", BY_ND))
    )
    ada, bo = read(html, order)
    assert permit(ada)[0] == "CC-BY"
    assert isinstance(ada, Candidate)
    assert ada.item_id == "gallery:h.org/gallery/ada.html#/i/ada.jpg"
    assert ada.author == "ada"
    assert reason(bo) is Reason.NO_DERIVATIVES


def test_a_thumbnail_leads_to_its_original(order: CrawlOrder) -> None:
    html = f'<a href="/full/ada.JPG"><img src="/t/ada.jpg"></a><a rel=license href="{BY}">'
    item = only(read(html, order))
    assert isinstance(item, Candidate)
    assert item.image_url == "http://h.org:8080/full/ada.JPG"


SITEMAP = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    b"<url><loc> http://h.org/b.html </loc></url><url><loc>http://h.org/a.html</loc></url>"
    b"<url><loc>http://h.org/b.html</loc></url><url><loc>http://else.org/c.html</loc></url>"
    b"</urlset>"
)


@pytest.mark.parametrize("body", [SITEMAP, gzip.compress(SITEMAP)])
def test_a_sitemap_lists_its_own_pages_in_order(body: bytes) -> None:
    listing = read_listing(body, "http://h.org/sitemap.xml", "")
    assert listing == Listing(pages=("http://h.org/b.html", "http://h.org/a.html"))


def test_a_sitemap_of_sitemaps_is_followed() -> None:
    body = SITEMAP.replace(b"urlset", b"sitemapindex").replace(b"<url>", b"<sitemap>")
    body = body.replace(b"</url>", b"</sitemap>")
    listing = read_listing(body, "http://h.org/sitemap.xml", "")
    assert listing == Listing(listings=("http://h.org/b.html", "http://h.org/a.html"))


def test_an_index_page_lists_the_links_that_match() -> None:
    body = b'<html><a href="p/1.html#top"><a href="/about"><a href="2" rel="next">more</a></html>'
    listing = read_listing(body, "http://h.org/index/", r"/p/\d+\.html$")
    assert listing.pages == ("http://h.org/index/p/1.html",)
    assert listing.listings == ("http://h.org/index/2",)


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"\x89PNG", b"plain words"])
def test_what_is_no_listing_is_said_so(body: bytes) -> None:
    with pytest.raises(ValueError, match="link_pattern"):
        read_listing(body, "http://h.org/", "")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_page_with_an_outcome(body: bytes) -> None:
    order = CrawlOrder.model_validate(
        {
            "start": {"source": "gallery", "url": PAGE},
            "intended_use": "research",
            "blobs_url": "memory://",
            "spool": "spool",
            "log": "log",
            "contact": "a@example.org",
        }
    )
    for wrapped in (body, b"<img src='" + body + b"'>"):
        assert read_page(wrapped, PAGE, order)


def test_a_side_of_any_length_is_a_number(order: CrawlOrder) -> None:
    html = f'<img src="/a.jpg" width="{"9" * 5000}"><a rel=license href="{BY}">'
    assert permit(only(read(html, order)))[0] == "CC-BY"


def test_text_from_outside_can_be_kept(order: CrawlOrder) -> None:
    stated = linked_data(license=BY, creator="A\ud800d\0a", contentUrl="/\ud800\0a.jpg")
    item = only(read(stated, order))
    assert isinstance(item, Candidate)
    assert (item.author, item.image_url) == ("Ada", "http://h.org:8080/a.jpg")


def test_a_moved_page_is_read_where_it_lies(order: CrawlOrder) -> None:
    html = f'<img src="a.jpg"><a rel=license href="{BY}">'.encode()
    item = only(read_page(html, "http://h.org/new/ada.html", order, "http://h.org/ada.html"))
    assert isinstance(item, Candidate)
    assert item.image_url == "http://h.org/new/a.jpg"
    assert item.page_url == "http://h.org/new/ada.html"
    assert item.item_id == "gallery:h.org/ada.html"


def test_the_header_names_the_charset(order: CrawlOrder) -> None:
    html = f'<img src="a.jpg"><a rel="author">Łukasz Żółć</a><a rel=license href="{BY}">'
    content_type = b"text/html; charset=iso-8859-2"
    item = only(read_page(html.encode("iso-8859-2"), PAGE, order, content_type=content_type))
    assert isinstance(item, Candidate)
    assert item.author == "Łukasz Żółć"
