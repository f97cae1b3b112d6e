"""A release that is killed, whatever it was doing, comes out the same by the next run."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_images import fill
from thorough import thorough

import mirrorset
from flows.release import STAGES, push
from mirrorset.commands import git
from mirrorset.dvc import dvc
from mirrorset.load import open_release
from mirrorset.workspace import Workspace, init

_PARAMS = """\
dataset: {name: faces, is_unreviewed: true}
responsible: {}
select: {}
group: {}
ledger: {seed: killed}
pack: {}
parity: {}
"""
_RELEASE = [sys.executable, "-c", "from flows.cli import main; main()", "release"]


def filled(home: Path) -> Workspace:
    """A workspace with a remote beside it, ready to be released."""
    workspace = init(home, str(home.with_name("remote")))
    workspace.params_file.write_text(_PARAMS)
    fill(workspace, range(8))
    return workspace


@pytest.mark.usefixtures("prefect")
@pytest.mark.parametrize("kills", thorough(1, 4))
def test_a_release_that_was_killed_is_completed_by_the_next_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: int
) -> None:
    monkeypatch.setenv("MIRRORSET_CACHE", str(tmp_path / "cache"))
    undisturbed = filled(tmp_path / "undisturbed/faces")
    began_s = time.monotonic()
    subprocess.run(_RELEASE, cwd=undisturbed.home, check=True)
    took_s = time.monotonic() - began_s
    expected = open_release(undisturbed.release("faces", "0.1.0")).card

    workspace = filled(tmp_path / "killed/faces")
    for after_s in (killed_at := [random.uniform(0.1, 1) * took_s for _ in range(kills)]):
        running = subprocess.Popen(_RELEASE, cwd=workspace.home, start_new_session=True)
        time.sleep(after_s)
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    print("killed after", killed_at, "of", took_s)  # shown where what follows fails
    subprocess.run(_RELEASE, cwd=workspace.home, check=True)

    released = open_release(workspace.release("faces", "0.1.0"))
    released.verify()
    assert released.card == expected
    assert git(workspace.home, "tag").split() == ["faces-0.1.0"]
    assert git(workspace.home, "status", "--porcelain") == ""
    assert "up to date" in dvc(workspace.home, "status", *STAGES)
    assert "in sync" in dvc(workspace.home, "status", "--cloud")
    git(tmp_path, "clone", "--quiet", str(workspace.home), "clone")
    mirrorset.load("faces", "0.1.0", home=tmp_path / "clone").verify()


# DVC, killed when it has listed the first of several outputs that there are to push.
_KILLED_PUSH = """
import os, sys
from dvc_data.index import collect
listed = iter([collect._collect_from_index])
collect._collect_from_index = lambda *a, **kw: next(listed, lambda *a, **kw: os._exit(9))(*a, **kw)
from dvc.cli import main
sys.exit(main(["push"]))
"""


def test_all_is_pushed_though_dvc_was_killed_while_it_listed_what_to_push(tmp_path: Path) -> None:
    workspace = init(tmp_path / "faces", str(tmp_path / "remote"))
    (workspace.home / "dvc.yaml").unlink()
    for name in ("one", "two"):
        (workspace.home / name).write_text(name)
    dvc(workspace.home, "add", "one", "two")
    pushing = subprocess.run([sys.executable, "-c", _KILLED_PUSH], cwd=workspace.home, check=False)
    assert pushing.returncode == 9
    push(workspace)
    assert "in sync" in dvc(workspace.home, "status", "--cloud")
