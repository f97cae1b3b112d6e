"""Places on servers: by which name, and what is asked of Prefect for them."""

import fcntl
from pathlib import Path

import pytest

from flows import at_work as module
from flows.at_work import at_work, limited, place_on
from mirrorset.errors import UnavailableError
from mirrorset.settings import Settings
from mirrorset.workspace import Workspace


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://commons.wikimedia.org/w/api.php", "mirrorset-host-commons.wikimedia.org"),
        ("http://127.0.0.1:8000/sitemap.xml", "mirrorset-host-127.0.0.1:8000"),
        ("https://ada:secret@example.org/", "mirrorset-host-example.org"),
        ("/data/pictures", "mirrorset-host-this-machine"),
        ("", "mirrorset-host-this-machine"),
    ],
)
def test_a_limit_is_named_by_its_server_and_by_no_secret(address: str, name: str) -> None:
    assert place_on("host", address) == name


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / ".mirrorset").mkdir()
    return Workspace(tmp_path, Settings())


def test_a_run_by_hand_needs_no_place(workspace: Workspace) -> None:
    with at_work(workspace, "mirrorset-host-example.org"):
        assert is_locked(workspace)
    assert not is_locked(workspace)


def test_who_waits_for_a_place_holds_no_lock_and_not_for_ever(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def took(_held: object, places: list[str]) -> bool:
        asked.append(places)
        return False

    monkeypatch.setattr(module, "_took", took)
    monkeypatch.setattr(module.time, "sleep", lambda _: asked.append([str(is_locked(workspace))]))
    places = ("mirrorset-host-b", "mirrorset-host-a", "mirrorset-host-b")
    with (
        limited(0.05),
        pytest.raises(UnavailableError, match="for too long on what mirrorset-host-b"),
        at_work(workspace, *places),
    ):
        raise AssertionError("there was no place")
    assert asked[0] == ["mirrorset-host-a", "mirrorset-host-b"]
    assert asked[1] == ["False"]
    assert not is_locked(workspace)


def is_locked(workspace: Workspace) -> bool:
    """Whether somebody works there."""
    with (workspace.private / "lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
