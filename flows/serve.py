"""Serve: the deployments of a workspace run on this machine, until Ctrl-C or SIGTERM."""

import fcntl
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from pydantic import Field
from pydantic_core import from_json, to_json

from flows import guard
from flows.prefect_server import Server, is_silence, prefect_server, use
from flows.serve_params import ServeParams
from mirrorset.errors import InputError, UnavailableError
from mirrorset.files import write_text
from mirrorset.masking import without_user
from mirrorset.records import Record
from mirrorset.workspace import Workspace, open_workspace
from reports.view import viewed

_LOOK_EVERY_S = 0.5
#: How long a server may take for what is told to it at the end; it may be gone.
_FAREWELL_S = 5
#: Written once all is served, and touched while it is.
_PLACE = "serve.json"
_LOCK = "serve.lock"
_SHOWN_EVERY_S = 10


class Serving(Record):
    """What is served where. report_url: the report, or "". webhook_url: where CVAT's deliveries are
    listened for, or "".
    """

    ui_url: str
    api_url: str
    report_url: str
    webhook_url: str
    deployments: dict[str, str] = Field(default_factory=dict)


def serve(home: Path, told: Callable[[Serving], None]) -> None:
    """Serve until this process is told to stop; `told` is called once all is ready.

    Raises InputError where the workspace is served already, or another of the same name on the same
    server; UnavailableError where Prefect's server or the webhook's port cannot be used,
    SettingsError where what PREFECT_API_URL names is no Prefect server. Its end takes seconds:
    running flows are told to stop, and go on where they were at their next run.
    """
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    workspace = open_workspace(home)
    params = workspace.params("serve", ServeParams)
    place = workspace.private / _PLACE
    with _alone(workspace), ExitStack() as stack:
        # Of a serve that was killed.
        place.unlink(missing_ok=True)
        stack.callback(partial(place.unlink, missing_ok=True))
        guard.start()
        server = stack.enter_context(prefect_server(params.ui_port))
        server.await_ready(stopping.is_set)
        use(server.api_url)
        if not stopping.is_set():
            _serve(workspace, params, server, stopping, told)


def _serve(
    workspace: Workspace,
    params: ServeParams,
    server: Server,
    stopping: threading.Event,
    told: Callable[[Serving], None],
) -> None:
    from flows.sections import check_params
    from flows.serving import registry
    from flows.serving.deployments import deployments_of
    from flows.serving.news import listening
    from flows.serving.running import kept_running

    check_params(workspace)
    deployments = deployments_of(workspace)
    try:
        runner = registry.registered(workspace, deployments, params.runs_at_once)
    except Exception as error:
        if not is_silence(error):
            raise
        raise UnavailableError(
            f"Prefect's server {without_user(server.api_url)} did not answer in time: start "
            "`mirrorset serve` again when it is less busy."
        ) from None
    names = {registry.deployment_name_of(one): one for one in deployments}
    with ExitStack() as stack:
        webhook_url = stack.enter_context(listening(workspace, params, stopping))
        report_url = stack.enter_context(_report_viewed(workspace, params))
        place = workspace.private / _PLACE
        where = {"api_url": without_user(server.api_url), "report_url": report_url}
        write_text(place, f"{to_json(where).decode()}\n")
        told(
            Serving(
                ui_url=without_user(server.ui_url),
                api_url=without_user(server.api_url),
                report_url=report_url,
                webhook_url=webhook_url,
                deployments={name: _when(one.schedule) for name, one in names.items()},
            )
        )
        anew = partial(registry.registered, workspace, deployments, params.runs_at_once)
        running = kept_running(runner, anew, server.api_url, stopping)
        try:
            while not stopping.wait(_LOOK_EVERY_S):
                if running.is_alive():
                    show_alive(place)
                if server.has_ended:
                    raise UnavailableError(
                        "Prefect's server has ended: start `mirrorset serve` again."
                    )
        finally:
            stopping.set()
            _end_runs(workspace, list(names))


@contextmanager
def _report_viewed(workspace: Workspace, params: ServeParams) -> Iterator[str]:
    """Where the report is shown while the body runs; "" where that is not asked for."""
    if params.report_port is None:
        yield ""
        return
    remedy = "choose another in params.yaml (serve: report_port)"
    with viewed(workspace.home / "report", params.report_port, remedy) as url:
        yield url


def show_alive(place: Path) -> None:
    """Touch the file now and then: what watches over this process sees that it serves."""
    with suppress(FileNotFoundError):
        if time.time() - place.stat().st_mtime > _SHOWN_EVERY_S:
            os.utime(place)


def _when(schedule: dict[str, Any]) -> str:
    if "cron" in schedule:
        return f"{schedule['cron']} ({schedule['timezone']})"
    if "interval" in schedule:
        return f"every {schedule['interval']:g} s"
    return "on demand"


def _end_runs(workspace: Workspace, names: list[str]) -> None:
    """Tell running flows to stop, and Prefect that they were cancelled and none is to come."""
    from flows.serving import registry

    guard.end(guard.children(psutil.Process()))
    last = threading.Thread(target=registry.farewell, args=(workspace, names), daemon=True)
    last.start()
    last.join(_FAREWELL_S)


@contextmanager
def _alone(workspace: Workspace) -> Iterator[None]:
    """One at a time serves a workspace."""
    workspace.private.mkdir(exist_ok=True)
    with (workspace.private / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(
                f"{workspace.home} is served already: stop that `mirrorset serve` first."
            ) from None
        yield


def is_served(workspace: Workspace) -> bool:
    """Whether a `mirrorset serve` of this workspace runs on this machine: it holds a lock."""
    try:
        with (workspace.private / _LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def served_at(workspace: Workspace) -> str:
    """Address of the Prefect server that `mirrorset serve` uses for the workspace, or ""."""
    return _told(workspace, "api_url")


def report_at(workspace: Workspace) -> str:
    """Where a `mirrorset serve` that runs on this machine shows the report, or ""."""
    return _told(workspace, "report_url") if is_served(workspace) else ""


def _told(workspace: Workspace, name: str) -> str:
    try:
        return str(from_json((workspace.private / _PLACE).read_bytes())[name])
    except (FileNotFoundError, ValueError, KeyError):
        return ""
