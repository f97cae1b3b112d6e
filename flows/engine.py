"""Prefect, quiet: every flow takes `flow` and `task` from here, and leaves a note of each run.

Prefect reads its settings when it is imported, so they are set first. Without a server of the
user's own (PREFECT_API_URL), flows run on Prefect's embedded one.
"""

import logging
import os
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import wraps
from inspect import getdoc, signature
from pathlib import Path
from typing import Any, Literal, ParamSpec, TypeVar

_SETTINGS = {
    # The embedded server takes 8 to 60 s to start on a busy 2-core machine; 20 is the default.
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "300",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    # By itself it lets pages from anywhere, in a browser of this machine, talk to it.
    "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": "http://127.0.0.1",
    # A step is repeated because records say so, never because Prefect remembers its inputs.
    "PREFECT_TASKS_DEFAULT_NO_CACHE": "true",
    # Failures reach the user as one sentence; Prefect's own log stays in its database.
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)

from flows import telemetry  # noqa: E402

telemetry.begin()

import prefect  # noqa: E402  (after the settings it reads)
import prefect.runtime  # noqa: E402
from opentelemetry import trace  # noqa: E402
from prefect import Flow, Task  # noqa: E402
from prefect.client.schemas.objects import State  # noqa: E402
from prefect.exceptions import Pause, PrefectSignal, TerminationSignal  # noqa: E402
from prefect.settings import get_current_settings  # noqa: E402
from prefect.tasks import exponential_backoff  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402

from flows import run_notes  # noqa: E402
from mirrorset import logs  # noqa: E402
from mirrorset.errors import MirrorsetError, OverdueError  # noqa: E402
from mirrorset.masking import mask_error, masked  # noqa: E402
from mirrorset.settings import read_settings  # noqa: E402

__all__ = [
    "deployment_of_run",
    "flow",
    "get_current_settings",
    "may_pass",
    "outside",
    "prefect",
    "run_id",
    "task",
]

_log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
RunName = str | Callable[..., str]

_is_noted: ContextVar[bool] = ContextVar("is_noted", default=False)


def flow(name: str, **options: Any) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Make a flow of a function; runs that work on a workspace (`home`) leave a note there.

    flow_run_name: what Prefect shows of a run, by itself the flow's name.
    """
    named = {"flow_run_name": name, **options}

    def decorated(function: Callable[P, R]) -> Flow[P, R]:
        noted = _noted(function, name)
        words = getdoc(function) or ""
        noted.__doc__ = f"{words}\n\nArgs:\n{_fields(function)}"
        made: Flow[P, R] = prefect.flow(name=name, description=words, **named)(_masking(noted))
        return made

    return decorated


def _fields(function: Callable[..., Any]) -> str:
    """What is said of parameters, as Prefect reads it: of a field it takes the bounds alone."""
    return "".join(
        f"    {name}: {field.description}\n"
        for name, parameter in signature(function).parameters.items()
        for field in getattr(parameter.annotation, "__metadata__", ())
        if isinstance(field, FieldInfo)
    )


def may_pass(_task: object, _run: object, state: State[Any]) -> bool:
    """Whether what made a task fail may pass by itself: not what a person has to mend, nor a bug.

    For `task(retry_condition_fn=...)`.
    """
    error = state.result(raise_on_failure=False)
    return isinstance(error, MirrorsetError) and error.may_pass


def is_worth_a_retry(task: object, run: object, state: State[Any]) -> bool:
    """Whether a task that failed is tried again at once: where what failed may pass, and the task
    has not spent all patience on it already.
    """
    is_overdue = isinstance(state.result(raise_on_failure=False), OverdueError)
    return may_pass(task, run, state) and not is_overdue


def task(
    name: str, run_name: RunName | None = None, **options: Any
) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a task of a function.

    run_name: what Prefect shows of a run, by itself the task's name: a template of the function's
    arguments, or a function of `parameters`, these by name.
    """
    named: dict[str, Any] = {"task_run_name": run_name or name, **options}

    def decorated(function: Callable[P, R]) -> Task[P, R]:
        whole = _masking(_stepped(function, name))
        made: Task[P, R] = prefect.task(name=name, **named)(whole)
        return made

    return decorated


def _stepped(function: Callable[P, R], name: str) -> Callable[P, R]:
    """What the function logs is of the step of its task's name."""

    @wraps(function)
    def stepping(*args: P.args, **kwargs: P.kwargs) -> R:
        trace.get_current_span().update_name(name)
        with logs.at_step(name):
            return function(*args, **kwargs)

    return stepping


def outside(name: str, run_name: RunName | None = None) -> Callable[[Callable[P, R]], Task[P, R]]:
    """Make a task of a function that touches the world outside: it is tried again twice, later each
    time, and not by all runs at once.
    """
    return task(
        name,
        run_name,
        retries=2,
        retry_delay_seconds=exponential_backoff(2),
        retry_jitter_factor=0.5,
        retry_condition_fn=is_worth_a_retry,
    )


def run_id() -> str:
    """Id of the flow run that this is."""
    return str(prefect.runtime.flow_run.id)


def deployment_of_run() -> str:
    """Name of the deployment that this run is one of, or "" in a run by hand."""
    return prefect.runtime.deployment.name or ""


def _masking(function: Callable[P, R]) -> Callable[P, R]:
    """Prefect keeps errors and their tracebacks: of flows, of flows within these, and of tasks."""

    @wraps(function)
    def masking(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            mask_error(error)
            raise

    return masking


def _noted(function: Callable[P, R], name: str) -> Callable[P, R]:
    parameters = signature(function)

    @wraps(function)
    def noting(*args: P.args, **kwargs: P.kwargs) -> R:
        # Prefect's is the name of the run, which is drawn.
        trace.get_current_span().update_name(name)
        home = parameters.bind(*args, **kwargs).arguments.get("home")
        folder = Path(home or "") / ".mirrorset"
        if home is None or not folder.is_dir() or _is_noted.get():
            return function(*args, **kwargs)
        run_id = str(prefect.runtime.flow_run.id)
        where = read_settings(Path(home)).logs
        with logs.written(folder / "logs", where, run_id, name):
            return _with_note(folder, name, lambda: function(*args, **kwargs))

    return noting


def _with_note(folder: Path, name: str, work: Callable[[], R]) -> R:
    note = run_notes.begun(folder, run_id(), name, deployment_of_run())
    token = _is_noted.set(True)
    _log.info("%s began.", name)
    try:
        with run_notes.touching(folder, note):
            result = work()
    except Pause:
        run_notes.ended(folder, note, "waiting", "It waits for a person's approval.")
        raise
    except (TerminationSignal, PrefectSignal, KeyboardInterrupt):
        run_notes.ended(folder, note, "cancelled", "It was told to stop.")
        raise
    except BaseException as error:
        fault = " ".join(masked(str(error)).split()) or type(error).__name__
        _log.error("%s failed: %s", name, fault)
        run_notes.ended(folder, note, "failed", fault)
        raise
    else:
        counts, faults = run_notes.counts_of(result), run_notes.faults_of(result)
        has_failed = isinstance(result, Mapping) and 0 < len(result) == len(faults)
        state: Literal["failed", "done"] = "failed" if has_failed else "done"
        run_notes.ended(folder, note, state, " ".join(faults), counts)
        _log.info("%s is %s: %s", name, state, counts)
        return result
    finally:
        _is_noted.reset(token)
