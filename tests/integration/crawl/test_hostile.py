"""Hostile inputs of every kind: each is refused for its own reason, and the crawl goes on."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import hostile_servers as hostile
import pytest
from hostile_files import HOSTILE
from hostile_pages import BEARABLE, hostile_listings, hostile_pages, sitemaps_of_entities
from hostile_servers import Hostile, answer, photograph
from loopback import BY, Kept, kept, ordered
from PIL import Image

from crawlers.order import Politeness
from crawlers.run import crawl
from crawlers.sources.gallery import GalleryStart
from crawlers.sources.urls import UrlsStart
from mirrorset.errors import UnavailableError
from mirrorset.records import Rejected

IMPATIENT = Politeness(
    start_delay_s=0,
    max_delay_s=0.01,
    target_concurrency=32,
    concurrency_per_host=32,
    timeout_s=hostile.TIMEOUT_S,
    retries=0,
    longest_wait_s=1,
)
GOOD = 3


def path_of(name: str) -> str:
    """Where the row of this name is served."""
    return "/" + re.sub(r"[^A-Za-z0-9]+", "-", name)


@dataclass(frozen=True)
class Crawled:
    """A crawl of hostile rows, and what became of each: by the row's name."""

    rows: list[Hostile]
    store: Kept
    refused: dict[str, Rejected]


@contextmanager
def served(rows: list[Hostile], root: hostile.Server) -> Iterator[None]:
    root.answers |= {path_of(row.name): row.say for row in rows if not row.url}
    root.answers |= {f"/good-{number}.jpg": answer(photograph(number)) for number in range(GOOD)}
    yield


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawled]:
    """One crawl of a list that names all hostile pictures and, among them, good ones."""
    folder = tmp_path_factory.mktemp("pictures")
    with hostile.serving() as server:
        rows = hostile.hostile_pictures(server.url)
        rows += [
            Hostile(f"file, {row.name}", answer(row.content), row.reason, row.words)
            for row in HOSTILE
        ]
        with served(rows, server):
            urls = {row.name: row.url or f"{server.url}{path_of(row.name)}" for row in rows}
            assert len(set(urls.values())) == len(rows)
            listed = list(urls.items())
            for number in range(GOOD):
                place = number * len(listed) // (GOOD - 1)
                listed.insert(place, (f"good {number}", f"{server.url}/good-{number}.jpg"))
            table = "\n".join(f"{name.replace(',', ';')}\t{url}" for name, url in listed)
            (folder / "list.tsv").write_text(f"name\turl\n{table}\n")
            start = UrlsStart(
                path=str(folder / "list.tsv"),
                id_col="name",
                licence="CC BY 4.0",
                licence_read_from="https://example.org/dataset",
            )
            order = ordered(folder, start, politeness=IMPATIENT, max_bytes=hostile.MAX_BYTES)
            summary = crawl(order)
            assert summary.waiting == 0
            assert summary.found == len(listed)
            yield crawled(rows, kept(order), "urls:")


def crawled(rows: list[Hostile], store: Kept, prefix: str) -> Crawled:
    by_id = {item.item_id.removeprefix(prefix): item for item in store.rejected}
    refused = {
        row.name: by_id[key]
        for row in rows
        for key in (row.name.replace(",", ";"), f"127.0.0.1{path_of(row.name)}")
        if key in by_id
    }
    return Crawled(rows, store, refused)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crawled]:
    """One crawl of a gallery of hostile and of odd pages."""
    folder = tmp_path_factory.mktemp("pages")
    with hostile.serving() as server:
        rows = hostile_pages()
        with served(rows, server):
            server.answers |= {
                "/good.jpg": answer(photograph(0)),
                "/nd.jpg": answer(no_derivatives()),
                **{f"/odd/{name}": said for name, said in BEARABLE.items()},
            }
            paths = [*(path_of(row.name) for row in rows), *map("/odd/{}".format, BEARABLE)]
            locations = "".join(f"<url><loc>{server.url}{path}</loc></url>" for path in paths)
            server.answers["/sitemap.xml"] = answer(f"<urlset>{locations}</urlset>".encode())
            start = GalleryStart(url=f"{server.url}/sitemap.xml")
            order = ordered(folder, start, politeness=IMPATIENT, max_bytes=hostile.MAX_BYTES)
            assert crawl(order).waiting == 0
            yield crawled(rows, kept(order), "gallery:")


def no_derivatives() -> bytes:
    """A picture whose own metadata forbids derivatives."""
    xmp = (
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        'xmlns:cc="http://creativecommons.org/ns#"><cc:license '
        f'rdf:resource="{BY.replace("/by/", "/by-nd/")}"/></rdf:Description></rdf:RDF>'
    )
    out = BytesIO()
    Image.open(BytesIO(photograph(5))).save(out, "JPEG", xmp=xmp.encode())
    return out.getvalue()


PICTURE_NAMES = [row.name for row in hostile.hostile_pictures("http://127.0.0.1:1")]
PICTURE_NAMES += [f"file, {row.name}" for row in HOSTILE]
PAGE_NAMES = [row.name for row in hostile_pages()]


def require_refused(group: Crawled, name: str) -> None:
    (row,) = (row for row in group.rows if row.name == name)
    assert name in group.refused, "it is settled as something else"
    item = group.refused[name]
    assert (item.reason, row.words in item.detail) == (row.reason, True), item
    assert "object at 0x" not in item.detail


@pytest.mark.parametrize("name", PICTURE_NAMES)
def test_a_hostile_picture_is_refused_for_its_own_reason(pictures: Crawled, name: str) -> None:
    require_refused(pictures, name)


@pytest.mark.parametrize("name", PAGE_NAMES)
def test_a_hostile_page_is_refused_for_its_own_reason(pages: Crawled, name: str) -> None:
    require_refused(pages, name)


def test_the_crawl_goes_on_between_hostile_pictures(pictures: Crawled) -> None:
    stored = {seen.source_item_id for seen in pictures.store.sightings}
    assert stored == {f"good {number}" for number in range(GOOD)}


def test_odd_pages_are_borne(pages: Crawled) -> None:
    assert pages.store.stored == set(BEARABLE)


def test_there_are_more_than_a_hundred_and_no_two_are_alike() -> None:
    names = [*PICTURE_NAMES, *PAGE_NAMES, *hostile_listings()]
    assert len(set(names)) == len(names) >= 200
    assert len(names) - len(HOSTILE) >= 100


@pytest.mark.parametrize("name", list(hostile_listings()))
def test_a_hostile_listing_ends_its_crawl_with_a_sentence(tmp_path: Path, name: str) -> None:
    said, words = hostile_listings()[name]
    with hostile.serving() as server:
        server.answers["/sitemap.xml"] = said
        start = GalleryStart(url=f"{server.url}/sitemap.xml")
        with pytest.raises(UnavailableError, match=words):
            crawl(ordered(tmp_path, start, politeness=IMPATIENT))


@pytest.mark.parametrize("name", ["laughs", "file"])
def test_entities_of_a_sitemap_are_not_unfolded(tmp_path: Path, name: str) -> None:
    with hostile.serving() as server:
        server.answers |= {
            "/sitemap.xml": sitemaps_of_entities(f"{server.url}/p.html")[name],
            "/p.html": BEARABLE["surrogates"],
            "/good.jpg": answer(photograph(0)),
        }
        order = ordered(
            tmp_path, GalleryStart(url=f"{server.url}/sitemap.xml"), politeness=IMPATIENT
        )
        crawl(order)
        # The parser gives up a sitemap of laughs, and leaves out what is not in the sitemap.
        assert kept(order).stored == ({"p.html"} if name == "file" else set())
        rules = {"/robots.txt", "/.well-known/tdmrep.json", "/ai.txt"}
        assert set(server.asked) - rules <= {"/sitemap.xml", "/p.html", "/good.jpg"}
