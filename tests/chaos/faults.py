"""The faults: each strikes a running command at a moment, and is mended afterwards."""

import random
import resource
import shutil
import signal
import struct
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from standin.faults import ANYTHING

from chaos.proxy import Trouble
from chaos.services import family, is_alive
from chaos.world import World


@dataclass
class Struck:
    """A running command. seen: all processes that were ever its own."""

    process: subprocess.Popen[bytes]
    is_on_cluster: bool
    seen: dict[int, psutil.Process] = field(default_factory=dict)

    def look(self) -> list[psutil.Process]:
        """The processes that are its own now."""
        now = family(self.process.pid)
        self.seen |= {one.pid: one for one in now}
        # A child whose parent was killed belongs to nobody; its own children are new.
        known = {one.pid for one in now}
        for one in [*self.seen.values()]:
            if one.pid not in known and is_alive(one):
                more = family(one.pid)
                self.seen |= {other.pid: other for other in more}
                now += more
        return now

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None


#: What is there for the suite's own sake, or lives for the others alone.
_SPARED = ("flows.guard", "chaos/served.py")
_ROOM_FOR_WORDS = 8192
#: Less is no room for any file.
_NO_ROOM_BYTES = 4096


class Fault(ABC):
    """kind: as the summary counts it. name: as the log has it. target: what was hit; "" while
    nothing was.

    lasts_s: how long until it is ended, though the command be running; None: until that ends.
    """

    kind: str
    name: str
    target: str = ""
    lasts_s: float | None = 0.0

    def environment(self) -> dict[str, str]:
        """What the command needs to be told."""
        return {}

    @abstractmethod
    def strike(self, world: World, struck: Struck) -> None:
        """Make it happen now."""

    def end(self, world: World) -> None:  # noqa: B027  (most are over by themselves)
        """Let it be over; what is to be mended is mended here."""


class Kill(Fault):
    """SIGKILL of one process of the command, drawn from all that there are."""

    kind = name = "SIGKILL"

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    def strike(self, world: World, struck: Struck) -> None:
        victims = struck.look()
        if struck.is_on_cluster:
            victims += world.dask.at_work()
        victims = [one for one in victims if not any(mark in _said(one) for mark in _SPARED)]
        # Every kind of process as often as another, though there be many of one.
        kinds = sorted({named(one) for one in victims})
        if not kinds:
            return
        kind = self._draw.choice(kinds)
        victim = self._draw.choice([one for one in victims if named(one) == kind])
        with suppress(psutil.Error):
            victim.kill()
            self.target = kind


class DatabaseRestarts(Fault):
    """PostgreSQL ends at once, or as soon as it has cut all off, and comes back."""

    kind = "PostgreSQL"

    def __init__(self, how: signal.Signals, down_s: float) -> None:
        kind = {signal.SIGQUIT: "immediate", signal.SIGINT: "fast"}[how]
        self.name = f"PostgreSQL, {kind} " + (f"stop for {down_s:.0f} s" if down_s else "restart")
        self._how, self._down_s = how, down_s

    def strike(self, world: World, struck: Struck) -> None:
        with world.postgresql.connect() as connection:
            (used,) = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = 'work'"
            ).fetchone()
        world.postgresql.end(self._how)
        time.sleep(self._down_s)
        if used or (self._down_s and struck.is_running):
            self.target = f"{used} connections"
        world.postgresql.start()
        world.postgresql.await_up()


class S3Trouble(Fault):
    """S3 answers 503, cuts connections, is slow or silent."""

    kind = "S3"

    def __init__(self, trouble: Trouble, lasts_s: float | None) -> None:
        self.name, self.lasts_s = f"S3 {trouble}", lasts_s
        self._trouble, self._before = trouble, 0

    def strike(self, world: World, struck: Struck) -> None:
        self._before = world.proxy.hits
        world.proxy.trouble = self._trouble

    def end(self, world: World) -> None:
        world.proxy.trouble = Trouble.NONE
        if hits := world.proxy.hits - self._before:
            self.target = f"{hits} times"


class CvatTrouble(Fault):
    """CVAT answers 500 or cuts connections, before or after it has done what was asked."""

    kind, name = "CVAT", "CVAT 5xx and resets"

    def __init__(self, probability: float, seed: int, lasts_s: float | None) -> None:
        self._probability, self._seed, self.lasts_s = probability, seed, lasts_s
        self._before = 0

    def strike(self, world: World, struck: Struck) -> None:
        self._before = len(world.cvat.faults.happened)
        world.cvat.faults.at_random(self._probability, self._seed, ANYTHING)

    def end(self, world: World) -> None:
        world.cvat.faults.clear()
        if hits := len(world.cvat.faults.happened) - self._before:
            self.target = f"{hits} requests"


class DiskFull(Fault):
    """All but some kilobytes of the workspace's file system are taken by something else."""

    kind = name = "disk full"
    lasts_s = None

    def __init__(self, left_bytes: int) -> None:
        self._left_bytes = left_bytes

    def strike(self, world: World, struck: Struck) -> None:
        with suppress(OSError), self._ballast(world).open("wb", buffering=0) as ballast:
            while (free := shutil.disk_usage(world.home).free) > self._left_bytes:
                ballast.write(bytes(min(free - self._left_bytes, 1 << 22)))

    def end(self, world: World) -> None:
        # The room that there was may have been enough.
        if shutil.disk_usage(world.home).free < _NO_ROOM_BYTES:
            self.target = f"of {self._left_bytes // 1024} KB nothing left"
        self._ballast(world).unlink(missing_ok=True)

    def _ballast(self, world: World) -> Path:
        return world.home.with_name("ballast")


class FilesLimited(Fault):
    """No file of the command may get larger: a full disk where none can be mounted."""

    kind = "file limit"
    lasts_s = None

    def __init__(self, left_bytes: int) -> None:
        # What the command says goes into a file, too.
        self._left_bytes = max(left_bytes, _ROOM_FOR_WORDS)
        self.name = f"no file over {self._left_bytes // 1024} KB"

    def strike(self, world: World, struck: Struck) -> None:
        for one in struck.look():
            with suppress(psutil.Error):
                limit = (self._left_bytes, resource.RLIM_INFINITY)
                one.rlimit(resource.RLIMIT_FSIZE, limit)


class ClockJumps(Fault):
    """The clock of the command's processes jumps by hours, and no server's with it."""

    kind = "clock"
    lasts_s = None

    def __init__(self, hours: int, folder: Path) -> None:
        self.name = f"clock jumps {hours:+d} h"
        self._hours, self._file, self._library = hours, folder / "clock", folder / "clock.so"

    def environment(self) -> dict[str, str]:
        if not self._library.exists():
            _compile_clock(self._library)
        self._file.write_bytes(bytes(8))
        return {"LD_PRELOAD": str(self._library), "CHAOS_CLOCK": str(self._file)}

    def strike(self, world: World, struck: Struck) -> None:
        with self._file.open("r+b") as shared:
            shared.write(struct.pack("q", 3600 * self._hours))
        if struck.is_running:
            self.target = f"{len(struck.look())} processes"


def _compile_clock(library: Path) -> None:
    source = Path(__file__).with_name("clock.c")
    command = ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True)


class WorkerLost(Fault):
    """A Dask worker is killed; its nanny starts another."""

    kind, name = "Dask", "Dask worker lost"

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw

    def strike(self, world: World, struck: Struck) -> None:
        workers = world.dask.of_workers()
        busy = [one for one in workers if one.children()] or workers
        if busy and struck.is_running:
            victim = self._draw.choice(busy)
            shards = len([one for one in victim.children() if "crawlers.child" in _said(one)])
            victim.kill()
            self.target = f"worker with {shards} shards of a crawl" if shards else "worker"

    def end(self, world: World) -> None:
        world.dask.bring_back()


class SchedulerLost(Fault):
    """The Dask scheduler is killed, and started again some seconds later."""

    kind, name = "Dask", "Dask scheduler lost"
    lasts_s = None

    def strike(self, world: World, struck: Struck) -> None:
        process = world.dask.scheduler.process
        if process is not None and struck.is_running:
            process.kill()
            process.wait()
            self.target = "scheduler"

    def end(self, world: World) -> None:
        world.dask.bring_back()


class PrefectRestarts(Fault):
    """Prefect's server is killed and started again."""

    kind, name = "Prefect", "Prefect server restarts"

    def __init__(self, how: signal.Signals) -> None:
        self._how = how

    def strike(self, world: World, struck: Struck) -> None:
        world.prefect.end(self._how)
        if struck.is_running:
            self.target = f"server ({self._how.name})"
        world.prefect.start()
        world.prefect.await_up()


def _said(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def named(process: psutil.Process) -> str:
    """What a process is, in a word or two."""
    said = _said(process)
    for mark, name in (
        ("crawlers.child", "shard of the crawl"),
        ("crawlers.decoders", "decoder"),
        ("prefect.server", "Prefect's server"),
        ("flow-run", "run of serve"),
        ("prefect.engine", "run of serve"),
        ("mirrorset serve", "serve"),
        ("-m dvc", "dvc"),
        ("mirrorset stage", "stage under dvc"),
        ("spawn_main", "worker of the pool"),
        ("resource_tracker", "resource tracker"),
        ("forkserver", "fork server"),
        ("/bin/mirrorset", "the command"),
    ):
        if mark in said:
            return name
    with suppress(psutil.Error):
        return process.name()
    return "gone"


Maker = Callable[[random.Random, World], Fault]

_NET_S = (1.0, 3.0, 8.0, None)
EVERYWHERE = ("crawl", "prelabel", "push", "serve", "pull", "release", "parity", "erase")
_OF_CATALOGUE = tuple(one for one in EVERYWHERE if one != "parity")
#: Prefect's server is that of the suite, and none of the clocks that jump is its own.
_BY_HAND = tuple(one for one in EVERYWHERE if one != "serve")


@dataclass(frozen=True)
class Kind:
    """weight: how often it is drawn. steps: those in which it can hit something."""

    name: str
    weight: int
    steps: Sequence[str]
    make: Maker
    needs_cluster: bool = False


def _database(draw: random.Random, _world: World) -> Fault:
    how = draw.choice([signal.SIGQUIT, signal.SIGINT])
    return DatabaseRestarts(how, draw.choice([0.0, 0.0, 2.0, 5.0]))


def _s3(draw: random.Random, _world: World) -> Fault:
    trouble = draw.choice([one for one in Trouble if one is not Trouble.NONE])
    lasts_s = draw.choice(_NET_S)
    # All of a step this slow takes longer than anybody waits; silence is borne for minutes.
    is_bounded = trouble in (Trouble.SLOW, Trouble.SILENT)
    return S3Trouble(trouble, lasts_s or 8.0 if is_bounded else lasts_s)


def _cvat(draw: random.Random, _world: World) -> Fault:
    return CvatTrouble(draw.choice([0.2, 0.5, 1.0]), draw.randrange(1000), draw.choice(_NET_S))


def _disk(draw: random.Random, world: World) -> Fault:
    left = draw.randrange(0, 60) * 1024
    is_limited = draw.random() < 0.3 or not world.is_bounded
    return FilesLimited(left) if is_limited else DiskFull(left)


def _clock(draw: random.Random, world: World) -> Fault:
    return ClockJumps(draw.choice([-30, -5, 3, 26]), world.root)


def _dask(draw: random.Random, _world: World) -> Fault:
    return SchedulerLost() if draw.random() < 0.3 else WorkerLost(draw)


def _prefect(draw: random.Random, _world: World) -> Fault:
    return PrefectRestarts(draw.choice([signal.SIGKILL, signal.SIGTERM]))


KINDS = (
    Kind("kill", 6, EVERYWHERE, lambda draw, _world: Kill(draw)),
    Kind("database", 4, _OF_CATALOGUE, _database),
    Kind("s3", 4, ("crawl", "prelabel", "push", "serve", "release", "erase"), _s3),
    Kind("cvat", 3, ("push", "serve", "pull", "erase"), _cvat),
    Kind("disk", 3, ("crawl", "prelabel", "serve", "pull", "release", "parity", "erase"), _disk),
    Kind("clock", 2, _BY_HAND, _clock),
    Kind("dask", 3, ("crawl", "prelabel"), _dask, needs_cluster=True),
    Kind("prefect", 2, _BY_HAND, _prefect),
)


def possible() -> tuple[list[Kind], list[str]]:
    """The kinds of this machine, and in words what it lacks."""
    if shutil.which("cc"):
        return list(KINDS), []
    return [one for one in KINDS if one.name != "clock"], [
        "No clock jumps: there is no C compiler."
    ]
