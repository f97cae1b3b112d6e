"""Programs this product drives from outside, as git, with errors in one sentence."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from mirrorset.errors import MirrorsetError, UnavailableError

_STALE_S = 5
_OF_A_HOOK = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}


def git(folder: Path, *arguments: str) -> str:
    """Run git in `folder`; returns what it printed, without the final newline.

    Raises UnavailableError where git is missing, MirrorsetError where it fails.
    """
    # The product's own commits and tags are not the user's to sign.
    unsigned = ("-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false")
    return run(folder, ["git", *unsigned, *arguments], "git", arguments)


def await_git(folder: Path) -> None:
    """Give another git in `folder`, the root of a repository, some seconds to be done; a lock that
    is older was left by one that was killed, and is removed: no git would change anything else.
    """
    private = folder / ".git"
    while locks := [*private.glob("*.lock"), *(private / "refs").rglob("*.lock")]:
        for lock in locks:
            with suppress(FileNotFoundError):
                if time.time() - lock.stat().st_mtime > _STALE_S:
                    lock.unlink()
        time.sleep(0.1)


def run(folder: Path, command: list[str], name: str, arguments: tuple[str, ...]) -> str:
    """Run a program in `folder`; returns what it printed, without the final newline.

    name, arguments: what it is called where it fails. Raises as `git` does.
    """
    # DVC's stages call `mirrorset`: it must be this environment's.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    # Inside a git hook GIT_DIR and its like name another repository than the workspace's.
    environment = {name: value for name, value in os.environ.items() if name not in _OF_A_HOOK}
    environment |= {"PATH": path, "DVC_NO_ANALYTICS": "1", "GIT_TERMINAL_PROMPT": "0"}
    try:
        running = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # The workspace's lock is passed on: should this process be killed, it stays held
            # until the program has ended as well.
            close_fds=False,
        )
    except FileNotFoundError:
        raise UnavailableError(f"{name} is not installed: install it and run again.") from None
    with running, _ended_with(running):
        output, errors = running.communicate()
    if running.returncode != 0:
        said = _last_words(errors) or _last_words(output)
        said = said.rstrip(".") or f"it ended with {running.returncode}"
        if running.returncode < 0:
            # Its last words are of something else.
            said = f"{signal.Signals(-running.returncode).name} ended it; run the same again"
        raise MirrorsetError(f"`{name} {' '.join(arguments[:3])}` failed in {folder}: {said}.")
    return output.rstrip("\n")


@contextmanager
def _ended_with(running: "subprocess.Popen[str]") -> Iterator[None]:
    """A run that is cancelled or out of time leaves neither the program nor what that started."""
    try:
        yield
    except BaseException:
        with suppress(psutil.Error):
            program = psutil.Process(running.pid)
            for process in [program, *program.children(recursive=True)]:
                with suppress(psutil.Error):
                    process.kill()
        raise


def _last_words(output: str) -> str:
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    # A stage of ours that failed under DVC has said why; what DVC adds says only that it failed.
    ours = [line.removeprefix("mirrorset: ") for line in lines if line.startswith("mirrorset: ")]
    errors = [line for line in lines if line.lower().startswith(("error", "fatal"))]
    return " ".join((ours or errors or lines)[-3:])
