"""The Prefect server of `mirrorset serve` has its port from its first moment on."""

import socket
from contextlib import ExitStack

import pytest

from flows.prefect_server import OwnServer


def test_two_that_start_at_once_do_not_answer_for_each_other() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with ExitStack() as stack:
        first, second = OwnServer(port), OwnServer(port)
        for server in (first, second):
            stack.callback(server.stop)
        assert first.api_url == f"http://127.0.0.1:{port}/api"
        assert second.api_url != first.api_url
        # Neither has had the time to start.
        with pytest.raises(OSError, match="in use"):
            socket.create_server(("127.0.0.1", port))
