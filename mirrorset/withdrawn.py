"""withdrawn.yaml: the versions of a workspace that were withdrawn, and what takes their place.

Git keeps it, so that whoever has a clone learns of it by pulling.
"""

from collections.abc import Iterable
from pathlib import Path

import yaml
from pydantic import AwareDatetime, TypeAdapter, ValidationError

from mirrorset.errors import InputError
from mirrorset.files import write_text
from mirrorset.records import Record

FILE = "withdrawn.yaml"
_RELEASES = ("data", "releases")


class Withdrawn(Record):
    """A withdrawn version of a dataset. successor: the version in its place, or None."""

    name: str
    version: str
    successor: str | None
    withdrawn_at: AwareDatetime


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
