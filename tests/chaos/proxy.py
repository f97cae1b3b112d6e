"""A way to a server over TCP that can be disturbed: errors for answers, cuts, delays, silence."""

import socket
import socketserver
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from enum import StrEnum
from urllib.parse import urlsplit

_AT_ONCE = 1 << 16
_LATE_S = 0.15
_SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message></Error>"
_BUSY_HEAD = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n" % len(_SLOW_DOWN)
)


class Trouble(StrEnum):
    """ERROR: 503 to every request. RESET: cut. SLOW: each piece of an answer comes late. SILENT:
    what is asked is never answered.
    """

    NONE = "none"
    ERROR = "5xx"
    RESET = "resets"
    SLOW = "slow"
    SILENT = "silent"


class Proxy(socketserver.ThreadingTCPServer):
    """url: where to ask instead of at the server. hits: how often it made trouble."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, server_url: str) -> None:
        super().__init__(("127.0.0.1", 0), _Way)
        split = urlsplit(server_url)
        self.behind = (split.hostname or "", split.port or 80)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.trouble = Trouble.NONE
        self.hits = 0

    def handle_error(self, *_: object) -> None:
        """Who hangs up is the point of it."""


class _Way(socketserver.BaseRequestHandler):
    server: Proxy

    def handle(self) -> None:
        with socket.create_connection(self.server.behind) as behind:
            for one in (self.request, behind):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            answers = threading.Thread(target=self._answers, args=(behind,), daemon=True)
            answers.start()
            with suppress(OSError):
                while piece := self.request.recv(_AT_ONCE):
                    if self.server.trouble is Trouble.ERROR:
                        self.server.hits += 1
                        is_head = piece.startswith(b"HEAD ")
                        self.request.sendall(_BUSY_HEAD + (b"" if is_head else _SLOW_DOWN))
                        break
                    if self.server.trouble is Trouble.RESET:
                        self._cut()
                        break
                    if self.server.trouble is Trouble.SILENT:
                        self.server.hits += 1
                        while self.request.recv(_AT_ONCE):
                            pass
                        break
                    behind.sendall(piece)
            _end(behind)
            answers.join()

    def _answers(self, behind: socket.socket) -> None:
        with suppress(OSError):
            while piece := behind.recv(_AT_ONCE):
                if self.server.trouble is Trouble.RESET:
                    self._cut()
                    return
                if self.server.trouble is Trouble.SLOW:
                    self.server.hits += 1
                    time.sleep(_LATE_S)
                self.request.sendall(piece)
        _end(self.request)

    def _cut(self) -> None:
        """Close so that the other side is told of a reset."""
        self.server.hits += 1
        self.request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.request.close()


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


@contextmanager
def before(server_url: str) -> Iterator[Proxy]:
    """A proxy in front of a server."""
    with Proxy(server_url) as proxy:
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
