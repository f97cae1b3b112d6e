"""A guard beside a running command: should it be killed, Prefect's embedded server goes with it.

Prefect stops its server when its process ends in any other way; after SIGKILL it would stay.
"""

import os
import select
import subprocess
import sys
from contextlib import suppress

import psutil

_SERVER = "prefect.server.api.server:create_app"
_LOOK_EVERY_S = 0.5


def start() -> None:
    """Start the guard of this process; it ends by itself soon after this process has."""
    subprocess.Popen(
        [sys.executable, "-m", "flows.guard", str(os.getpid())],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def watch(process_id: int) -> None:
    """Remember the servers that `process_id` starts; end them once stdin's other end is gone."""
    servers: set[psutil.Process] = set()
    guarded = psutil.Process(process_id)
    while not select.select([sys.stdin], [], [], _LOOK_EVERY_S)[0]:
        with suppress(psutil.Error):
            servers |= {child for child in guarded.children() if _SERVER in child.cmdline()}
    for server in servers:
        with suppress(psutil.Error):
            server.terminate()


if __name__ == "__main__":
    with suppress(psutil.Error):
        watch(int(sys.argv[1]))
