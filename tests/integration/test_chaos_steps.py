"""Faults of every kind amid what comes after the crawl, and at random (tests/chaos)."""

import random
import shutil
import signal
import time
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
from chaos.pipeline import Step, draw_one, strike, undisturbed
from chaos.proxy import Trouble
from chaos.services import until
from chaos.world import World

# Servers and steps take minutes; tests/integration/test_chaos.py is what `make test` runs.
pytestmark = pytest.mark.thorough

# What comes before a release: the whole pipeline is `python -m chaos`.
_STEPS = ("crawl", "prelabel", "push", "pull")


@pytest.fixture(scope="module")
def steps(world: World) -> dict[str, Step]:
    """Each step with the state before it and after it, undisturbed; one machine's and a cluster's
    are the same.
    """
    return {one.name: one for one in undisturbed(world, _STEPS)}


@pytest.mark.parametrize(
    ("step", "shared", "fault"),
    [
        ("pull", False, Kill(random.Random(1))),
        ("push", False, S3Trouble(Trouble.RESET, 2.0)),
        ("push", False, CvatTrouble(0.5, 3, 2.0)),
        ("prelabel", False, S3Trouble(Trouble.ERROR, None)),
        ("push", False, S3Trouble(Trouble.RESET, None)),
        ("pull", False, DatabaseRestarts(signal.SIGINT, 0.0)),
        ("prelabel", True, WorkerLost(random.Random(1))),
        ("crawl", True, SchedulerLost()),
        ("pull", False, PrefectRestarts(signal.SIGKILL)),
    ],
)
def test_a_step_that_is_struck_converges_when_it_is_run_again(
    world: World, steps: dict[str, Step], step: str, shared: bool, fault: Fault
) -> None:
    for at in (0.6, 0.7, 0.5, 0.8, 0.4):
        outcome = strike(world, steps[step], fault, at, shared)
        assert not outcome.wrong, outcome.told()
        if outcome.target:
            return
    pytest.fail(f"It never hit anything: {outcome.told()}")


def test_a_full_disk(world: World, steps: dict[str, Step]) -> None:
    if not world.is_bounded:
        pytest.skip("no file system can be mounted here")
    outcome = strike(world, steps["pull"], DiskFull(0), 0.1, False)
    assert outcome.target
    assert not outcome.wrong, outcome.told()


def test_a_clock_that_jumps(world: World, steps: dict[str, Step]) -> None:
    if not shutil.which("cc"):
        pytest.skip("no C compiler is installed")
    outcome = strike(world, steps["pull"], ClockJumps(-30, world.root), 0.4, False)
    assert outcome.target
    assert not outcome.wrong, outcome.told()


@pytest.mark.parametrize("seed", range(1, 7))
def test_random_faults(world: World, steps: dict[str, Step], seed: int) -> None:
    draw = random.Random(seed)
    kinds = [one for one in possible()[0] if set(one.steps) & set(_STEPS)]
    for _ in range(3):
        step, fault, at, shared = draw_one(draw, kinds, list(steps.values()), world)
        outcome = strike(world, step, fault, at, shared)
        assert not outcome.wrong, outcome.told()


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


def test_a_product_that_does_things_twice_is_found_out(
    world: World, steps: dict[str, Step], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = tmp_path / "mark"
    (tmp_path / "sitecustomize.py").write_text(_FORGETFUL.format(mark=str(mark)))
    monkeypatch.setitem(world.env, "PYTHONPATH", f"{tmp_path}:{world.env['PYTHONPATH']}")
    outcome = strike(world, steps["push"], KillOnce(mark), 0.0, False)
    assert outcome.exit_code == -signal.SIGKILL
    assert any(one.startswith("CVAT: tasks: extra") for one in outcome.wrong), outcome.told()
