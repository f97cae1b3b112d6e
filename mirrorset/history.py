"""What git's commits say of DVC's data, and commits that say it anew.

Git holds hashes of DVC's data in dvc.lock and in *.dvc files. Nothing of a single image is in it,
so an erasure never rewrites history: it adds to it.
"""

import copy
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mirrorset.commands import await_git, git

_LOCK = "dvc.lock"
_RELEASE = re.compile(r"data/releases/(?P<name>[^/]+)/(?P<version>[^/]+)")


@dataclass(frozen=True)
class Data:
    """What is known of a file or folder of DVC's. oid: its hash. nfiles: of a folder."""

    oid: str
    size: int
    nfiles: int | None = None

    def entry(self) -> dict[str, Any]:
        """As dvc.lock has it."""
        return {"md5": self.oid, "size": self.size} | (
            {} if self.nfiles is None else {"nfiles": self.nfiles}
        )


@dataclass(frozen=True)
class Tracked:
    """The documents of one commit that name DVC's data: path → content."""

    documents: Mapping[str, Mapping[str, Any]]

    @property
    def outs(self) -> dict[str, Data]:
        """Data by its path in the workspace."""
        found = {}
        for name, entry, is_out in self._entries():
            if is_out and "md5" in entry:
                # A *.dvc file names its data relative to itself.
                base = "" if name == _LOCK else Path(name).parent.as_posix() + "/"
                path = f"{base.removeprefix('./')}{entry['path']}"
                found[path] = Data(entry["md5"], entry.get("size", 0), entry.get("nfiles"))
        return found

    @property
    def release(self) -> tuple[str, str] | None:
        """The dataset's name and the version of the release among the data."""
        found = (_RELEASE.fullmatch(path) for path in self.outs)
        return next(((one["name"], one["version"]) for one in found if one), None)

    def without_stages(self, *names: str) -> "Tracked":
        """The documents without these stages of dvc.lock: they have not run."""
        changed = copy.deepcopy(dict(self.documents))
        for name in names:
            changed.get(_LOCK, {}).get("stages", {}).pop(name, None)
        return Tracked(changed)

    def renewed(
        self, data: Mapping[str, Data], moved: Mapping[str, str], version: str
    ) -> dict[str, str]:
        """The documents as YAML with other data. data: by its new path. moved: old → new path.

        version: of release.yaml, which dvc.lock repeats.
        """
        changed = Tracked(copy.deepcopy(dict(self.documents)))
        for name, entry, _ in changed._entries():
            base = "" if name == _LOCK else Path(name).parent.as_posix() + "/"
            path = f"{base.removeprefix('./')}{entry['path']}"
            path = moved.get(path, path)
            entry["path"] = path.removeprefix(base.removeprefix("./"))
            if path in data:
                entry.update(data[path].entry())
        for stage in changed.documents.get(_LOCK, {}).get("stages", {}).values():
            state = stage.get("params", {}).get("release.yaml", {})
            if "version" in state:
                state["version"] = version
        return {
            name: yaml.safe_dump(document, sort_keys=False)
            for name, document in changed.documents.items()
        }

    def _entries(self) -> Iterator[tuple[str, dict[str, Any], bool]]:
        """Document, entry, and whether it is an out."""
        for name, document in self.documents.items():
            stages = document.get("stages", {}).values() if name == _LOCK else [document]
            for stage in stages:
                for kind in ("outs", "deps"):
                    for entry in stage.get(kind, ()):
                        yield name, entry, kind == "outs"


def commits(home: Path) -> list[str]:
    """Every commit that a branch, a tag or HEAD leads to, newest first."""
    return git(home, "rev-list", "--all", "HEAD").split()


def tracked(home: Path, commit: str) -> Tracked:
    """What one commit says of DVC's data."""
    names = git(home, "ls-tree", "-r", "--name-only", "--", commit).splitlines()
    return Tracked(
        {
            name: yaml.safe_load(content_of(home, commit, name)) or {}
            for name in names
            if name == _LOCK or (name.endswith(".dvc") and not name.startswith(".dvc/"))
        }
    )


def content_of(home: Path, commit: str, name: str) -> str:
    """A file of a commit."""
    return git(home, "show", f"{commit}:{name}") + "\n"


@contextmanager
def checked_out(home: Path, commit: str, folder: Path) -> Iterator[Path]:
    """The files of a commit, in a folder of their own that a commit can be made from."""
    await_git(home)
    _remove_worktree(home, folder)
    # Twice: git locks a worktree while it makes it, and one that was killed meanwhile stays locked.
    forced = ("--force", "--force")
    git(home, "worktree", "add", "--quiet", "--detach", *forced, "--", str(folder), commit)
    try:
        yield folder
    finally:
        _remove_worktree(home, folder)


def _remove_worktree(home: Path, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    git(home, "worktree", "prune")
