"""A push that is killed, cut off or lied to, anywhere: still one task, nothing lost, nothing twice.

What is killed here are processes of their own. The seeds decide where: they are the same each run.
"""

import os
import random
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
from cvat_annotator import Pictures
from cvat_labels import label_of
from cvat_pusher import Pusher
from demo_run import MIRRORSET
from forked import forked_clean
from standin.faults import ANYTHING, Kind
from standin.server import Cvat
from thorough import thorough

from annotation.cvat import connection, tasks
from annotation.cvat.connection import Connection, connect
from mirrorset.errors import MirrorsetError
from mirrorset.records import Batch, Verdict
from mirrorset.workspace import Workspace, init

KILLS = 25
# Requests of the push that is killed, at the least, where the project is there.
WHOLE_PUSH = 23
FAULTS = 25


@pytest.fixture(autouse=True)
def small_uploads(monkeypatch: pytest.MonkeyPatch) -> None:
    upload_little(monkeypatch)


def upload_little(patch: pytest.MonkeyPatch) -> None:
    """Several uploads and jobs, so that there is more to be cut off."""
    patch.setattr(tasks, "_UPLOAD_FILES", 2)


def pushed_at_last(push: Pusher, tries: int = 30) -> Batch:
    """Push as often as somebody would who reads the errors and does what they say."""
    for _ in range(tries):
        try:
            return push.push()
        except MirrorsetError as error:
            told = str(error)
    pytest.fail(f"never pushed in {tries} tries: {told}")


def assert_whole(push: Pusher, batch: Batch) -> None:
    (task,) = push.tasks()
    assert (str(task["id"]), task["bug_tracker"]) == (batch.task, tasks.mark(batch.batch_id))
    assert sorted(batch.image_ids) == sorted(push.pictures)
    assert push.held(f"/api/tasks/{batch.task}", batch) == push.sent(batch)
    sent = push.sent(batch)
    for job in push.jobs(batch):
        held = push.held(f"/api/jobs/{job['id']}", batch)
        assert held == {frame: sent[frame] for frame in held}
    assert sum(job["type"] == "ground_truth" for job in push.jobs(batch)) == 1


@pytest.mark.parametrize("seed", [*range(6), *thorough(*range(6, FAULTS))])
def test_a_server_that_fails_at_random(cvat: Cvat, tmp_path: Path, seed: int) -> None:
    push = Pusher(cvat, tmp_path, 5, segment_size=2, replicas=1, gold_frames=2)
    cvat.faults.at_random(0.12, seed, ANYTHING)
    cvat.faults.at_random(0.2, seed, (Kind.EXPIRED,))
    batch = pushed_at_last(push)
    cvat.faults.clear()
    assert push.push() == batch
    assert_whole(push, batch)


def test_the_faults_did_happen(cvat: Cvat, tmp_path: Path) -> None:
    push = Pusher(cvat, tmp_path, 5)
    cvat.faults.at_random(0.3, 1, ANYTHING)
    pushed_at_last(push)
    assert len({kind for kind, _, _ in cvat.faults.happened}) > 1


def push_until(push: Pusher, address: tuple[str, str], requests: int, is_answered: bool) -> None:
    """Push, and be killed at the n-th request: before it is sent, or once it has been answered."""
    made = 0
    patch = pytest.MonkeyPatch()
    upload_little(patch)
    patch.setattr(connection, "_FIRST_PAUSE_S", 0.005)
    plain = Connection._try

    def counting(self: Connection, *call: object) -> object:
        nonlocal made
        made += 1
        if made == requests and not is_answered:
            os.kill(os.getpid(), signal.SIGKILL)
        answer = plain(self, *call)
        if made == requests:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    patch.setattr(Connection, "_try", counting)
    push.push(connection=connect(*address, patience_s=20))


@pytest.mark.parametrize("seed", [*range(6), *thorough(*range(6, KILLS))])
def test_a_push_that_is_killed(cvat: Cvat, tmp_path: Path, seed: int) -> None:
    draw = random.Random(seed)
    push = Pusher(cvat, tmp_path, 5, segment_size=2, replicas=1, gold_frames=2)
    for number in range(draw.randint(1, 3)):
        at = draw.randint(1, WHOLE_PUSH)
        child = forked_clean(partial(push_until, push, push.address, at, draw.random() < 0.5))
        child.join(60)
        # One that goes on where another was killed has less to do, and may get through.
        assert child.exitcode in ((-signal.SIGKILL,) if number == 0 else (0, -signal.SIGKILL))
    assert_whole(push, push.push())


def test_so_many_requests_are_a_whole_push(cvat: Cvat, tmp_path: Path) -> None:
    """Kills are drawn from all of them, from the first to the one that sets the mark."""
    Pusher(cvat, tmp_path, 1).push()
    push = Pusher(cvat, tmp_path, 5, segment_size=2, replicas=1, gold_frames=2)
    push.push()
    # How often a request is asked after depends on how fast the server is.
    assert WHOLE_PUSH <= push.connection.requests < WHOLE_PUSH + 20


# --- the command itself -----------------------------------------------------------------------


def labelled(home: Path, images: int) -> Workspace:
    """A workspace with pictures that are labelled and may be shown."""
    workspace = init(home)
    pictures = Pictures.plain(images)
    for content in pictures.values():
        workspace.blobs.put(content)
    with workspace.catalogue() as catalogue:
        catalogue.upsert(pictures.records())
        for number, image_id in enumerate(pictures):
            catalogue.upsert(
                [
                    label_of(image_id, uncertainty=number / 100),
                    Verdict(image_id=image_id, check="adult", passed=True),
                ]
            )
    return workspace


def start(home: Path, cvat: Cvat) -> "subprocess.Popen[str]":
    env = {
        **os.environ,
        "MIRRORSET_CVAT_URL": cvat.url,
        "MIRRORSET_CVAT_TOKEN": cvat.token,
    }
    return subprocess.Popen(
        [MIRRORSET, "annotate", "push", "--home", str(home)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.usefixtures("prefect")
def test_the_command_is_killed_while_it_uploads_and_while_it_puts_labels(
    cvat: Cvat, tmp_path: Path
) -> None:
    workspace = labelled(tmp_path / "faces", 6)
    for path in (r"/data/?$", r"/annotations/?$"):
        cvat.faults.clear()
        before = len(cvat.faults.happened)
        cvat.faults.next(Kind.SLOW, method="POST|PUT", path=path, seconds=3)
        process = start(workspace.home, cvat)
        until = time.monotonic() + 200
        while len(cvat.faults.happened) == before:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < until
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        with workspace.catalogue() as catalogue:
            assert [batch.state for batch in catalogue.read(Batch)] == ["planned"]
    process = start(workspace.home, cvat)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    with workspace.catalogue() as catalogue:
        (batch,) = catalogue.read(Batch)
    assert (batch.state, batch.server) == ("pushed", cvat.url)
    push = Pusher(cvat, tmp_path, 6, gold_frames=0)
    (task,) = push.tasks()
    assert str(task["id"]) == batch.task
    assert push.held(f"/api/tasks/{batch.task}", batch) == push.sent(batch)
