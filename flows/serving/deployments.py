"""The deployments of a workspace, from params.yaml: what runs when, and with which parameters."""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Literal

from flows.at_work import place_on
from flows.crawl import CrawlParams, place_of, slug, sources_by_place
from flows.exchanges import server_of
from flows.serve_params import ServeParams, Step
from mirrorset.workspace import Workspace

_MODULE = "flows.serving.steps"
#: Steps that are started by what comes before them: a second run waits for the first, for it may
#: find more to do. Of the others one that is at work does what a second would.
_FOLLOWING = ("prelabel", "push", "parity")


@dataclass(frozen=True)
class Deployment:
    """One deployment. function: of flows/serving/steps.py. name: after the flow's own."""

    function: str
    name: str
    step: Step
    time_zone: str
    parameters: dict[str, Any] = field(default_factory=dict)

    @property
    def entrypoint(self) -> str:
        """Where Prefect finds the flow."""
        return f"{_MODULE}.{self.function}"

    @property
    def is_second_cancelled(self) -> bool:
        """Whether a run is cancelled, and does not wait, while another is at work."""
        return self.function not in _FOLLOWING

    @property
    def schedule(self) -> dict[str, Any]:
        """Its schedule as prefect.yaml writes it; empty where it runs on demand."""
        if self.step.cron is not None:
            return {"cron": self.step.cron, "timezone": self.time_zone}
        if self.step.every_s is not None:
            return {"interval": self.step.every_s, "timezone": self.time_zone}
        return {}


def deployments_of(workspace: Workspace) -> list[Deployment]:
    """All deployments: one of `crawl` for each server, one of each other step."""
    params = workspace.params("serve", ServeParams)
    home = str(workspace.home)
    found = [
        Deployment(
            "crawl",
            f"{workspace.dataset.name}-{slug(place)}",
            params.crawl,
            params.time_zone,
            {"home": home, "place": place},
        )
        for place in sources_by_place(workspace)
    ]
    steps = ("prelabel", "push", "pull", "verify", "release", "parity", "erase_due")
    return found + [
        Deployment(
            step, workspace.dataset.name, getattr(params, step), params.time_zone, {"home": home}
        )
        for step in steps
    ]


def places_of(workspace: Workspace) -> dict[str, int]:
    """The concurrency limits that the workspace's runs heed: places by the limit's name."""
    params = workspace.params("serve", ServeParams)
    starts = workspace.params("crawl", CrawlParams).sources
    limits = {place_of(start): params.crawls_per_host for start in starts}
    if workspace.settings.cvat_url:
        limits[place_on("cvat", server_of(workspace))] = params.runs_per_cvat_server
    return limits


def runner_deployment(one: Deployment, tag: str) -> Any:
    """The deployment as Prefect's runner takes it. tag: the workspace's."""
    from prefect.client.schemas.objects import (
        ConcurrencyLimitConfig,
        ConcurrencyLimitStrategy,
    )
    from prefect.schedules import Cron, Interval

    from flows.serving import steps

    schedule = None
    if one.step.cron is not None:
        schedule = Cron(one.step.cron, timezone=one.time_zone)
    elif one.step.every_s is not None:
        schedule = Interval(timedelta(seconds=one.step.every_s), timezone=one.time_zone)
    strategy = ConcurrencyLimitStrategy
    collision = strategy.CANCEL_NEW if one.is_second_cancelled else strategy.ENQUEUE
    made = getattr(steps, one.function).to_deployment(
        name=one.name,
        schedule=schedule,
        parameters=one.parameters,
        concurrency_limit=ConcurrencyLimitConfig(limit=1, collision_strategy=collision),
        enforce_parameter_schema=True,
        # The serve before has paused it at its end.
        paused=False,
        tags=["mirrorset", tag],
    )
    made.entrypoint = one.entrypoint
    made._parameter_openapi_schema = _without_others(made._parameter_openapi_schema)
    return made


def _without_others(schema: Any) -> Any:
    """The schema of a flow's parameters, so that the server refuses those that it does not name.

    A run with one would end before it leaves a note.
    """
    from prefect.utilities.callables import ParameterSchema

    class Strict(ParameterSchema):
        additionalProperties: Literal[False] = False  # noqa: N815  (JSON Schema's word)

    return Strict(**schema.model_dump(), additionalProperties=False)
