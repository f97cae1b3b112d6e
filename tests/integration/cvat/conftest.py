"""The CVAT server that tests drive: the stand-in, or the real one that the environment names."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cvat_room import Room
from standin.server import Cvat, standing_in

from annotation.cvat import connection


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that fails on purpose needs no time to recover."""
    monkeypatch.setattr(connection, "_FIRST_PAUSE_S", 0.005)


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


@pytest.fixture
def room(cvat: Cvat, tmp_path: Path) -> Iterator[Callable[..., Room]]:
    """Makes tasks with labels and an annotator; their projects are deleted in the end."""
    rooms = []

    def make(images: int = 4, **spec: object) -> Room:
        rooms.append(Room(cvat, tmp_path, images, **spec))
        return rooms[-1]

    yield make
    for made in rooms:
        made.close()
