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
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mirrorset.erasure import Removed, Unreached
from mirrorset.files import written_aside
from mirrorset.versions import remove_file

_log = logging.getLogger(__name__)

CACHE = "DVC cache"
REMOTE = "DVC remote"
_DIR = ".dir"
_READ_ONLY = 0o444


@dataclass(frozen=True)
class _Remote:
    name: str
    fs: Any
    folder: str

    def path(self, oid: str) -> str:
        return f"{self.folder}/{oid[:2]}/{oid[2:]}"


@dataclass
class Objects:
    """The objects of one workspace. unreached: remotes that did not answer, and why."""

    cache: Path
    scratch: Path
    remotes: list[_Remote] = field(default_factory=list)
    unreached: list[Unreached] = field(default_factory=list)

    def get(self, oid: str) -> Path | None:
        """A file with the object's bytes, fetched where the cache lacks it; None where nobody has
        it. Not to be written to.
        """
        cached = self._cached(oid)
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
        oid = hashlib.md5(content, usedforsecurity=False).hexdigest() + _DIR
        return self._keep(oid, lambda aside: aside.write_bytes(content))

    def send(self, oids: Collection[str]) -> int:
        """Bring objects of the cache to every remote that lacks them; returns how many went."""
        sent = 0
        # A folder's object last: where it is, all of it is.
        for oid in sorted(oids, key=lambda oid: (oid.endswith(_DIR), oid)):
            for remote in list(self.remotes):
                with self._reaching(remote):
                    path = remote.path(oid)
                    if not remote.fs.exists(path):
                        _upload(remote.fs, self._cached(oid), path)
                        sent += 1
        return sent

    def erase(self, oids: Collection[str], is_dry_run: bool = False) -> list[Removed]:
        """Remove objects from the cache and from every remote that can be reached."""
        held = [oid for oid in sorted(oids) if self._cached(oid).exists()]
        found = [Removed(place=CACHE, name="objects", count=len(held))]
        if not is_dry_run:
            for oid in held:
                self._cached(oid).unlink(missing_ok=True)
        for remote in list(self.remotes):
            count = 0
            with self._reaching(remote):
                for oid in sorted(oids):
                    count += remove_file(remote.fs, remote.path(oid), is_dry_run)
            found.append(Removed(place=REMOTE, name=remote.name, count=count))
        return [one for one in found if one.count]

    def all_cached(self) -> Iterator[str]:
        """The oids of all that the cache holds."""
        for path in self.cache.glob("??/*"):
            if not path.name.startswith("."):
                yield path.parent.name + path.name

    def _cached(self, oid: str) -> Path:
        return self.cache / oid[:2] / oid[2:]

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
def opened_objects(home: Path, scratch: Path) -> Iterator[Objects]:
    """The objects of the workspace at `home`. scratch: a folder for what has to be fetched.

    What DVC remembers of the workspace's files, names among it, is forgotten afterwards: it finds
    out again.
    """
    # DVC takes a second to import.
    from dvc.repo import Repo  # noqa: PLC0415

    with Repo(os.fspath(home)) as repo:
        objects = Objects(Path(repo.cache.local.path), scratch)
        for name in repo.config["remote"]:
            try:
                remote = repo.cloud.get_remote(name)
                if remote.fs.version_aware or remote.worktree:
                    raise NotImplementedError("it keeps files by name (worktree, version_aware)")
                if remote.fs.protocol == "local" and not Path(remote.path).is_dir():
                    raise FileNotFoundError(f"there is no folder {remote.path}: is it mounted?")
                opened = _Remote(name, remote.fs.fs, remote.odb.path)
                opened.fs.exists(opened.folder)
                objects.remotes.append(opened)
            except Exception as error:
                # Each filesystem raises its own kinds, and DVC for one that is not installed.
                objects.unreached.append(_unreached(name, error))
        memory = Path(repo.site_cache_dir)
        try:
            yield objects
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(memory, ignore_errors=True)


def _upload(fs: Any, file: Path, path: str) -> None:
    """Objects are whole or absent: written aside where the filesystem shows half of a file."""
    if "file" in _protocols(fs):
        with written_aside(Path(path)) as aside:
            shutil.copyfile(file, aside)
            aside.chmod(_READ_ONLY)
    else:
        fs.put_file(os.fspath(file), path)


def _protocols(fs: Any) -> tuple[str, ...]:
    return (fs.protocol,) if isinstance(fs.protocol, str) else tuple(fs.protocol)


def _unreached(name: str, error: Exception) -> Unreached:
    words = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return Unreached(
        place=REMOTE,
        name=name,
        why=f"It does not answer ({words}): run the same again when it does.",
    )
