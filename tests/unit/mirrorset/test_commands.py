"""Programs from outside that fail, in words."""

from pathlib import Path

import pytest

from mirrorset.commands import git
from mirrorset.errors import MirrorsetError


def test_a_program_that_is_killed_is_said_to_be(tmp_path: Path) -> None:
    kills_git = ("-c", "alias.die=!echo at work >&2; kill -KILL $PPID", "die")
    with pytest.raises(MirrorsetError, match=r"failed in .*: SIGKILL ended it; run the same again"):
        git(tmp_path, *kills_git)
