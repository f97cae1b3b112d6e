"""Nothing of a killed command goes on, however soon after its start it was killed."""

import subprocess
import sys

import psutil

from flows.guard import SERVER

_SLEEPS = [sys.executable, "-c", "import time; time.sleep(100)"]
#: Starts the guard and a server, says which, and is killed at once.
_KILLED = """
import os, signal, subprocess, sys
from flows import guard
guard.start()
print(subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL).pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def _of_killed(*words: str) -> psutil.Process:
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED, *_SLEEPS, *words],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    return psutil.Process(int(killed.stdout))


def test_a_server_that_had_only_just_begun_ends_and_what_is_no_server_stays() -> None:
    server, other = _of_killed(SERVER), _of_killed("something else")
    try:
        psutil.wait_procs([server], timeout=30)
        assert not server.is_running()
        assert other.is_running()
    finally:
        other.kill()
