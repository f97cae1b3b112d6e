"""One web server a test, on loopback."""

from collections.abc import Iterator

import pytest
from loopback import Site, serving


@pytest.fixture
def site() -> Iterator[Site]:
    """A server at 127.0.0.1 that answers nothing yet."""
    with serving() as started:
        yield started
