"""Doctor: what works on this machine and what does not, and what to do; it changes nothing."""

from pathlib import Path

from flows.doctor import machine, places, servers
from flows.doctor.findings import Check, Finding, examined
from mirrorset.errors import SettingsError
from mirrorset.settings import read_settings
from mirrorset.workspace import Workspace

__all__ = ["Finding", "examine"]


def examine(home: Path) -> list[Finding]:
    """Look at this machine, at the workspace at `home`, and at the servers that its settings name.

    All checks are made at the same time, and none is waited for longer than some seconds.
    """
    checks = machine.checks()
    try:
        workspace = Workspace(home.resolve(), read_settings(home))
    except SettingsError as error:
        return examined([*checks, Check("settings", error)])
    checks += places.checks(workspace)
    if (home / ".dvc").is_dir():
        checks += servers.checks(workspace)
    return examined(checks)
