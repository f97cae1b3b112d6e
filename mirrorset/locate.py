"""From what a reader names, a dataset or an address and a version, to where the release lies."""

import re
from pathlib import Path

from mirrorset.commands import git
from mirrorset.errors import InputError, MirrorsetError, SettingsError, UnavailableError
from mirrorset.fetched import fetch_card
from mirrorset.files import folder_written_aside
from mirrorset.remotes import FolderRemote, Remote, RepositoryRemote

_NAME = re.compile(r"[a-z0-9][a-z0-9\-]*")
_VERSION = re.compile(rf"(?:(?P<name>{_NAME.pattern})-)?v?(?P<number>\d+\.\d+\.\d+)")
# Of our tags, unlike those of software: "faces-1.2.0".
_TAG = re.compile(rf"(?P<name>{_NAME.pattern})-(?P<number>\d+\.\d+\.\d+)")
# What git speaks, beside "user@host:path"; https may be either and is git's where a version is
# given.
_GIT_URL = re.compile(r"(ssh|git|git\+ssh|https?|file)://|[\w.\-]+@[\w.\-]+:")
_URL = re.compile(r"\w[\w+.\-]*://|[\w.\-]+@[\w.\-]+:")


def locate(
    release: Path | str, version: str | None, home: Path, cache: Path
) -> tuple[Path, Remote | None]:
    """The folder of a release, and the remote that its absent files are fetched from.

    `mirrorset.load` says what may be named. Raises SettingsError for what names no release,
    InputError where there is no such release, UnavailableError where nothing answers.
    """
    address = str(release)
    if version is None:
        if not _URL.match(address):
            return Path(release), None
        return _fetched(FolderRemote(address.rstrip("/")), cache)
    name, number = _parsed(version)
    if _GIT_URL.match(address) or _is_repository(Path(release)):
        is_here = Path(release).is_dir()
        return _tagged(str(Path(release).resolve()) if is_here else address, name, number, cache)
    if _URL.match(address):
        return _fetched(FolderRemote(f"{address.rstrip('/')}/{number}"), cache)
    if (Path(release) / number / "release.json").is_file():
        return Path(release) / number, None
    if not _NAME.fullmatch(address) or name not in (None, address):
        raise SettingsError(
            f"{address} is neither a dataset's name nor a repository: name one of them, or the "
            "folder of a release without a version."
        )
    return _in_workspace(home.resolve(), address, number, cache)


def _in_workspace(home: Path, name: str, number: str, cache: Path) -> tuple[Path, Remote | None]:
    folder = home / "data" / "releases" / name / number
    if (folder / "release.json").is_file():
        return folder, None
    if not _is_repository(home):
        raise SettingsError(
            f"{home} is no workspace in which {name} {number} could be: name one by home=, or the "
            f"address of a repository that holds {name}."
        )
    return _tagged(str(home), name, number, cache)


def _parsed(version: str) -> tuple[str | None, str]:
    found = _VERSION.fullmatch(version)
    if found is None:
        raise SettingsError(
            f"{version!r} is no version: write 1.2.0, v1.2.0 or the tag, as faces-1.2.0; a split "
            'is named by split="train".'
        )
    return found["name"], found["number"]


def _is_repository(folder: Path) -> bool:
    return (folder / ".git").exists() or (folder / "HEAD").is_file()


def _fetched(remote: Remote, cache: Path) -> tuple[Path, Remote]:
    return fetch_card(remote, cache), remote


def _tagged(address: str, name: str | None, number: str, cache: Path) -> tuple[Path, Remote]:
    """The release that a git repository has a tag for."""
    commits = _tags(address)
    released = [found for tag in commits if (found := _TAG.fullmatch(tag))]
    wanted = [tag for tag in released if tag["number"] == number and name in (None, tag["name"])]
    title = f"{name} {number}" if name else number
    tags = [tag[0] for tag in released]
    if not wanted:
        known = f"its tags are {', '.join(tags)}" if tags else "it has no tag of a release"
        raise InputError(f"{address} holds no release {title}: {known}.")
    if len(wanted) > 1:
        several = " or ".join(tag[0] for tag in wanted)
        raise SettingsError(f"{address} holds several releases {title}: name {several}.")
    (tag,) = wanted
    is_here = Path(address).is_dir()
    remote = RepositoryRemote(
        # DVC reads a repository on this machine with its own credentials and its cache.
        repository=address if is_here else str(_clone(address, tag[0], commits[tag[0]], cache)),
        rev=tag[0],
        path=f"data/releases/{tag['name']}/{number}",
        shown=address,
    )
    return _fetched(remote, cache)


def _tags(address: str) -> dict[str, str]:
    """The commit of every tag, in the order of git."""
    try:
        lines = git(Path(), "ls-remote", "--tags", "--sort=version:refname", address).splitlines()
    except UnavailableError:
        raise
    except MirrorsetError as error:
        raise UnavailableError(
            f"{address} cannot be read as a git repository: check the address and your access to "
            f"it ({_said(error)})."
        ) from None
    tags = {}
    for line in lines:
        commit, _, ref = line.partition("\t")
        # An annotated tag is listed twice: by itself, then as "^{}" with what it points to.
        tags[ref.removeprefix("refs/tags/").removesuffix("^{}")] = commit
    return tags


def _clone(address: str, tag: str, commit: str, cache: Path) -> Path:
    """A clone of one commit: DVC's hashes and where its storage is."""
    folder = cache / "releases" / "repositories" / commit
    if not folder.is_dir():
        try:
            with folder_written_aside(folder) as aside:
                git(aside, "clone", "--quiet", "--depth=1", f"--branch={tag}", address, ".")
        except UnavailableError:
            raise
        except MirrorsetError as error:
            raise UnavailableError(f"{address} cannot be cloned: {_said(error)}.") from None
    return folder


def _said(error: MirrorsetError) -> str:
    return str(error).partition(" failed in ")[2].partition(": ")[2].rstrip(".")
