"""What DVC writes in place and a kill tears is mended before DVC runs again."""

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorset.commands import git
from mirrorset.dvc import _is_whole, dvc
from mirrorset.errors import InputError, MirrorsetError
from mirrorset.objects import opened_repository

_STAGE = """\
stages:
  copy: {cmd: cp data/in out, deps: [data/in], outs: [out]}
  say: {cmd: "true", deps: [data/in]}
"""
_TABLE = ".dvc/tmp/rwlock"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file, a stage that copies it and one without outputs, committed."""
    home = tmp_path_factory.mktemp("repository")
    git(home, "init", "--quiet")
    for name in ("name", "email"):
        git(home, "config", f"user.{name}", "test")
    dvc(home, "init", "--quiet")
    (home / "data").mkdir()
    (home / "data/in").write_text("content")
    (home / "dvc.yaml").write_text(_STAGE)
    dvc(home, "add", "data/in")
    dvc(home, "repro")
    git(home, "add", ".")
    git(home, "commit", "--quiet", "--message", "all")
    return home


def read(file: Path) -> Any:
    return yaml.safe_load(file.read_text())


@pytest.mark.parametrize("share", [0, 0.3, 0.5, 0.8])
def test_whatever_is_torn_dvc_runs_and_all_is_as_it_was(
    repository: Path, share: float, caplog: pytest.LogCaptureFixture
) -> None:
    names = ("dvc.lock", "data/in.dvc", _TABLE)
    whole = [read(repository / name) for name in names[:2]]
    for name in names:
        content = (repository / name).read_bytes()
        (repository / name).write_bytes(content[: int(share * len(content))])
    dvc(repository, "repro")
    assert [read(repository / name) for name in names[:2]] == whole
    assert "up to date" in dvc(repository, "status")
    assert f"{_TABLE} was torn" in caplog.text
    assert share or caplog.text.count("the last commit's is back") == 2


def test_what_no_commit_has_goes_and_is_made_anew(repository: Path) -> None:
    git(repository, "rm", "--quiet", "--cached", "dvc.lock")
    git(repository, "commit", "--quiet", "--message", "never run")
    whole = read(repository / "dvc.lock")
    (repository / "dvc.lock").write_bytes(b"")
    dvc(repository, "repro")
    assert read(repository / "dvc.lock") == whole
    git(repository, "add", "dvc.lock")
    git(repository, "commit", "--quiet", "--message", "run")


@pytest.mark.parametrize("name", ["dvc.lock", "data/in.dvc"])
def test_wherever_it_is_cut_dvc_reads_it_or_it_is_known_as_torn(
    repository: Path, name: str
) -> None:
    file = repository / name
    content = file.read_bytes()
    read_by_dvc = 0
    with opened_repository(repository) as repo:
        for length in range(len(content) + 1):
            file.write_bytes(content[:length])
            if _is_whole(file):
                # What it reads of a file that is cut may be less than there was.
                repo._reset()
                assert len(repo.index.stages) == 3
                read_by_dvc += 1
    assert 1 <= read_by_dvc < len(content)


def test_the_table_of_a_killed_dvc_whose_number_is_anothers_now_is_removed(
    repository: Path,
) -> None:
    table = repository / _TABLE
    entry = {"pid": os.getpid(), "cmd": "dvc repro"}
    table.write_text(json.dumps({"read": {}, "write": {str(repository / "data/in"): entry}}))
    dvc(repository, "repro", "--force")
    assert "pid" not in table.read_text()


def test_of_another_dvc_at_work_it_is_said(repository: Path, tmp_path: Path) -> None:
    table = repository / _TABLE
    words = [sys.executable, "-c", "import time; time.sleep(60)", "dvc"]
    with subprocess.Popen(words) as other:
        entry = {"pid": other.pid, "cmd": "dvc repro"}
        table.write_text(json.dumps({"read": {}, "write": {str(repository / "data/in"): entry}}))
        with pytest.raises(InputError, match="Another dvc is at work"):
            dvc(repository, "repro", "--force")
        other.kill()
    dvc(repository, "repro", "--force")


def test_what_is_whole_is_let_be(repository: Path, caplog: pytest.LogCaptureFixture) -> None:
    (repository / "data/in").write_text("other content")
    dvc(repository, "repro")
    changed = (repository / "dvc.lock").read_bytes()
    dvc(repository, "status")
    assert (repository / "dvc.lock").read_bytes() == changed
    assert caplog.text == ""


def test_a_table_that_another_dvc_is_writing_is_let_be(repository: Path) -> None:
    table = repository / _TABLE
    whole = table.read_bytes()
    table.write_bytes(b"")
    with (repository / f"{_TABLE}.lock").open("a") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        with pytest.raises(MirrorsetError, match="lock"):
            dvc(repository, "repro", "--force")
        assert table.read_bytes() == b""
    table.write_bytes(whole)
