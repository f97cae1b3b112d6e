"""A server that is down, or slow beyond all patience: who waits is told, and waits once."""

import functools
import os
import socket
import subprocess
import time
from pathlib import Path

import pytest
from cvat_pusher import Pusher
from demo_run import MIRRORSET
from standin.server import Cvat

from annotation.cvat import tasks, waiting
from mirrorset.errors import OverdueError
from mirrorset.workspace import init


@pytest.mark.parametrize("is_taken_up", [False, True])
def test_a_push_waits_for_its_task_once(
    cvat: Cvat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_taken_up: bool
) -> None:
    """Whether it made the task itself or found it half made; the next push goes on from there."""
    push = Pusher(cvat, tmp_path)
    cvat.stand_in.takes_at_least(4)
    waits: list[float] = []

    def wait(*call: object) -> object:
        waits.append(time.monotonic())
        return waiting.wait(*call, timeout_s=0.5)

    monkeypatch.setattr(tasks, "wait", wait)
    for _ in range(1 + is_taken_up):
        waits.clear()
        with pytest.raises(OverdueError, match=r"has not finished making task \d+ after 0 s"):
            push.push()
        assert len(waits) == 1
    monkeypatch.setattr(tasks, "wait", functools.partial(waiting.wait, timeout_s=60))
    batch = push.push()
    assert [str(task["id"]) for task in push.tasks()] == [batch.task]
    assert push.held(f"/api/tasks/{batch.task}", batch) == push.sent(batch)


@pytest.mark.usefixtures("prefect")
def test_whoever_runs_a_command_is_told_once_what_it_waits_for(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # and nobody listens
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        home = init(tmp_path / "faces").home
        process = subprocess.Popen(
            [MIRRORSET, "annotate", "push", "--home", str(home)],
            env={**os.environ, "MIRRORSET_CVAT_URL": url, "MIRRORSET_CVAT_TOKEN": "t"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stderr is not None
        first = process.stderr.readline()
        time.sleep(2)  # several tries later
        process.kill()
        _, more = process.communicate()
    assert first.startswith(f"mirrorset: CVAT at {url} cannot be reached (")
    assert "refused" in first
    assert first.endswith("; trying again for up to 60 s.\n")
    assert more == ""
