"""The way to a Dask cluster; tests/integration have clusters that are there."""

import socket
import time

import pytest

from mirrorset.cluster import connected
from mirrorset.errors import UnavailableError


def test_a_scheduler_that_says_nothing_is_given_up() -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    began = time.monotonic()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(
            UnavailableError, match=f"No Dask scheduler answers at {address}: start"
        ):
            connected(address, 0.3)
    assert time.monotonic() - began < 20


def test_an_address_that_is_none_is_named() -> None:
    pytest.importorskip("distributed", reason="Dask is not installed")
    with pytest.raises(
        UnavailableError, match=r"unknown address scheme .*\): start one .*toml\)\.$"
    ):
        connected("nonsense://here", 0.3)
