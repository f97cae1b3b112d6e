"""A workspace: a folder with its own git and DVC, where one dataset lives."""

import fcntl
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TYPE_CHECKING

from mirrorset.blobs import BlobStore
from mirrorset.commands import await_git, git
from mirrorset.dvc import dvc
from mirrorset.dvc_config import configure, hide_secrets, refuse_secrets, remote_url
from mirrorset.errors import InputError, SettingsError
from mirrorset.files import write_bytes
from mirrorset.params import DatasetParams, P, Responsible, read_params
from mirrorset.settings import Settings, read_settings

if TYPE_CHECKING:
    from mirrorset.catalogue import Catalogue

_log = logging.getLogger(__name__)
_TRACKED = ("dvc.yaml", "params.yaml", ".gitignore", ".dvc", ".dvcignore")
_TEMPLATE = ("dvc.yaml", "params.yaml", "mirrorset.toml", ".gitignore", ".dvcignore")
_PLOTS = ("slices.json", "coverage.json", "bars.json", "page.html")


@dataclass(frozen=True)
class Workspace:
    """The places of a workspace. What is below `private` never enters git or DVC."""

    home: Path
    settings: Settings

    @property
    def private(self) -> Path:
        """Catalogue, original bytes, spool, logs."""
        return self.home / ".mirrorset"

    @property
    def spool(self) -> Path:
        """Shards of records waiting to be ingested."""
        return self.private / "spool"

    @property
    def logs(self) -> Path:
        """What child processes had to say."""
        return self.private / "logs"

    @property
    def params_file(self) -> Path:
        """params.yaml, one section a step."""
        return self.home / "params.yaml"

    @property
    def snapshot(self) -> Path:
        """The frozen copy of the catalogue that DVC's stages start from."""
        return self.home / "data" / "snapshot"

    @property
    def work(self) -> Path:
        """What DVC's stages hand each other."""
        return self.home / "data" / "work"

    @property
    def exchange(self) -> Path:
        """CVAT archives going out and coming back."""
        return self.home / "cvat"

    @property
    def parity(self) -> Path:
        """Results and comparisons of parity runs."""
        return self.home / "parity"

    def release(self, name: str, version: str) -> Path:
        """The folder of one release."""
        return self.home / "data" / "releases" / name / version

    def pack(self, name: str, version: str) -> Path:
        """The folder of the parity pack sealed from one release."""
        return self.home / "data" / "packs" / name / version

    @cached_property
    def dataset(self) -> DatasetParams:
        """Name and intended use of the dataset made here."""
        return self.params("dataset", DatasetParams)

    @cached_property
    def responsible(self) -> Responsible:
        """Who answers for the pictures kept here."""
        return self.params("responsible", Responsible)

    @cached_property
    def blobs(self) -> BlobStore:
        """Original bytes."""
        return BlobStore(self.settings.blobs_url)

    def params(self, section: str, kind: type[P]) -> P:
        """One section of params.yaml. Raises SettingsError naming what does not fit."""
        return read_params(self.params_file, section, kind)

    @property
    def remote(self) -> str:
        """Address of the DVC remote that releases are pushed to, or ""."""
        return remote_url(self.home)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until nobody else works in this workspace, then keep it to oneself.

        The programs started inside hold the lock too, so that a run after a kill waits for what
        the killed one had left running.
        """
        self.private.mkdir(exist_ok=True)
        with (self.private / "lock").open("w") as lock:
            os.set_inheritable(lock.fileno(), True)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                _log.warning("Another run is at work in %s: waiting until it ends.", self.home)
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def catalogue(self, is_looked_at: bool = False) -> "Catalogue":
        """The catalogue, opened and migrated; where it is only looked at, nothing is changed."""
        # SQLAlchemy takes half a second to import, which DVC's stages do without.
        from mirrorset.catalogue import Catalogue  # noqa: PLC0415

        return Catalogue(self.settings.catalogue_url, is_looked_at)


def open_workspace(home: Path) -> Workspace:
    """The workspace at `home`. Raises SettingsError where there is none."""
    if not (home / ".dvc").is_dir() or not (home / "params.yaml").is_file():
        raise SettingsError(
            f"{home} is no workspace: make one with `mirrorset init FOLDER`, or name one with "
            "--home."
        )
    workspace = Workspace(home.resolve(), read_settings(home))
    refuse_secrets(home)
    hide_secrets(home)
    # A misspelt section would be ignored by every step: it is refused before the first.
    _ = workspace.dataset
    return workspace


def init(home: Path, remote: str | None = None, endpoint_url: str | None = None) -> Workspace:
    """Make a workspace at `home`, or complete one; files that exist stay as they are.

    remote: address of the DVC remote that releases are pushed to (a folder, s3://…), or None.
    endpoint_url: of an S3 server that is not Amazon's. Raises InputError where `home` is a file or
    holds what another project has in git, SettingsError where a credential would enter what git
    tracks.
    """
    if home.exists() and not home.is_dir():
        raise InputError(f"{home} is a file: name a folder for the workspace.")
    if remote is not None and not remote.strip():
        raise SettingsError("--remote is empty: name a folder or an address, or leave it out.")
    _refuse_anothers(home.resolve())
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{home} cannot be made: {error.strerror}: name another folder.") from None
    template = files("mirrorset").joinpath("template")
    _complete(home, template, _TEMPLATE)
    if not (home / ".git").exists():
        git(home, "init", "--quiet", "--initial-branch=main")
    if not _has_author(home):
        git(home, "config", "user.name", "mirrorset")
        git(home, "config", "user.email", "mirrorset@localhost")
    if not (home / ".dvc" / "config").exists():
        dvc(home, "init", "--quiet", "--force")
    _complete(home / ".dvc" / "plots", template.joinpath("plots"), _PLOTS)
    configure(home, remote, endpoint_url)
    commit(home, "Make the workspace", _TRACKED)
    workspace = open_workspace(home)
    # Its tables are made now: no later command has to.
    with workspace.catalogue():
        return workspace


def _refuse_anothers(home: Path) -> None:
    """Raise InputError where commits of a workspace would be among those of another project."""
    repository = next((one for one in (home, *home.parents) if (one / ".git").exists()), None)
    if repository is None or not home.exists() or (home / ".dvc").exists():
        return
    # A repository of one's own may have its README already.
    theirs = home / "dvc.yaml" if repository == home else home
    if git(repository, "ls-files", "--", str(theirs)):
        raise InputError(f"{home} belongs to the git repository {repository}: name a new folder.")


def commit(home: Path, message: str, paths: Sequence[str]) -> None:
    """Commit what has changed at `paths`, if anything has."""
    await_git(home)
    git(home, "add", "--", *paths)
    if git(home, "diff", "--cached", "--name-only", "--", *paths):
        git(home, "commit", "--quiet", "--message", message, "--", *paths)


def _complete(folder: Path, template: Traversable, names: Sequence[str]) -> None:
    for name in names:
        if not (folder / name).exists():
            write_bytes(folder / name, template.joinpath(name.lstrip(".")).read_bytes())


def _has_author(home: Path) -> bool:
    return bool(git(home, "config", "--default", "", "--get", "user.email"))
