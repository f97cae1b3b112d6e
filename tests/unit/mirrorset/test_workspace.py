"""A workspace: found, locked, its git its own, and its configuration read where it stands."""

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from mirrorset.commands import git
from mirrorset.errors import InputError, SettingsError
from mirrorset.masking import masked
from mirrorset.workspace import Workspace, commit, init, open_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return init(tmp_path / "wörk space", remote="/far away")


def test_init_commits_what_git_may_hold(workspace: Workspace) -> None:
    tracked = git(workspace.home, "ls-files").split()
    assert {"params.yaml", "dvc.yaml", ".gitignore", ".dvcignore", ".dvc/config"} <= set(tracked)
    assert "mirrorset.toml" not in tracked
    assert git(workspace.home, "status", "--porcelain") == ""
    assert workspace.remote == "/far away"


def test_a_remote_beside_the_command_is_no_remote_beside_dvc(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    workspace = init(tmp_path / "faces", remote="releases")
    assert workspace.remote == str(tmp_path / "releases")


def test_another_projects_files_are_not_made_a_workspace_of(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "package").mkdir()
    for name in ("package/module.py", "dvc.yaml"):
        (tmp_path / name).write_text("")
    git(tmp_path, "add", "package/module.py")
    with pytest.raises(InputError, match="belongs to the git repository"):
        init(tmp_path / "package")
    assert [one.name for one in (tmp_path / "package").iterdir()] == ["module.py"]
    # One's own repository, with nothing of DVC's committed, and a folder in it that is not: fine.
    init(tmp_path / "faces")
    git(tmp_path, "add", "dvc.yaml")
    with pytest.raises(InputError, match="name a new folder"):
        init(tmp_path)


def test_what_is_private_never_enters_git(workspace: Workspace) -> None:
    for name in (".mirrorset/x", "cvat/x", "data/snapshot/x", "data/work/x", "data/releases/x"):
        (workspace.home / name).parent.mkdir(parents=True, exist_ok=True)
        (workspace.home / name).write_text("private")
    assert git(workspace.home, "status", "--porcelain") == ""


def test_a_commit_holds_only_what_was_named(workspace: Workspace) -> None:
    (workspace.home / "params.yaml").write_text("dataset: {name: new}\n")
    (workspace.home / "notes.txt").write_text("mine")
    commit(workspace.home, "Params", ["params.yaml"])
    assert git(workspace.home, "status", "--porcelain") == "?? notes.txt"
    before = git(workspace.home, "rev-parse", "HEAD")
    commit(workspace.home, "Nothing", ["params.yaml"])
    assert git(workspace.home, "rev-parse", "HEAD") == before


def test_git_is_the_workspaces_even_inside_a_hook(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "commit.gpgsign")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    (workspace.home / "params.yaml").write_text("dataset: {name: new}\n")
    commit(workspace.home, "Unsigned", ["params.yaml"])
    assert git(workspace.home, "log", "-1", "--format=%s") == "Unsigned"


def test_a_misspelt_section_is_refused_at_once(workspace: Workspace) -> None:
    workspace.params_file.write_text("slect: {}\n")
    with pytest.raises(SettingsError, match="slect"):
        open_workspace(workspace.home)
    workspace.params_file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingsError, match=r"params\.yaml is not valid YAML"):
        open_workspace(workspace.home)


def test_no_password_enters_what_git_keeps_or_what_is_shown(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRRORSET_CVAT_URL", "https://me:hunter22@cvat.example")
    with pytest.raises(SettingsError, match="no user or password") as told:
        open_workspace(workspace.home)
    assert "hunter22" not in str(told.value)
    monkeypatch.delenv("MIRRORSET_CVAT_URL")
    source = {"source": "gallery", "url": "https://me:hunter22@gallery.example/sitemap.xml"}
    workspace.params_file.write_text(yaml.safe_dump({"crawl": {"sources": [source]}}))
    with pytest.raises(SettingsError, match="an address with a password") as told:
        open_workspace(workspace.home)
    assert "hunter22" not in str(told.value)


def test_credentials_of_dvc_are_known(workspace: Workspace) -> None:
    (workspace.home / ".dvc/config.local").write_text(
        "['remote \"storage\"']\n    secret_access_key = only-for-dvc\n"
    )
    open_workspace(workspace.home)
    assert masked("with only-for-dvc") == "with ***"


def test_a_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        init(tmp_path / "file")
    with pytest.raises(InputError, match="cannot be made"):
        init(tmp_path / "file" / "below")
    with pytest.raises(SettingsError, match="mirrorset init"):
        open_workspace(tmp_path)


def test_the_lock_is_held_by_what_was_started_inside(workspace: Workspace) -> None:
    script = (
        "import os, subprocess, sys\n"
        "from pathlib import Path\n"
        "from mirrorset.workspace import open_workspace\n"
        "with open_workspace(Path(sys.argv[1])).locked():\n"
        "    subprocess.Popen(['sleep', '2'], close_fds=False)\n"
        "    os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", script, str(workspace.home)], check=False)
    began = time.monotonic()
    with workspace.locked():
        assert time.monotonic() - began > 1
    with workspace.locked():
        assert time.monotonic() - began < 10
