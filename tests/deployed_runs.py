"""Runs of deployments in the process of a test; `mirrorset serve` does each in one of its own."""

# First: Prefect reads the settings that are made there.
import flows.engine  # noqa: F401, I001
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun, State
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow


class Runs:
    """name: of a deployment, after its flow's."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self.client = client

    def begun(self, name: str, **parameters: Any) -> UUID:
        """A run that waits to be done."""
        deployment = self.client.read_deployment_by_name(name)
        return self.client.create_flow_run_from_deployment(deployment.id, parameters=parameters).id

    def done(self, flow: Flow[..., Any], run_id: UUID) -> State[Any]:
        """Do a run, or go on with one that was resumed; its state then."""
        run = self.read(run_id)
        assert run.state is not None
        assert run.state.is_scheduled(), run.state
        try:
            state: Any = run_flow(
                flow,
                flow_run=run,
                parameters=flow.validate_parameters(run.parameters),
                return_type="state",
            )
        except Pause as pause:
            state = pause.state
        return state

    def read(self, run_id: UUID) -> FlowRun:
        return self.client.read_flow_run(run_id)


@contextmanager
def deployed_runs() -> Iterator[Runs]:
    """On the server that PREFECT_API_URL names."""
    with get_client(sync_client=True) as client:
        yield Runs(client)
