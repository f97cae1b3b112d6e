"""A person's word on a release: asked for by suspending the run, kept in a file that only grows."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import httpx
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import FlowPauseTimeout, NotPausedError, ObjectNotFound
from prefect.flow_runs import resume_flow_run, suspend_flow_run
from prefect.input import RunInput
from prefect.states import Cancelled
from pydantic import AwareDatetime, Field, ValidationError

from flows.engine import get_current_settings, run_id
from flows.prefect_server import ask as ask_server
from flows.release import Proposal
from flows.serve import served_at
from flows.serving.artifacts import keep
from flows.serving.markdown import table
from mirrorset.errors import InputError, SettingsError, first_fault
from mirrorset.files import write_text
from mirrorset.markup import escaped
from mirrorset.masking import without_user
from mirrorset.records import Record, utc_now
from mirrorset.workspace import Workspace

_PATIENCE_S = 2.0


class Approval(RunInput):
    """What is asked of a person before a release."""

    is_approved: bool = Field(title="Release it", description="Off: it is rejected.")
    by: str = Field(title="Your name", pattern=r"\S", max_length=200)
    reason: str = Field(default="", title="Why", max_length=2000)


class Asked(Record):
    """A proposal that a run waits with. run_id: of the flow run in Prefect."""

    proposal: Proposal
    run_id: str
    asked_at: AwareDatetime


class Decided(Record):
    """A line of the audit: who said what of which proposal, and when."""

    proposal_id: str
    version: str
    digest: str
    run_id: str
    decision: Literal["approved", "rejected"]
    by: str
    reason: str
    decided_at: AwareDatetime


def audit_file(workspace: Workspace) -> Path:
    """The decisions, one a line as JSON; lines are only ever added."""
    return workspace.private / "approvals" / "decisions.jsonl"


def decisions(workspace: Workspace) -> Iterator[Decided]:
    """All decisions, in the order in which they were taken."""
    file = audit_file(workspace)
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
        try:
            yield Decided.model_validate_json(line)
        except ValidationError:
            # A kill amid writing leaves a line without its end, and a decision that was not taken.
            continue


def decision_on(workspace: Workspace, proposal: Proposal) -> Decided | None:
    """The last decision on a proposal."""
    found = [one for one in decisions(workspace) if one.proposal_id == proposal.proposal_id]
    return found[-1] if found else None


def waiting(workspace: Workspace) -> Asked | None:
    """The proposal that waits for a person, if one does."""
    try:
        asked = Asked.model_validate_json(_asked_file(workspace).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return asked if decision_on(workspace, asked.proposal) is None else None


def how_ended(workspace: Workspace, asked: Asked) -> str:
    """How the run that waits has ended in Prefect, in words; "" where it has not, or its server is
    not known or does not answer at once.
    """
    named = os.environ.get("PREFECT_API_URL") or get_current_settings().api.url
    api_url = named or served_at(workspace)
    try:
        answer = ask_server(api_url, f"/flow_runs/{asked.run_id}", _PATIENCE_S)
    except (httpx.HTTPError, httpx.InvalidURL):
        return ""
    if answer.status_code == httpx.codes.NOT_FOUND:
        return f"{without_user(api_url)} does not know it"
    if not answer.is_success:
        return ""
    state = State[Any].model_validate(answer.json()["state"])
    waits_until = state.state_details.pause_timeout
    if state.is_paused() and waits_until is not None and waits_until < utc_now():
        return "it has waited for too long"
    return str(state.name) if state.is_final() else ""


def ask(workspace: Workspace, proposal: Proposal, days: float) -> Decided:
    """Suspend this run until a person has decided; when it is resumed, their decision.

    The process ends meanwhile: nothing is held. A run that waits already is cancelled, for this one
    takes its place.
    """
    own = run_id()
    before = waiting(workspace)
    if before is not None and before.run_id != own:
        _supersede(before)
    if before is None or before.proposal.proposal_id != proposal.proposal_id:
        before = Asked(proposal=proposal, run_id=own, asked_at=utc_now())
    write_text(
        _asked_file(workspace),
        before.model_copy(update={"run_id": own}).model_dump_json(indent=1) + "\n",
    )
    title = f"Release {proposal.version} waits for approval"
    keep(workspace, "release-proposal", title, described(workspace, proposal))
    return _answer(workspace, proposal, days)


def heard(workspace: Workspace, days: float) -> None:
    """Write down what a person answered that this run was suspended for, if it was."""
    before = waiting(workspace)
    if before is not None and before.run_id == run_id():
        _answer(workspace, before.proposal, days)


def decide(
    workspace: Workspace, proposal_id: str, is_approved: bool, by: str, reason: str = ""
) -> Asked:
    """Resume the run that waits, with a person's decision on the proposal that they were shown.

    Raises InputError where it waits no longer, or another has taken its place; SettingsError where
    the decision has no name to it.
    """
    try:
        answer = Approval(is_approved=is_approved, by=by, reason=reason)
    except ValidationError as error:
        field, why = first_fault(error)
        raise SettingsError(
            f"A decision is kept with the name of who took it ({field}: {why})."
        ) from None
    asked = _asked(workspace, proposal_id)
    try:
        resume_flow_run(UUID(asked.run_id), run_input=answer.model_dump())
    except FlowPauseTimeout:
        raise InputError(
            f"Release {asked.proposal.version} has waited for too long: the next run proposes it "
            "anew."
        ) from None
    except NotPausedError:
        raise InputError(
            f"Release {asked.proposal.version} was decided on, or its run has ended: Prefect's UI "
            "shows what became of it."
        ) from None
    except ObjectNotFound:
        raise InputError(
            f"This Prefect server does not know the run that proposed {asked.proposal.version}: "
            "set PREFECT_API_URL to the one that `mirrorset serve` used."
        ) from None
    return asked


def _asked(workspace: Workspace, proposal_id: str) -> Asked:
    """What waits, which must be this proposal."""
    asked = waiting(workspace)
    if asked is not None and asked.proposal.proposal_id == proposal_id:
        return asked
    decided = [one for one in decisions(workspace) if one.proposal_id == proposal_id]
    known = (
        f"Release {decided[-1].version} was {decided[-1].decision} by {decided[-1].by} already"
        if decided
        else f"Proposal {proposal_id} does not wait"
    )
    if asked is not None:
        raise InputError(
            f"{known}; {asked.proposal.proposal_id} (release {asked.proposal.version}) waits: look "
            "at it with `mirrorset release proposal`, then decide on that."
        )
    raise InputError(f"{known}, and no release of {workspace.home} waits for approval.")


def described(workspace: Workspace, proposal: Proposal) -> str:
    """A proposal for a person to read."""
    rows = [
        ("version", proposal.version),
        ("the one before", proposal.before or "none"),
        *((f"images in {split}", count) for split, count in proposal.images.items()),
        ("of these new", proposal.new_images),
        # The whole of it would be cut off in the dialogue.
        ("digest", f"{proposal.digest[:16]}…"),
        ("proposal", proposal.proposal_id),
    ]
    last = [one for one in decisions(workspace) if one.run_id == run_id()][-1:]
    changed = [
        f"{escaped(one.by)} {one.decision} proposal {one.proposal_id}, but what the catalogue "
        "holds has changed since: this is what it holds now."
        for one in last
        if one.proposal_id != proposal.proposal_id
    ]
    return "\n\n".join([*changed, table(("of the release", "value"), rows)])


def _answer(workspace: Workspace, proposal: Proposal, days: float) -> Decided:
    question: Any = Approval.with_initial_data(
        description=f"Release {escaped(proposal.version)}?\n\n{described(workspace, proposal)}",
        reason="",
    )
    # A second call with the same key returns what was answered to the first.
    answer = suspend_flow_run(
        wait_for_input=question, timeout=int(days * 86400), key=proposal.proposal_id
    )
    decided = Decided(
        proposal_id=proposal.proposal_id,
        version=proposal.version,
        digest=proposal.digest,
        run_id=run_id(),
        decision="approved" if answer.is_approved else "rejected",
        by=answer.by,
        reason=answer.reason,
        decided_at=utc_now(),
    )
    _append(audit_file(workspace), decided)
    return decided


def _append(file: Path, decided: Decided) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as lines:
        fcntl.flock(lines, fcntl.LOCK_EX)
        # Begins a line of its own, should a killed process have left half of one.
        lines.write(f"\n{decided.model_dump_json()}\n")
        lines.flush()
        os.fsync(lines.fileno())


def _asked_file(workspace: Workspace) -> Path:
    return workspace.private / "approvals" / "waiting.json"


def _supersede(asked: Asked) -> None:
    with get_client(sync_client=True) as client:
        try:
            run = client.read_flow_run(UUID(asked.run_id))
        except ObjectNotFound:
            return
        if run.state is not None and run.state.is_paused():
            state: State[None] = Cancelled(message="A later run proposes a release in its place.")
            client.set_flow_run_state(run.id, state, force=True)
