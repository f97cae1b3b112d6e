"""A guard beside a running command: should it be killed, Prefect's runs and server go with it.

Prefect ends both when its process ends in any other way; after SIGKILL they would stay.
"""

import os
import select
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

import psutil

#: A word of a server's command line, and of a run's.
SERVER = "prefect.server.api.server:create_app"
RUN = "prefect.engine"
_LOOK_EVERY_S = 0.5
_GRACE_S = 8


def start() -> None:
    """Start the guard of this process; it ends by itself soon after this process has."""
    subprocess.Popen(
        [sys.executable, "-m", "flows.guard", str(os.getpid())],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def watch(process_id: int) -> None:
    """Know the runs and servers that `process_id` has; end them once stdin's other end is gone:
    runs first, which have something to tell their server.
    """
    guarded = psutil.Process(process_id)
    runs: list[psutil.Process] = []
    servers: list[psutil.Process] = []
    while not select.select([sys.stdin], [], [], _LOOK_EVERY_S)[0]:
        with suppress(psutil.Error):
            runs, servers = children(guarded, RUN), children(guarded, SERVER)
    end(runs)
    for server in servers:
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
    found = []
    for child in parent.children():
        with suppress(psutil.Error):
            found += [child] if word in child.cmdline() else []
    return found


def _below(run: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        below: list[psutil.Process] = run.children(recursive=True)
        return below
    return []


if __name__ == "__main__":
    with suppress(psutil.Error):
        watch(int(sys.argv[1]))
