"""A guard beside a running command: should it be killed, Prefect's runs and server go with it.

Prefect ends both when its process ends in any other way; after SIGKILL they would stay. All that a
command starts has its mark in the environment, so that what began a moment before is known, too.
"""

import os
import secrets
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress

import psutil

#: A word of a server's command line (`flows.prefect_server`), and of a run's.
SERVER = "flows.prefect_app:create_app"
RUN = "prefect.engine"
_MARK = "MIRRORSET_COMMAND"
# What was only just forked has the words and the environment of its own a moment later.
_LOOKS, _LOOK_AGAIN_S = 2, 1
_GRACE_S = 8


def start() -> None:
    """Start the guard of this process; it ends by itself soon after this process has."""
    os.environ[_MARK] = secrets.token_hex(8)
    subprocess.Popen(
        [sys.executable, "-m", "flows.guard"],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def watch(mark: str) -> None:
    """Once stdin's other end is gone, end what has the mark: runs first, which have something to
    tell their server.
    """
    sys.stdin.read()
    for look in range(_LOOKS):
        time.sleep(look * _LOOK_AGAIN_S)
        end(_marked(mark, RUN))
        for server in _marked(mark, SERVER):
            with suppress(psutil.Error):
                server.terminate()


def end(runs: Sequence[psutil.Process]) -> None:
    """Tell runs to stop; after some seconds kill what is left of them, and what they started."""
    everything = [*runs, *(one for run in runs for one in _below(run))]
    for run in runs:
        with suppress(psutil.Error):
            run.terminate()
    _, alive = psutil.wait_procs(everything, timeout=_GRACE_S)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()


def children(parent: psutil.Process, word: str = RUN) -> list[psutil.Process]:
    """The processes that another has started with this word: by itself, Prefect's runs."""
    return [child for child in parent.children() if _has(child, word)]


def _marked(mark: str, word: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        # Those of others do not tell their environment.
        with suppress(psutil.Error):
            if _has(process, word) and process.environ().get(_MARK) == mark:
                found.append(process)
    return found


def _has(process: psutil.Process, word: str) -> bool:
    with suppress(psutil.Error):
        return word in process.cmdline()
    return False


def _below(run: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        below: list[psutil.Process] = run.children(recursive=True)
        return below
    return []


if __name__ == "__main__":
    watch(os.environ[_MARK])
