"""Crawls over real HTTP: a MediaWiki API and a web gallery on loopback, with every bad case."""

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from PIL import Image
from skimage import data

from crawlers.order import CommonsStart, CrawlOrder, CrawlSummary, GalleryStart, Politeness
from crawlers.run import crawl
from mirrorset.blobs import BlobStore
from mirrorset.errors import InputError, MirrorsetError, UnavailableError
from mirrorset.records import ImageRecord, Reason, Record, Rejected, Sighting
from mirrorset.spool import ingest

BY = "https://creativecommons.org/licenses/by/4.0/"
QUICK = Politeness(start_delay_s=0, max_delay_s=0.02, retries=1, longest_wait_s=1)


@dataclass
class Answer:
    """What the server says. is_head_silent: the headers come with GET only."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_head_silent: bool = False


@dataclass
class Site:
    """Addresses and answers; a callable answers by its query. asked: (method, path) in order."""

    url: str
    answers: dict[str, Answer | Callable[[dict[str, str]], Answer]] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    delay_s: float = 0.0

    def gets(self, path: str) -> int:
        return self.asked.count(("GET", path))


@pytest.fixture
def site() -> Iterator[Site]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            split = urlsplit(self.path)
            time.sleep(running.delay_s)
            running.asked.append((self.command, split.path))
            running.agents.add(self.headers["User-Agent"])
            found = running.answers.get(split.path, Answer(b"no", 404))
            query = {key: values[0] for key, values in parse_qs(split.query).items()}
            answer = found(query) if callable(found) else found
            is_head = self.command == "HEAD"
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if not (is_head and answer.is_head_silent):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if not is_head:
                self.wfile.write(answer.body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        running = Site(url=f"http://127.0.0.1:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        yield running
        server.shutdown()


class Kept(list[Record]):
    """A store that keeps what `mirrorset.spool.ingest` brings."""

    def upsert(self, records: Sequence[Record]) -> None:
        self.extend(records)

    def of(self, kind: type[Record]) -> list[Any]:
        return [record for record in self if isinstance(record, kind)]

    @property
    def reasons(self) -> dict[str, Reason]:
        return {item.item_id.rpartition("/")[2]: item.reason for item in self.of(Rejected)}

    @property
    def settled(self) -> list[str]:
        sightings = [f"{seen.source}:{seen.source_item_id}" for seen in self.of(Sighting)]
        return sightings + [item.item_id for item in self.of(Rejected)]


def kept(order: CrawlOrder) -> Kept:
    store = Kept()
    ingest(order.spool, store)
    return store


def photograph(number: int, side_px: int = 256, **options: Any) -> bytes:
    """A window of a real photograph, another for each number."""
    left, top = 3 * number % 256, 5 * number % 256
    window = Image.fromarray(data.astronaut()).crop((left, top, left + side_px, top + side_px))
    out = BytesIO()
    window.save(out, "JPEG", quality=90, **options)
    return out.getvalue()


def ordered(folder: Path, start: CommonsStart | GalleryStart, **changes: Any) -> CrawlOrder:
    return CrawlOrder(
        start=start,
        intended_use="research",
        blobs_url=str(folder / "blobs"),
        spool=folder / "spool",
        log=folder / "logs/crawl.log",
        contact="crawl@example.org",
        politeness=QUICK,
        **changes,
    )


def sitemap(site: Site, paths: Sequence[str]) -> Answer:
    urls = "".join(f"<url><loc>{site.url}{path}</loc></url>" for path in paths)
    namespace = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return Answer(f'<urlset xmlns="{namespace}">{urls}</urlset>'.encode())


def page(image: str, licence: str = BY, extra: str = "") -> Answer:
    linked = f'<a rel="license" href="{licence}">licence</a>' if licence else ""
    return Answer(f'<html>{extra}<img src="{image}">{linked}</html>'.encode())


def fill_gallery(site: Site, count: int) -> list[str]:
    """Pages /p/N.html with pictures /i/N.jpg, all good; returns the pictures' paths."""
    for n in range(count):
        site.answers[f"/p/{n}.html"] = page(f"/i/{n}.jpg")
        site.answers[f"/i/{n}.jpg"] = Answer(photograph(n))
    site.answers["/sitemap.xml"] = sitemap(site, [f"/p/{n}.html" for n in range(count)])
    return [f"/i/{n}.jpg" for n in range(count)]


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
    retryable = {item.item_id for item in store.of(Rejected) if item.is_retryable}
    assert retryable == {"gallery:127.0.0.1/p/broken.html"}
    assert all(item.detail and item.step == "crawl" for item in store.of(Rejected))

    sightings = {seen.source_item_id.removeprefix("127.0.0.1"): seen for seen in store.of(Sighting)}
    assert set(sightings) == {
        "/p/good.html", "/p/moved.html", "/p/described.html", "/p/licensed-in-file.html",
        "/p/not-for-others.html", "/p/pair.html#/i/one.jpg", "/p/pair.html#/i/two.jpg",
    }  # fmt: skip
    blobs = BlobStore(order.blobs_url)
    for path, content in good.items():
        assert blobs.get(sightings[path].image_id) == content
    images = {image.image_id: image for image in store.of(ImageRecord)}
    assert set(images) == {seen.image_id for seen in sightings.values()}
    receipt = sightings["/p/good.html"]
    assert receipt.image_url == f"{site.url}/i/good.jpg"
    assert receipt.evidence.licence_text == BY
    assert receipt.evidence.robots_sha256 == hashlib.sha256(ROBOTS).hexdigest()
    assert receipt.evidence.headers["etag"] == '"7"'
    assert sightings["/p/described.html"].author == "Ada"
    in_file = sightings["/p/licensed-in-file.html"].evidence
    assert in_file.licence_read_from == "xmp cc:license"

    # What can be known before the bytes is known before the bytes.
    for name in ("disallowed", "noai", "tdm", "tdmrep", "meta-noai", "odd-licence", "large"):
        assert site.gets(f"/i/{name}.jpg") == 0, name
    for path in ("/p/private.html", "/i/x.jpg"):
        assert ("HEAD", path) not in site.asked
        assert site.gets(path) == 0
    assert site.gets("/robots.txt") == 1
    assert site.gets("/i/licensed-in-file.jpg") == 1
    assert site.agents == {f"{order.user_agent} (+crawl@example.org)"}

    assert summary.unsettled == 0
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
    # HEAD, again after the wait, GET.
    assert len(asked_at) == 3
    assert asked_at[1] - asked_at[0] >= 1.0
    # A site map, two pages, five requests for pictures: seven waits.
    assert time.monotonic() - began_at >= 7 * 0.4


class Wiki:
    """A MediaWiki API: pages in batches, an answer in two halves, and a lag once."""

    def __init__(self, site: Site, pages: list[dict[str, Any]]) -> None:
        self.pages = pages
        self.queries: list[dict[str, str]] = []
        site.answers["/w/api.php"] = self.answer
        site.answers["/robots.txt"] = Answer(b"User-agent: *\nDisallow: /w/\n")

    def answer(self, query: dict[str, str]) -> Answer:
        self.queries.append(query)
        if len(self.queries) == 2:
            error = {"code": "maxlag", "info": "Waiting for db1: 7 seconds lagged.", "lag": 7}
            return self._json({"error": error}, {"Retry-After": "1"})
        first = int(query.get("gsroffset", 0))
        batch = self.pages[first : first + int(query["gsrlimit"])]
        if "iistart" not in query and first == 0:
            halves = [{**page, "imageinfo": page["imageinfo"]} for page in batch]
            halves[-1] = {key: batch[-1][key] for key in ("pageid", "title", "index")}
            going_on = {"iistart": "x", "continue": "||"}
            return self._json({"continue": going_on, "query": {"pages": halves}})
        shown = batch[-1:] if "iistart" in query else batch
        body: dict[str, Any] = {"batchcomplete": True, "query": {"pages": shown}}
        following = first + len(batch)
        if following < len(self.pages):
            body["continue"] = {"gsroffset": following, "continue": "gsroffset||"}
        return self._json(body)

    @staticmethod
    def _json(body: dict[str, Any], headers: dict[str, str] | None = None) -> Answer:
        return Answer(json.dumps(body).encode(), headers=headers or {})


def file_page(site: Site, number: int, content: bytes, **changes: Any) -> dict[str, Any]:
    site.answers[f"/commons/{number}.jpg"] = Answer(content)
    info = {
        "url": f"{site.url}/commons/{number}.jpg",
        "descriptionurl": f"{site.url}/wiki/File:{number}.jpg",
        "mime": "image/jpeg",
        "size": len(content),
        "width": 256,
        "height": 256,
        "sha1": hashlib.sha1(content, usedforsecurity=False).hexdigest(),
        "user": "Uploader",
        "extmetadata": {
            "LicenseUrl": {"value": BY},
            "Artist": {"value": '<a href="//example.org">Ada</a>'},
        },
        **changes,
    }
    title = f"File:{number}.jpg"
    return {"pageid": number, "title": title, "index": number, "imageinfo": [info]}


def test_commons_continues_waits_and_verifies(site: Site, tmp_path: Path) -> None:
    pages = [file_page(site, number, photograph(number)) for number in range(1, 8)]
    pages[1] = file_page(site, 2, photograph(2), sha1="0" * 40)
    pages[3] = file_page(site, 4, photograph(4), extmetadata={})
    pages[4] = file_page(site, 5, photograph(5), mime="image/svg+xml")
    wiki = Wiki(site, pages)
    known = tmp_path / "known.txt"
    known.write_text("commons:7\n")
    api = CommonsStart(api_url=f"{site.url}/w/api.php", search="selfie", page_size=3)
    order = ordered(tmp_path, api, known=known)
    summary = crawl(order)
    store = kept(order)

    assert {seen.source_item_id for seen in store.of(Sighting)} == {"1", "3", "6"}
    assert {item.item_id: item.reason for item in store.of(Rejected)} == {
        "commons:2": Reason.CHECKSUM,
        "commons:4": Reason.LICENCE_MISSING,
        "commons:5": Reason.NOT_AN_IMAGE,
    }
    assert (summary.found, summary.stored, summary.already_known) == (7, 3, 1)
    assert {seen.author for seen in store.of(Sighting)} == {"Ada"}
    for number in (4, 5, 7):
        assert site.gets(f"/commons/{number}.jpg") == 0
    # first half, maxlag, second half, two more batches
    assert len(wiki.queries) == 5
    assert wiki.queries[1] == wiki.queries[2]
    assert all(query["maxlag"] == "5" for query in wiki.queries)


def test_a_limit_counts_known_items_too(site: Site, tmp_path: Path) -> None:
    Wiki(site, [file_page(site, number, photograph(number)) for number in range(1, 8)])
    api = CommonsStart(api_url=f"{site.url}/w/api.php", search="selfie", page_size=3)
    order = ordered(tmp_path, api, limit=4)
    assert crawl(order) == CrawlSummary(found=4, stored=4)
    assert crawl(order) == CrawlSummary(found=4, already_known=4)
    assert {seen.source_item_id for seen in kept(order).of(Sighting)} == {"1", "2", "3", "4"}


def started_child(order: CrawlOrder) -> "subprocess.Popen[bytes]":
    order.spool.mkdir(parents=True, exist_ok=True)
    order_path = order.spool.parent / "order.json"
    order_path.write_text(order.model_dump_json())
    return subprocess.Popen(
        [sys.executable, "-m", "crawlers.child", str(order_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )


def test_a_killed_crawl_goes_on_where_it_was(site: Site, tmp_path: Path) -> None:
    paths = fill_gallery(site, 60)
    site.delay_s = 0.005
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))
    with started_child(order) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.kill()
    shards = {path: path.read_bytes() for path in order.spool.glob("*.jsonl")}
    first = {
        json.loads(line)["Sighting"]["source_item_id"]
        for content in shards.values()
        for line in content.decode().splitlines()
        if "Sighting" in json.loads(line)
    }
    assert 16 <= len(first) < len(paths)

    site.asked.clear()
    summary = crawl(order)
    assert summary == CrawlSummary(found=60, stored=60 - len(first), already_known=len(first))
    fetched_again = {path for method, path in site.asked if method == "GET" and "/i/" in path}
    assert not fetched_again & {
        item.removeprefix("127.0.0.1").replace("/p/", "/i/").replace(".html", ".jpg")
        for item in first
    }
    store = kept(order)
    assert len(store.settled) == len(set(store.settled)) == 60
    blobs = BlobStore(order.blobs_url)
    contents = {blobs.get(seen.image_id) for seen in store.of(Sighting)}
    assert contents == {photograph(n) for n in range(60)}


def test_a_dead_parent_leaves_no_crawl_behind(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 400)
    site.delay_s = 0.05
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))
    order_path = tmp_path / "order.json"
    order_path.write_text(order.model_dump_json())
    program = (
        "import sys, pathlib\n"
        "from crawlers.order import CrawlOrder\n"
        "from crawlers.run import crawl\n"
        "crawl(CrawlOrder.model_validate_json(pathlib.Path(sys.argv[1]).read_bytes()))"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(order_path)]) as parent:
        wait_until(lambda: len(site.asked) > 20)
        parent.kill()
    time.sleep(1.0)
    asked = len(site.asked)
    time.sleep(1.0)
    assert len(site.asked) == asked < 400


def wait_until(is_so: Callable[[], bool], limit_s: float = 60) -> None:
    end_at = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end_at, "it did not come about in time"
        time.sleep(0.02)


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the child in /proc")
def test_a_child_that_dies_is_told_in_a_sentence(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 60)
    site.delay_s = 0.005
    order = ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml"))

    def kill_the_child(_: CrawlSummary) -> None:
        for task in Path("/proc/self/task").iterdir():
            for pid in (task / "children").read_text().split():
                if b"crawlers.child" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    os.kill(int(pid), signal.SIGKILL)

    with pytest.raises(UnavailableError, match=r"died \(status -9\).*crawl\.log"):
        crawl(order, kill_the_child)
    assert len(kept(order).of(Sighting)) >= 16


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


def test_an_api_that_refuses(site: Site, tmp_path: Path) -> None:
    site.answers["/w/api.php"] = Answer(b'{"error": {"code": "badvalue", "info": "No"}}')
    api = CommonsStart(api_url=f"{site.url}/w/api.php", search="selfie")
    with pytest.raises(UnavailableError, match="badvalue: No"):
        crawl(ordered(tmp_path, api))


def test_a_store_that_cannot_keep_ends_the_crawl(site: Site, tmp_path: Path) -> None:
    fill_gallery(site, 3)
    (tmp_path / "blobs").write_text("a file where a folder should be")
    with pytest.raises(MirrorsetError, match=r"The log is .*crawl\.log"):
        crawl(ordered(tmp_path, GalleryStart(url=f"{site.url}/sitemap.xml")))


def test_an_absent_list_of_known_items(site: Site, tmp_path: Path) -> None:
    start = GalleryStart(url=f"{site.url}/sitemap.xml")
    with pytest.raises(InputError, match=r"absent\.txt does not exist"):
        crawl(ordered(tmp_path, start, known=tmp_path / "absent.txt"))


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
    assert summary.unsettled == 0
    store = kept(order)
    details = {item.item_id.rpartition("/")[2]: item.detail for item in store.of(Rejected)}
    assert details["3.html"] == "The answer is over 10000000 bytes."
    stored = {seen.source_item_id.rpartition("/")[2] for seen in store.of(Sighting)}
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


def test_a_host_that_asks_for_endless_patience_is_left_alone(site: Site, tmp_path: Path) -> None:
    Wiki(site, [file_page(site, 1, photograph(1))])
    site.answers["/robots.txt"] = Answer(b"User-agent: *\nCrawl-delay: 1e9\n")
    api = CommonsStart(api_url=f"{site.url}/w/api.php", search="selfie", page_size=3)
    order = ordered(tmp_path, api)
    assert crawl(order).rejected == {Reason.ROBOTS: 1}
    (refused,) = kept(order).of(Rejected)
    assert "asks for 1e+09 s between requests" in refused.detail
