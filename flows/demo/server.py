"""The demo's gallery over real HTTP on loopback: a Wikimedia Commons API and a web gallery.

    /robots.txt                        disallows /w/ as Wikimedia does, and one picture
    /w/api.php                         action=query, generator=search or categorymembers
    /commons/<a>/<ab>/<name>           its files, described at /wiki/File:<name>
    /gallery/                          the index; /gallery/sitemap.xml the site map
    /gallery/<slug>.html               a page for each image
    /gallery/images/<name>             its pictures, two with opt-out headers

Everything but the port is the same in every run.
"""

import json
import socket
import socketserver
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from flows.demo import commons, pages
from flows.demo.gallery import Gallery, GalleryImage

_HTML = "text/html; charset=utf-8"
_JSON = "application/json; charset=utf-8"
_OPT_OUT_HEADERS = {"noai": {"X-Robots-Tag": "noai"}, "tdm": {"tdm-reservation": "1"}}


@contextmanager
def serve(gallery: Gallery) -> Iterator[str]:
    """Serve the gallery from a thread of this process; yields "http://127.0.0.1:PORT"."""
    with _Server(gallery) as server:
        thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.05}, name="demo gallery"
        )
        thread.start()
        try:
            yield server.base_url
        finally:
            server.shutdown()
            thread.join()


def image_path(image: GalleryImage) -> str:
    """The path of the image's address, by which a crawl's records can be told apart."""
    if image.source == "commons":
        return commons.file_path(image)
    return pages.picture_path(image)


def page_path(image: GalleryImage) -> str:
    """The path of the page that shows the image and states its licence."""
    if image.source == "commons":
        return commons.description_path(image)
    return pages.page_path(image)


@dataclass(frozen=True)
class _Answer:
    body: bytes
    media_type: str
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class _Site:
    """All addresses and what they answer, without HTTP."""

    def __init__(self, gallery: Gallery, base_url: str) -> None:
        on_commons = [image for image in gallery.images if image.source == "commons"]
        on_gallery = [image for image in gallery.images if image.source == "gallery"]
        self._base_url = base_url
        self._file_pages = sorted(map(commons.file_page, on_commons), key=lambda page: page.title)
        self._pictures = {image_path(image): image for image in gallery.images}
        self._texts: dict[str, tuple[str, str]] = {
            "/robots.txt": ("text/plain; charset=utf-8", pages.robots(on_gallery)),
            "/gallery/": (_HTML, pages.index_page(on_gallery)),
            "/gallery/sitemap.xml": ("application/xml", pages.sitemap(on_gallery, base_url)),
        }
        for image in gallery.images:
            page, picture = page_path(image), image_path(image)
            self._texts[page] = (_HTML, pages.image_page(image, page, picture, base_url))

    def answer(self, address: str) -> _Answer:
        """What a GET of `address` (path and query) brings."""
        split = urlsplit(address)
        path = unquote(split.path)
        if path == "/w/api.php":
            return self._api(dict(parse_qsl(split.query)))
        if picture := self._pictures.get(path):
            headers = _OPT_OUT_HEADERS.get(picture.opt_out or "", {})
            return _Answer(picture.path.read_bytes(), picture.media_type, headers=headers)
        if path in self._texts:
            media_type, text = self._texts[path]
            return _Answer(text.encode(), media_type)
        return _Answer(pages.not_found_page().encode(), _HTML, status=404)

    def _api(self, query: Mapping[str, str]) -> _Answer:
        found = commons.answer(self._file_pages, query, self._base_url)
        # MediaWiki tells of an error with status 200, in this header and in the body.
        headers = {"MediaWiki-API-Error": found["error"]["code"]} if "error" in found else {}
        body = json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
        return _Answer(body, _JSON, headers=headers)


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"
    protocol_version = "HTTP/1.1"
    # Headers and body are two writes; with Nagle's algorithm each answer would wait 40 ms.
    disable_nagle_algorithm = True
    timeout = 20

    def do_GET(self) -> None:
        self._send(is_body_wanted=True)

    def do_HEAD(self) -> None:
        self._send(is_body_wanted=False)

    def version_string(self) -> str:
        return "mirrorset-demo"

    def log_message(self, *_: object) -> None:
        """Say nothing: the demo's screen belongs to the demo."""

    def _send(self, is_body_wanted: bool) -> None:
        answer = self.server.site.answer(self.path)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if is_body_wanted:
            self.wfile.write(answer.body)


class _Server(ThreadingHTTPServer):
    # Closing the server ends every connection and waits for its thread.
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, gallery: Gallery) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self._connections: set[socket.socket] = set()
        self.base_url = f"http://127.0.0.1:{self.server_address[1]}"
        self.site = _Site(gallery, self.base_url)

    def server_bind(self) -> None:
        # HTTPServer's own looks up the host's name, which waits for DNS on some machines.
        socketserver.TCPServer.server_bind(self)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, client_address = super().get_request()
        self._connections.add(connection)
        return connection, client_address

    def shutdown_request(self, request: Any) -> None:
        self._connections.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        for connection in tuple(self._connections):
            # It may have ended by itself since.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        super().server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A crawler that has read enough hangs up; that is no error of the server's.
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)
