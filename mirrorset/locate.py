"""From what a reader names, a dataset or an address and a version, to where the release lies."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mirrorset.commands import git
from mirrorset.errors import InputError, MirrorsetError, SettingsError, UnavailableError
from mirrorset.fetched import fetch_card
from mirrorset.files import folder_written_aside
from mirrorset.remotes import FolderRemote, Remote, RepositoryRemote
from mirrorset.withdrawn import TAG, Withdrawn, withdrawal_by_tag, withdrawal_of

_NAME = re.compile(r"[a-z0-9][a-z0-9\-]*")
_VERSION = re.compile(rf"(?:(?P<name>{_NAME.pattern})-)?v?(?P<number>\d+\.\d+\.\d+)")
#: Of our tags, unlike those of software: "faces-1.2.0".
RELEASE_TAG = re.compile(rf"(?P<name>{_NAME.pattern})-(?P<number>\d+\.\d+\.\d+)")
# What git speaks, beside "user@host:path"; https may be either and is git's where a version is
# given.
_GIT_URL = re.compile(r"(ssh|git|git\+ssh|https?|file)://|[\w.\-]+@[\w.\-]+:")
_URL = re.compile(r"\w[\w+.\-]*://|[\w.\-]+@[\w.\-]+:")


@dataclass(frozen=True)
class Place:
    """Where a release lies. folder: its files, or those that were fetched. remote: where absent
    ones are fetched from. withdrawn: the version that was asked for, if this is its successor.
    """

    folder: Path
    remote: Remote | None = None
    withdrawn: Withdrawn | None = None


def locate(release: Path | str, version: str | None, home: Path, cache: Path) -> Place:
    """Where what `mirrorset.load` was asked for lies, or its successor where it was withdrawn.

    Raises SettingsError for what names no release, InputError where there is no such release,
    UnavailableError where nothing answers.
    """
    address = str(release)
    if version is None:
        if not _URL.match(address):
            return _in_folder(Path(release), cache)
        return _fetched(FolderRemote(address.rstrip("/")), cache)
    name, number = _parsed(version)
    if _GIT_URL.match(address) or _is_repository(Path(release)):
        is_here = Path(release).is_dir()
        return _tagged(str(Path(release).resolve()) if is_here else address, name, number, cache)
    if _URL.match(address):
        return _fetched(FolderRemote(f"{address.rstrip('/')}/{number}"), cache)
    if (Path(release) / number / "release.json").is_file():
        return _in_folder(Path(release) / number, cache)
    if not _NAME.fullmatch(address) or name not in (None, address):
        raise SettingsError(
            f"{address} is neither a dataset's name nor a repository: name one of them, or the "
            "folder of a release without a version."
        )
    return _in_workspace(home.resolve(), address, number, cache)


def _in_folder(folder: Path, cache: Path) -> Place:
    if withdrawal_of(folder) is None:
        return Place(folder)
    folder = folder.absolute()
    return _in_workspace(folder.parents[3], folder.parent.name, folder.name, cache)


def _in_workspace(home: Path, name: str, number: str, cache: Path) -> Place:
    folder = home / "data" / "releases" / name / number
    withdrawn = withdrawal_of(folder)
    if withdrawn is not None:
        return _succeeding(withdrawn, lambda next_: _in_workspace(home, name, next_, cache))
    if (folder / "release.json").is_file():
        return Place(folder)
    if not _is_repository(home):
        raise SettingsError(
            f"{home} is no workspace in which {name} {number} could be: name one by home=, or the "
            f"address of a repository that holds {name}."
        )
    return _tagged(str(home), name, number, cache)


def _succeeding(withdrawn: Withdrawn, placed: Callable[[str], Place]) -> Place:
    """The place of a withdrawn version's successor, which `placed` finds by its number."""
    if withdrawn.successor is None:
        raise InputError(f"{withdrawn.in_words} and has no successor: take a later version.")
    try:
        place = placed(withdrawn.successor)
    except (InputError, SettingsError) as error:
        raise InputError(
            f"{withdrawn.in_words}, and its successor {withdrawn.successor} cannot be had: {error}"
        ) from None
    last = place.withdrawn or withdrawn
    return replace(place, withdrawn=withdrawn.model_copy(update={"successor": last.successor}))


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


def _fetched(remote: Remote, cache: Path) -> Place:
    return Place(fetch_card(remote, cache), remote)


def _tagged(address: str, name: str | None, number: str, cache: Path) -> Place:
    """The release that a git repository has a tag for, or the successor of a withdrawn one."""
    commits = _tags(address)
    released = {
        found[0]: found
        for tag in commits
        if (found := RELEASE_TAG.fullmatch(tag.removeprefix(TAG)))
    }
    wanted = [
        tag for tag in released.values() if tag["number"] == number and name in (None, tag["name"])
    ]
    title = f"{name} {number}" if name else number
    if not wanted:
        known = f"its tags are {', '.join(released)}" if released else "it has no tag of a release"
        hint = ", and `git fetch --tags` brings newer ones" if Path(address).is_dir() else ""
        raise InputError(f"{address} holds no release {title}: {known}{hint}.")
    if len(wanted) > 1:
        several = " or ".join(tag[0] for tag in wanted)
        raise SettingsError(f"{address} holds several releases {title}: name {several}.")
    tag, of = wanted[0][0], wanted[0]["name"]
    if TAG + tag in commits:
        withdrawn = withdrawal_by_tag(address, of, number)
        return _succeeding(withdrawn, lambda next_: _tagged(address, of, next_, cache))
    # DVC reads a repository on this machine with its own credentials and its cache.
    is_here = Path(address).is_dir()
    repository = address if is_here else str(_clone(address, tag, commits[tag], cache))
    path = f"data/releases/{of}/{number}"
    return _fetched(RepositoryRemote(repository, rev=tag, path=path, shown=address), cache)


def _tags(address: str) -> dict[str, str]:
    """The commit of every tag, in the order of git."""
    try:
        lines = git(
            Path(), "ls-remote", "--tags", "--sort=version:refname", "--", address
        ).splitlines()
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
                git(aside, "clone", "--quiet", "--depth=1", f"--branch={tag}", "--", address, ".")
        except UnavailableError:
            raise
        except MirrorsetError as error:
            raise UnavailableError(f"{address} cannot be cloned: {_said(error)}.") from None
    return folder


def _said(error: MirrorsetError) -> str:
    return str(error).partition(" failed in ")[2].partition(": ")[2].rstrip(".")
