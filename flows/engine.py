"""Prefect, quiet: every flow takes `flow` and `task` from here.

Prefect reads its settings when it is imported, so they are set first. Without a server of the
user's own (PREFECT_API_URL), flows run on Prefect's embedded one.
"""

import os
from typing import Any

_SETTINGS = {
    # The embedded server takes 8 to 60 s to start on a busy 2-core machine; 20 is the default.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # A step is repeated because records say so, never because Prefect remembers its inputs.
    "PREFECT_TASKS_DEFAULT_NO_CACHE": "true",
    # Failures reach the user as one sentence; Prefect's own log stays in its database.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)

from prefect import flow, task  # noqa: E402  (after the settings it reads)
from prefect.client.schemas.objects import State  # noqa: E402

from mirrorset.errors import OverdueError  # noqa: E402

__all__ = ["flow", "is_worth_a_retry", "task"]


def is_worth_a_retry(_task: object, _run: object, state: State[Any]) -> bool:
    """Whether a task that failed is tried again: not where all patience was spent in it already.

    For `task(retry_condition_fn=...)`.
    """
    return not isinstance(state.result(raise_on_failure=False), OverdueError)
