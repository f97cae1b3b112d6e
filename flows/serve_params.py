"""The section `serve` of params.yaml: when each deployment runs, for how long, and how many."""

import re
from typing import Any, Self
from zoneinfo import available_timezones

# isort: split
import flows.engine  # noqa: F401  (sets what Prefect reads when it is imported)

# isort: split
from prefect._vendor.croniter import CroniterBadDateError, croniter  # type: ignore[attr-defined]
from prefect.client.schemas.schedules import CronSchedule
from pydantic import Field, ValidationError, field_validator, model_validator

from mirrorset.records import Record

_HOUR_S = 3600
_YEAR_S = 366 * 24 * _HOUR_S
_CRON = re.compile(r"^([\w*/,\-#?]+ +){4}[\w*/,\-#?]+$")


def _is_known_to_prefect(cron: str) -> bool:
    try:
        CronSchedule(cron=cron)
    except ValidationError:
        return False
    return True


class Step(Record):
    """When a deployment runs: by `cron` or every so many seconds; without both only on demand.

    time_limit_s: a run that takes longer is stopped; waiting for the workspace counts.
    """

    cron: str | None = None
    every_s: float | None = Field(default=None, ge=1, le=_YEAR_S)
    time_limit_s: float = Field(default=12 * _HOUR_S, gt=0)

    @field_validator("cron")
    @classmethod
    def _is_cron(cls, cron: str | None) -> str | None:
        if cron is not None:
            if not _CRON.match(cron) or not _is_known_to_prefect(cron):
                raise ValueError(f'"{cron}" is no cron expression: five fields, as in "0 2 * * *"')
            try:
                croniter(cron).get_next()  # type: ignore[no-untyped-call]
            except CroniterBadDateError:
                raise ValueError(f'"{cron}" never comes') from None
        return cron

    @model_validator(mode="after")
    def _at_most_one(self) -> Self:
        if self.cron is not None and self.every_s is not None:
            raise ValueError("give cron or every_s, not both")
        return self


class ServeParams(Record):
    """Deployments of `mirrorset serve`; a step set to null runs on demand alone.

    time_zone: of cron. prelabel_after_crawl, push_after_prelabel, parity_after_release: what a run
    of a deployment starts at its end. is_approval_needed: scheduled releases wait up to
    approval_days for a person. crawls_per_host, runs_per_cvat_server: runs at the same time on one
    server, of all workspaces of one Prefect server. runs_at_once: processes of this machine.
    slot_wait_s: how long a run waits for a server that others are on. retries, retry_after_s: how
    often a run that the world outside made fail is tried again, and after how long, doubling.
    ui_port: of the Prefect server that is started where PREFECT_API_URL names none. report_port:
    where browsers of this machine are shown the report; by itself nowhere, for whoever is logged in
    there can look. webhook_host, webhook_port: where CVAT's deliveries are listened for.
    """

    time_zone: str = "UTC"
    crawl: Step = Step(cron="0 2 * * *")
    prelabel: Step = Step()
    push: Step = Step()
    pull: Step = Step(every_s=900, time_limit_s=2 * _HOUR_S)
    release: Step = Step(cron="0 6 * * 1")
    parity: Step = Step()
    verify: Step = Step(cron="0 4 * * *")
    erase_due: Step = Step()
    prelabel_after_crawl: bool = True
    push_after_prelabel: bool = True
    parity_after_release: bool = True
    is_approval_needed: bool = True
    approval_days: float = Field(default=30, gt=0)
    crawls_per_host: int = Field(default=1, ge=1)
    runs_per_cvat_server: int = Field(default=1, ge=1)
    runs_at_once: int = Field(default=8, ge=1)
    slot_wait_s: float = Field(default=6 * _HOUR_S, gt=0)
    retries: int = Field(default=3, ge=0, le=20)
    retry_after_s: float = Field(default=60, gt=0)
    ui_port: int = Field(default=4200, ge=1, le=65535)
    report_port: int | None = Field(default=None, ge=1, le=65535)
    webhook_host: str = "127.0.0.1"
    webhook_port: int = Field(default=8077, ge=1, le=65535)

    @field_validator("time_zone")
    @classmethod
    def _is_known(cls, name: str) -> str:
        # As Prefect takes them.
        if name not in available_timezones():
            raise ValueError(f'"{name}" is no time zone: write one as "Europe/Berlin"')
        return name

    @model_validator(mode="after")
    def _ports_differ(self) -> Self:
        if self.report_port in (self.ui_port, self.webhook_port):
            raise ValueError(f"report_port {self.report_port} is another's, too: choose another")
        return self

    @model_validator(mode="before")
    @classmethod
    def _with_schedules(cls, values: Any) -> Any:
        """A step that states no schedule keeps its own; one that is null has none."""
        if not isinstance(values, dict):
            return values
        return {
            name: _completed(value, cls.model_fields[name].default)
            if name in cls.model_fields and cls.model_fields[name].annotation is Step
            else value
            for name, value in values.items()
        }


def _completed(value: Any, usual: Step) -> Any:
    if value is None:
        return {"time_limit_s": usual.time_limit_s}
    if not isinstance(value, dict):
        return value
    schedule = {"cron", "every_s"}
    kept = usual.model_dump(exclude=schedule if schedule & value.keys() else None)
    return kept | value
