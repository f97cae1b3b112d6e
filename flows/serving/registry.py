"""What Prefect's server is told: limits, deployments, and which runs are dead."""

import logging
import secrets
import threading
import time
from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.client.schemas.responses import DeploymentResponse
from prefect.exceptions import ObjectNotFound
from prefect.runner import Runner
from prefect.states import Cancelled, Crashed

from flows import run_notes
from flows.prefect_server import is_silence
from flows.serving.deployments import Deployment, places_of, runner_deployment
from flows.serving.following import is_overdue, unfinished
from mirrorset.errors import InputError
from mirrorset.files import write_text
from mirrorset.records import utc_now
from mirrorset.workspace import Workspace

_log = logging.getLogger(__name__)
_POLL_S = 2
# A serve asks for its runs all the time; one that has not for so long is not there.
_SERVED_WITHIN = timedelta(minutes=2)
_LOOK_AGAIN_S = 30
_TAKEN_UP = {StateType.PENDING, StateType.RUNNING, StateType.CANCELLING}


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
    """Tell the server of the deployments and their limits, and of runs that are dead; a runner.

    Raises InputError where another workspace is served under the same names.
    """
    tag, names = tag_of(workspace), list(map(deployment_name_of, deployments))
    with get_client(sync_client=True) as client:
        for name in names:
            _require_free(client, name, workspace, tag)
    set_limits(workspace)
    forget_missed(names)
    may_live = settle(workspace, [run for name in names for run in _known(name)])
    if may_live:
        threading.Thread(target=_settle_later, args=(workspace, may_live), daemon=True).start()
    runner = Runner(
        name="mirrorset", limit=runs_at_once, query_seconds=_POLL_S, pause_on_shutdown=False
    )
    for one in deployments:
        runner.add_deployment(runner_deployment(one, tag))
    return runner


def tag_of(workspace: Workspace) -> str:
    """The tag of the workspace's deployments: another may lie at the same path elsewhere."""
    file = workspace.private / "serve.id"
    if not file.exists():
        write_text(file, f"{secrets.token_hex(8)}\n")
    return f"workspace-{file.read_text(encoding='ascii').strip()}"


def _require_free(client: SyncPrefectClient, name: str, workspace: Workspace, tag: str) -> None:
    """Raise InputError where a deployment is another workspace's, and that is served."""
    try:
        found = client.read_deployment_by_name(name)
    except ObjectNotFound:
        return
    home = found.parameters.get("home", "")
    tags = [one for one in found.tags if one.startswith("workspace-")]
    if home in ("", str(workspace.home)) and tags in ([], [tag]):
        return
    if not found.paused and _is_served(found):
        raise InputError(
            f"This Prefect server has {name} of another workspace, {home}, which is served: give "
            "one of them another dataset.name in params.yaml, or stop the other `mirrorset serve` "
            f"(two minutes after a kill, {workspace.home} may take its place)."
        )
    _log.warning("%s was that of %s until now.", name, home)


def _is_served(found: DeploymentResponse) -> bool:
    return found.last_polled is not None and utc_now() - found.last_polled < _SERVED_WITHIN


def forget_missed(names: Iterable[str]) -> None:
    """Delete the scheduled runs that were due while nobody served."""
    now = utc_now()
    with get_client(sync_client=True) as client:
        for run in (run for name in names for run in _known(name)):
            # One that has begun before was resumed, by a person's word on a release.
            is_missed = run.auto_scheduled and run.run_count == 0
            is_scheduled = run.state_type == StateType.SCHEDULED
            if is_scheduled and is_missed and (run.expected_start_time or now) <= now:
                client.delete_flow_run(run.id)


def settle(workspace: Workspace, runs: Iterable[FlowRun]) -> list[UUID]:
    """Mark the runs as crashed whose processes died with an earlier serve; those that may live.

    runs: begun before this serve began anything. That another serve does one is out of question,
    for this one holds the workspace.
    """
    notes = {note.run_id: note for note in run_notes.read_notes(workspace.private)}
    may_live = []
    with get_client(sync_client=True) as client:
        for run in runs:
            if run.state_type not in _TAKEN_UP:
                continue
            if not _is_dead(run, notes.get(str(run.id))):
                may_live.append(run.id)
                continue
            state: State[None] = Crashed(message="Its process died before it had ended.")
            client.set_flow_run_state(run.id, state, force=True)
    return may_live


def _settle_later(workspace: Workspace, run_ids: list[UUID]) -> None:
    """Look at runs again until each has ended: what a killed serve left may take a while to die."""
    while run_ids:
        time.sleep(_LOOK_AGAIN_S)
        try:
            with get_client(sync_client=True) as client:
                runs = [_read(client, run_id) for run_id in run_ids]
            run_ids = settle(workspace, [run for run in runs if run is not None])
        except Exception as error:
            if not is_silence(error):
                raise


def _read(client: SyncPrefectClient, run_id: UUID) -> FlowRun | None:
    try:
        return client.read_flow_run(run_id)
    except ObjectNotFound:
        return None


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
    try:
        return unfinished(name)
    except ObjectNotFound:
        return []


def _is_dead(run: FlowRun, note: run_notes.RunNote | None) -> bool:
    if note is not None:
        return not note.is_alive
    # Without a note it had not begun. A worker, which takes runs from a queue, may yet begin it.
    return run.work_queue_id is None or is_overdue(run)
