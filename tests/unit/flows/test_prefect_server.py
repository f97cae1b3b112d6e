"""The Prefect server of `mirrorset serve`: its port, and whom it answers."""

import socket
from contextlib import ExitStack

import psutil
import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from flows import guard, prefect_server
from flows.prefect_app import guarded
from flows.prefect_server import OwnServer


def test_two_that_start_at_once_do_not_answer_for_each_other(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(prefect_server, "_PORT_PATIENCE_S", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ExitStack() as stack:
        first, second = OwnServer(port), OwnServer(port)
        for server in (first, second):
            stack.callback(server.stop)
        assert first.api_url == f"http://127.0.0.1:{port}/api"
        assert second.api_url != first.api_url
        assert f"Port {port} cannot be used" in caplog.text
        assert second.ui_url in caplog.text
        # The guard of a serve that is killed finds them by this word.
        assert len(guard.children(psutil.Process(), guard.SERVER)) == 2
        # Neither has had the time to start.
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("127.0.0.1:4200", "", 200),
        ("localhost:4200", "", 200),
        ("127.0.0.1:4200", "http://127.0.0.1:4200", 200),
        ("127.0.0.1:4200", "http://localhost:4200", 200),
        ("127.0.0.1:4200", "http://127.0.0.1:9999", 403),
        ("127.0.0.1:4200", "https://evil.example", 403),
        ("127.0.0.1:4200", "https://evil.example:4200", 403),
        ("127.0.0.1:4200", "http://127.0.0.1.evil.example:4200", 403),
        ("127.0.0.1:4200", "null", 403),
        ("127.0.0.1:4200", "http://[", 403),
        ("evil.example:4200", "", 403),
        ("evil.example:4200", "http://evil.example:4200", 403),
        ("127.0.0.1:port", "", 403),
        ("", "", 403),
    ],
)
def test_it_answers_pages_of_its_own_alone(host: str, origin: str, status: int) -> None:
    client = TestClient(guarded(PlainTextResponse("said")))
    headers = {"Host": host} | ({"Origin": origin} if origin else {})
    assert client.post("/api/deployments/filter", headers=headers).status_code == status
