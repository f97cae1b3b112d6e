"""Reports in a browser: a folder served on this machine alone."""

import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from mirrorset.errors import InputError, UnavailableError

HOST = "127.0.0.1"
_HOSTS = (HOST, "localhost")
_HEADERS = {
    # A report that is made anew is shown anew, and no browser keeps what is erased here.
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def view(folder: Path, port: int, told: Callable[[str], None]) -> None:
    """Serve the pages of `folder` until the process is told to stop.

    port: 0 for any that is free. told: called with the address once it is served. Raises
    InputError where there is no page, UnavailableError where the port is taken.
    """
    pages = sorted(page.name for page in folder.glob("*.html"))
    if not pages:
        raise InputError(f"{folder} holds no report: make one with `mirrorset report`.")
    first = "index.html" if "index.html" in pages else pages[0]
    with _listening(folder, port, "choose another with --port") as server:
        told(f"{server.url}/{first}")
        server.serve_forever()


@contextmanager
def viewed(folder: Path, port: int, remedy: str) -> Iterator[str]:
    """Serve what `folder` holds, now or later, while the body runs; yields the address.

    remedy: what to do where the port is taken, which raises UnavailableError.
    """
    with _listening(folder, port, remedy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.url
        finally:
            server.shutdown()


def _listening(folder: Path, port: int, remedy: str) -> "_Server":
    try:
        return _Server(folder, port)
    except OSError as error:
        raise UnavailableError(
            f"Port {port} of {HOST} cannot be used ({error.strerror}): {remedy}."
        ) from error


class _Server(ThreadingHTTPServer):
    """Says nothing where a browser goes away amid an answer."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__((HOST, port), partial(_Pages, directory=str(folder)))
        self.url = f"http://{HOST}:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let any other fault be seen."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Pages(SimpleHTTPRequestHandler):
    """Files of one folder, to a browser on this machine; no folder is listed."""

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Refuse what a page elsewhere asks for under a name of its own (DNS rebinding)."""
        name = self.headers.get("Host", "").partition(":")[0]
        if name not in _HOSTS:
            self.send_error(HTTPStatus.FORBIDDEN)
            return None
        if not self._is_within():
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        return super().send_head()

    def _is_within(self) -> bool:
        try:
            asked = Path(self.translate_path(self.path)).resolve()
        except ValueError:  # No path holds a NUL.
            return False
        return asked.is_relative_to(Path(self.directory).resolve())

    def list_directory(self, path: object) -> None:
        self.send_error(HTTPStatus.NOT_FOUND)

    def end_headers(self) -> None:
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        shown = "cross-origin" if self._is_asked_from_here() else "same-origin"
        self.send_header("Cross-Origin-Resource-Policy", shown)
        super().end_headers()

    def _is_asked_from_here(self) -> bool:
        """Whether a page of this machine asks, be it on another port as Prefect's UI: it may show
        pictures. Pages of others could find out so whether an image is here.
        """
        headers: Mapping[str, str] = getattr(self, "headers", {})  # of no request that is none
        try:
            return urlsplit(headers.get("Referer", "")).hostname in _HOSTS
        except ValueError:
            return False

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's own name)
        """Say nothing: the terminal is for what people asked."""
