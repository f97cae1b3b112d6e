"""Web servers on this machine's loopback addresses, and crawls of them."""

import hashlib
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image
from skimage import data

from crawlers.order import CrawlOrder, Politeness, ShardOrder
from crawlers.processes import done_by_processes
from crawlers.shard import do_shard
from crawlers.sources import Start
from mirrorset.catalogue import Catalogue
from mirrorset.records import ImageRecord, Reason, Rejected, Sighting

BY = "https://creativecommons.org/licenses/by/4.0/"
QUICK = Politeness(start_delay_s=0, max_delay_s=0.02, retries=1, longest_wait_s=1)
_CHUNK_BYTES = 65_536


@dataclass
class Answer:
    """What the server says. is_head_silent: the headers come with GET only."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    is_head_silent: bool = False


Query = dict[str, str]


@dataclass(frozen=True)
class Asked:
    """One request that arrived, at a time of the monotonic clock."""

    at: float
    method: str
    path: str
    query: Query
    headers: dict[str, str]

    @property
    def agent(self) -> str:
        return self.headers.get("user-agent", "")


@dataclass
class Site:
    """Addresses and answers of one host; a callable answers by its query.

    log: requests in the order of their arrival. sent: bytes of bodies that left, by path.
    most_at_once: requests that were being answered at one time.
    """

    url: str
    answers: dict[str, Answer | Callable[[Query], Answer]] = field(default_factory=dict)
    log: list[Asked] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    delay_s: float = 0.0
    most_at_once: int = 0
    _at_once: int = 0
    _lock: Any = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        return urlsplit(self.url).netloc

    @property
    def asked(self) -> list[tuple[str, str]]:
        return [(one.method, one.path) for one in self.log]

    def gets(self, path: str) -> int:
        return self.asked.count(("GET", path))

    def forget(self) -> None:
        """Empty the log, so that the next crawl is seen alone."""
        self.log.clear()

    @contextmanager
    def answering(self, asked: Asked) -> Iterator[Callable[[], None]]:
        """Gives what is to be called before the last byte leaves: who reads it may ask again before
        this thread runs on.
        """
        is_over = False

        def answered() -> None:
            nonlocal is_over
            with self._lock:
                self._at_once -= not is_over
            is_over = True

        with self._lock:
            self.log.append(asked)
            self._at_once += 1
            self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            yield answered
        finally:
            answered()


@contextmanager
def serving(address: str = "127.0.0.1", port: int = 0) -> Iterator[Site]:
    """A web server at a loopback address, by default on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            split = urlsplit(self.path)
            query = {key: values[0] for key, values in parse_qs(split.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(time.monotonic(), self.command, split.path, query, headers)
            with site.answering(asked) as answered:
                time.sleep(site.delay_s)
                found = site.answers.get(split.path, Answer(b"no", 404))
                self.say(split.path, found(query) if callable(found) else found, answered)

        do_HEAD = do_POST = do_GET  # noqa: N815

        def say(self, path: str, answer: Answer, answered: Callable[[], None]) -> None:
            is_head = self.command == "HEAD"
            etag = answer.headers.get("ETag")
            if etag is not None and self.headers.get("If-None-Match") == etag:
                answer = Answer(status=304, headers=answer.headers)
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                if not (is_head and answer.is_head_silent):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            if is_head or not answer.body:
                answered()
            self.end_headers()
            if not is_head:
                for start in range(0, len(answer.body), _CHUNK_BYTES):
                    if start + _CHUNK_BYTES >= len(answer.body):
                        answered()
                    self.wfile.write(answer.body[start : start + _CHUNK_BYTES])
                    site.sent[path] += _CHUNK_BYTES

        def log_message(self, *_: object) -> None:
            pass

        def handle(self) -> None:
            try:
                super().handle()
            except ConnectionError:
                self.close_connection = True

    with ThreadingHTTPServer((address, port), Handler) as server:
        server.daemon_threads = True
        site = Site(url=f"http://{address}:{server.server_address[1]}")
        threading.Thread(target=server.serve_forever, args=(0.05,)).start()
        try:
            yield site
        finally:
            server.shutdown()


# --- what stands there ------------------------------------------------------------------------


def photograph(number: int, side_px: int = 256, **options: Any) -> bytes:
    """A window of a real photograph, another for each number."""
    left, top = 3 * number % 256, 5 * number % 256
    window = Image.fromarray(data.astronaut()).crop((left, top, left + side_px, top + side_px))
    out = BytesIO()
    window.save(out, "JPEG", quality=90, **options)
    return out.getvalue()


def sitemap(site: Site, paths: Sequence[str]) -> Answer:
    """A sitemap of pages of the site."""
    urls = "".join(f"<url><loc>{site.url}{path}</loc></url>" for path in paths)
    namespace = "http://www.sitemaps.org/schemas/sitemap/0.9"
    return Answer(f'<urlset xmlns="{namespace}">{urls}</urlset>'.encode())


def page(image: str, licence: str = BY, extra: str = "", **headers: str) -> Answer:
    """A page that shows one picture."""
    linked = f'<a rel="license" href="{licence}">licence</a>' if licence else ""
    return Answer(f'<html>{extra}<img src="{image}">{linked}</html>'.encode(), headers=headers)


def fill_gallery(site: Site, count: int) -> list[str]:
    """Pages /p/N.html with pictures /i/N.jpg, all good; returns the pictures' paths."""
    for n in range(count):
        site.answers[f"/p/{n}.html"] = page(f"/i/{n}.jpg")
        site.answers[f"/i/{n}.jpg"] = Answer(photograph(n))
    site.answers["/sitemap.xml"] = sitemap(site, [f"/p/{n}.html" for n in range(count)])
    return [f"/i/{n}.jpg" for n in range(count)]


class Wiki:
    """A MediaWiki API: pages in batches, an answer in two halves, and a lag once."""

    def __init__(self, site: Site, pages: list[dict[str, Any]]) -> None:
        self.pages = pages
        self.queries: list[Query] = []
        site.answers["/w/api.php"] = self.answer
        site.answers["/robots.txt"] = Answer(b"User-agent: *\nDisallow: /w/\n")

    def answer(self, query: Query) -> Answer:
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
    """A file page of a wiki, whose file lies at the site."""
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


# --- crawling it ------------------------------------------------------------------------------


def ordered(folder: Path, start: Start, **changes: Any) -> CrawlOrder:
    """A quick crawl that keeps all in `folder` and may connect to loopback addresses."""
    settings = {"allow_addresses": ("127.0.0.0/8",), "politeness": QUICK, **changes}
    return CrawlOrder(
        start=start,
        intended_use="research",
        catalogue_url=f"sqlite:///{folder}/catalogue.sqlite",
        blobs_url=str(folder / "blobs"),
        log=folder / "logs/crawl.log",
        contact="crawl@example.org",
        **settings,
    )


def done_here(shards: Sequence[ShardOrder]) -> Iterator[None]:
    """As crawlers.processes.done_by_processes, but one shard alone is done in this process."""
    if len(shards) > 1:
        yield from done_by_processes(shards)
        return
    log_path = shards[0].order.log
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log = logging.FileHandler(log_path)
    logging.root.addHandler(log)
    try:
        do_shard(shards[0], report=lambda settled: None)
    finally:
        logging.root.removeHandler(log)
        log.close()
    yield


@dataclass(frozen=True)
class Kept:
    """What a crawl's catalogue holds."""

    images: tuple[ImageRecord, ...]
    sightings: tuple[Sighting, ...]
    rejected: tuple[Rejected, ...]

    @property
    def reasons(self) -> dict[str, Reason]:
        """Reasons by the last part of the item's id."""
        return {item.item_id.rpartition("/")[2]: item.reason for item in self.rejected}

    @property
    def stored(self) -> set[str]:
        """The last parts of the ids of what was stored."""
        return {seen.source_item_id.rpartition("/")[2] for seen in self.sightings}

    @property
    def settled(self) -> list[str]:
        """The ids of all items that came to something."""
        sightings = [f"{seen.source}:{seen.source_item_id}" for seen in self.sightings]
        return sightings + [item.item_id for item in self.rejected]


def kept(order: CrawlOrder) -> Kept:
    """What the order's catalogue holds now."""
    with Catalogue(order.catalogue_url) as catalogue:
        return Kept(
            tuple(catalogue.read(ImageRecord)),
            tuple(catalogue.read(Sighting)),
            tuple(catalogue.read(Rejected)),
        )


def wait_until(is_so: Callable[[], bool], limit_s: float = 60) -> None:
    """Return as soon as something is so; it must be within `limit_s`."""
    end_at = time.monotonic() + limit_s
    while not is_so():
        assert time.monotonic() < end_at, "it did not come about in time"
        time.sleep(0.02)
