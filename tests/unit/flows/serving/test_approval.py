"""The audit of decisions: lines that are only added, and one that a kill has cut."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from flows.release import Proposal
from flows.serving.approval import (
    Approval,
    Decided,
    _append,
    audit_file,
    decision_on,
    decisions,
    waiting,
)
from mirrorset.settings import Settings
from mirrorset.workspace import Workspace

_PROPOSAL = Proposal(
    proposal_id="0" * 16,
    version="1.2.0",
    digest="d" * 64,
    before="1.1.0",
    images={"test": 1, "train": 7},
    new_images=2,
    is_new=True,
)


def decided(decision: str, by: str = "Ada") -> Decided:
    return Decided.model_validate(
        {
            **_PROPOSAL.model_dump(include={"proposal_id", "version", "digest"}),
            "run_id": "run",
            "decision": decision,
            "by": by,
            "reason": "",
            "decided_at": datetime(2026, 1, 2, tzinfo=UTC),
        }
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, Settings())


def test_the_last_decision_counts_and_none_is_lost(workspace: Workspace) -> None:
    assert list(decisions(workspace)) == []
    assert decision_on(workspace, _PROPOSAL) is None
    assert waiting(workspace) is None
    file = audit_file(workspace)
    _append(file, decided("rejected", "Bob"))
    before = file.read_bytes()
    with file.open("ab") as lines:
        lines.write(b'{"proposal_id": "00')  # killed amid writing
    _append(file, decided("approved"))
    assert file.read_bytes().startswith(before)
    assert [one.by for one in decisions(workspace)] == ["Bob", "Ada"]
    assert decision_on(workspace, _PROPOSAL) == decided("approved")
    other = _PROPOSAL.model_copy(update={"proposal_id": "1" * 16})
    assert decision_on(workspace, other) is None


@pytest.mark.parametrize("by", ["", " ", "\n", "a" * 201])
def test_a_decision_has_a_name_to_it(by: str) -> None:
    with pytest.raises(ValidationError):
        Approval(is_approved=True, by=by)
