"""Programs from outside that fail, in words."""

import os
import time
from pathlib import Path

import pytest

from mirrorset.commands import await_git, git
from mirrorset.errors import MirrorsetError


def test_a_program_that_is_killed_is_said_to_be(tmp_path: Path) -> None:
    kills_git = ("-c", "alias.die=!echo at work >&2; kill -KILL $PPID", "die")
    with pytest.raises(MirrorsetError, match=r"failed in .*: SIGKILL ended it; run the same again"):
        git(tmp_path, *kills_git)


def test_locks_of_a_git_that_was_killed_are_removed(tmp_path: Path) -> None:
    """Those that it holds when it is killed as it moves a branch, and as it makes a tag."""
    git(tmp_path, "init", "--quiet", "--initial-branch", "main")
    for name in ("name", "email"):
        git(tmp_path, "config", f"user.{name}", "test")
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "first")
    hook = tmp_path / ".git/hooks/reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nkill -KILL $PPID\n")
    hook.chmod(0o755)
    for arguments in (("commit", "--allow-empty", "--message", "second"), ("tag", "one")):
        with pytest.raises(MirrorsetError, match="SIGKILL"):
            git(tmp_path, *arguments)
    hook.unlink()
    locks = list((tmp_path / ".git").rglob("*.lock"))
    names = {lock.relative_to(tmp_path / ".git").as_posix() for lock in locks}
    assert {"HEAD.lock", "refs/heads/main.lock", "refs/tags/one.lock"} <= names
    for lock in locks:
        os.utime(lock, (time.time() - 60,) * 2)
    await_git(tmp_path)
    git(tmp_path, "commit", "--quiet", "--allow-empty", "--message", "second")
    git(tmp_path, "tag", "one")
    assert git(tmp_path, "log", "--format=%s", "one") == "second\nfirst"
