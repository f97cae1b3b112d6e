"""The files of a release: in a folder, or fetched into the cache as they are asked for.

The cache, a folder `releases` in `mirrorset.settings.Settings.cache`:

    files/SHA256              every file once, whichever versions hold it
    DIGEST/                   a release's folder: links to those files, as far as they were fetched
    repositories/…            clones, of which only DVC's hashes are read
    locks/SHA256              who fetches a file; others wait for it

Removing it costs nothing but the time to fetch again.
"""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mirrorset.errors import IntegrityError
from mirrorset.files import written_aside
from mirrorset.remotes import Remote


@dataclass(frozen=True)
class Files:
    """The files of one release. checksums: sha256 by path. remote: where absent ones come from."""

    folder: Path
    checksums: Mapping[str, str]
    remote: Remote | None = None

    def path(self, name: str) -> Path:
        """Where the file is, fetched if it was not there; without a remote it may be absent.

        Raises IntegrityError where other bytes came than the release was sealed with, and what
        `Remote.fetch` raises.
        """
        path = self.folder / name
        if self.remote is not None and not path.exists():
            _fetch(self.remote, name, self.checksums[name], path)
        return path


def fetch_card(remote: Remote, cache: Path) -> Path:
    """Fetch release.json, and return the folder in `cache` that the release's files come into."""
    releases = cache / "releases"
    releases.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=releases, prefix=".") as scratch:
        card = Path(scratch) / "release.json"
        remote.fetch("release.json", card)
        folder = releases / _sha256(card)[:16]
        folder.mkdir(exist_ok=True)
        card.replace(folder / "release.json")
    return folder


def forget(cache: Path, name: str, version: str, is_dry_run: bool = False) -> int:
    """Remove what was fetched of a version; returns how many of its files were there.

    Files that other versions hold as well stay for them; what is damaged goes, too.
    """
    releases = cache / "releases"
    cards = {path: _named_by(path) for path in releases.glob("*/release.json")}
    doomed = {path for path, card in cards.items() if card is None or card[:2] == (name, version)}
    if not doomed:
        return 0
    needed = {
        sha256 for path, card in cards.items() if card and path not in doomed for sha256 in card[2]
    }
    unneeded = [file for file in releases.glob("files/*") if file.name not in needed]
    if not is_dry_run:
        for file in unneeded:
            file.unlink(missing_ok=True)
        for path in doomed:
            shutil.rmtree(path.parent)
    return len(unneeded)


def _named_by(card: Path) -> tuple[str, str, set[str]] | None:
    """Name, version and files (sha256) of a release; None where its card is damaged."""
    try:
        values = json.loads(card.read_bytes())
        return values["name"], values["version"], set(values["files"].values())
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _fetch(remote: Remote, name: str, sha256: str, path: Path) -> None:
    """Bring one file into the cache, unless it is there, and link it to `path`."""
    releases = path.parents[len(Path(name).parts)]
    kept, lock = releases / "files" / sha256, releases / "locks" / sha256
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        # The workers of a loader ask for the same file at once: it is fetched by one of them.
        fcntl.flock(held, fcntl.LOCK_EX)
        if path.exists():
            return
        if not kept.exists() or _sha256(kept) != sha256:
            with written_aside(kept) as aside:
                remote.fetch(name, aside)
                if _sha256(aside) != sha256:
                    raise IntegrityError(
                        f"{name} came from {remote.shown} with other bytes than release.json "
                        "names: have it restored there."
                    )
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(kept, path)
        except OSError:  # a filesystem without links
            with written_aside(path) as aside:
                shutil.copyfile(kept, aside)


def _sha256(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
