"""The versions of a dataset that were withdrawn, and what takes their place.

A workspace lists them in withdrawn.yaml, which git keeps; whoever has a clone learns of it by
pulling. To those who only ask a repository for its tags, a tag says it: withdrawn/NAME-VERSION,
whose message ends in the trailer "Successor: VERSION".
"""

import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from mirrorset.commands import git
from mirrorset.errors import InputError
from mirrorset.files import write_text
from mirrorset.records import DatasetName, Record, VersionNumber

FILE = "withdrawn.yaml"
TAG = "withdrawn/"
_RELEASES = ("data", "releases")
_TRAILER = "Successor"
_FORMAT = f"%(taggerdate:iso-strict)%0a%(contents:trailers:key={_TRAILER},valueonly)"


class Withdrawn(Record):
    """A withdrawn version of a dataset. successor: the version in its place, or None."""

    name: DatasetName
    version: VersionNumber
    successor: VersionNumber | None
    withdrawn_at: AwareDatetime

    @property
    def in_words(self) -> str:
        """What a reader is told first."""
        return f"{self.name} {self.version} was withdrawn on {self.withdrawn_at:%Y-%m-%d}"

    @property
    def message(self) -> str:
        """Of the tag; `withdrawal_by_tag` reads it."""
        said = f"{self.name} {self.version} is withdrawn: an image of it was erased"
        return f"{said}\n\n{_TRAILER}: {self.successor}" if self.successor else said


_LIST = TypeAdapter(tuple[Withdrawn, ...])


def read_withdrawn(home: Path) -> tuple[Withdrawn, ...]:
    """The withdrawn versions of the workspace at `home`, the first withdrawn first.

    Raises InputError where the list was edited.
    """
    file = home / FILE
    try:
        return _LIST.validate_python(yaml.safe_load(file.read_text(encoding="utf-8")) or ())
    except FileNotFoundError:
        return ()
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError):
        raise InputError(f"{file} was edited: restore it with `git checkout {FILE}`.") from None


def write_withdrawn(home: Path, withdrawn: Iterable[Withdrawn]) -> None:
    """Write the list, whole or not at all."""
    values = yaml.safe_dump([one.model_dump(mode="json") for one in withdrawn], sort_keys=False)
    write_text(home / FILE, f"# Written by `mirrorset erase`; do not edit.\n{values}")


def withdrawal_of(folder: Path) -> Withdrawn | None:
    """The withdrawal of the release in `folder`, data/releases/NAME/VERSION of a workspace.

    None where it stands, or lies where nothing tells. Of a successor that was withdrawn as well,
    its own successor counts.
    """
    folder = folder.absolute()
    if len(folder.parts) < 5 or folder.parent.parent.parts[-2:] != _RELEASES:
        return None
    name, version = folder.parent.name, folder.name
    listed = {(one.name, one.version): one for one in read_withdrawn(folder.parents[3])}
    found = listed.get((name, version))
    last = found
    while last is not None and (further := listed.get((name, last.successor or ""))):
        last = further
    if found is None or last is None:
        return None
    return found.model_copy(update={"successor": last.successor})


def withdrawal_by_tag(address: str, name: str, version: str) -> Withdrawn:
    """What a git repository's tag says of a version that it withdrew.

    Raises what `git` does where the repository does not give it.
    """
    ref = f"refs/tags/{TAG}{name}-{version}"
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        git(folder, "init", "--quiet", "--bare")
        git(folder, "fetch", "--quiet", "--depth=1", "--", address, f"{ref}:{ref}")
        said = git(folder, "for-each-ref", f"--format={_FORMAT}", ref)
    at, _, successor = said.partition("\n")
    return Withdrawn.model_validate(
        {
            "name": name,
            "version": version,
            "successor": successor.strip() or None,
            "withdrawn_at": at,
        }
    )
