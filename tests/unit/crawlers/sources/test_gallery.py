import contextlib
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from crawlers.addresses import web_address
from crawlers.items import Candidate
from crawlers.source import Answer, Ask
from crawlers.sources.gallery import Gallery, GalleryStart, Listing, page_id, read_listing
from crawlers.terms import Terms
from mirrorset.errors import UnavailableError
from mirrorset.records import Reason, Rejected

PAGE = "http://h.org:8080/gallery/ada.html"
BY = "https://creativecommons.org/licenses/by/4.0/"
BY_ND = "https://creativecommons.org/licenses/by-nd/4.0/"


def gallery(url: str = "http://h.org/sitemap.xml", **start: str | int) -> Gallery:
    return Gallery(GalleryStart.model_validate({"url": url, **start}), Terms())


def items_of(ask: Ask, answer: Answer) -> list[Candidate | Rejected]:
    found = list(gallery().read(ask, answer))
    assert not any(isinstance(one, Ask) for one in found)
    return found


def read_page(
    body: bytes, url: str = PAGE, asked: str = PAGE, content_type: str = "text/html"
) -> list[Candidate | Rejected]:
    ask = Ask(url=asked, kind="page", source_item_id=page_id(asked))
    return items_of(ask, Answer(url=url, body=body, headers={"content-type": content_type}))


def read(html: str) -> list[Candidate | Rejected]:
    return read_page(f"<html>{html}</html>".encode())


def again(html: str, item: str, image_url: str) -> Candidate | Rejected:
    ask = gallery().recheck(item, PAGE, image_url)
    found = only(items_of(ask, Answer(url=ask.url, body=html.encode())))
    assert found.item_id == f"gallery:{item}"
    return found


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
def test_rel_license_speaks_for_the_page(element: str) -> None:
    html = f'<img src="images/ada.jpg"><{element} rel="nofollow license" href="{BY}">CC'
    item = only(read(html))
    assert permit(item) == ("CC-BY", f"{element} rel=license")
    assert isinstance(item, Candidate)
    assert item.image_url == "http://h.org:8080/gallery/images/ada.jpg"
    assert item.item_id == "gallery:h.org/gallery/ada.html"
    assert item.page_url == PAGE


def test_linked_data_speaks_for_its_picture() -> None:
    stated = linked_data(license=BY, creator={"@type": "Person", "name": "Ada"}, creditText="Lab")
    item = only(read(stated + f'<img src="logo.jpg"><a rel=license href="{BY_ND}">'))
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
def test_linked_data_names_the_author(fields: dict[str, object], author: str) -> None:
    item = only(read(linked_data(license={"@id": BY}, **fields)))
    assert isinstance(item, Candidate)
    assert item.author == author


def test_linked_data_is_found_at_any_depth() -> None:
    node = {"@type": ["Photograph"], "contentUrl": "/images/ada.jpg", "license": BY}
    graph = json.dumps({"@graph": [{"@type": "WebPage", "image": [node]}]})
    html = f'<script type="application/ld+json">{graph}</script>'
    broken = '<script type="application/ld+json">{"@type": </script>'
    assert permit(only(read(broken + html)))[0] == "CC-BY"


def test_all_that_is_stated_of_a_picture_counts() -> None:
    silent, free, bound = linked_data(), linked_data(license=BY), linked_data(license=BY_ND)
    assert permit(only(read(free + silent)))[0] == "CC-BY"
    assert reason(only(read(free + bound))) is Reason.NO_DERIVATIVES


def test_a_silent_page_leaves_the_word_to_the_file() -> None:
    item = only(read('<img src="/images/ada.jpg">'))
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
def test_pages_that_give_no_candidate(html: str, expected: Reason) -> None:
    assert reason(only(read(html))) is expected


def test_an_unknown_licence_tells_where_one_can_be_asked_for() -> None:
    stated = linked_data(license="https://h.org/terms", acquireLicensePage="https://h.org/buy")
    item = only(read(stated))
    assert isinstance(item, Rejected)
    assert "https://h.org/buy" in item.detail


def test_pictures_of_one_page_are_told_apart() -> None:
    html = "".join(
        f'<figure><img src="/i/{name}.jpg"><figcaption>Photo by {name}'
        f'<a rel="license" href="{licence}">licence</a></figcaption></figure>'
        for name, licence in (("ada", BY), ("bo", BY_ND))
    )
    ada, bo = read(html)
    assert permit(ada)[0] == "CC-BY"
    assert isinstance(ada, Candidate)
    assert ada.item_id == "gallery:h.org/gallery/ada.html#/i/ada.jpg"
    assert ada.author == "ada"
    assert reason(bo) is Reason.NO_DERIVATIVES


def test_a_thumbnail_leads_to_its_original() -> None:
    html = f'<a href="/full/ada.JPG"><img src="/t/ada.jpg"></a><a rel=license href="{BY}">'
    item = only(read(html))
    assert isinstance(item, Candidate)
    assert item.image_url == "http://h.org:8080/full/ada.JPG"


SITEMAP = (
    b'<?xml version="1.0" encoding="UTF-8"?>'
    b'<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
    b"<url><loc> http://h.org/b.html </loc></url><url><loc>http://h.org/a.html</loc></url>"
    b"<url><loc>http://h.org/b.html</loc></url><url><loc>http://else.org/c.html</loc></url>"
    b"</urlset>"
)


@pytest.mark.parametrize("body", [SITEMAP, gzip.compress(SITEMAP, mtime=0)])
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
    assert listing.following == ("http://h.org/index/2",)


@pytest.mark.parametrize("body", [b"", b"<html></html>", b"\x89PNG", b"plain words"])
def test_what_is_no_listing_is_said_so(body: bytes) -> None:
    with pytest.raises(ValueError, match="link_pattern"):
        read_listing(body, "http://h.org/", "")


def index(depth: int, html: str, **start: str | int) -> list[Ask]:
    """What is asked for after an HTML index page at that depth."""
    ask = Ask(url="http://h.org/index", carried={"depth": depth})
    answer = Answer(url=ask.url, body=html.encode())
    found = list(gallery(link_pattern="/p/", **start).read(ask, answer))
    assert all(isinstance(one, Ask) for one in found)
    return found


def test_a_gallery_begins_at_its_address() -> None:
    (ask,) = gallery().begin()
    assert (ask.url, ask.kind, ask.carried) == (gallery().address, "listing", {"depth": 0})


def test_pages_are_asked_for_under_their_ids_before_further_listings() -> None:
    page, following = index(3, '<a href="?n=2" rel="next"></a><a href="https://h.org/p/1"></a>')
    assert (page.kind, page.source_item_id) == ("page", "h.org/p/1")
    assert (following.kind, following.carried) == ("listing", {"depth": 3})


def test_nested_sitemaps_end_at_the_depth(caplog: pytest.LogCaptureFixture) -> None:
    body = SITEMAP.replace(b"urlset", b"sitemapindex").replace(b"<url>", b"<sitemap>")
    answer = Answer(url="http://h.org/", body=body.replace(b"</url>", b"</sitemap>"))
    shallow, deep = (Ask(url=answer.url, carried={"depth": depth}) for depth in (1, 2))
    below = list(gallery(max_depth=2).read(shallow, answer))
    assert [ask.carried for ask in below if isinstance(ask, Ask)] == [{"depth": 2}] * 2
    assert list(gallery(max_depth=2).read(deep, answer)) == []
    assert "max_depth" in caplog.text


@pytest.mark.parametrize(
    "body", [b"plain words", b"\x1f\x8b\x08broken", gzip.compress(b"", mtime=0)]
)
def test_a_listing_that_cannot_be_read_is_unavailable(body: bytes) -> None:
    ask = next(iter(gallery().begin()))
    with pytest.raises(UnavailableError, match=r"http://h\.org/sitemap\.xml"):
        list(gallery().read(ask, Answer(url=ask.url, body=body)))


@given(st.binary(max_size=200), st.sampled_from(["", "/"]))
def test_any_bytes_are_a_listing_or_unavailable(body: bytes, pattern: str) -> None:
    ask = next(iter(gallery().begin()))
    for sent in (body, gzip.compress(body), SITEMAP.replace(b"<loc>", b"<loc>" + body)):
        with contextlib.suppress(UnavailableError):
            found = gallery(link_pattern=pattern).read(ask, Answer(url=ask.url, body=sent))
            assert all(isinstance(one, Ask) for one in found)


def test_a_pattern_must_be_one() -> None:
    with pytest.raises(ValidationError, match="not a regular expression"):
        GalleryStart(url="http://h.org/", link_pattern="(")


ADA, BO = '<img src="/i/ada.jpg">', '<img src="/i/bo.jpg">'
LICENSED = f'<a rel=license href="{BY}">'


def test_a_page_is_read_again_under_the_old_id() -> None:
    page = "h.org/gallery/ada.html"
    image = "https://h.org/i/ada.jpg"
    assert permit(again(ADA + LICENSED, page, image))[0] == "CC-BY"
    assert permit(again(ADA + BO + LICENSED, page, image))[0] == "CC-BY"
    assert permit(again(ADA + BO + LICENSED, f"{page}#/i/ada.jpg", image))[0] == "CC-BY"
    assert permit(again(ADA + LICENSED, f"{page}#/i/ada.jpg", image))[0] == "CC-BY"


@pytest.mark.parametrize("item", ["h.org/gallery/ada.html", "h.org/gallery/ada.html#/i/ada.jpg"])
@pytest.mark.parametrize(
    ("html", "expected"),
    [
        (f'{ADA}{BO}<a rel=license href="{BY_ND}">', Reason.NO_DERIVATIVES),
        (f'{ADA}{BO}{LICENSED}<meta name="robots" content="noai">', Reason.OPT_OUT_NOAI),
        ("<p>gone</p>", Reason.NOT_AN_IMAGE),
        (f'{BO}<img src="/i/cy.jpg">{LICENSED}', Reason.NOT_AN_IMAGE),
    ],
)
def test_what_a_page_no_longer_allows_is_noticed(html: str, expected: Reason, item: str) -> None:
    assert reason(again(html, item, "http://h.org/i/ada.jpg")) is expected


@given(st.binary(max_size=200))
def test_any_bytes_are_a_page_with_an_outcome(body: bytes) -> None:
    for wrapped in (body, b"<img src='" + body + b"'>"):
        assert read_page(wrapped)


def test_a_side_of_any_length_is_a_number() -> None:
    html = f'<img src="/a.jpg" width="{"9" * 5000}"><a rel=license href="{BY}">'
    assert permit(only(read(html)))[0] == "CC-BY"


def test_text_from_outside_can_be_kept() -> None:
    stated = linked_data(license=BY, creator="A\ud800d\0a", contentUrl="/\ud800\0a.jpg")
    item = only(read(stated))
    assert isinstance(item, Candidate)
    assert (item.author, item.image_url) == ("Ada", "http://h.org:8080/a.jpg")


def test_a_moved_page_is_read_where_it_lies() -> None:
    html = f'<img src="a.jpg"><a rel=license href="{BY}">'.encode()
    item = only(read_page(html, "http://h.org/new/ada.html", "http://h.org/ada.html"))
    assert isinstance(item, Candidate)
    assert item.image_url == "http://h.org/new/a.jpg"
    assert item.page_url == "http://h.org/new/ada.html"
    assert item.item_id == "gallery:h.org/ada.html"


def test_the_header_names_the_charset() -> None:
    html = f'<img src="a.jpg"><a rel="author">Łukasz Żółć</a><a rel=license href="{BY}">'
    content_type = "text/html; charset=iso-8859-2"
    item = only(read_page(html.encode("iso-8859-2"), content_type=content_type))
    assert isinstance(item, Candidate)
    assert item.author == "Łukasz Żółć"


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_page_keeps_its_id_over_scheme_and_port(path: str, query: str) -> None:
    address = web_address(f"http://h.org/{path}?{query}")
    moved = address.replace("http://h.org", "https://h.org:8443", 1)
    assert page_id(address) == page_id(moved)


@pytest.mark.parametrize("charset", ["hex", "idna", "undefined", "rot13", "x" * 5000, "\ud800"])
def test_a_charset_of_any_name_has_an_outcome(charset: str) -> None:
    html = f'<meta charset="{charset}">{ADA}{LICENSED}'.encode(errors="replace")
    assert only(read_page(html, content_type=f"text/html; charset={charset}"))
