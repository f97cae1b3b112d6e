"""What was made elsewhere is remembered; where its disk is away, that is not taken for gone."""

from pathlib import Path

from mirrorset.elsewhere import is_away, note, noted


def test_it_is_remembered_once_and_only_by_a_workspace(tmp_path: Path) -> None:
    home, made = tmp_path / "home", tmp_path / "coco"
    note(home, made)
    assert noted(home) == []
    (home / ".dvc").mkdir(parents=True)
    note(home, made)
    note(home, made)
    assert noted(home) == [made]


def test_a_disk_that_is_away_is_told_from_what_is_gone(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    made = disk / "coco"
    assert is_away(made)
    disk.mkdir()
    assert is_away(made), "an empty folder is where a disk would be mounted"
    (disk / "other").mkdir()
    assert not is_away(made)
    made.mkdir()
    assert not is_away(made)
