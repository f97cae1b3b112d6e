"""A server on loopback that answers as it is told, one answer after the other, and drops lines."""

import json
import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

#: The connection is reset before anything is answered.
DROPPED = "dropped"


@dataclass
class Told:
    """One answer. content: sent as JSON; bytes as they are."""

    content: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Heard:
    """One request that arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Scripted:
    """url: where it is. heard: the requests so far, in order. connections: how many were opened."""

    url: str
    answers: list[Told | str]
    heard: list[Heard] = field(default_factory=list)
    connections: int = 0

    @property
    def calls(self) -> list[str]:
        return [f"{one.method} {one.path}" for one in self.heard]


@contextmanager
def scripted(answers: Sequence[Told | str]) -> Iterator[Scripted]:
    """A server that gives `answers` in turn, the last one again and again."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.heard.append(Heard(self.command, self.path, headers, self.rfile.read(length)))
            told = server.answers.pop(0) if len(server.answers) > 1 else server.answers[0]
            if isinstance(told, str):
                # An RST instead of a FIN, as from a process that was killed.
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.close_connection = True
                self.connection.close()
                return
            is_plain = isinstance(told.content, bytes) or told.content is None
            content = (told.content or b"") if is_plain else json.dumps(told.content).encode()
            # A server that is told what time it is does not say its own.
            say_status = self.send_response_only if "Date" in told.headers else self.send_response
            say_status(told.status)
            kind = "text/html" if is_plain else "application/json"
            for name, value in {"Content-Type": kind, **told.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Handler) as listening:
        server = Scripted(f"http://127.0.0.1:{listening.server_address[1]}", list(answers))
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield server
        finally:
            listening.shutdown()
