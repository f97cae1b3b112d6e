"""A withdrawn version leads to the version that stands in its place, or says that none does."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import mirrorset
from mirrorset.commands import git
from mirrorset.errors import InputError
from mirrorset.locate import locate
from mirrorset.withdrawn import (
    FILE,
    TAG,
    Withdrawn,
    read_withdrawn,
    withdrawal_by_tag,
    withdrawal_of,
    write_withdrawn,
)

AT = datetime(2026, 5, 6, tzinfo=UTC)


def withdrawn(version: str, successor: str | None) -> Withdrawn:
    return Withdrawn(name="faces", version=version, successor=successor, withdrawn_at=AT)


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """A workspace in which 1.0.0 was withdrawn, its successor after it, and 2.0.0 for good."""
    write_withdrawn(
        tmp_path,
        [withdrawn("1.0.0", "1.0.1"), withdrawn("1.0.1", "1.0.2"), withdrawn("2.0.0", None)],
    )
    return tmp_path / "data" / "releases" / "faces"


def test_the_last_successor_counts(releases: Path) -> None:
    found = withdrawal_of(releases / "1.0.0")
    assert found is not None
    assert (found.version, found.successor) == ("1.0.0", "1.0.2")
    assert withdrawal_of(releases / "1.0.2") is None
    assert withdrawal_of(releases.parent / "others" / "1.0.0") is None
    assert withdrawal_of(releases / "2.0.0").successor is None


def test_a_folder_out_of_a_workspace_stands_for_itself(tmp_path: Path) -> None:
    assert withdrawal_of(tmp_path / "1.0.0") is None
    assert withdrawal_of(Path("1.0.0")) is None
    assert read_withdrawn(tmp_path) == ()


def test_load_says_what_became_of_it(releases: Path) -> None:
    with pytest.raises(
        InputError, match=r"faces 2.0.0 was withdrawn on 2026-05-06 and has no succ"
    ):
        mirrorset.load(releases / "2.0.0")
    with pytest.raises(InputError, match=r"its successor 1.0.2 cannot be had: .*faces 1.0.2"):
        mirrorset.load(releases / "1.0.0")


def test_an_edited_list_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("- {name: faces}\n")
    with pytest.raises(InputError, match="git checkout"):
        read_withdrawn(tmp_path)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Tags say that 1.0.0 was withdrawn, its successor after it, and 2.0.0 for good."""
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, "config", "user.name", "somebody")
    git(folder, "config", "user.email", "somebody@example.org")
    git(folder, "commit", "--quiet", "--allow-empty", "--message", "One")
    for one in (withdrawn("1.0.0", "1.0.1"), withdrawn("1.0.1", "1.0.2"), withdrawn("2.0.0", None)):
        tag = f"{TAG}faces-{one.version}"
        git(folder, "tag", "--annotate", tag, "--message", one.message)
    return folder


def test_a_tag_says_it_to_who_has_no_clone(repository: Path, tmp_path: Path) -> None:
    found = withdrawal_by_tag(f"file://{repository}", "faces", "1.0.0")
    assert (found.version, found.successor) == ("1.0.0", "1.0.1")
    assert withdrawal_by_tag(str(repository), "faces", "2.0.0").successor is None
    said = "faces 2.0.0 was withdrawn on .* and has no successor"
    with pytest.raises(InputError, match=said):
        locate(str(repository), "2.0.0", tmp_path, tmp_path)
    chain = "faces 1.0.0 was withdrawn .* 1.0.1 cannot be had: faces 1.0.1 was withdrawn .* 1.0.2"
    with pytest.raises(InputError, match=chain):
        locate(f"file://{repository}", "1.0.0", tmp_path, tmp_path)
