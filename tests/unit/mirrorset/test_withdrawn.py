"""A withdrawn version leads to the version that stands in its place, or says that none does."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

import mirrorset
from mirrorset.errors import InputError
from mirrorset.withdrawn import FILE, Withdrawn, read_withdrawn, withdrawal_of, write_withdrawn

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
    with pytest.raises(InputError, match=r"its successor faces-1.0.2 is not in .*dvc get"):
        mirrorset.load(releases / "1.0.0")


def test_an_edited_list_is_said(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("- {name: faces}\n")
    with pytest.raises(InputError, match="git checkout"):
        read_withdrawn(tmp_path)
