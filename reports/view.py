"""Reports in a browser: a folder served on this machine alone."""

import sys
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

from mirrorset.errors import InputError, UnavailableError

HOST = "127.0.0.1"
_HEADERS = {
    # A report that is made anew is shown anew.
    "Cache-Control": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
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
    try:
        server = _Server((HOST, port), partial(_Pages, directory=str(folder)))
    except OSError as error:
        raise UnavailableError(
            f"Port {port} of {HOST} cannot be used ({error.strerror}): choose another with --port."
        ) from error
    with server:
        told(f"http://{HOST}:{server.server_address[1]}/{first}")
        server.serve_forever()


class _Server(ThreadingHTTPServer):
    """Says nothing where a browser goes away amid an answer."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Let any other fault be seen."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Pages(SimpleHTTPRequestHandler):
    """Files of one folder, to a browser on this machine; no folder is listed."""

    def send_head(self) -> BytesIO | BinaryIO | None:
        """Refuse what a page elsewhere asks for under a name of its own (DNS rebinding)."""
        name = self.headers.get("Host", "").partition(":")[0]
        if name not in (HOST, "localhost"):
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
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the base's own name)
        """Say nothing: the terminal is for what people asked."""
