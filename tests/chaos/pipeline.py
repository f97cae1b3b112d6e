"""The pipeline step by step: once undisturbed, then each step under faults until it converges."""

import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from chaos.faults import EVERYWHERE, Fault, Kind, Struck, named
from chaos.services import is_alive
from chaos.state import State, differences
from chaos.world import Kept, World, command

#: How long a struck command may take: by then it has ended by itself or hangs.
LIMIT_S = 300
_RERUNS = 5
_PATIENCE_S = 20
_SHOWN = 300
_LOOK_EVERY_S = 0.15
_SERVED = Path(__file__).with_name("served.py")
#: Exit codes of mirrorset/errors.py.
_OURS = range(8)


@dataclass
class Step:
    """One command, without `--home DIR --json`. start, goal: the states before and after it.
    took_s: undisturbed, by whether it ran on the cluster.
    """

    name: str
    command: Sequence[str]
    start: Kept
    goal: State = field(default_factory=dict)
    took_s: dict[bool, float] = field(default_factory=dict)

    @property
    def can_be_shared(self) -> bool:
        """Whether it also runs on a cluster."""
        return self.name in ("crawl", "prelabel")

    @property
    def weight(self) -> float:
        """How often it is drawn: serve takes as long as many others together."""
        return 0.3 if self.name == "serve" else 1.0


@dataclass
class Ended:
    """How a command ended; exit_code: None where it hung."""

    exit_code: int | None
    said: str
    took_s: float


@dataclass
class Outcome:
    """What came of one fault. said: the struck command's sentences. wrong: in words; none where
    all converged.
    """

    step: str
    is_on_cluster: bool
    kind: str
    fault: str
    target: str
    after_s: float
    exit_code: int | None = None
    said: str = ""
    reruns: int = 0
    took_s: float = 0.0
    wrong: list[str] = field(default_factory=list)

    def line(self, number: int) -> str:
        """One line of the log."""
        where = f"{self.step}{' (cluster)' if self.is_on_cluster else ''}"
        end = "hung" if self.exit_code is None else f"exit {self.exit_code}"
        told = "missed" if not self.target else "converged" if not self.wrong else "NOT CONVERGED"
        line = (
            f"{number:4}  {where:<18} {self.fault:<34} {self.target or '-':<34} "
            f"{self.after_s:5.1f} s  {end:<9} reruns {self.reruns}  {self.took_s:5.1f} s  {told}"
        )
        return f"{line}\n      {self.said}" if self.said else line

    def told(self) -> str:
        """All that is known of it."""
        return "\n".join([self.line(0), *self.wrong])


def undisturbed(world: World, names: Collection[str] = EVERYWHERE) -> list[Step]:
    """Run the whole pipeline, and each step that can be shared once more on the cluster.

    names: of the steps, if not all. Raises AssertionError where one fails, or the cluster comes to
    another state.
    """
    victim = next(one for one in world.gallery.images if one.name == "grace-hopper.jpg")
    steps: list[Step] = []
    for name, words in (
        ("crawl", command("crawl", "--shards", "2")),
        ("prelabel", command("prelabel")),
        ("push", command("annotate", "push")),
        ("serve", [sys.executable, str(_SERVED)]),
        ("pull", command("annotate", "pull")),
        ("release", command("release")),
        ("parity", command("parity")),
        ("erase", command("erase", "--image-id", victim.image_id)),
    ):
        if name not in names:
            continue
        if name == "pull":
            world.annotate()
        step = Step(name, words, world.keep())
        if name == "serve":
            # Its runs do what the commands up to here have done.
            step.start, step.goal = steps[0].start, steps[-1].goal
        for is_on_cluster in (True, False) if step.can_be_shared else (False,):
            world.go_back(step.start)
            ended = run(world, step, is_on_cluster)
            assert ended.exit_code == 0, f"{name}: {ended.exit_code} {ended.said}"
            step.took_s[is_on_cluster] = ended.took_s
            goal = world.state()
            apart = differences(step.goal, goal) if step.goal else []
            assert not apart, f"{name} comes to another state by another way: {apart}"
            step.goal = goal
        steps.append(step)
    return steps


def run(world: World, step: Step, is_on_cluster: bool) -> Ended:
    """Run a step's command to its end, undisturbed."""
    began_at = time.monotonic()
    with tempfile.TemporaryFile() as said:
        process = _started(world, step, is_on_cluster, {}, said)
        try:
            code: int | None = process.wait(LIMIT_S)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                _end_all(_watching(process, is_on_cluster))
        said.seek(0)
        words = said.read().decode(errors="replace")
    return Ended(code, words, time.monotonic() - began_at)


def strike(world: World, step: Step, fault: Fault, at: float, shared: bool) -> Outcome:
    """Run a step with a fault at a moment (a share of its time), then until it succeeds, and see
    what it came to.
    """
    began_at = time.monotonic()
    world.go_back(step.start)
    after_s = at * step.took_s[shared]
    outcome = Outcome(step.name, shared, fault.kind, fault.name, "", after_s)
    with tempfile.TemporaryFile() as said:
        started_at = time.monotonic()
        process = _started(world, step, shared, fault.environment(), said)
        struck = _watching(process, shared)
        outcome.exit_code, was_struck = _followed(world, struck, fault, after_s)
        if not was_struck:
            # The machine has become quicker since.
            step.took_s[shared] = time.monotonic() - started_at
        # What fails for it was hit, though nothing could be seen to be.
        has_failed = outcome.exit_code != 0
        outcome.target = fault.target or ("the command" if has_failed and was_struck else "")
        said.seek(0)
        words = said.read().decode(errors="replace")
    outcome.wrong += _misbehaviour(outcome.exit_code, words)
    if has_failed and not was_struck:
        outcome.wrong.append(f"it failed before anything struck it: {words[-_SHOWN:]}")
    outcome.said = _sentences(words) if outcome.exit_code else ""
    code = outcome.exit_code
    while code != 0 and outcome.reruns < _RERUNS:
        outcome.reruns += 1
        ended = run(world, step, shared)
        code = ended.exit_code
        outcome.wrong += [f"rerun: {one}" for one in _misbehaviour(code, ended.said)]
    if code != 0:
        outcome.wrong.append(f"no success in {_RERUNS} reruns: {ended.said[-600:]}")
    outcome.wrong += [f"left running: {one}" for one in _orphans(world, struck)]
    outcome.wrong += differences(step.goal, world.state())
    outcome.took_s = time.monotonic() - began_at
    return outcome


def _started(
    world: World, step: Step, is_on_cluster: bool, env: dict[str, str], said: object
) -> subprocess.Popen[bytes]:
    where = {"MIRRORSET_DASK_SCHEDULER": world.dask.address} if is_on_cluster else {}
    return subprocess.Popen(
        [*step.command, "--home", str(world.home), "--json"],
        env=world.env | where | env,
        stdout=said,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )


def _watching(process: subprocess.Popen[bytes], is_on_cluster: bool) -> Struck:
    struck = Struck(process, is_on_cluster)
    struck.look()
    return struck


def _followed(
    world: World, struck: Struck, fault: Fault, after_s: float
) -> tuple[int | None, bool]:
    """Watch the command to its end, with the fault in between; its exit code, None if it hung, and
    whether the fault's moment came.
    """
    began_at = time.monotonic()
    struck_at = ended_at = None
    try:
        while struck.is_running:
            now = time.monotonic() - began_at
            if now > LIMIT_S:
                _end_all(struck)
                return None, struck_at is not None
            struck.look()
            if struck_at is None and now >= after_s:
                fault.strike(world, struck)
                struck_at = time.monotonic() - began_at
            is_over = fault.lasts_s is not None and struck_at is not None
            if is_over and ended_at is None and now >= struck_at + fault.lasts_s:
                fault.end(world)
                ended_at = now
            time.sleep(_LOOK_EVERY_S)
        return struck.process.wait(), struck_at is not None
    finally:
        if struck.is_running:
            _end_all(struck)
        if struck_at is not None and ended_at is None:
            fault.end(world)


def _sentences(said: str) -> str:
    lines = [" ".join(line.split()) for line in said.splitlines() if line.startswith("mirrorset: ")]
    return " ".join(dict.fromkeys(lines))[-_SHOWN:]


def _misbehaviour(exit_code: int | None, said: str) -> list[str]:
    """What is wrong with how a command ended."""
    words = said[-1500:]
    if exit_code is None:
        return [f"it hung for {LIMIT_S} s: {words}"]
    if "Traceback" in said:
        return [f"a traceback (exit {exit_code}): {words}"]
    if exit_code == -signal.SIGKILL:
        return []
    if exit_code not in _OURS:
        return [f"exit code {exit_code} is none of ours: {words}"]
    if exit_code and "mirrorset: " not in said and '"fault": "' not in said:
        return [f"exit code {exit_code} without a word: {words}"]
    return []


def _orphans(world: World, struck: Struck) -> list[str]:
    """What is left of a command that is over and was run again to its end."""
    until = time.monotonic() + _PATIENCE_S
    while time.monotonic() < until:
        left = [one for one in struck.seen.values() if is_alive(one)] + world.dask.at_work()
        if not left:
            return []
        time.sleep(0.1)
    told = [f"{named(one)} ({one.pid})" for one in left]
    for one in left:
        _kill(one)
    return told


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.Error:
        return


def _end_all(struck: Struck) -> None:
    for one in struck.look():
        _kill(one)
    struck.process.wait()


def draw_one(
    draw: random.Random, kinds: Sequence[Kind], steps: Sequence[Step], world: World
) -> tuple[Step, Fault, float, bool]:
    """The next fault: in which step, what, when (a share of its time), whether on the cluster."""
    (kind,) = draw.choices(kinds, [one.weight for one in kinds])
    within = [one for one in steps if one.name in kind.steps]
    (step,) = draw.choices(within, [one.weight for one in within])
    shared = step.can_be_shared and (kind.needs_cluster or draw.random() < 0.5)
    return step, kind.make(draw, world), draw.uniform(0.15, 0.85), shared


def keep_workspace(world: World, outcome: Outcome, number: int) -> Path:
    """Copy the workspace as it stands, with what is wrong, to be looked at."""
    kept = world.root / f"not-converged-{number}"
    shutil.copytree(world.home, kept, symlinks=True)
    (kept / "WRONG.txt").write_text(f"{outcome.line(number)}\n" + "\n".join(outcome.wrong) + "\n")
    return kept
