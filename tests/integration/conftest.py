"""What is slow to make and made once: Prefect's server, and a workspace with two releases."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, sync_playwright

if TYPE_CHECKING:
    from chaos.world import World


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser; each test opens pages of its own. Skips where there is none.

    For a module alone: while it is open an event loop runs in this thread, which others need.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None:
        pytest.skip("no Chromium on this machine: install the package `chromium` to look at pages")
    with sync_playwright() as playwright:
        # Root, as in containers, may not have Chromium's sandbox.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def complaints() -> list[str]:
    """What the browser said of the page opened."""
    return []


@pytest.fixture(scope="session")
def _prefect_url() -> Iterator[str]:
    # Prefect reads its settings, those of ours too, when it is imported.
    import flows.engine  # noqa: F401, I001
    from prefect.server.api.server import SubprocessASGIServer

    with SubprocessASGIServer() as server:
        yield server.api_url


@pytest.fixture
def prefect(_prefect_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands of this test run on one server instead of each starting its own for 10 seconds.

    The embedded server is what the demo runs on, which passes this address by.
    """
    monkeypatch.setenv("PREFECT_API_URL", _prefect_url)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[World]":
    """The servers of tests/chaos, and a workspace that uses them."""
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    from chaos.world import made

    with made(tmp_path_factory.mktemp("chaos")) as one:
        yield one


@pytest.fixture(scope="session")
def twice_released(tmp_path_factory: pytest.TempPathFactory, _prefect_url: str) -> Path:
    """What `erasure_room.release_twice` makes, once for all workers; not to be changed."""
    from erasure_room import made_once, release_twice

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", _prefect_url)
        return made_once(folder / "twice-released", release_twice)


@pytest.fixture
def root(
    twice_released: Path, tmp_path: Path, prefect: None, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A copy of it, with a cache of its own."""
    from erasure_room import copied

    monkeypatch.setenv("MIRRORSET_CACHE", str(tmp_path / "copy/cache"))
    return copied(twice_released, tmp_path / "copy")
