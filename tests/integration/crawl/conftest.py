"""One web server a test, on loopback, and crawls in the test's own process."""

from collections.abc import Iterator

import pytest
from loopback import Site, done_here, serving


@pytest.fixture
def site() -> Iterator[Site]:
    """A server at 127.0.0.1 that answers nothing yet."""
    with serving() as started:
        yield started


@pytest.fixture(autouse=True)
def _here(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process takes seconds to start: only tests of processes have them."""
    if request.node.get_closest_marker("processes") is None:
        monkeypatch.setattr("crawlers.run.done_by_processes", done_here)
