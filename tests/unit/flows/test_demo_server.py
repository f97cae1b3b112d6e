"""The demo's server over real HTTP: shapes of recorded answers, paging, pages, opt-outs."""

import hashlib
import json
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import lxml.etree
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flows.demo import commons
from flows.demo.gallery import Gallery, assemble
from flows.demo.server import image_path, page_path, serve
from mirrorset.records import Reason

SITEMAP = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
EVERYTHING = "url|size|mime|sha1|mediatype|extmetadata|user"
VOID_ELEMENTS = {"meta", "img", "br"}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Gallery:
    cache = model_cache.parent / "packages"
    return assemble(tmp_path_factory.mktemp("gallery"), cache, portraits=6)


@pytest.fixture(scope="module")
def base_url(gallery: Gallery) -> Iterator[str]:
    with serve(gallery) as url:
        yield url


@pytest.fixture
def connection(base_url: str) -> Iterator[HTTPConnection]:
    open_connection = HTTPConnection(urlsplit(base_url).netloc, timeout=10)
    yield open_connection
    open_connection.close()


def _get(connection: HTTPConnection, path: str, method: str = "GET") -> tuple[HTTPResponse, bytes]:
    connection.request(method, path)
    response = connection.getresponse()
    return response, response.read()


def _ask(connection: HTTPConnection, **query: str) -> dict[str, Any]:
    asked = {"action": "query", "format": "json", "prop": "imageinfo", "iiprop": EVERYTHING}
    response, body = _get(connection, f"/w/api.php?{urlencode(asked | query)}")
    assert response.status == 200
    answered: dict[str, Any] = json.loads(body)
    return answered


def _members(connection: HTTPConnection, **query: str) -> dict[str, Any]:
    asked = {"generator": "categorymembers", "gcmtitle": commons.CATEGORY, "gcmtype": "file"}
    return _ask(connection, **asked | query)


def _search(connection: HTTPConnection, **query: str) -> dict[str, Any]:
    asked = {"generator": "search", "gsrsearch": "mirrorset demo", "gsrnamespace": "6"}
    return _ask(connection, **asked | query)


def _recorded(shared_data: Path, name: str) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(
        (shared_data / "crawler/wikimedia_commons" / name).read_text()
    )
    return read


class TestCommonsApi:
    def test_a_page_has_the_keys_of_a_recorded_one(
        self, connection: HTTPConnection, shared_data: Path
    ) -> None:
        recorded = _recorded(shared_data, "image_data_example.json")
        pages = _members(connection, gcmlimit="max")["query"]["pages"]

        for page_id, page in pages.items():
            assert page_id == str(page["pageid"])
            assert page.keys() == recorded.keys()
            (info,), (recorded_info,) = page["imageinfo"], recorded["imageinfo"]
            # The recording did not ask for these two.
            assert info.keys() == recorded_info.keys() | {"sha1", "mime"}
            assert info["extmetadata"].keys() <= recorded_info["extmetadata"].keys()
            for name, told in info["extmetadata"].items():
                recorded_field = recorded_info["extmetadata"][name]
                assert told.keys() == recorded_field.keys() | ({"hidden"} & told.keys())
                assert told["source"] == recorded_field["source"]
                assert type(told["value"]) is type(recorded_field["value"])

    def test_an_answer_has_the_keys_of_a_recorded_one(
        self, connection: HTTPConnection, shared_data: Path
    ) -> None:
        recorded = _recorded(shared_data, "response_large_0.json")
        answered = _members(connection, gcmlimit="2")

        assert answered.keys() == recorded.keys()
        assert answered["batchcomplete"] == recorded["batchcomplete"] == ""
        assert answered["continue"]["continue"] == "gcmcontinue||"
        assert answered["query"].keys() == recorded["query"].keys()
        last = _members(connection, gcmlimit="max")
        assert last.keys() == _recorded(shared_data, "response_small_missing_continue.json").keys()

    def test_public_domain_has_the_licence_fields_of_a_recorded_one(
        self, connection: HTTPConnection, shared_data: Path
    ) -> None:
        recorded = _recorded(shared_data, "continuation/wmc_pretty1.json")
        (volcano, *_) = recorded["query"]["pages"].values()
        pages = _search(connection, gsrsearch="Eileen collins", gsrlimit="max")["query"]["pages"]
        (portrait,) = (page for page in pages.values() if page["title"].endswith("collins.png"))

        fields = ("License", "LicenseShortName", "UsageTerms", "LicenseUrl", "Copyrighted")
        ours = portrait["imageinfo"][0]["extmetadata"]
        theirs = volcano["imageinfo"][0]["extmetadata"]
        assert [ours.get(field, {}).get("value") for field in fields] == [
            theirs.get(field, {}).get("value") for field in fields
        ]

    def test_version_2_differs_as_it_does_for_real(self, connection: HTTPConnection) -> None:
        first = _members(connection, gcmlimit="max")
        second = _members(connection, gcmlimit="max", formatversion="2")

        assert second["batchcomplete"] is True
        by_id = sorted(first["query"]["pages"].values(), key=lambda page: page["pageid"])
        assert second["query"]["pages"] == by_id

    def test_a_files_facts_are_those_of_its_bytes(
        self, connection: HTTPConnection, gallery: Gallery
    ) -> None:
        pages = _members(connection, gcmlimit="max")["query"]["pages"].values()
        by_path = {image_path(image): image for image in gallery.images}

        assert len(pages) == sum(image.source == "commons" for image in gallery.images)
        for page in pages:
            (info,) = page["imageinfo"]
            path = urlsplit(info["url"]).path
            response, body = _get(connection, path)
            assert hashlib.sha1(body, usedforsecurity=False).hexdigest() == info["sha1"]
            assert len(body) == info["size"]
            assert response.headers["Content-Type"] == info["mime"]
            assert body == by_path[path].path.read_bytes()
            assert _get(connection, urlsplit(info["descriptionurl"]).path)[0].status == 200

    @settings(max_examples=12, deadline=None)
    @given(limit=st.integers(1, 30), is_search=st.booleans(), version=st.sampled_from(["1", "2"]))
    def test_following_continue_brings_each_page_once(
        self, base_url: str, gallery: Gallery, limit: int, is_search: bool, version: str
    ) -> None:
        connection = HTTPConnection(urlsplit(base_url).netloc, timeout=10)
        ask, name = (_search, "gsrlimit") if is_search else (_members, "gcmlimit")
        titles: list[str] = []
        following: dict[str, str] = {}
        while True:
            answered = ask(connection, **{name: str(limit), "formatversion": version}, **following)
            pages = answered["query"]["pages"]
            batch = pages if version == "2" else list(pages.values())
            assert len(batch) <= limit
            titles += [page["title"] for page in batch]
            if "continue" not in answered:
                break
            following = {key: str(value) for key, value in answered["continue"].items()}
        connection.close()

        assert len(set(titles)) == len(titles)
        assert len(titles) == sum(image.source == "commons" for image in gallery.images)

    def test_a_search_ranks_its_pages(self, connection: HTTPConnection) -> None:
        pages = _search(connection, gsrlimit="5", gsroffset="3")["query"]["pages"].values()

        assert sorted(page["index"] for page in pages) == [4, 5, 6, 7, 8]

    @pytest.mark.parametrize(
        "query",
        [
            {"generator": "search", "gsrsearch": "mirrorset"},
            {"generator": "search", "gsrsearch": "submarine", "gsrnamespace": "6"},
            {"generator": "categorymembers", "gcmtitle": "Category:Submarines"},
            {"generator": "categorymembers", "gcmtitle": commons.CATEGORY, "gcmtype": "subcat"},
        ],
    )
    def test_nothing_found_is_an_answer_without_query(
        self, connection: HTTPConnection, query: dict[str, str]
    ) -> None:
        assert _ask(connection, **query) == {"batchcomplete": ""}

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ({"action": "purge"}, "badvalue"),
            ({"format": "xml"}, "badvalue"),
            ({"generator": "random"}, "badvalue"),
            ({"generator": "search"}, "missingparam"),
            ({"generator": "search", "gsrsearch": "x", "gsroffset": "-1"}, "badinteger"),
            (
                {
                    "generator": "categorymembers",
                    "gcmtitle": commons.CATEGORY,
                    "gcmcontinue": "elsewhere",
                },
                "badcontinue",
            ),
        ],
    )
    def test_a_wrong_query_is_told_as_mediawiki_does(
        self, connection: HTTPConnection, query: dict[str, str], code: str
    ) -> None:
        asked = {"action": "query", "format": "json"} | query
        response, body = _get(connection, f"/w/api.php?{urlencode(asked)}")

        assert response.status == 200
        assert response.headers["MediaWiki-API-Error"] == code
        assert json.loads(body)["error"]["code"] == code


class _Page(HTMLParser):
    """What a crawler and a strict reader see in a page; unbalanced elements raise."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []
        self.licences: list[str] = []
        self.linked_data: dict[str, Any] = {}
        self._is_linked_data = False
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag not in VOID_ELEMENTS:
            self.open.append(tag)
        if tag == "img":
            assert named["alt"]
            self.images.append(named["src"] or "")
        if named.get("rel") == "license":
            self.licences.append(named["href"] or "")
        self._is_linked_data = named.get("type") == "application/ld+json"

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        self._is_linked_data = False

    def handle_data(self, data: str) -> None:
        if self._is_linked_data:
            self.linked_data = json.loads(data)


class TestWebGallery:
    def test_the_site_map_lists_every_page(
        self, connection: HTTPConnection, gallery: Gallery, base_url: str
    ) -> None:
        response, body = _get(connection, "/gallery/sitemap.xml")
        root = lxml.etree.fromstring(body)

        assert response.headers["Content-Type"] == "application/xml"
        assert root.tag == f"{SITEMAP}urlset"
        assert [loc.text for loc in root.iter(f"{SITEMAP}loc")] == [
            base_url + page_path(image) for image in gallery.images if image.source == "gallery"
        ]

    def test_a_page_shows_one_picture_and_states_its_licence_once(
        self, connection: HTTPConnection, gallery: Gallery, base_url: str
    ) -> None:
        ways = set()
        for image in gallery.images:
            response, body = _get(connection, page_path(image))
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            text = body.decode()
            assert text.startswith("<!DOCTYPE html>")
            page = _Page(text)
            assert page.images == [image_path(image)]
            assert image.author in text
            linked = page.linked_data.get("license")
            assert [*page.licences, *([linked] if linked else [])] == (
                [image.licence.url] if image.licence else []
            )
            if linked:
                assert page.linked_data["@type"] == "ImageObject"
                assert page.linked_data["contentUrl"] == base_url + image_path(image)
                assert page.linked_data["creditText"] == image.author
            ways.add("JSON-LD" if linked else "link" if page.licences else "none")

        assert ways == {"JSON-LD", "link", "none"}

    def test_the_index_links_every_page(self, connection: HTTPConnection, gallery: Gallery) -> None:
        text = _get(connection, "/gallery/")[1].decode()

        _Page(text)
        for image in gallery.images:
            assert (f'href="{page_path(image)}"' in text) == (image.source == "gallery")


class TestOptOuts:
    def test_robots_disallows_the_api_and_one_picture(
        self, connection: HTTPConnection, gallery: Gallery
    ) -> None:
        lines = _get(connection, "/robots.txt")[1].decode().splitlines()
        (refused,) = (image for image in gallery.images if image.expected == Reason.ROBOTS)

        assert lines[0] == "User-agent: *"
        assert "Disallow: /w/" in lines
        assert f"Disallow: {image_path(refused)}" in lines

    def test_headers_refuse_two_pictures_and_no_others(
        self, connection: HTTPConnection, gallery: Gallery
    ) -> None:
        for image in gallery.images:
            response, _ = _get(connection, image_path(image), method="HEAD")
            is_noai = response.headers.get("X-Robots-Tag") == "noai"
            is_reserved = response.headers.get("tdm-reservation") == "1"
            assert is_noai == (image.expected == Reason.OPT_OUT_NOAI)
            assert is_reserved == (image.expected == Reason.OPT_OUT_TDM)


class TestHttp:
    def test_head_tells_what_get_brings(self, connection: HTTPConnection, gallery: Gallery) -> None:
        paths = [image_path(image) for image in gallery.images] + ["/robots.txt", "/nowhere"]
        for path in paths:
            head, nothing = _get(connection, path, method="HEAD")
            get, body = _get(connection, path)
            assert nothing == b""
            assert head.status == get.status
            assert int(head.headers["Content-Length"]) == len(body)
            assert head.headers["Content-Type"] == get.headers["Content-Type"]

    def test_one_connection_serves_many_requests(self, connection: HTTPConnection) -> None:
        _get(connection, "/robots.txt")
        socket = connection.sock
        _get(connection, "/nowhere")
        _get(connection, "/gallery/")
        assert connection.sock is socket

    @pytest.mark.parametrize(
        "path",
        ["/", "/w/index.php", "/gallery/none.html", "/gallery/images/", "/.well-known/tdmrep.json",
         "/gallery/images/../../../../etc/passwd"],
    )  # fmt: skip
    def test_other_addresses_lead_nowhere(self, connection: HTTPConnection, path: str) -> None:
        response, body = _get(connection, path)
        assert response.status == 404
        _Page(body.decode())

    def test_paths_and_ids_are_the_same_on_another_port(
        self, gallery: Gallery, base_url: str, connection: HTTPConnection
    ) -> None:
        with serve(gallery) as other_url:
            assert other_url != base_url
            other = HTTPConnection(urlsplit(other_url).netloc, timeout=10)
            search = "/w/api.php?action=query&format=json&generator=search&gsrsearch=demo"
            facts = "&gsrnamespace=6&gsrlimit=max&prop=imageinfo&iiprop=url"
            for path in ("/robots.txt", "/gallery/", "/gallery/sitemap.xml", search + facts):
                here, there = _get(connection, path)[1], _get(other, path)[1]
                assert here == there.replace(other_url.encode(), base_url.encode())
            other.close()

    def test_it_is_quiet_when_a_client_hangs_up_and_gone_when_left(
        self, gallery: Gallery, capfd: pytest.CaptureFixture[str]
    ) -> None:
        running = set(threading.enumerate())
        with serve(gallery) as url:
            for image in gallery.images:
                hasty = HTTPConnection(urlsplit(url).netloc, timeout=10)
                hasty.request("GET", image_path(image))
                hasty.getresponse().close()
                hasty.close()
            kept_open = HTTPConnection(urlsplit(url).netloc, timeout=10)
            _get(kept_open, "/robots.txt")
        assert set(threading.enumerate()) <= running
        with pytest.raises(ConnectionRefusedError):
            HTTPConnection(urlsplit(url).netloc, timeout=10).request("GET", "/")
        kept_open.close()
        assert capfd.readouterr() == ("", "")
