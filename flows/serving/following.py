"""Runs that a run starts: what follows is a deployment, so that a machine of its own may do it."""

from datetime import timedelta

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterDeploymentId,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort
from prefect.deployments import run_deployment

from mirrorset.records import utc_now
from mirrorset.workspace import Workspace

#: States of a run that has yet to read what there is to do.
_YET_TO_BEGIN = {StateType.SCHEDULED, StateType.PENDING}
# A run whose process has not begun by then has none.
_BEGINS_WITHIN = timedelta(minutes=10)
_UNFINISHED = [StateType.SCHEDULED, StateType.PENDING, StateType.RUNNING, StateType.CANCELLING]


def deployment_name(workspace: Workspace, step: str, which: str = "") -> str:
    """Name of a deployment, after its flow: the dataset's, and what else tells it apart."""
    flow_name = "verify-licences" if step == "verify" else step.replace("_", "-")
    name = f"{workspace.dataset.name}-{which}" if which else workspace.dataset.name
    return f"scheduled-{flow_name}/{name}"


def start_following(workspace: Workspace, step: str) -> bool:
    """Start a run of the step's deployment, unless one that has yet to begin will do the same.

    Returns whether one was started.
    """
    name = deployment_name(workspace, step)
    if is_awaited(name):
        return False
    run_deployment(name, timeout=0, as_subflow=False, flow_run_name=step)
    return True


def is_awaited(name: str) -> bool:
    """Whether a run of a deployment is about to begin."""
    now = utc_now()
    return any(
        run.state_type in _YET_TO_BEGIN
        and not is_overdue(run)
        and (run.expected_start_time is None or run.expected_start_time <= now)
        for run in unfinished(name)
    )


def is_overdue(run: FlowRun) -> bool:
    """Whether a run was taken up so long ago that it is dead, if its process has not begun."""
    if run.state is None or run.state.is_scheduled():
        return False
    return utc_now() - run.state.timestamp > _BEGINS_WITHIN


def is_running(name: str) -> bool:
    """Whether a run of a deployment is at work."""
    return any(run.state_type == StateType.RUNNING for run in unfinished(name))


def unfinished(name: str) -> list[FlowRun]:
    """The runs of a deployment that have not ended, the scheduled ones included."""
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name(name)
        return client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]),
                state=FlowRunFilterState(type=FlowRunFilterStateType(any_=_UNFINISHED)),
            ),
            sort=FlowRunSort.EXPECTED_START_TIME_ASC,
            limit=200,
        )
