"""DVC, run from outside.

It writes some files in place, so a kill or a full disk may leave one torn, and no DVC after it
would run: they are mended first. Its own table of who reads and writes what is only of use while
one runs. What git tracks is taken from the last commit; stages that have run since run again.
"""

import fcntl
import json
import logging
import re
import sys
from pathlib import Path

import psutil

from mirrorset.commands import git, run
from mirrorset.errors import InputError, MirrorsetError
from mirrorset.files import write_text

_log = logging.getLogger(__name__)

_LOCK = "dvc.lock"


def dvc(folder: Path, *arguments: str) -> str:
    """Run DVC in `folder`, its repository, of which the caller has the workspace's lock; returns
    what it printed.

    Raises MirrorsetError where it fails, InputError where a DVC that somebody else has started is
    at work there.
    """
    _mend_table(folder / ".dvc" / "tmp")
    for file in (folder / _LOCK, *sorted(folder.glob("data/*.dvc"))):
        if file.exists() and not _is_whole(file):
            _restore(folder, file)
    try:
        return run(folder, [sys.executable, "-m", "dvc", *arguments], "dvc", arguments)
    except MirrorsetError as error:
        if "being blocked by" not in str(error):
            raise
        raise InputError(
            f"Another dvc is at work in {folder}: run the same again when it has ended."
        ) from None


def _mend_table(folder: Path) -> None:
    """Remove the table of who reads and writes what, where it is torn or of the dead alone."""
    table = folder / "rwlock"
    if not table.exists():
        return
    # As DVC guards it.
    with (folder / "rwlock.lock").open("a") as guard:
        try:
            fcntl.flock(guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            told = json.loads(table.read_bytes())
            written_at = table.stat().st_mtime
        except (BlockingIOError, FileNotFoundError):
            return
        except ValueError:
            _log.warning("%s was torn by a kill or a full disk: removed.", table)
            table.unlink()
            return
        pids = {int(pid) for pid in re.findall(r'"pid": (\d+)', json.dumps(told))}
        if pids and not any(_is_dvc(pid, written_at) for pid in pids):
            table.unlink()


def _is_dvc(pid: int, written_at: float) -> bool:
    """Whether the process is a DVC that may have written the table, and no other that has the
    number of one that was killed: as after a restart of a container.
    """
    try:
        process = psutil.Process(pid)
        is_older = process.create_time() <= written_at
        return is_older and "dvc" in (Path(word).name for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False
    except psutil.Error:
        return True


def _is_whole(file: Path) -> bool:
    """Whether DVC would read it, as DVC itself judges."""
    from dvc import schema  # noqa: PLC0415
    from dvc.utils.serialize import YAMLFileCorruptedError, parse_yaml  # noqa: PLC0415

    is_lock = file.name == _LOCK
    wanted = schema.COMPILED_LOCKFILE_SCHEMA if is_lock else schema.COMPILED_SINGLE_STAGE_SCHEMA
    try:
        content = parse_yaml(file.read_text(), file)
        wanted(content)
        # Without one, DVC fails on it later, and says no more than this word.
        return is_lock or all("path" in out for out in content["outs"])
    except (YAMLFileCorruptedError, schema.vol.Invalid, ValueError, KeyError, TypeError):
        return False


def _restore(folder: Path, file: Path) -> None:
    name = file.relative_to(folder).as_posix()
    if git(folder, "ls-tree", "--name-only", "HEAD", "--", name):
        write_text(file, git(folder, "show", f"HEAD:{name}") + "\n")
        _log.warning("%s was torn by a kill or a full disk: the last commit's is back.", file)
    else:
        file.unlink()
        _log.warning("%s was torn by a kill or a full disk: removed.", file)
