"""Running the demo and other commands as a user does: processes, that tests may kill."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MIRRORSET = Path(sys.executable).with_name("mirrorset")
#: Enough for every kind of case, few enough to run the demo several times.
PORTRAITS = "6"


@dataclass(frozen=True)
class Demo:
    """A finished demo: its workspace, its summary, and what the run printed on stderr."""

    home: Path
    summary: dict[str, Any]
    stderr: str


def demo_command(home: Path) -> list[str]:
    """The command line of a small demo in `home`."""
    return [str(MIRRORSET), "demo", "--home", str(home), "--portraits", PORTRAITS, "--json"]


@contextmanager
def started(command: list[str]) -> Iterator[subprocess.Popen[str]]:
    """A command in a process group of its own, all of which is gone at the end."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with_group(process, signal.SIGKILL)
        process.communicate()


def with_group(process: subprocess.Popen[str], what: signal.Signals) -> None:
    """Signal a started command and everything it started."""
    try:
        os.killpg(process.pid, what)
    except ProcessLookupError:
        return


def run_demo(home: Path) -> Demo:
    """Run the small demo to its end."""
    with started(demo_command(home)) as process:
        stdout, stderr = process.communicate(timeout=500)
    assert process.returncode == 0, stderr
    return Demo(home, json.loads(stdout), stderr)


def run(
    *arguments: str, env: dict[str, str] | None = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    finished = subprocess.run(
        [MIRRORSET, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
        timeout=300,
    )
    assert finished.returncode == code, finished.stderr
    assert "Traceback" not in finished.stderr
    return finished


def refused(code: int, *arguments: str, env: dict[str, str] | None = None) -> str:
    """The one sentence that a refused command says."""
    said = run(*arguments, env=env, code=code).stderr.strip()
    assert said.startswith("mirrorset:")
    assert "\n" not in said
    return said
