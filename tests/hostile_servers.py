"""Hostile servers: answers that break HTTP, never end, swell, lie or lead astray.

Bombs are small here and only swell where they are unpacked; what drips or never ends does so until
the other side has had enough.
"""

import gzip
import socket
import struct
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from io import BytesIO
from socketserver import StreamRequestHandler, ThreadingTCPServer

import brotli
from PIL import Image
from skimage import data

from mirrorset.records import Reason

#: What the crawl of these is told to bear.
MAX_BYTES = 3_000_000
TIMEOUT_S = 3.0
_BOMB_BYTES = 1_000_000_000
_LONGEST_LINE = 4_000_000

Say = bytes | Callable[[socket.socket], None]


@dataclass(frozen=True)
class Hostile:
    """What is said at the address of its name, why it is refused, and words of the reason.

    url: in place of that address, where the address itself is what is hostile.
    """

    name: str
    say: Say
    reason: Reason
    words: str
    url: str = ""


@cache
def photograph(number: int) -> bytes:
    """A good picture, another for each number."""
    left = 3 * number % 256
    out = BytesIO()
    Image.fromarray(data.astronaut()).crop((left, 0, left + 256, 256)).save(out, "JPEG")
    return out.getvalue()


def answer(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """A whole answer as the wire carries it; a Content-Length comes of its own."""
    lines = [f"HTTP/1.1 {status}", *headers]
    if not any(line.lower().startswith(("content-length", "transfer-")) for line in headers):
        lines.append(f"Content-Length: {len(body)}")
    return (
        "\r\n".join([*lines, "Connection: close", "", ""]).encode("utf-8", "surrogateescape") + body
    )


@dataclass
class Server:
    """Answers by path, and the paths that were asked for."""

    url: str
    answers: dict[str, Say] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving() -> Iterator[Server]:
    """A server that says exactly what it is told to; HEAD is not spoken here (405)."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            try:
                self.answer()
            except OSError:
                return

        def answer(self) -> None:
            line = self.rfile.readline(_LONGEST_LINE).decode("latin-1")
            while self.rfile.readline(_LONGEST_LINE) not in (b"\r\n", b""):
                pass
            method, _, rest = line.partition(" ")
            path = rest.rpartition(" ")[0].partition("?")[0]
            server.asked.append(path)
            if method == "HEAD":
                self.wfile.write(answer(b"", status="405 Method Not Allowed"))
                return
            say = server.answers.get(path, answer(b"no", status="404 Not Found"))
            if callable(say):
                say(self.connection)
            else:
                self.wfile.write(say)

    ThreadingTCPServer.daemon_threads = True
    with ThreadingTCPServer(("127.0.0.1", 0), Handler) as listening:
        listening.request_queue_size = 100
        server = Server(url=f"http://127.0.0.1:{listening.server_address[1]}")
        threading.Thread(target=listening.serve_forever, args=(0.05,)).start()
        try:
            yield server
        finally:
            listening.shutdown()


# --- what never ends ----------------------------------------------------------------------------


def dripping(first: bytes, drop: bytes = b"a", every_s: float = 0.1) -> Say:
    """A beginning, and then a drop at a time, for as long as anybody listens."""

    def say(connection: socket.socket) -> None:
        connection.sendall(first)
        until = time.monotonic() + 4 * TIMEOUT_S
        while time.monotonic() < until:
            time.sleep(every_s)
            connection.sendall(drop)

    return say


def pouring(first: bytes, flood: bytes) -> Say:
    """A beginning, and then as much as is taken."""

    def say(connection: socket.socket) -> None:
        connection.sendall(first)
        until = time.monotonic() + 4 * TIMEOUT_S
        while time.monotonic() < until:
            connection.sendall(flood)

    return say


def silent(connection: socket.socket) -> None:
    """Nothing."""
    connection.settimeout(4 * TIMEOUT_S)
    connection.recv(1)


def reset_after(first: bytes) -> Say:
    """A beginning, and then the connection is torn down."""

    def say(connection: socket.socket) -> None:
        connection.sendall(first)
        time.sleep(0.05)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()

    return say


def _endless() -> Iterator[Hostile]:
    late, none = ("took longer", Reason.HTTP_ERROR), ("No answer", Reason.HTTP_ERROR)
    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    start = b"HTTP/1.1 200 OK\r\n"
    chunked = start + b"Transfer-Encoding: chunked\r\n\r\n"
    for name, say, (words, reason) in (
        ("silence", silent, late),
        ("a status line that drips", dripping(b"HTTP/1.1 200 ", b"a"), late),
        ("headers that drip", dripping(start, b"X-A: a\r\n"), late),
        ("a body that drips", dripping(start + b"Content-Length: 90000\r\n\r\n"), late),
        ("chunks that drip", dripping(chunked, b"1\r\na\r\n"), late),
        ("a chunk's size that drips", dripping(chunked, b"0"), late),
        (
            "a body without end",
            pouring(start + b"\r\n", photograph(0) * 3),
            ("over 3000000 bytes", Reason.TOO_LARGE),
        ),
        (
            "chunks without end",
            pouring(chunked, b"10000\r\n" + bytes(65_536) + b"\r\n"),
            ("over 3000000 bytes", Reason.TOO_LARGE),
        ),
        ("headers without end", pouring(start, b"X-A: a\r\n" * 999), none),
        ("one header without end", pouring(start + b"X-A: ", b"a" * 9999), none),
        ("a status line without end", pouring(b"HTTP/1.1 200 ", b"a" * 9999), none),
        ("interim answers without end", pouring(b"", interim * 99), none),
    ):  # fmt: skip
        yield Hostile(name, say, reason, words)


# --- what swells --------------------------------------------------------------------------------


@cache
def gzip_bomb() -> bytes:
    """A megabyte that unpacks to a gigabyte."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = bytes(10_000_000)
    packed = b"".join(packer.compress(piece) for _ in range(_BOMB_BYTES // len(piece)))
    return packed + packer.flush()


@cache
def deflate_bomb() -> bytes:
    packer = zlib.compressobj(9)
    piece = bytes(10_000_000)
    return b"".join(packer.compress(piece) for _ in range(10)) + packer.flush()


@cache
def brotli_bomb() -> bytes:
    return brotli.compress(bytes(100_000_000), quality=5)


def _bombs() -> Iterator[Hostile]:
    large = Reason.TOO_LARGE
    for encoding, bomb in {
        "gzip": gzip_bomb, "deflate": deflate_bomb, "br": brotli_bomb,
    }.items():  # fmt: skip
        said = answer(bomb(), f"Content-Encoding: {encoding}")
        yield Hostile(f"a {encoding} bomb", said, large, "over 3000000 bytes")
    twice = answer(gzip.compress(gzip_bomb()), "Content-Encoding: gzip, gzip")
    yield Hostile("a gzip bomb in gzip", twice, large, "over 3000000 bytes")
    broken = answer(gzip.compress(photograph(0))[:900], "Content-Encoding: gzip")
    yield Hostile("gzip cut short", broken, Reason.TRUNCATED, "")
    false = answer(photograph(0)[2:], "Content-Encoding: gzip")
    yield Hostile("gzip that is none", false, Reason.HTTP_ERROR, "Not a gzipped file")
    odd = answer(bytes(reversed(photograph(0))), "Content-Encoding: rot13")
    yield Hostile("an encoding that is none", odd, Reason.NOT_AN_IMAGE, "")


# --- what breaks HTTP ---------------------------------------------------------------------------


def _broken() -> Iterator[Hostile]:
    good = photograph(0)
    size = len(good)
    for name, said in {
        "a body shorter than it says": answer(good, f"Content-Length: {size + 99}"),
        "a negative length": answer(good, "Content-Length: -5"),
        "a length in words": answer(good, "Content-Length: many"),
        "a length in digits of another script": answer(good, "Content-Length: ٣"),
        "a length with a sign": answer(good, f"Content-Length: +{size}"),
        "two lengths": answer(good, f"Content-Length: {size}", "Content-Length: 7"),
        "a length and chunks": answer(
            b"0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked"
        ),
        "a chunk's size that is none": answer(b"zz\r\nab\r\n", "Transfer-Encoding: chunked"),
        "a chunk of a negative size": answer(b"-1\r\nab\r\n", "Transfer-Encoding: chunked"),
        "a chunk without its end": answer(b"2\r\nabcd", "Transfer-Encoding: chunked"),
        "a chunk of 2^64 bytes": answer(
            b"ffffffffffffffff\r\nab\r\n", "Transfer-Encoding: chunked"
        ),
        "chunks cut short": answer(b"4000\r\nabcd", "Transfer-Encoding: chunked"),
        "a header of 10 MB": answer(good, "X-A: " + "a" * 10_000_000),
        "100000 headers": answer(good, *(f"X-{n}: {n}" for n in range(100_000))),
        "a NUL in a header": answer(good, "X-A: a\0b"),
        "a header without a colon": answer(good, "this is none"),
        "a header without a name": answer(good, ": none"),
        "a blank in a header's name": answer(good, "X A: b"),
        "a bare CR in a header": answer(good, "X-A: a\rSet-Cookie: b"),
        "no protocol": b"200 OK\r\n\r\n" + good,
        "another protocol": b"SSH-2.0-OpenSSH_9.6\r\n",
        "a misspelt protocol": b"HTP/1.1 200 OK\r\n\r\n" + good,
        "a version that is none": b"HTTP/x.y 200 OK\r\n\r\n" + good,
        "a status in words": b"HTTP/1.1 fine\r\n\r\n" + good,
        "a status of two digits": b"HTTP/1.1 20 OK\r\n\r\n" + good,
        "a status of four digits": b"HTTP/1.1 2000 OK\r\n\r\n" + good,
        "the picture alone": good,
        "a TLS record": b"\x16\x03\x01\0\x05\x01\0\0\x01\0",
        "an answer of no bytes": b"",
    }.items():
        yield Hostile(name, said, Reason.HTTP_ERROR, "No answer")
    yield Hostile("a reset at once", reset_after(b""), Reason.HTTP_ERROR, "No answer")
    half = answer(good)[: size // 2]
    yield Hostile("a reset within the body", reset_after(half), Reason.HTTP_ERROR, "No answer")
    head = b"HTTP/1.1 200 OK\r\nX-A: "
    yield Hostile("a reset within a header", reset_after(head), Reason.HTTP_ERROR, "No answer")
    huge = answer(good, f"Content-Length: {10**15}")
    yield Hostile("a huge length", huge, Reason.TOO_LARGE, "over 3000000 bytes")
    # Numbers beyond what a machine counts with.
    beyond = answer(good, f"Content-Length: {10**40}")
    yield Hostile("a length beyond all", beyond, Reason.HTTP_ERROR, "No answer")
    longer = answer(good, f"Content-Length: {size - 999}")
    yield Hostile("a body longer than it says", longer, Reason.HTTP_ERROR, "No answer")


# --- what answers something else ----------------------------------------------------------------


def _statuses() -> Iterator[Hostile]:
    good = photograph(0)
    for status in (300, 305, 306, 400, 401, 402, 403, 404, 407, 410, 418, 451, 500, 501, 507, 599):
        said = answer(good, status=f"{status} So")
        yield Hostile(f"status {status}", said, Reason.HTTP_ERROR, f"answered {status}")
    unasked = answer(b"", status="304 Not Modified")
    yield Hostile("unchanged, unasked", unasked, Reason.HTTP_ERROR, "answered 304")
    switch = answer(b"", "Upgrade: websocket", status="101 Switching Protocols")
    yield Hostile("another protocol offered", switch, Reason.HTTP_ERROR, "101")
    for status in ("200 OK", "204 No Content", "205 Reset Content"):
        said = b"HTTP/1.1 " + status.encode() + b"\r\nContent-Length: 0\r\n\r\n"
        yield Hostile(f"nothing, status {status}", said, Reason.NOT_AN_IMAGE, "empty")
    part = answer(
        good[:5000], f"Content-Range: bytes 0-4999/{len(good)}", status="206 Partial Content"
    )
    yield Hostile("a part, unasked", part, Reason.TRUNCATED, "")
    rest = answer(
        good[5000:], f"Content-Range: bytes 5000-{len(good) - 1}/{len(good)}",
        status="206 Partial Content",
    )  # fmt: skip
    yield Hostile("another part, unasked", rest, Reason.NOT_AN_IMAGE, "")
    html = answer(b"<html>Sign in</html>", "Content-Type: image/jpeg")
    yield Hostile("a page that says it is a picture", html, Reason.NOT_AN_IMAGE, "HTML")


def _redirects(root: str) -> Iterator[Hostile]:
    def to(location: str, status: str = "302 Found") -> bytes:
        return answer(b"", f"Location: {location}", status=status)

    for name, location in {
        "a file": "file:///etc/passwd",
        "FTP": "ftp://127.0.0.1/a.jpg",
        "data": "data:image/png;base64,AAAA",
        "a script": "javascript:alert(1)",
        "Gopher": "gopher://127.0.0.1/a",
        "a bucket": "s3://bucket/a.jpg",
        "mail": "mailto:a@example.org",
        "no host": "http:///a.jpg",
        "half an IPv6 address": "http://[::1/a.jpg",
        "a port that is none": "http://127.0.0.1:port/a.jpg",
        "port 99999": "http://127.0.0.1:99999/a.jpg",
        "a host of one sign": "http://\u2100/a.jpg",
    }.items():
        yield Hostile(f"led to {name}", to(location), Reason.HTTP_ERROR, "")
    yield Hostile("led in a circle", to("/led-in-a-circle"), Reason.HTTP_ERROR, "redirect")
    yield Hostile("led nowhere", answer(b"", status="301 Moved"), Reason.HTTP_ERROR, "answered 301")
    closed = to("http://127.0.0.1:0/a.jpg")
    yield Hostile("led to port 0", closed, Reason.ROBOTS, "could not be read")
    inside = to("http://169.254.169.254/latest/meta-data/")
    yield Hostile("led to a cloud's metadata", inside, Reason.FORBIDDEN_ADDRESS, "169.254.169.254")
    number = to(f"http://2130706433:{root.rpartition(':')[2]}/good.jpg")
    yield Hostile("led to a number", number, Reason.FORBIDDEN_ADDRESS, "2130706433")

    def further(connection: socket.socket) -> None:
        connection.sendall(to(f"/led-without-end?{time.monotonic_ns()}"))

    yield Hostile("led without end", further, Reason.HTTP_ERROR, "redirect")


def _addresses(root: str) -> Iterator[Hostile]:
    host = root.removeprefix("http://")
    for name, url in {
        "a script": "javascript:alert(1)",
        "data": "data:image/png;base64,iVBORw0KGgo=",
        "a file": "file:///etc/passwd",
        "FTP": f"ftp://{host}/a.jpg",
        "no host": "http:///a.jpg",
        "port 0": "http://127.0.0.1:0/a.jpg",
        "port 99999": "http://127.0.0.1:99999/a.jpg",
        "half an IPv6 address": "http://[::1/a.jpg",
        "a word": "picture.jpg",
    }.items():
        yield Hostile(f"addressed to {name}", b"", Reason.NOT_AN_IMAGE, "no address", url)
    long = f"{root}/{'a' * 100_000}.jpg"
    yield Hostile("a path of 100 kB", b"", Reason.HTTP_ERROR, "404", long)
    deep = f"{root}{'/a' * 50_000}.jpg"
    yield Hostile("a path of 50000 folders", b"", Reason.HTTP_ERROR, "404", deep)
    homograph = "http://exаmple.test/a.jpg"
    yield Hostile("a homograph", b"", Reason.ROBOTS, "could not be read", homograph)
    unknown = "http://nobody.invalid/a.jpg"
    yield Hostile("a host that is none", b"", Reason.ROBOTS, "could not be read", unknown)
    label = f"http://{'a' * 300}.test/a.jpg"
    yield Hostile("a label of 300 letters", b"", Reason.ROBOTS, "could not be read", label)
    trick = f"http://{host}\\@169.254.169.254/a.jpg"
    yield Hostile("a backslash before a host", b"", Reason.NOT_AN_IMAGE, "no address", trick)
    user = f"http://{host}:80@169.254.169.254/a.jpg"
    yield Hostile("a host that is a user", b"", Reason.NOT_AN_IMAGE, "no address", user)
    tls = f"https://{host}/a.jpg"
    yield Hostile("TLS that is none", b"", Reason.ROBOTS, "could not be read", tls)


def hostile_pictures(root: str) -> list[Hostile]:
    """All that a list of picture addresses may lead to, at the server `root`."""
    return [
        *_endless(), *_bombs(), *_broken(), *_statuses(), *_redirects(root), *_addresses(root),
    ]  # fmt: skip
