"""DVC, run from outside.

It writes some files in place, so a kill or a full disk may leave one torn, and no DVC after it
would run: they are mended first. Its own table of who reads and writes what is only of use while
one runs. What git tracks is taken from the last commit; stages that have run since run again.
"""

import fcntl
import json
import logging
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import yaml

from mirrorset.commands import git, run
from mirrorset.files import write_text

_log = logging.getLogger(__name__)

_LOCK = "dvc.lock"
# The C twin of the safe loader is as safe.
_YAML_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def dvc(folder: Path, *arguments: str) -> str:
    """Run DVC in `folder`, its repository; returns what it printed.

    Raises MirrorsetError where it fails.
    """
    _mend_table(folder / ".dvc" / "tmp")
    for file in (folder / _LOCK, *sorted(folder.glob("data/*.dvc"))):
        if file.exists() and not _is_whole(file):
            _restore(folder, file)
    return run(folder, [sys.executable, "-m", "dvc", *arguments], "dvc", arguments)


def _mend_table(folder: Path) -> None:
    table = folder / "rwlock"
    if not table.exists():
        return
    # As DVC guards it.
    with (folder / "rwlock.lock").open("a") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            json.loads(table.read_bytes())
        except (BlockingIOError, FileNotFoundError):
            return
        except ValueError:
            table.unlink()
            _log.warning("%s was torn by a kill or a full disk: removed.", table)


def _is_whole(file: Path) -> bool:
    try:
        content = yaml.load(file.read_bytes(), _YAML_LOADER)  # noqa: S506
        if file.name != _LOCK:
            return all("path" in entry for entry in content["outs"])
        entries = chain.from_iterable(map(_entries, content.get("stages", {}).values()))
        return "schema" in content and all("path" in entry for entry in entries)
    except (yaml.YAMLError, TypeError, KeyError, AttributeError):
        return False


def _entries(stage: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    return stage.get("deps", []) + stage.get("outs", [])


def _restore(folder: Path, file: Path) -> None:
    name = file.relative_to(folder).as_posix()
    if git(folder, "ls-tree", "--name-only", "HEAD", "--", name):
        write_text(file, git(folder, "show", f"HEAD:{name}") + "\n")
        _log.warning("%s was torn by a kill or a full disk: the last commit's is back.", file)
    else:
        file.unlink()
        _log.warning("%s was torn by a kill or a full disk: removed.", file)
