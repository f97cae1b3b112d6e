"""What is suspicious becomes an issue at its point, once, and goes when it is gone."""

from collections.abc import Iterator

import pytest
from cvat_annotator import Annotator, Pictures, make_project, make_task
from standin.server import Cvat

from annotation.batches import make_batch
from annotation.checks import Finding
from annotation.cvat.connection import Connection, connect
from annotation.cvat.issues import Settled, settle
from annotation.schema import load_label_schema
from mirrorset.records import Annotation, Batch, utc_now

SCHEMA = load_label_schema()


class Task:
    """One task of four frames and two jobs."""

    def __init__(self, cvat: Cvat) -> None:
        self.connection: Connection = connect(cvat.url, cvat.token)
        pictures = Pictures.plain(4)
        self.project = make_project(self.connection, SCHEMA)
        labels = [
            Annotation(
                image_id=image_id,
                faces=(),
                origin="model",
                by="research",
                schema_version=SCHEMA.version,
                made_at=utc_now(),
            )
            for image_id in pictures
        ]
        self.batch: Batch = make_task(
            self.connection,
            self.project,
            make_batch(list(pictures), SCHEMA.version),
            pictures,
            labels,
            SCHEMA,
            segment_size=2,
        )
        annotator = Annotator(self.connection, self.project)
        self.jobs = [str(job["id"]) for job in annotator.jobs(self.batch)]

    def issues(self) -> list[dict]:
        listed = self.connection.pages("/api/issues", {"task_id": self.batch.task})
        return sorted(listed, key=lambda issue: issue["id"])

    def comments(self, issue: dict) -> list[str]:
        listed = self.connection.pages("/api/comments", {"issue_id": issue["id"]})
        return [one["message"] for one in sorted(listed, key=lambda one: one["id"])]

    def finding(self, frame: int, at: tuple[float, float] = (20.0, 12.5)) -> Finding:
        return Finding(
            image_id=self.batch.image_ids[frame],
            check="sides_kept",
            face_id="0",
            at=at,
            message="Points are swapped.",
        )

    def settle(self, found: dict[str, list[Finding]], *left: Finding) -> Settled:
        return settle(self.connection, self.batch, found, left)


@pytest.fixture
def task(cvat: Cvat) -> Iterator[Task]:
    made = Task(cvat)
    yield made
    made.connection.call("DELETE", f"/api/projects/{made.project}")


def test_what_is_not_known_now_stays_as_it_was_told(task: Task) -> None:
    """As after an erasure: the task has other jobs, and the labels were read in those before."""
    told, waved = task.finding(3), task.finding(2)
    assert task.settle({task.jobs[1]: [told]}) == Settled(opened=1)
    assert task.settle({}, told, waved) == Settled()
    (issue,) = task.issues()
    assert not issue["resolved"]
    assert task.settle({}, waved) == Settled(resolved=1)
    assert task.settle({}, told) == Settled()
    (issue,) = task.issues()
    assert issue["resolved"]


def test_a_task_that_is_gone_stops_nobody(task: Task) -> None:
    task.connection.call("DELETE", f"/api/tasks/{task.batch.task}")
    assert task.settle({task.jobs[1]: [task.finding(3)]}) == Settled()


def test_an_issue_is_opened_once_at_the_point(task: Task) -> None:
    found = {task.jobs[1]: [task.finding(3)]}
    assert task.settle(found) == Settled(opened=1)
    (issue,) = task.issues()
    assert (issue["frame"], issue["job"], issue["resolved"]) == (3, int(task.jobs[1]), False)
    left, top, right, bottom = issue["position"]
    assert ((left + right) / 2, (top + bottom) / 2) == (20.0, 12.5)
    (said,) = task.comments(issue)
    assert said.startswith("Points are swapped. [mirrorset:")
    assert task.settle(found) == Settled()
    assert task.issues() == [issue]


def test_two_faces_and_two_checks_are_different_findings(task: Task) -> None:
    one = task.finding(0)
    others = [one, one.model_copy(update={"face_id": "1"}), one.model_copy(update={"check": "x"})]
    assert task.settle({task.jobs[0]: others}) == Settled(opened=3)


def test_it_moves_with_its_point_and_is_resolved_when_gone(task: Task) -> None:
    job = task.jobs[0]
    task.settle({job: [task.finding(0)]})
    assert task.settle({job: [task.finding(0, at=(30.0, 8.0))]}) == Settled(moved=1)
    assert task.issues()[0]["position"] == [26.0, 4.0, 34.0, 12.0]
    assert task.settle({}) == Settled(resolved=1)
    (issue,) = task.issues()
    assert issue["resolved"]
    assert task.settle({}) == Settled()


def test_what_comes_back_is_the_same_issue_opened_again(task: Task) -> None:
    found = {task.jobs[0]: [task.finding(0)]}
    task.settle(found)
    task.settle({})
    assert task.settle(found) == Settled(reopened=1)
    (issue,) = task.issues()
    assert not issue["resolved"]
    assert len(task.comments(issue)) == 3
    assert task.settle(found) == Settled()


def test_what_a_person_resolved_stays_resolved(task: Task) -> None:
    found = {task.jobs[0]: [task.finding(0)]}
    task.settle(found)
    (issue,) = task.issues()
    task.connection.call("PATCH", f"/api/issues/{issue['id']}", body={"resolved": True})
    assert task.settle(found) == Settled(waved_through=1)
    assert task.settle({}) == Settled()
    assert len(task.issues()) == 1


def test_peoples_own_issues_are_left_alone(task: Task) -> None:
    own = {"job": int(task.jobs[0]), "frame": 1, "position": [1, 1, 5, 5], "message": "What?"}
    task.connection.call("POST", "/api/issues", body=own)
    (before,) = task.issues()
    assert task.settle({}) == Settled()
    assert task.settle({task.jobs[0]: [task.finding(1)]}) == Settled(opened=1)
    assert task.settle({}) == Settled(resolved=1)
    assert task.issues()[0] == before
