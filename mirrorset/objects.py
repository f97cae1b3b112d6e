"""DVC's objects, by hash, in a workspace's cache and in every remote that its settings name.

DVC removes what no commit refers to; what commits do refer to it cannot take away from one place
after another. This can: object by object, on any filesystem that DVC speaks to, and on S3 every
version of each.
"""

import hashlib
import json
import logging
import os
import shutil
import sqlite3
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirrorset.erasure import Removed, Unreached
from mirrorset.errors import InputError
from mirrorset.files import written_aside
from mirrorset.versions import remove_file

_log = logging.getLogger(__name__)

CACHE = "DVC cache"
REMOTE = "DVC remote"
#: What the oid of a folder ends in: its object lists the files.
DIR = ".dir"
_READ_ONLY = 0o444


@dataclass(frozen=True)
class _Remote:
    name: str
    fs: Any
    folder: str
    is_local: bool

    def path(self, oid: str) -> str:
        return f"{self.folder}/{oid[:2]}/{oid[2:]}"


@dataclass
class Objects:
    """The objects of one workspace. unreached: remotes that did not answer, and why.

    legacy: where DVC 2 kept objects; later ones still put some folders' objects there.
    """

    cache: Path
    legacy: Path
    scratch: Path
    remotes: list[_Remote] = field(default_factory=list)
    unreached: list[Unreached] = field(default_factory=list)

    def get(self, oid: str) -> Path | None:
        """A file with the object's bytes, fetched where the cache lacks it; None where nobody has
        it. Not to be written to.
        """
        for cached in self._places(oid):
            if cached.exists():
                return cached
        fetched = self.scratch / oid
        if fetched.exists():
            return fetched
        for remote in list(self.remotes):
            with self._reaching(remote):
                if remote.fs.exists(remote.path(oid)):
                    with written_aside(fetched) as aside:
                        remote.fs.get_file(remote.path(oid), os.fspath(aside))
                    return fetched
        return None

    def listing(self, oid: str) -> dict[str, str] | None:
        """A folder's files, path → oid; None where nobody has the folder's object."""
        file = self.get(oid)
        if file is None:
            return None
        return {one["relpath"]: one["md5"] for one in json.loads(file.read_bytes())}

    def put(self, file: Path) -> str:
        """Keep a file in the cache; returns its oid."""
        with file.open("rb") as content:
            oid = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False))
        return self._keep(oid.hexdigest(), lambda aside: shutil.copyfile(file, aside))

    def put_listing(self, files: Mapping[str, str]) -> str:
        """Keep a folder's object in the cache; returns its oid. files: path → oid."""
        entries = [{"md5": files[path], "relpath": path} for path in sorted(files)]
        content = json.dumps(entries, sort_keys=True).encode()
        oid = hashlib.md5(content, usedforsecurity=False).hexdigest() + DIR
        return self._keep(oid, lambda aside: aside.write_bytes(content))

    def send(self, oids: Collection[str], in_place_of: Collection[str]) -> None:
        """Bring objects to the remotes that hold any of those in whose place they come.

        Only what a remote lacks is sent.
        """
        for remote in list(self.remotes):
            with self._reaching(remote):
                if not any(remote.fs.exists(remote.path(oid)) for oid in in_place_of):
                    continue
                # A folder's object last: where it is, all of it is.
                for oid in sorted(oids, key=lambda oid: (oid.endswith(DIR), oid)):
                    file = None if remote.fs.exists(remote.path(oid)) else self.get(oid)
                    if file is not None:
                        # Whole or not at all, also in a folder: DVC writes aside there.
                        remote.fs.put_file(os.fspath(file), remote.path(oid))

    def erase(self, oids: Collection[str], is_dry_run: bool = False) -> list[Removed]:
        """Remove objects from the cache and from every remote that can be reached."""
        held = [path for oid in sorted(oids) for path in self._places(oid) if path.exists()]
        found = [Removed(place=CACHE, name="objects", count=len(held))]
        if not is_dry_run:
            for path in held:
                path.unlink(missing_ok=True)
            self._forget_runs(oids)
            self._clear_leftovers()
        for remote in list(self.remotes):
            count = 0
            with self._reaching(remote):
                for oid in sorted(oids):
                    count += remove_file(remote.fs, remote.path(oid), is_dry_run)
            found.append(Removed(place=REMOTE, name=remote.name, count=count))
        return [one for one in found if one.count]

    def _forget_runs(self, oids: Collection[str]) -> None:
        """Remove what DVC remembers of stages that gave or took one of these objects."""
        named = [oid.encode() for oid in oids]
        for record in (self.legacy / "runs").glob("*/*/*"):
            content = record.read_bytes()
            if any(oid in content for oid in named):
                record.unlink()

    def _clear_leftovers(self) -> None:
        """Remove what was half written when somebody was killed, where that has a name."""
        folders = [self.cache, self.legacy]
        folders += [Path(one.folder) for one in self.remotes if one.is_local]
        for half in (half for folder in folders for half in folder.glob("[0-9a-f][0-9a-f]/.*")):
            half.unlink(missing_ok=True)

    def all_cached(self) -> Iterator[str]:
        """The oids of all that the cache holds."""
        for folder in (self.cache, self.legacy):
            for path in folder.glob("[0-9a-f][0-9a-f]/*"):
                if not path.name.startswith("."):
                    yield path.parent.name + path.name

    def _cached(self, oid: str) -> Path:
        return self.cache / oid[:2] / oid[2:]

    def _places(self, oid: str) -> tuple[Path, Path]:
        return self._cached(oid), self.legacy / oid[:2] / oid[2:]

    def _keep(self, oid: str, write: Callable[[Path], object]) -> str:
        path = self._cached(oid)
        if not path.exists():
            with written_aside(path) as aside:
                write(aside)
                # As DVC keeps them: a link in a workspace must not be written through.
                aside.chmod(_READ_ONLY)
        return oid

    @contextmanager
    def _reaching(self, remote: _Remote) -> Iterator[None]:
        """Whatever a remote's filesystem raises, it is not reached and not asked again."""
        try:
            yield
        except Exception as error:
            _log.info("The remote %s does not answer.", remote.name, exc_info=error)
            self.remotes.remove(remote)
            self.unreached.append(_unreached(remote.name, error))


@contextmanager
def opened_repository(home: Path) -> Iterator[Any]:
    """DVC's own view of the workspace at `home`, a dvc.repo.Repo.

    Raises InputError where its notes of the files, a database of DVC's, cannot be written.
    """
    # DVC takes a second to import.
    from dvc.repo import Repo  # noqa: PLC0415

    try:
        repo = Repo(os.fspath(home))
    except sqlite3.Error as error:
        raise InputError(
            f"DVC cannot write its notes of the files in {home} ({error}): make room on the disk "
            "of DVC's site cache, then run the same again."
        ) from None
    with repo:
        yield repo


@contextmanager
def opened_objects(home: Path, scratch: Path, is_dry_run: bool = False) -> Iterator[Objects]:
    """The objects of the workspace at `home`. scratch: a folder for what has to be fetched.

    What DVC remembers of the workspace's files, names among it, is forgotten afterwards, but for a
    dry run: it finds out again.
    """
    with opened_repository(home) as repo:
        objects = Objects(Path(repo.cache.local.path), Path(repo.cache.legacy.path), scratch)
        for name in repo.config["remote"]:
            try:
                remote = repo.cloud.get_remote(name)
                if remote.fs.version_aware or remote.worktree:
                    raise NotImplementedError("it keeps files by name (worktree, version_aware)")
                if remote.fs.protocol == "local" and not Path(remote.path).is_dir():
                    raise FileNotFoundError(f"there is no folder {remote.path}: is it mounted?")
                is_local = remote.fs.protocol == "local"
                opened = _Remote(name, remote.fs.fs, remote.odb.path, is_local)
                opened.fs.exists(opened.folder)
                objects.remotes.append(opened)
            except Exception as error:
                # Each filesystem raises its own kinds, and DVC for one that is not installed.
                objects.unreached.append(_unreached(name, error))
        memory = Path(repo.site_cache_dir)
        yield objects
    if not is_dry_run:
        shutil.rmtree(memory, ignore_errors=True)


def _unreached(name: str, error: Exception) -> Unreached:
    words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return Unreached(
        place=REMOTE,
        name=name,
        why=f"It does not answer ({words}): run the same again when it does.",
    )
