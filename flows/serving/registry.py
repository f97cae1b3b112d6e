"""What Prefect's server is told: limits, deployments, and which runs are dead."""

import socket
from datetime import timedelta
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.runner import Runner
from prefect.states import Cancelled, Crashed

from flows import run_notes
from flows.prefect_server import is_silence
from flows.serving.deployments import Deployment, places_of, runner_deployment
from flows.serving.following import unfinished
from mirrorset.records import utc_now
from mirrorset.workspace import Workspace

_POLL_S = 2
# A run whose process has not begun by then has none.
_BEGINS_WITHIN = timedelta(minutes=10)


def deployment_name_of(one: Deployment) -> str:
    """A deployment's name with its flow's before it."""
    from flows.serving import steps

    return f"{getattr(steps, one.function).name}/{one.name}"


def set_limits(workspace: Workspace) -> None:
    """Make the concurrency limits that runs heed; those that nobody knows limit nothing."""
    with get_client(sync_client=True) as client:
        for name, places in places_of(workspace).items():
            client.upsert_global_concurrency_limit_by_name(name, places)


def registered(workspace: Workspace, deployments: list[Deployment], runs_at_once: int) -> Runner:
    """Tell the server of the deployments and their limits, and of runs that are dead; a runner."""
    set_limits(workspace)
    reconcile(workspace, deployments)
    runner = Runner(
        name="mirrorset", limit=runs_at_once, query_seconds=_POLL_S, pause_on_shutdown=False
    )
    for one in deployments:
        runner.add_deployment(runner_deployment(one))
    return runner


def reconcile(workspace: Workspace, deployments: list[Deployment]) -> None:
    """Mark the runs as crashed whose processes died with an earlier serve, and forget the runs that
    were due while nobody served.
    """
    notes = {note.run_id: note for note in run_notes.read_notes(workspace.private)}
    now = utc_now()
    with get_client(sync_client=True) as client:
        for name in map(deployment_name_of, deployments):
            for run in _known(name):
                if run.state_type == StateType.SCHEDULED:
                    # One that has begun before was resumed, by a person's word on a release.
                    is_missed = run.auto_scheduled and run.run_count == 0
                    if is_missed and (run.expected_start_time or now) <= now:
                        client.delete_flow_run(run.id)
                elif _is_dead(run, notes.get(str(run.id))):
                    state: State[None] = Crashed(message="Its process died before it had ended.")
                    client.set_flow_run_state(run.id, state, force=True)


def farewell(workspace: Workspace, names: list[str]) -> None:
    """Pause the deployments, and show the runs that were stopped with serve as cancelled."""
    notes = {note.run_id: note for note in run_notes.read_notes(workspace.private)}
    try:
        with get_client(sync_client=True) as client:
            for name in names:
                for run in unfinished(name):
                    if run.state_type == StateType.SCHEDULED:
                        continue
                    note = notes.get(str(run.id))
                    if note is None or not note.is_alive:
                        stopped: State[None] = Cancelled(message="`mirrorset serve` was stopped.")
                        client.set_flow_run_state(run.id, stopped, force=True)
                client.pause_deployment(client.read_deployment_by_name(name).id)
    except Exception as error:
        # A server that has gone is told nothing; the next serve puts it right.
        if not is_silence(error):
            raise


def _known(name: str) -> list[FlowRun]:
    from prefect.exceptions import ObjectNotFound

    try:
        return unfinished(name)
    except ObjectNotFound:
        return []


def _is_dead(run: FlowRun, note: run_notes.RunNote | None) -> bool:
    if note is not None:
        return note.host == socket.gethostname() and not note.is_alive
    since: Any = run.state.timestamp if run.state else None
    return since is not None and utc_now() - since > _BEGINS_WITHIN
