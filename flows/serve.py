"""Serve: the deployments of a workspace run on this machine, until Ctrl-C or SIGTERM."""

import asyncio
import fcntl
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from pydantic import Field

from flows import guard
from flows.prefect_server import is_silence, own_server
from flows.serve_params import ServeParams
from mirrorset.errors import InputError, UnavailableError
from mirrorset.files import write_text
from mirrorset.records import Record
from mirrorset.workspace import Workspace, open_workspace

_log = logging.getLogger(__name__)
_LOOK_EVERY_S = 0.5
_GRACE_S = 8
#: How long a server may take for what is told to it at the end; it may be gone.
_FAREWELL_S = 5
_PLACE = "serve.json"


class Serving(Record):
    """What is served where. webhook_url: where CVAT's deliveries are listened for, or ""."""

    ui_url: str
    api_url: str
    webhook_url: str
    deployments: dict[str, str] = Field(default_factory=dict)


def serve(home: Path, told: Callable[[Serving], None]) -> None:
    """Serve until this process is told to stop; `told` is called once all is ready.

    Raises InputError where the workspace is served already, UnavailableError where Prefect's server
    or the webhook's port cannot be used. Its end takes seconds: running flows are told to stop, and
    go on where they were at their next run.
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    workspace = open_workspace(home)
    params = workspace.params("serve", ServeParams)
    with _alone(workspace), ExitStack() as stack:
        guard.start()
        api_url = os.environ.get("PREFECT_API_URL", "")
        has_ended = lambda: False  # noqa: E731
        if not api_url:
            server = stack.enter_context(own_server(params.ui_port))
            server.await_ready(stopping.is_set)
            # Before Prefect is imported, which reads it then.
            os.environ["PREFECT_API_URL"] = api_url = server.api_url
            has_ended = lambda: server.has_ended  # noqa: E731
        place = workspace.private / _PLACE
        write_text(place, f'{{"api_url": "{api_url}"}}\n')
        stack.callback(partial(place.unlink, missing_ok=True))
        if not stopping.is_set():
            _serve(workspace, params, api_url, stopping, has_ended, told)


def _serve(
    workspace: Workspace,
    params: ServeParams,
    api_url: str,
    stopping: threading.Event,
    has_ended: Callable[[], bool],
    told: Callable[[Serving], None],
) -> None:
    from flows.sections import check_params
    from flows.serving import registry
    from flows.serving.deployments import deployments_of
    from flows.serving.news import listening

    check_params(workspace)
    deployments = deployments_of(workspace)
    try:
        registry.set_limits(workspace)
        registry.reconcile(workspace, deployments)
        runner, ids = registry.registered(deployments, params.runs_at_once)
    except Exception as error:
        if not is_silence(error):
            raise
        raise UnavailableError(
            f"Prefect's server {api_url} does not answer: start it, or unset PREFECT_API_URL to "
            "have one started here."
        ) from None
    # In a thread of its own, for in the main one it would take the signals for itself.
    running = threading.Thread(target=lambda: asyncio.run(runner.start()), daemon=True)
    with ExitStack() as stack:
        webhook_url = stack.enter_context(listening(workspace, params, stopping))
        running.start()
        told(
            Serving(
                ui_url=api_url.removesuffix("/api"),
                api_url=api_url,
                webhook_url=webhook_url,
                deployments={name: _when(one.schedule) for name, one in ids.items()},
            )
        )
        try:
            while not stopping.wait(_LOOK_EVERY_S):
                if has_ended() or not running.is_alive():
                    raise UnavailableError(
                        "Prefect's server or runner has ended: start `mirrorset serve` again."
                    )
        finally:
            stopping.set()
            _end_runs(workspace, list(ids))


def _when(schedule: dict[str, Any]) -> str:
    if "cron" in schedule:
        return f"{schedule['cron']} ({schedule['timezone']})"
    if "interval" in schedule:
        return f"every {schedule['interval']:g} s"
    return "on demand"


def _end_runs(workspace: Workspace, names: list[str]) -> None:
    """Tell running flows to stop, and Prefect that they were cancelled and none is to come."""
    from flows.serving import registry

    runs = [child for child in psutil.Process().children() if _is_run(child)]
    everything = [*runs, *(one for run in runs for one in _below(run))]
    for run in runs:
        with suppress(psutil.Error):
            run.terminate()
    _, alive = psutil.wait_procs(everything, timeout=_GRACE_S)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()
    last = threading.Thread(target=registry.farewell, args=(workspace, names), daemon=True)
    last.start()
    last.join(_FAREWELL_S)


def _is_run(child: psutil.Process) -> bool:
    try:
        return any("prefect" in word for word in child.cmdline()) and not any(
            "create_app" in word for word in child.cmdline()
        )
    except psutil.Error:
        return False


def _below(run: psutil.Process) -> list[psutil.Process]:
    try:
        return run.children(recursive=True)
    except psutil.Error:
        return []


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """One at a time serves a workspace."""
    workspace.private.mkdir(exist_ok=True)
    with (workspace.private / "serve.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{workspace.home} is served already: stop that `mirrorset serve` first."
            ) from None
        yield


def served_at(workspace: Workspace) -> str:
    """Address of the Prefect server that `mirrorset serve` uses for the workspace, or ""."""
    from pydantic_core import from_json

    try:
        return str(from_json((workspace.private / _PLACE).read_bytes())["api_url"])
    except (FileNotFoundError, ValueError, KeyError):
        return ""
