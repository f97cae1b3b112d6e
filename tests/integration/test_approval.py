"""A person's word on a release: who is asked, what an answer is good for, and what is kept."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from deployed_runs import Runs, deployed_runs
from made_images import fill
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterDeploymentId,
)
from prefect.client.schemas.objects import StateType
from prefect.flow_runs import resume_flow_run
from prefect.states import Cancelling

from flows.engine import flow
from flows.overview import overview
from flows.release import Proposal
from flows.run_notes import read_notes
from flows.serving import approval, registry, steps
from flows.serving.approval import Decided
from flows.serving.deployments import deployments_of
from mirrorset.commands import git
from mirrorset.errors import InputError, SettingsError
from mirrorset.load import open_release
from mirrorset.workspace import Workspace, init, open_workspace

_DAYS = 1.0
#: Tests that run at the same time share Prefect's database.
_NAME = f"approval-{os.getpid()}"
_PARAMS = f"""\
dataset: {{name: {_NAME}, is_unreviewed: true}}
responsible: {{}}
select: {{}}
group: {{}}
ledger: {{seed: approved}}
pack: {{}}
parity: {{}}
"""


@flow(name="proposes")
def proposes(home: Path) -> Decided:
    """What `scheduled-release` does about a proposal, with one that the test has made."""
    workspace = open_workspace(home)
    approval.heard(workspace, _DAYS)
    proposal = Proposal.model_validate_json((home / "proposal.json").read_bytes())
    return approval.decision_on(workspace, proposal) or approval.ask(workspace, proposal, _DAYS)


def propose(workspace: Workspace, number: int) -> Proposal:
    """What the catalogue is taken to hold from now on."""
    proposal = Proposal(
        proposal_id=f"{number:016x}",
        version=f"0.{number}.0",
        digest=f"{number:064x}",
        before="",
        images={"train": number},
        new_images=number,
        is_new=True,
    )
    (workspace.home / "proposal.json").write_text(proposal.model_dump_json())
    return proposal


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    home = tmp_path / "faces"
    init(home).params_file.write_text(_PARAMS)
    return open_workspace(home)


@pytest.fixture
def runs(prefect: None, workspace: Workspace) -> Iterator[Runs]:
    with deployed_runs() as runs:
        proposes.to_deployment(
            name=_NAME, parameters={"home": str(workspace.home)}, paused=False
        ).apply()
        yield runs


def asked(runs: Runs) -> UUID:
    """A run that waits for a person."""
    run = runs.begun(f"proposes/{_NAME}")
    state = runs.done(proposes, run)
    assert state.type == StateType.PAUSED, state
    return run


def by_command(workspace: Workspace, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name("mirrorset"), "release", *words],
        cwd=workspace.home,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_an_answer_holds_for_what_was_shown_and_is_given_once(
    workspace: Workspace, runs: Runs
) -> None:
    first = propose(workspace, 1)
    run = asked(runs)
    assert approval.waiting(workspace).proposal == first
    (note,) = read_notes(workspace.private)
    assert (note.state, note.fault) == ("waiting", "It waits for a person's approval.")
    with pytest.raises(InputError, match=r"1 \(release 0\.1\.0\) waits: look at it"):
        approval.decide(workspace, "f" * 16, True, "Ada")
    with pytest.raises(SettingsError, match="name of who took it"):
        approval.decide(workspace, first.proposal_id, True, " ")

    approval.decide(workspace, first.proposal_id, True, "Ada", "enough faces")
    with pytest.raises(InputError, match="was decided on"):
        approval.decide(workspace, first.proposal_id, False, "Bob")
    state = runs.done(proposes, run)
    decided = state.result()
    assert (decided.decision, decided.by, decided.reason) == ("approved", "Ada", "enough faces")
    assert (decided.digest, decided.run_id) == (first.digest, str(run))
    with pytest.raises(InputError, match="was approved by Ada already"):
        approval.decide(workspace, first.proposal_id, True, "Bob")
    assert [one.by for one in approval.decisions(workspace)] == ["Ada"]
    # Who comes later need not ask.
    assert runs.done(proposes, runs.begun(f"proposes/{_NAME}")).result() == decided


def test_what_has_changed_since_is_shown_anew(workspace: Workspace, runs: Runs) -> None:
    stale = propose(workspace, 1)
    run = asked(runs)
    resume_flow_run(run, run_input={"is_approved": True, "by": "A|da", "reason": ""})
    now = propose(workspace, 2)
    state = runs.done(proposes, run)
    assert state.type == StateType.PAUSED
    assert approval.waiting(workspace).proposal == now
    of_run = ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run]))
    (shown,) = [
        one.data
        for one in runs.client.read_artifacts(artifact_filter=of_run, sort="CREATED_DESC")[:1]
    ]
    assert shown.startswith(rf"A\|da approved proposal {stale.proposal_id}, but what the catalogue")
    with pytest.raises(InputError, match=rf"was approved by A.*; {now.proposal_id} .*waits: look"):
        approval.decide(workspace, stale.proposal_id, True, "Ada")
    approval.decide(workspace, now.proposal_id, False, "Eve")
    assert runs.done(proposes, run).result().decision == "rejected"
    assert [(one.version, one.decision) for one in approval.decisions(workspace)] == [
        ("0.1.0", "approved"),
        ("0.2.0", "rejected"),
    ]


def test_next_weeks_proposal_takes_the_place_of_one_that_waits(
    workspace: Workspace, runs: Runs
) -> None:
    before = propose(workspace, 1)
    first = asked(runs)
    same = asked(runs)
    assert runs.read(first).state.type == StateType.CANCELLED
    assert runs.read(first).state.message == "A later run proposes a release in its place."
    now = propose(workspace, 2)
    last = asked(runs)
    assert runs.read(same).state.type == StateType.CANCELLED
    with pytest.raises(InputError, match="look at it with `mirrorset release proposal`"):
        approval.decide(workspace, before.proposal_id, True, "Ada")
    shown = json.loads(by_command(workspace, "proposal", "--json").stdout)
    assert shown["run_id"] == str(last)
    told = by_command(workspace, "approve", shown["proposal"]["proposal_id"], "--by", "Ada")
    assert told.returncode == 0, told.stderr
    assert runs.done(proposes, last).result().version == now.version
    with pytest.raises(InputError, match=r"no release of .* waits"):
        approval.decide(workspace, "f" * 16, True, "Ada")


def test_an_answer_without_a_name_is_refused_by_the_server(
    workspace: Workspace, runs: Runs
) -> None:
    propose(workspace, 1)
    run = asked(runs)
    for answer in ({"is_approved": True}, {"is_approved": True, "by": " "}, {"by": "Ada"}):
        with pytest.raises(RuntimeError, match="Cannot resume this run"):
            resume_flow_run(run, run_input=answer)
    assert runs.read(run).state.type == StateType.PAUSED
    (stuck,) = overview(workspace.home).stuck
    assert "mirrorset release approve 0000000000000001 --by" in stuck.remedy

    # As the button in Prefect's UI does.
    runs.client.set_flow_run_state(run, Cancelling())
    (stuck,) = overview(workspace.home).stuck
    assert stuck.what == "The run that waited for approval of release 0.1.0 has ended (Cancelled)"
    told = by_command(workspace, "proposal")
    assert (told.returncode, "has ended (Cancelled)" in told.stderr) == (3, True)


@pytest.mark.thorough  # four proposals, a release and its parity: DVC is started often
def test_what_was_shown_is_released_and_what_was_rejected_leaves_nothing(
    prefect: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRRORSET_CACHE", str(tmp_path / "cache"))
    home = tmp_path / "released"
    init(home, str(tmp_path / "remote")).params_file.write_text(_PARAMS)
    workspace = open_workspace(home)
    fill(workspace, range(8))
    registry.registered(workspace, deployments_of(workspace), 1)
    head = git(home, "rev-parse", "HEAD")
    with deployed_runs() as runs:
        run = runs.begun(f"scheduled-release/{_NAME}")
        runs.done(steps.release, run)
        approval.decide(workspace, approval.waiting(workspace).proposal.proposal_id, False, "Eve")
        for one in (run, runs.begun(f"scheduled-release/{_NAME}")):
            assert runs.done(steps.release, one).result().by == "Eve"
        assert git(home, "tag") == ""
        assert git(home, "rev-parse", "HEAD") == head
        assert approval.waiting(workspace) is None
        with workspace.locked():  # nobody has it
            fill(workspace, range(8, 12))

        run = runs.begun(f"scheduled-release/{_NAME}")
        runs.done(steps.release, run)
        shown = approval.waiting(workspace).proposal
        resume_flow_run(run, run_input={"is_approved": True, "by": "Ada", "reason": ""})
        summary = runs.done(steps.release, run).result()
        parity = runs.client.read_deployment_by_name(f"scheduled-parity/{_NAME}").id
        of_parity = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[parity]))
        (following,) = runs.client.read_flow_runs(flow_run_filter=of_parity)
        # Its pictures are noise, in which no model finds anything to compare.
        assert runs.done(steps.parity, following.id).type == StateType.FAILED
    assert (summary.version, summary.digest) == (shown.version, shown.digest)
    assert summary.images == sum(shown.images.values()) == 12
    last = next(iter(read_notes(workspace.private)))
    assert (last.flow, last.state) == ("scheduled-parity", "failed")
    assert f"{_NAME}/{shown.version} holds no face" in last.fault
    assert (home / "report/index.html").is_file()
    release = open_release(workspace.release(_NAME, shown.version))
    release.verify()
    assert git(home, "tag") == f"{_NAME}-{shown.version}"
    assert git(home, "status", "--porcelain") == ""
    assert [(one.by, one.digest == shown.digest) for one in approval.decisions(workspace)] == [
        ("Eve", False),
        ("Ada", True),
    ]
