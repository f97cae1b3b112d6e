"""One command as a whole process: its wall time, CPU time and memory, its children's included."""

import os
import platform
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

# Looking through all processes takes time from what is measured.
_SAMPLED_EVERY_S = 0.3


@dataclass(frozen=True)
class Measured:
    """wall_s: from start to exit. cpu_s: user and system time of the process and of all children
    that it waited for. peak_rss_mb: largest sum over the process tree, sampled; what processes
    share counts once for each of them.
    """

    wall_s: float
    cpu_s: float
    peak_rss_mb: float


def run(command: list[str], log: Path, env: dict[str, str] | None = None) -> Measured:
    """Run `command` to its end, its output in `log`; SystemExit in one sentence where it fails."""
    with log.open("wb") as out:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, env=env
        )
        memory = _Memory(process.pid)
        memory.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        memory.join()
    if process.returncode != 0:
        said = log.read_text(errors="replace").strip().splitlines()[-1:] or ["no message"]
        raise SystemExit(f"`{' '.join(command[:3])}` failed ({process.returncode}): {said[0]}")
    return Measured(wall_s, usage.ru_utime + usage.ru_stime, memory.peak_bytes / 1e6)


def this_machine() -> dict[str, object]:
    """What a benchmark says of where it ran."""
    return {
        "cpu": processor_name(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
    }


def processor_name() -> str:
    """What the machine calls its processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown")


class _Memory(threading.Thread):
    """Samples a process tree until its root has ended."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._root = psutil.Process(pid)
        self.peak_bytes = 0

    def run(self) -> None:
        while self._root.is_running() and self._root.status() != psutil.STATUS_ZOMBIE:
            self.peak_bytes = max(self.peak_bytes, self._sum())
            time.sleep(_SAMPLED_EVERY_S)

    def _sum(self) -> int:
        total = 0
        for process in [self._root, *self._children()]:
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total

    def _children(self) -> list[psutil.Process]:
        try:
            return self._root.children(recursive=True)
        except psutil.NoSuchProcess:
            return []
