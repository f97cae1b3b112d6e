"""release.yaml: the version a workspace stands at, and the content that version stands for."""

import logging
import re
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import Field, ValidationError

from mirrorset.errors import SettingsError
from mirrorset.files import write_text
from mirrorset.load import Release, open_release
from mirrorset.locate import locate
from mirrorset.params import Responsible
from mirrorset.records import Record, Split
from mirrorset.workspace import Workspace, open_workspace

_log = logging.getLogger(__name__)
_VERSION = r"^\d+\.\d+\.\d+$"
Version = Annotated[str, Field(pattern=_VERSION)]


class ReleaseState(Record):
    """release.yaml: the version that dvc.yaml builds, and what it stands for.

    test_series: names of all that have begun. The ledger forgets one whose images were all erased;
    its name must not come to mean others.
    """

    version: Version
    digest: str = ""
    test_series: tuple[str, ...] = ()
    url: str = ""
    responsible: Responsible = Responsible()


def current_version(workspace: Workspace) -> str:
    """The version that the workspace stands at. Raises SettingsError before the first release."""
    version = read_state(workspace).version
    if not workspace.release(workspace.dataset.name, version).is_dir():
        raise SettingsError(
            f"Release {version} is not in {workspace.home}: run `dvc pull` or `mirrorset release`."
        )
    return version


def released(home: Path, release: str, split: Split | None = None) -> Release:
    """A release: the folder `release`, or a version of the dataset made at `home`.

    What a clone lacks of a version is fetched as it is read. Raises what `mirrorset.load` raises.
    """
    if not re.match(_VERSION, release) or (Path(release) / "release.json").is_file():
        return open_release(release, split)
    workspace = open_workspace(home)
    place = locate(workspace.dataset.name, release, workspace.home, workspace.settings.cache)
    if place.withdrawn is not None:
        _log.warning(
            "%s: %s is read in its place.", place.withdrawn.in_words, place.withdrawn.successor
        )
    return open_release(place.folder, split, place.remote)


def state_file(workspace: Workspace) -> Path:
    """Where the state is kept: one of the files that dvc.yaml reads."""
    return workspace.home / "release.yaml"


def read_state(workspace: Workspace) -> ReleaseState:
    """The state that was written last. Raises SettingsError where there is none, or none valid."""
    try:
        values = yaml.safe_load(state_file(workspace).read_text(encoding="utf-8"))
        return ReleaseState.model_validate(values)
    except FileNotFoundError:
        raise SettingsError(
            f"{workspace.home} holds no release yet: run `mirrorset release`."
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError, ValidationError):
        raise SettingsError(
            f"{state_file(workspace)} was edited: restore it with `git checkout release.yaml`."
        ) from None


def write_state(workspace: Workspace, state: ReleaseState) -> None:
    """Write the state, whole or not at all."""
    write_text(state_file(workspace), state_text(state))


def state_text(state: ReleaseState) -> str:
    """The state as release.yaml has it."""
    values = yaml.safe_dump(state.model_dump(mode="json"), sort_keys=False)
    return f"# Written by `mirrorset release`; do not edit.\n{values}"
