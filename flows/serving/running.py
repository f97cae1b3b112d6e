"""What is due is run, in a thread, for as long as the workspace is served."""

import asyncio
import logging
import threading
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout

from prefect.runner import Runner

_log = logging.getLogger(__name__)
_AGAIN_AFTER_S = 5.0


def kept_running(
    runner: Runner, anew: Callable[[], Runner], api_url: str, stopping: threading.Event
) -> threading.Thread:
    """Start the runner, in the thread that is returned. Where its server goes for minutes, it ends
    and with it the runs at work; `anew` makes another when the server is back.
    """

    def run() -> None:
        current = runner
        while not stopping.is_set():
            why = _ended(current)
            if stopping.is_set():
                return
            _log.info("Prefect's runner has ended: %s.", why)
            _log.warning(
                "Runs have ended with Prefect's server %s, which does not answer: they go on when "
                "it does.",
                api_url,
            )
            again = _made(anew, stopping)
            if again is None:
                return
            current = again
            _log.warning("Prefect's server %s is back.", api_url)

    # What the runner had yet to do when its server went, of which Python warns.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
    # In a thread of its own, for in the main one the runner would take the signals for itself.
    thread = threading.Thread(target=run, name="runner", daemon=True)
    thread.start()
    return thread


def _ended(runner: Runner) -> str:
    """Run until it ends, which it does by itself only where something is wrong; why, in words."""
    # It prints tracebacks of a server that is away.
    with redirect_stdout(None):
        try:
            asyncio.run(runner.start())
        except Exception as error:
            return _first_line(error)
    return "the runner ended"


def _made(anew: Callable[[], Runner], stopping: threading.Event) -> Runner | None:
    while not stopping.wait(_AGAIN_AFTER_S):
        try:
            return anew()
        except Exception as error:
            _log.info("Prefect's server does not answer yet: %s", _first_line(error))
    return None


def _first_line(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
