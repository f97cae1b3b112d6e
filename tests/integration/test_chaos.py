"""Faults of every kind amid the pipeline: run again, it comes to the same state (tests/chaos)."""

import random
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from chaos.faults import (
    ClockJumps,
    CvatTrouble,
    DatabaseRestarts,
    DiskFull,
    Fault,
    Kill,
    PrefectRestarts,
    S3Trouble,
    SchedulerLost,
    Struck,
    WorkerLost,
    possible,
)
from chaos.pipeline import Outcome, Step, draw_one, strike, undisturbed
from chaos.proxy import Trouble
from chaos.services import until
from chaos.state import differences
from chaos.world import World, made
from thorough import thorough

# What comes before a release: the whole pipeline is `python -m chaos`.
_STEPS = ("crawl", "prelabel", "push", "pull")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    with made(tmp_path_factory.mktemp("chaos")) as one:
        yield one


@pytest.fixture(scope="module")
def steps(world: World) -> dict[str, Step]:
    """Each step with the state before it and after it, undisturbed; one machine's and a cluster's
    are the same.
    """
    return {one.name: one for one in undisturbed(world, _STEPS)}


def told(outcome: Outcome) -> str:
    return "\n".join([outcome.line(0), *outcome.wrong])


@pytest.mark.parametrize(
    ("step", "shared", "fault"),
    [
        ("pull", False, Kill(random.Random(1))),
        ("crawl", True, DatabaseRestarts(signal.SIGQUIT, 1.0)),
        *thorough(
            ("push", False, S3Trouble(Trouble.RESET, 2.0)),
            ("push", False, CvatTrouble(0.5, 3, 2.0)),
            ("prelabel", False, S3Trouble(Trouble.ERROR, None)),
            ("push", False, S3Trouble(Trouble.RESET, None)),
            ("pull", False, DatabaseRestarts(signal.SIGINT, 0.0)),
            ("prelabel", True, WorkerLost(random.Random(1))),
            ("crawl", True, SchedulerLost()),
            ("pull", False, PrefectRestarts(signal.SIGKILL)),
        ),
    ],
)
def test_a_step_that_is_struck_converges_when_it_is_run_again(
    world: World, steps: dict[str, Step], step: str, shared: bool, fault: Fault
) -> None:
    for at in (0.6, 0.7, 0.5, 0.8, 0.4):
        outcome = strike(world, steps[step], fault, at, shared)
        assert not outcome.wrong, told(outcome)
        if outcome.target:
            return
    pytest.fail(f"It never hit anything: {told(outcome)}")


@pytest.mark.thorough
def test_a_full_disk(world: World, steps: dict[str, Step]) -> None:
    if not world.is_bounded:
        pytest.skip("no file system can be mounted here")
    outcome = strike(world, steps["pull"], DiskFull(0), 0.1, False)
    assert outcome.target
    assert not outcome.wrong, told(outcome)


@pytest.mark.thorough
def test_a_clock_that_jumps(world: World, steps: dict[str, Step]) -> None:
    if not shutil.which("cc"):
        pytest.skip("no C compiler is installed")
    outcome = strike(world, steps["pull"], ClockJumps(-30, world.root), 0.4, False)
    assert outcome.target
    assert not outcome.wrong, told(outcome)


@pytest.mark.parametrize("seed", thorough(1, 2, 3, 4, 5, 6))
def test_random_faults(world: World, steps: dict[str, Step], seed: int) -> None:
    draw = random.Random(seed)
    kinds = [one for one in possible()[0] if set(one.steps) & set(_STEPS)]
    for _ in range(3):
        step, fault, at, shared = draw_one(draw, kinds, list(steps.values()), world)
        outcome = strike(world, step, fault, at, shared)
        assert not outcome.wrong, told(outcome)


# --- what is wrong is found -----------------------------------------------------------------------

#: A product that does not look whether its task is there already.
_FORGETFUL = """
import annotation.cvat.tasks as tasks
import time
from pathlib import Path

tasks.find = lambda connection, batch_id: None
finish = tasks.finish

def late(*given):
    finish(*given)
    Path({mark!r}).touch()
    time.sleep(1)

tasks.finish = late
"""


class KillOnce(Fault):
    """SIGKILL when the command has done what the mark says."""

    kind, name = "SIGKILL", "SIGKILL at the mark"

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def strike(self, world: World, struck: Struck) -> None:
        until(self._mark.exists, "the mark is there", 60)
        time.sleep(0.1)
        struck.process.kill()
        self.target = "the command"


@pytest.mark.thorough
def test_a_product_that_does_things_twice_is_found_out(
    world: World, steps: dict[str, Step], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "sitecustomize.py").write_text(_FORGETFUL.format(mark=str(mark)))
    monkeypatch.setitem(world.env, "PYTHONPATH", f"{tmp_path}:{world.env['PYTHONPATH']}")
    outcome = strike(world, steps["push"], KillOnce(mark), 0.0, False)
    assert outcome.exit_code == -signal.SIGKILL
    assert any(one.startswith("CVAT: tasks: extra") for one in outcome.wrong), told(outcome)


def test_whatever_is_lost_doubled_or_left_is_told(world: World, steps: dict[str, Step]) -> None:
    step = steps["pull"]
    world.go_back(step.start)
    was = world.state()
    assert differences(was, world.state()) == []
    (world.home / ".mirrorset/spool").mkdir(exist_ok=True)
    (world.home / ".mirrorset/spool/x.jsonl").touch()
    blob = was["blobs"][0]
    world.s3.client().delete_object(Bucket="faces", Key=blob)
    with world.postgresql.connect("work") as connection:
        connection.execute("DELETE FROM verdicts WHERE image_id = (SELECT max(image_id) FROM sent)")
    found = differences(was, world.state())
    assert f"blobs: lost {blob}" in found
    assert "leftovers: extra x.jsonl" in found
    assert sum(one.startswith("catalogue: verdicts: lost") for one in found) > 1
