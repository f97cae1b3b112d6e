"""Where the files of a release are fetched from: DVC in a git repository, or any fsspec filesystem.

Remotes hold nothing but text, so that they pickle; what is open is opened anew in each process.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import fsspec

from mirrorset.errors import (
    InputError,
    IntegrityError,
    MirrorsetError,
    SettingsError,
    UnavailableError,
)

# By name: botocore and aiohttp come with an extra.
_NO_CREDENTIALS = {
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
    *("ProfileNotFound", "PermissionError"),
}
_UNREACHABLE = {
    *("EndpointConnectionError", "ConnectTimeoutError", "ReadTimeoutError", "HTTPClientError"),
    *("ClientConnectorError", "ConnectionRefusedError", "ConnectionError", "TimeoutError"),
    *("ConnectionResetError", "ServerDisconnectedError", "gaierror"),
}
_NOT_INSTALLED = {"ImportError", "ModuleNotFoundError", "RemoteMissingDepsError"}
_ABSENT = {"FileNotFoundError", "FileMissingError", "NoSuchBucket", "NoRemoteError"}


class Remote(Protocol):
    """Gives the files of one release by their path within it. shown: its address in messages."""

    @property
    def shown(self) -> str: ...

    def fetch(self, name: str, to: Path) -> None:
        """Write the file to `to`, which does not exist yet.

        Raises InputError where it is not there, UnavailableError where nothing answers,
        SettingsError where credentials are missing or refused.
        """


@dataclass(frozen=True)
class FolderRemote:
    """A release's folder on a filesystem that fsspec knows: "s3://bucket/faces/1.0.0"."""

    url: str

    @property
    def shown(self) -> str:
        """The address."""
        return self.url

    def fetch(self, name: str, to: Path) -> None:
        """Write the file to `to`."""
        remedy = "name the folder of a release, which holds release.json and all that it names"
        with told(f"{self.url}/{name}", remedy):
            filesystem, root = fsspec.core.url_to_fs(self.url)
            filesystem.get_file(f"{root}/{name}", str(to))


@dataclass(frozen=True)
class RepositoryRemote:
    """A release that DVC tracks in a git repository on this machine, perhaps a clone.

    rev: the release's tag. path: of its folder in the repository. shown: the address that messages
    name.
    """

    repository: str
    rev: str
    path: str
    shown: str

    def fetch(self, name: str, to: Path) -> None:
        """Write the file to `to`, after DVC's own checksum.

        Raises IntegrityError where DVC's storage holds other bytes than were tracked.
        """
        where = f"{self.path}/{name} of {self.rev} in {self.shown}"
        remedy = (
            "`git fetch --tags` tells its successor if it was withdrawn since; if not, run `dvc "
            "push` where the release was made"
        )
        with told(where, remedy):
            filesystem = _opened(self.repository, self.rev, os.getpid())
            wanted = filesystem.info(f"/{self.path}/{name}").get("md5")
            filesystem.get_file(f"/{self.path}/{name}", str(to))
        if wanted is None:
            return
        with to.open("rb") as content:
            if hashlib.file_digest(content, "md5").hexdigest() != wanted:
                raise IntegrityError(
                    f"{where} is damaged in DVC's storage: push it again from a copy that is whole."
                )


@lru_cache(maxsize=8)
def _opened(repository: str, rev: str, process_id: int) -> Any:
    """DVC's view of a repository; not shared with forks, whose event loops would be dead."""
    # DVC takes a second to import, which only those pay who fetch by it.
    from dvc.api import DVCFileSystem  # noqa: PLC0415

    return DVCFileSystem(repository, rev=rev)


@contextmanager
def told(what: str, remedy: str) -> Iterator[None]:
    """Turn what libraries raise into errors of ours."""
    try:
        yield
    except MirrorsetError:
        raise
    except Exception as error:
        # The next attempt connects anew, with credentials that were set since.
        _opened.cache_clear()
        for kind in fsspec.registry.values():
            kind.clear_instance_cache()
        if (ours := _ours(error, what, remedy)) is None:
            raise
        raise ours from error


def _ours(error: Exception, what: str, remedy: str) -> MirrorsetError | None:
    """What it comes to for who loads a release; None for a bug."""
    chain = list(_chain(error))
    kinds = {kind.__name__ for one in chain for kind in type(one).__mro__}
    said = " ".join(str(chain[-1]).split()).rstrip(".")
    if kinds & _NOT_INSTALLED:
        return SettingsError(
            f"{what} needs packages that are not installed: install requirements-s3.lock ({said})."
        )
    if kinds & _NO_CREDENTIALS:
        return SettingsError(
            f"{what} cannot be read without credentials that its storage accepts: set "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment, or AWS_PROFILE."
        )
    if kinds & _UNREACHABLE:
        return UnavailableError(f"{what} cannot be reached: {said}; run again when it answers.")
    if kinds & _ABSENT:
        return InputError(f"{what} is not there: {remedy}.")
    if any(type(one).__module__.split(".")[0] in ("dvc", "dvc_data", "botocore") for one in chain):
        return UnavailableError(f"{what} cannot be read: {said}.")
    return None


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__
