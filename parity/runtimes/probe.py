"""Whether a model file runs on a kernel at all, found out in a process that may die of it.

Some files take a whole process down: LiteRT checks most of what a file says, not all.
"""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from mirrorset.errors import NotRunnableError
from parity.kernels import Kernel
from parity.keys import key_of
from parity.records import NotRunnable
from parity.runtimes.opening import check, open_session
from parity.runtimes.session import Session

_NOT_RUNNABLE = 3
_DEADLINE_S = 600.0  # long, for machines with much else to do


def probe(
    model: Path, kernel: Kernel, threads: int, deadline_s: float = _DEADLINE_S
) -> NotRunnable | None:
    """None where one inference of zeros, in a process of its own, ends well within `deadline_s`.

    Raises InputError where there is no file, SettingsError for an unknown kernel or fewer than one
    thread.
    """
    check(model, kernel, threads)
    command = [sys.executable, "-m", __name__, str(model), kernel, str(threads)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=deadline_s, check=False
        )
    except subprocess.TimeoutExpired:
        reason = f"no answer within {deadline_s:g} s"
    else:
        if done.returncode == 0:
            return None
        reason = _reason(done)
    key = key_of(model, kernel, threads, delegated_share=None)
    return NotRunnable(model_file=model.name, key=key, reason=reason)


def _reason(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode == _NOT_RUNNABLE:
        return done.stdout.strip()
    if done.returncode < 0:
        return f"the process died of {signal.Signals(-done.returncode).name}"
    last = done.stderr.strip().rpartition("\n")[2]
    return f"the process failed with exit code {done.returncode}: {last}"


def _infer_zeros(session: Session) -> None:
    session.infer(
        [np.zeros([max(side, 1) for side in spec.shape], spec.dtype) for spec in session.inputs]
    )


def _main(model: str, kernel: Kernel, threads: str) -> int:
    """The child: exit code 0 where the model ran, and else the reason on stdout."""
    try:
        _infer_zeros(open_session(Path(model), kernel, int(threads)))
    except NotRunnableError as error:
        sys.stdout.write(error.reason)
        return _NOT_RUNNABLE
    return 0


if __name__ == "__main__":
    name, kernel, threads = sys.argv[1:]
    sys.exit(_main(name, kernel, threads))  # type: ignore[arg-type]  # checked by the parent
