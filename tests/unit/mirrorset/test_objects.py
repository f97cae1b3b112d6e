"""DVC's own view of a workspace."""

import sqlite3
from pathlib import Path

import dvc.repo
import pytest

from mirrorset.errors import InputError
from mirrorset.objects import opened_repository


def test_a_disk_without_room_for_dvcs_notes_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_root: str) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(dvc.repo, "Repo", full)
    with (
        pytest.raises(InputError, match=r"notes of .*disk I/O error.*run the same again"),
        opened_repository(tmp_path),
    ):
        pass
