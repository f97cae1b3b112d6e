"""What is suspicious, as issues on a CVAT server: one a finding, at the point concerned.

An issue's first comment ends in a mark, by which it is found again, so the same finding is never
told twice. When the finding is gone the issue is resolved, with a comment that says so; should it
come back, the same issue is opened again. An issue that a person resolved stays resolved: they have
looked, and think otherwise.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from annotation.checks import Finding
from annotation.cvat.connection import Connection
from annotation.cvat.frames import task_frames
from mirrorset.records import Batch, Record, Xy

# Half the side of the square that is drawn about the point, px.
_REACH_PX = 4.0
_GONE = "No longer so."
_BACK = "So again."


class Settled(Record):
    """How many issues were opened, opened again, moved to where the finding now is, resolved, and
    how many findings a person has waved through.
    """

    opened: int = 0
    reopened: int = 0
    moved: int = 0
    resolved: int = 0
    waved_through: int = 0


class _Issue(NamedTuple):
    """An issue of ours. is_ours_to_open: whether it was resolved here, not by a person."""

    issue_id: int
    position: tuple[float, ...]
    is_resolved: bool
    is_ours_to_open: bool


def settle(
    connection: Connection,
    batch: Batch,
    found: Mapping[str, Sequence[Finding]],
    left: Sequence[Finding] = (),
) -> Settled:
    """Make the issues of the batch's task say what `found` says, and nothing more.

    found: by the id of the job whose labels it is about. left: findings whose issues stay as they
    are. Issues that people opened are left alone, and a finding on a frame that is deleted is
    passed over. Raises as `Connection.call` does.
    """
    task = task_frames(connection, batch)
    if task is None:
        # `pull` says so.
        return Settled()
    known = _known(connection, batch)
    counts = dict.fromkeys(Settled.model_fields, 0)
    wanted = {_mark(finding): (job, finding) for job, each in found.items() for finding in each}
    frames = {
        image_id: number
        for number, image_id in task.image_ids.items()
        if number not in task.deleted
    }
    for mark, (job, finding) in wanted.items():
        if finding.image_id not in frames:
            continue
        frame, issue = frames[finding.image_id], known.get(mark)
        if issue is None:
            _open(connection, job, frame, finding, mark)
            counts["opened"] += 1
        elif issue.is_resolved and not issue.is_ours_to_open:
            counts["waved_through"] += 1
        elif issue.is_resolved:
            _tell(connection, issue, _BACK)
            _change(connection, issue, resolved=False, position=_position(finding.at))
            counts["reopened"] += 1
        elif issue.position != tuple(_position(finding.at)):
            _change(connection, issue, position=_position(finding.at))
            counts["moved"] += 1
    kept = {*wanted, *map(_mark, left)}
    for mark, issue in known.items():
        if mark not in kept and not issue.is_resolved:
            _tell(connection, issue, _GONE)
            _change(connection, issue, resolved=True)
            counts["resolved"] += 1
    return Settled(**counts)


def _known(connection: Connection, batch: Batch) -> dict[str, _Issue]:
    """Issues of ours in the batch's task, by mark."""
    listed = list(connection.pages("/api/issues", {"task_id": batch.task}))
    comments = _comments(connection, {issue["job"] for issue in listed})
    known = {}
    for issue in sorted(listed, key=lambda one: int(one["id"])):
        said = comments.get(issue["id"], [])
        if mark := _mark_in(said):
            known[mark] = _Issue(
                issue_id=issue["id"],
                position=tuple(issue["position"]),
                is_resolved=bool(issue["resolved"]),
                is_ours_to_open=said[-1] == _GONE,
            )
    return known


def _comments(connection: Connection, jobs: Iterable[int]) -> dict[int, list[str]]:
    """What was said on each issue of these jobs, the oldest first."""
    said: dict[int, list[str]] = defaultdict(list)
    for job in sorted(jobs):
        listed = connection.pages("/api/comments", {"job_id": job})
        for comment in sorted(listed, key=lambda one: int(one["id"])):
            said[comment["issue"]].append(comment["message"])
    return said


def _open(connection: Connection, job: str, frame: int, finding: Finding, mark: str) -> None:
    def made() -> Any:
        """The issue, where an earlier try has made it though its answer was lost."""
        comments = _comments(connection, [int(job)])
        return next((one for one, said in comments.items() if _mark_in(said) == mark), None)

    connection.call(
        "POST",
        "/api/issues",
        body={
            "job": int(job),
            "frame": frame,
            "position": _position(finding.at),
            "message": f"{finding.message} {mark}",
        },
        find=made,
    )


def _tell(connection: Connection, issue: _Issue, message: str) -> None:
    connection.call(
        "POST",
        "/api/comments",
        body={"issue": issue.issue_id, "message": message},
        is_repeatable=True,
    )


def _change(connection: Connection, issue: _Issue, **fields: object) -> None:
    connection.call("PATCH", f"/api/issues/{issue.issue_id}", body=fields)


def _position(at: Xy) -> list[float]:
    """The square about the point: left, top, right, bottom, px of the frame."""
    x, y = round(at[0], 1), round(at[1], 1)
    return [x - _REACH_PX, y - _REACH_PX, x + _REACH_PX, y + _REACH_PX]


def _mark(finding: Finding) -> str:
    """The same whichever job an image lies in: an erasure makes jobs anew, with their issues."""
    key = f"{finding.image_id} {finding.check} {finding.face_id}"
    return f"[mirrorset:{hashlib.sha256(key.encode()).hexdigest()[:12]}]"


def _mark_in(said: Sequence[str]) -> str:
    """The first mark that one of the comments ends in, or nothing."""
    marks = (re.search(r"\[mirrorset:[0-9a-f]{12}\]$", comment) for comment in said)
    return next((mark[0] for mark in marks if mark), "")
