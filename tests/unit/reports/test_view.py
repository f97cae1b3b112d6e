"""Reports are served to this machine alone, file by file."""

import http.client
import socket
import struct
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mirrorset.errors import InputError, UnavailableError
from reports.view import view, viewed


@pytest.fixture
def port(tmp_path: Path) -> int:
    """The port of a served folder; its thread ends with the tests."""
    folder = tmp_path / "report"
    (folder / "index").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Faces</title>")
    (folder / "index" / "one.jpg").write_bytes(b"picture")
    (tmp_path / "secret.txt").write_text("secret")
    (folder / "outside.txt").symlink_to(tmp_path / "secret.txt")
    served: list[str] = []
    ready = threading.Event()

    def told(address: str) -> None:
        served.append(address)
        ready.set()

    threading.Thread(target=view, args=(folder, 0, told), daemon=True).start()
    assert ready.wait(10)
    address = urlsplit(served[0])
    assert (address.hostname, address.path) == ("127.0.0.1", "/index.html")
    assert address.port
    return address.port


def got(port: int, path: str, host: str = "") -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    return answer.status, answer.read(), answer.headers.get("X-Content-Type-Options", "")


def test_pages_and_their_files_are_served(port: int) -> None:
    assert got(port, "/index.html") == (200, b"<!doctype html><title>Faces</title>", "nosniff")
    assert got(port, "/index/one.jpg")[:2] == (200, b"picture")


@pytest.mark.parametrize(
    "path",
    ["/../secret.txt", "/%2e%2e/secret.txt", "/outside.txt", "/index/", "//etc/passwd", "/%00"],
)
def test_nothing_else_is(port: int, path: str) -> None:
    status, body, _ = got(port, path)
    assert status == 404
    assert b"secret" not in body


def test_a_page_elsewhere_cannot_read_under_a_name_of_its_own(port: int) -> None:
    assert got(port, "/index.html", host="evil.example:80")[0] == 403
    # On port 80 a browser leaves the port out.
    assert got(port, "/index.html", host="127.0.0.1")[0] == 200


@pytest.mark.parametrize(
    ("page", "policy"),
    [
        ("http://127.0.0.1:4200/", "cross-origin"),
        ("http://localhost:4200/", "cross-origin"),
        ("https://evil.example/127.0.0.1", "same-origin"),
        ("http://[", "same-origin"),
        ("", "same-origin"),
    ],
)
def test_pictures_are_shown_in_pages_of_this_machine_alone(
    port: int, page: str, policy: str
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/index/one.jpg", headers={"Referer": page} if page else {})
    answer = connection.getresponse()
    assert answer.read() == b"picture"
    assert answer.headers["Cross-Origin-Resource-Policy"] == policy


def test_what_is_no_request_is_refused(port: int, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(b"no request at all\r\n\r\n")
        assert b"400" in one.recv(1000)
    assert capfd.readouterr().err == ""


def test_what_is_made_later_is_served_while_it_lasts(tmp_path: Path) -> None:
    folder = tmp_path / "report"
    with viewed(folder, 0, "choose another") as url:
        port = urlsplit(url).port or 0
        assert got(port, "/index.html")[0] == 404
        folder.mkdir()
        (folder / "index.html").write_text("made")
        assert got(port, "/index.html")[:2] == (200, b"made")
        taken = f"Port {port} of 127.0.0.1 cannot be used .*: choose another."
        with pytest.raises(UnavailableError, match=taken), viewed(folder, port, "choose another"):
            pass
    with pytest.raises(ConnectionRefusedError):
        got(port, "/index.html")


def test_a_browser_that_goes_away_is_no_fault(
    port: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "report/large.jpg").write_bytes(bytes(10_000_000))
    with socket.create_connection(("127.0.0.1", port)) as one:
        one.sendall(b"GET /large.jpg HTTP/1.0\r\nHost: localhost\r\n\r\n")
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert got(port, "/index.html")[0] == 200
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_a_folder_without_a_report_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make one with `mirrorset report`"):
        view(tmp_path, 0, print)


def test_a_port_that_is_taken_is_one_sentence(port: int, tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match=f"Port {port} of 127.0.0.1 cannot be used"):
        view(tmp_path / "report", port, print)
