"""A disk that is full, or a folder that is read-only, while images are erased."""

import ctypes
import os
import random
import re
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from erasure_room import (
    CHANGES,
    SUCCESSORS,
    VERSIONS,
    Ended,
    Traces,
    command,
    copied,
    found_in,
    places,
    traces,
)
from thorough import thorough

import mirrorset
from flows.release import STAGES
from mirrorset.commands import git
from mirrorset.dvc import dvc
from mirrorset.load import WithdrawnWarning, open_release
from mirrorset.workspace import Workspace, open_workspace

# Of the disk, in bytes: enough for a workspace of twelve small pictures.
DISK = 96 * 2**20
_SENTENCE = re.compile(r"mirrorset: [^\n]+\.")


def assert_told(ended: Ended) -> None:
    """It failed, and said why in one sentence that is none of a bug."""
    assert ended.exit_code > 0, ended
    told = [line for line in ended.said.splitlines() if line.startswith("mirrorset: ")]
    assert len(told) == 1, ended
    assert _SENTENCE.fullmatch(told[0]), ended
    assert "Traceback" not in ended.said
    assert "This is a bug" not in ended.said


def assert_nothing_half(workspace: Workspace) -> None:
    """Every version that there is, the old or its successor, is whole."""
    for folder in sorted((workspace.home / "data/releases/faces").iterdir()):
        if not folder.name.startswith("."):
            open_release(folder).verify()
    for version, successor in zip(VERSIONS, SUCCESSORS, strict=True):
        tags = git(workspace.home, "tag", "--list").split()
        assert f"faces-{version}" in tags or f"faces-{successor}" in tags


def assert_completed(root: Path, sought: Traces, held: dict[str, dict[str, object]]) -> None:
    workspace = open_workspace(root / "faces")
    ended = command(workspace.home, "--image-id", sought.image_id)
    assert ended.exit_code == 0, ended
    assert list(found_in([root], sought)) == []
    for version, successor in zip(VERSIONS, SUCCESSORS, strict=True):
        with pytest.warns(WithdrawnWarning, match=f"{successor} is read in its place"):
            mirrorset.load(workspace.release("faces", version)).verify()
        kept = {one: place for one, place in held[version].items() if one != sought.image_id}
        assert places(workspace, successor) == kept
    assert git(workspace.home, "status", "--porcelain") == ""
    assert "up to date" in dvc(workspace.home, "status", *STAGES)


# --- no room ------------------------------------------------------------------------------------


def may_mount() -> bool:
    """Whether this machine lets us make a small disk."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return False
    mounting = ["unshare", "--mount", "mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", "/mnt"]
    return subprocess.run(mounting, capture_output=True, check=False).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    subprocess.run(mounting, check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def fill_up(disk: Path, free: int) -> Path:
    """A file that leaves so many bytes."""
    ballast = disk / "ballast"
    with ballast.open("wb") as out:
        os.posix_fallocate(out.fileno(), 0, shutil.disk_usage(disk).free - free)
    return ballast


if may_mount():

    def test_a_full_disk_is_told_and_completed_when_there_is_room(
        twice_released: Path, small_disk: Path, prefect: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From nothing left at all to a little too little."""
        monkeypatch.setenv("MIRRORSET_CACHE", str(small_disk / "cache"))
        root = copied(twice_released, small_disk / "root")
        workspace = open_workspace(root / "faces")
        sought = traces(workspace, 4)
        held = {version: places(workspace, version) for version in VERSIONS}
        failed = 0
        for free in (0, 64 * 2**10, 256 * 2**10, 640 * 2**10):
            ballast = fill_up(small_disk, free)
            ended = command(workspace.home, "--image-id", sought.image_id)
            ballast.unlink()
            if ended.exit_code == 0:
                break
            failed += 1
            assert_told(ended)
            assert_nothing_half(workspace)
        assert failed >= 2
        assert_completed(root, sought, held)


@pytest.mark.parametrize("count", [2, *thorough(6)])
def test_a_disk_that_is_full_from_any_moment_on_is_told_and_completed(
    root: Path, count: int
) -> None:
    """For our own files; the moments are drawn anew each run."""
    workspace = open_workspace(root / "faces")
    sought = traces(workspace, 4)
    held = {version: places(workspace, version) for version in VERSIONS}
    for full_at in (moments := random.sample(range(1, CHANGES), count)):
        ended = command(workspace.home, "--image-id", sought.image_id, full_at=full_at)
        if ended.exit_code == 0:
            # It goes on where the one before ended, and has less to do.
            assert full_at != moments[0], moments
            continue
        assert_told(ended)
        assert_nothing_half(workspace)
    print("full from change", moments)  # shown where what follows fails
    assert_completed(root, sought, held)


def no_file_over_4_kib() -> None:
    """Let no file of this process, and of what it starts, grow any further: SQLite's neither."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def test_files_that_may_not_grow_are_told_and_completed_when_they_may(root: Path) -> None:
    workspace = open_workspace(root / "faces")
    sought = traces(workspace, 4)
    held = {version: places(workspace, version) for version in VERSIONS}
    ended = command(workspace.home, "--image-id", sought.image_id, before=no_file_over_4_kib)
    assert_told(ended)
    assert_nothing_half(workspace)
    assert_completed(root, sought, held)


# --- no right -----------------------------------------------------------------------------------


@pytest.fixture
def without_privilege() -> Callable[[], None]:
    """What lets a process, and what it starts, write only where it has the right to."""
    if os.geteuid() != 0:
        return lambda: None
    return drop_override


def drop_override() -> None:
    """Root may write anywhere by a capability (CAP_DAC_OVERRIDE): it is given up for good."""
    libc = ctypes.CDLL(None, use_errno=True)
    cap_dac_override, pr_capbset_drop = 1, 24
    assert libc.prctl(pr_capbset_drop, cap_dac_override, 0, 0, 0) == 0

    class Header(ctypes.Structure):
        _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))

    class Data(ctypes.Structure):
        _fields_ = (
            ("effective", ctypes.c_uint32),
            ("permitted", ctypes.c_uint32),
            ("inheritable", ctypes.c_uint32),
        )

    header, data = Header(0x20080522, 0), (Data * 2)()
    assert libc.capget(ctypes.byref(header), data) == 0
    for kind in ("effective", "permitted", "inheritable"):
        setattr(data[0], kind, getattr(data[0], kind) & ~(1 << cap_dac_override))
    assert libc.capset(ctypes.byref(header), data) == 0


# Those of which the erasure reports that it could not reach them, and goes on.
_PASSED_BY = ("faces/.mirrorset/blobs", "faces/cvat/outbox", "faces/report", "coco")


@pytest.mark.parametrize(
    "folders",
    [
        ["remote/files/md5"],
        ["faces/.git"],
        ["faces/.mirrorset/erasures"],
        ["faces/data/releases/faces"],
        [*_PASSED_BY],
        *thorough(*([one] for one in _PASSED_BY)),
    ],
    ids=" ".join,
)
def test_a_read_only_folder_is_told_and_completed_when_it_is_not(
    root: Path, folders: list[str], without_privilege: Callable[[], None]
) -> None:
    workspace = open_workspace(root / "faces")
    sought = traces(workspace, 4)
    held = {version: places(workspace, version) for version in VERSIONS}
    locked = []
    for folder in folders:
        (root / folder).mkdir(exist_ok=True)
        locked += [root / folder, *(one for one in (root / folder).rglob("*") if one.is_dir())]
    for one in locked:
        one.chmod(0o555)
    ended = command(workspace.home, "--image-id", sought.image_id, before=without_privilege)
    for one in locked:
        if one.is_dir():
            one.chmod(0o755)
    assert_told(ended)
    assert_nothing_half(workspace)
    assert_completed(root, sought, held)
