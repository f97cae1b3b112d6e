"""Versions: unchanged content keeps its own, changed content gets the next free one."""

from pathlib import Path

import pytest

from flows.release import next_minor, release
from flows.release_state import ReleaseState, write_state
from mirrorset.dvc import dvc
from mirrorset.errors import SettingsError
from mirrorset.params import Responsible
from mirrorset.workspace import init


@pytest.mark.parametrize(
    ("version", "taken", "following"),
    [
        ("0.1.0", set(), "0.2.0"),
        ("0.1.3", {"0.1.3"}, "0.2.0"),
        ("0.1.0", {"0.1.0", "0.2.0", "0.3.0"}, "0.4.0"),
        ("1.9.0", {"1.9.0"}, "1.10.0"),
    ],
)
def test_the_next_minor_version_is_free(version: str, taken: set[str], following: str) -> None:
    assert next_minor(version, taken) == following


@pytest.mark.parametrize("version", ["1", "1.2", "v1.2.3", "1.2.3-rc1", "", "a.b.c"])
def test_a_malformed_version_is_refused_before_any_work(version: str) -> None:
    with pytest.raises(SettingsError, match="three numbers"):
        release.fn("nowhere", version)


def test_dvc_reads_params_that_say_who_is_responsible(tmp_path: Path) -> None:
    """Params and state both say it, and DVC refuses a variable that two files define."""
    who = Responsible(controller="Example Lab", contact="faces@example.org", retention_days=730)
    workspace = init(tmp_path / "faces")
    params = workspace.params_file.read_text().replace(
        "responsible: {}", f"responsible: {who.model_dump_json()}"
    )
    workspace.params_file.write_text(params)
    assert workspace.responsible == who
    write_state(workspace, ReleaseState(version="0.1.0", responsible=who))
    assert "select" in dvc(workspace.home, "stage", "list")
