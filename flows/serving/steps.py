"""The flows that deployments run: each does one step and starts what follows.

They are found by `MODULE:NAME`, as deployments name them.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeVar

from prefect.task_engine import TaskRunTimeoutError
from prefect.tasks import exponential_backoff
from pydantic import AfterValidator, Field

from crawlers.order import CrawlSummary
from crawlers.sources import Start
from flows import guard, progress
from flows.annotate import PullSummary, PushSummary
from flows.annotate import pull as pull_flow
from flows.annotate import push as push_flow
from flows.asked import Asked
from flows.at_work import limited
from flows.crawl import crawl_from, sources_by_place, title
from flows.engine import deployment_of_run, flow, may_pass, task
from flows.erase import erase as erase_flow
from flows.erase import order as order_erasure
from flows.parity import ParitySummary
from flows.parity import parity as parity_flow
from flows.prelabel import PrelabelSummary
from flows.prelabel import prelabel as prelabel_flow
from flows.release import Proposal, ReleaseSummary
from flows.release import propose as propose_flow
from flows.release import release as release_flow
from flows.report import report as report_flow
from flows.serve_params import ServeParams, Step
from flows.serving import approval
from flows.serving.artifacts import progress_of, show_report, show_result
from flows.serving.following import start_following
from flows.verify import VerifySummary
from flows.verify import verify as verify_flow
from mirrorset.errors import (
    GateError,
    MirrorsetError,
    OverdueError,
    SettingsError,
    UnavailableError,
)
from mirrorset.records import Record
from mirrorset.workspace import Workspace, open_workspace

R = TypeVar("R")


def _absolute(home: Path) -> Path:
    if not home.is_absolute():
        raise ValueError(
            "it is no absolute path: deploy again with MIRRORSET_HOME set to the workspace's folder"
        )
    return home


Home = Annotated[
    Path,
    AfterValidator(_absolute),
    Field(
        title="Workspace",
        description="Folder of the workspace, on the machine that runs.",
        # Prefect's server knows the schema alone.
        json_schema_extra={"pattern": "^/"},
    ),
]


class Rejected(Record):
    """A release that a person does not want. by, reason: theirs."""

    version: str
    by: str
    reason: str


@flow(name="scheduled-crawl", flow_run_name="crawl {place}")
def crawl(
    home: Home,
    place: Annotated[
        str, Field(min_length=1, description="The server that is crawled, or a folder's title.")
    ],
    shards: Annotated[
        int | None, Field(ge=1, le=64, description="Processes; by itself as in params.yaml.")
    ] = None,
    is_dry_run: Annotated[bool, Field(description="Only count what would be fetched.")] = False,
) -> dict[str, CrawlSummary]:
    """Crawl what params.yaml lists of one server: bytes and receipts. Pre-labelling follows."""
    workspace = open_workspace(home)
    starts = sources_by_place(workspace).get(place)
    if not starts:
        raise SettingsError(
            f"{workspace.params_file} lists no source of {place} (any more): start `mirrorset "
            "serve` anew."
        )
    result = carried_out(
        workspace, "crawl", lambda: _crawled(workspace, starts, shards, is_dry_run)
    )
    if not is_dry_run:
        _follow(workspace, "prelabel")
    return result


def _crawled(
    workspace: Workspace, starts: list[Start], shards: int | None, is_dry_run: bool
) -> dict[str, CrawlSummary]:
    """All sources; what kept one from being crawled is raised once the others have been."""
    found: dict[str, CrawlSummary] = {}
    faults: list[MirrorsetError] = []
    for start in starts:
        try:
            found[title(start)] = crawl_from(workspace, start, shards, is_dry_run)
        except MirrorsetError as error:
            faults.append(error)
    if faults:
        raise next((one for one in faults if isinstance(one, UnavailableError)), faults[0])
    return found


@flow(name="scheduled-prelabel", flow_run_name="pre-label")
def prelabel(
    home: Home,
    workers: Annotated[
        int | None, Field(ge=1, le=256, description="Processes; by itself one a core.")
    ] = None,
) -> PrelabelSummary:
    """Have models label the images that they have not labelled. The push to annotators follows."""
    workspace = open_workspace(home)
    result = carried_out(workspace, "prelabel", lambda: prelabel_flow(home, workers))
    _follow(workspace, "push")
    return result


@flow(name="scheduled-push", flow_run_name="push to annotators")
def push(home: Home) -> PushSummary:
    """Put labelled images that no batch holds before annotators."""
    return carried_out(open_workspace(home), "push", lambda: push_flow(home))


@flow(name="scheduled-pull", flow_run_name="pull from annotators")
def pull(home: Home) -> PullSummary:
    """Take back what annotators have returned, and judge it."""
    return carried_out(open_workspace(home), "pull", lambda: pull_flow(home))


@flow(name="scheduled-verify-licences", flow_run_name="verify licences")
def verify(
    home: Home,
    is_all: Annotated[bool, Field(description="Check all receipts, not only those due.")] = False,
) -> VerifySummary:
    """Check licence receipts again; what fails goes into quarantine."""
    return carried_out(open_workspace(home), "verify", lambda: verify_flow(home, is_all))


@flow(name="scheduled-erase-due", flow_run_name="erase what is due")
def erase_due(home: Home) -> dict[str, int]:
    """Erase the images whose quarantine has expired or that were dropped, everywhere."""
    workspace = open_workspace(home)

    def erase() -> dict[str, int]:
        erasure_id = order_erasure(home, Asked(is_due=True))
        if erasure_id is None:
            return {"images": 0}
        done = erase_flow(home, erasure_id)
        return {"images": len(done.images), "unreached": len(done.unreached)}

    return carried_out(workspace, "erase_due", erase)


@flow(name="scheduled-release", flow_run_name="release")
def release(
    home: Home,
    version: Annotated[
        str | None,
        Field(pattern=r"^\d+\.\d+\.\d+$", description="As in 1.2.0; by itself the next minor one."),
    ] = None,
) -> ReleaseSummary | Rejected:
    """Release what the catalogue holds, after a person has approved it. Parity follows."""
    workspace = open_workspace(home)
    params = workspace.params("serve", ServeParams)
    if params.is_approval_needed:
        approval.heard(workspace, params.approval_days)
        while True:
            proposal = carried_out(workspace, "release", lambda: propose_flow(home, version))
            decided = _decided(workspace, proposal, params)
            if decided is not None and decided.decision == "rejected":
                rejected = Rejected(version=decided.version, by=decided.by, reason=decided.reason)
                show_result(workspace, "release", rejected)
                return rejected
            try:
                result = _released(workspace, home, version, proposal.proposal_id)
                break
            except GateError:
                # Somebody worked in between: what they did is proposed, too.
                continue
    else:
        result = _released(workspace, home, version, None)
    _follow(workspace, "parity")
    show_report(workspace, report_flow(home).report)
    return result


@flow(name="scheduled-parity", flow_run_name="parity")
def parity(home: Home) -> ParitySummary:
    """Run the models on the current release's pack as devices would, and judge what changes."""
    workspace = open_workspace(home)
    result = carried_out(workspace, "parity", lambda: parity_flow(home))
    show_report(workspace, report_flow(home).report)
    return result


def carried_out(workspace: Workspace, step: str, work: Callable[[], R]) -> R:
    """Do the work of a step within its time, again where the world outside made it fail."""
    params = workspace.params("serve", ServeParams)
    limits: Step = getattr(params, step)
    guard.start()
    doing: Any = task(
        name=step,
        timeout_seconds=limits.time_limit_s,
        retries=params.retries,
        retry_delay_seconds=exponential_backoff(params.retry_after_s),
        retry_jitter_factor=0.5,
        retry_condition_fn=may_pass,
    )(work)
    with limited(params.slot_wait_s), progress.told(progress_of(workspace, step)):
        try:
            result: R = doing()
        except TaskRunTimeoutError:
            raise OverdueError(
                f"It took longer than serve.{step}.time_limit_s, {limits.time_limit_s:g} s, and "
                "was stopped: the next run goes on where it was."
            ) from None
    show_result(workspace, step, result)
    return result


def _decided(
    workspace: Workspace, proposal: Proposal, params: ServeParams
) -> approval.Decided | None:
    """What a person said of the proposal; None where there is nothing to ask."""
    if not proposal.is_new:
        return None
    known = approval.decision_on(workspace, proposal)
    return known or approval.ask(workspace, proposal, params.approval_days)


def _released(
    workspace: Workspace, home: Path, version: str | None, approved: str | None
) -> ReleaseSummary:
    return carried_out(workspace, "release", lambda: release_flow(home, version, approved))


def _follow(workspace: Workspace, step: str) -> None:
    params = workspace.params("serve", ServeParams)
    is_wanted = {
        "prelabel": params.prelabel_after_crawl,
        "push": params.push_after_prelabel,
        "parity": params.parity_after_release,
    }[step]
    if is_wanted and deployment_of_run():
        start_following(workspace, step)
