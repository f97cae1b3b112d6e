"""Programs this product drives from outside, git and DVC, with errors in one sentence."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from mirrorset.errors import MirrorsetError, UnavailableError

_OF_A_HOOK = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder`; returns what it printed, without the final newline.

    Raises UnavailableError where git is missing, MirrorsetError where it fails.
    """
    # The product's own commits and tags are not the user's to sign.
    unsigned = ("-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false")
    return _run(folder, ["git", *unsigned, *arguments], "git", arguments)


def dvc(folder: Path, *arguments: str) -> str:
    """Run DVC in `folder`; returns what it printed. Raises MirrorsetError where it fails."""
    return _run(folder, [sys.executable, "-m", "dvc", *arguments], "dvc", arguments)


def _run(folder: Path, command: list[str], name: str, arguments: tuple[str, ...]) -> str:
    # DVC's stages call `mirrorset`: it must be this environment's.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    # Inside a git hook GIT_DIR and its like name another repository than the workspace's.
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    environment |= {"PATH": path, "DVC_NO_ANALYTICS": "1", "GIT_TERMINAL_PROMPT": "0"}
    try:
        finished = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            # The workspace's lock is passed on: should this process be killed, it stays held
            # until the program has ended as well.
            close_fds=False,
        )
    except FileNotFoundError:
        raise UnavailableError(f"{name} is not installed: install it and run again.") from None
    if finished.returncode != 0:
        said = _last_words(finished.stderr) or _last_words(finished.stdout)
        said = said.rstrip(".") or f"it ended with {finished.returncode}"
        if finished.returncode < 0:
            # Its last words are of something else.
            said = f"{signal.Signals(-finished.returncode).name} ended it; run the same again"
        raise MirrorsetError(f"`{name} {' '.join(arguments[:3])}` failed in {folder}: {said}.")
    return finished.stdout.rstrip("\n")


def _last_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    # A stage of ours that failed under DVC has said why; what DVC adds says only that it failed.
    ours = [line.removeprefix("mirrorset: ") for line in lines if line.startswith("mirrorset: ")]
    errors = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    return " ".join((ours or errors or lines)[-3:])
