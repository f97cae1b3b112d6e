"""The CVAT server that tests drive: the stand-in, or the real one that the environment names."""

import os
from collections.abc import Iterator

import pytest
from standin.server import Cvat, standing_in


@pytest.fixture
def cvat() -> Iterator[Cvat]:
    """A server of this test's own, or the one at MIRRORSET_CVAT_URL, which keeps what tests leave.

    On a real server a test makes its own projects and deletes them; what only the stand-in has
    (faults, other users' tokens) is skipped there by `cvat.stand_in`.
    """
    url = os.environ.get("MIRRORSET_CVAT_URL")
    if url:
        yield Cvat(url.rstrip("/"), os.environ["MIRRORSET_CVAT_TOKEN"])
        return
    with standing_in() as server:
        yield server
