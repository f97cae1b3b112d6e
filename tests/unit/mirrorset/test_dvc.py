"""What DVC writes in place and a kill tears is mended before DVC runs again."""

import fcntl
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirrorset.commands import git
from mirrorset.dvc import dvc
from mirrorset.errors import MirrorsetError

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
