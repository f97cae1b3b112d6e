"""The CVAT server that tests drive: the stand-in, or a real one that is there for tests alone."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cvat_room import Room
from standin.server import Cvat, standing_in

from annotation.cvat import connection
from annotation.cvat.connection import connect


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that fails on purpose needs no time to recover."""
    monkeypatch.setattr(connection, "_FIRST_PAUSE_S", 0.005)


@pytest.fixture(scope="session")
def real(real_cvat: tuple[str, str] | None) -> Cvat | None:
    """The real server, once it is known that nobody works with it."""
    if real_cvat is None:
        return None
    server = Cvat(*real_cvat)
    if "PYTEST_XDIST_WORKER" in os.environ:
        pytest.exit("Tests share a real CVAT server's projects: run them one by one, -n 0.", 2)
    if there := _everything(server):
        pytest.exit(
            f"{server.url} holds {', '.join(there)}: tests run only on a CVAT server without any, "
            "for they delete all there is.",
            2,
        )
    return server


@pytest.fixture
def cvat(real: Cvat | None) -> Iterator[Cvat]:
    """A server of this test's own, or the real one, from which is deleted what the test leaves.

    What only the stand-in has (faults, other users' tokens) is skipped on a real server by
    `cvat.stand_in`.
    """
    if real is None:
        with standing_in() as server:
            yield server
        return
    yield real
    server = connect(real.url, real.token)
    for path in _everything(real):
        server.call("DELETE", path, also=(404,))


def _everything(server: Cvat) -> list[str]:
    """Every project and task on a server, in whatever organisation."""
    there = connect(server.url, server.token)
    return [
        f"{kind}/{one['id']}"
        for kind in ("/api/projects", "/api/tasks")
        for one in there.pages(kind)
    ]


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
