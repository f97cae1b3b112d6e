"""One task on a server with its annotator, what was pulled of it, and what people see of it."""

from pathlib import Path
from typing import Any

from cvat_annotator import Annotator, Pictures, make_project, make_task
from cvat_labels import SCHEMA, label_of
from standin.server import Cvat

from annotation.batches import make_batch
from annotation.cvat.connection import Connection, connect
from annotation.cvat.pull import Stage, pull_task
from annotation.exchange import Returned
from annotation.pseudonyms import Pseudonyms
from mirrorset.records import AnnotationJob, Batch

Json = dict[str, Any]


class Room:
    """spec: segment_size, overlap, consensus_replicas of the task."""

    def __init__(self, cvat: Cvat, folder: Path, images: int = 4, **spec: object) -> None:
        self.connection: Connection = connect(cvat.url, cvat.token)
        self.pictures = Pictures.plain(images)
        self.project = make_project(self.connection, SCHEMA)
        labels = [label_of(image_id) for image_id in self.pictures]
        self.batch: Batch = make_task(
            self.connection,
            self.project,
            make_batch(list(self.pictures), SCHEMA.version),
            self.pictures,
            labels,
            SCHEMA,
            **spec,
        )
        self.annotator = Annotator(self.connection, self.project)
        self.pseudonyms = Pseudonyms(folder / "annotators.json")
        self.known: tuple[AnnotationJob, ...] = ()

    def pull(self, done_at: Stage = "annotation") -> Returned | None:
        returned = pull_task(self.connection, self.batch, self.known, self.pseudonyms, done_at)
        if returned is not None:
            self.known = returned.jobs
        return returned

    def frames(self, returned: Returned | None) -> list[int]:
        assert returned is not None
        return [self.batch.image_ids.index(image.image_id) for image in returned.images]

    def close(self) -> None:
        self.connection.call("DELETE", f"/api/projects/{self.project}")


def seen(connection: Connection, batch: Batch) -> Json:
    """All that people see in a task, by the names of its frames and without ids."""
    call = connection.call
    meta = call("GET", f"/api/tasks/{batch.task}/data/meta")
    names = [frame["name"] for frame in meta["frames"]]

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {
                key: names[inner] if key == "frame" else plain(inner)
                for key, inner in sorted(value.items())
                if key != "id"
            }
        return sorted(map(plain, value), key=repr) if is_set(value) else value

    def is_set(value: Any) -> bool:
        return isinstance(value, list) and bool(value) and isinstance(value[0], dict)

    jobs = sorted(
        connection.pages("/api/jobs", {"task_id": batch.task}),
        key=lambda job: (job["type"], job["start_frame"], job["id"]),
    )
    return {
        "task": {
            key: call("GET", f"/api/tasks/{batch.task}")[key]
            for key in ("name", "bug_tracker", "project_id", "overlap", "segment_size")
        },
        "deleted": sorted(names[number] for number in meta["deleted_frames"]),
        "names": names,
        "jobs": [
            {
                "kind": job["type"],
                "stage": job["stage"],
                "state": job["state"],
                "assignee": job["assignee"] and job["assignee"]["username"],
                "labels": plain(call("GET", f"/api/jobs/{job['id']}/annotations/")),
                "issues": [
                    (names[issue["frame"]], issue["position"], issue["resolved"])
                    for issue in connection.pages("/api/issues", {"job_id": job["id"]})
                ],
            }
            for job in jobs
        ],
    }


def without(told: Json, name: str) -> Json:
    """What is expected once the frame `name` is gone."""
    empty = f"erased-{told['names'].index(name):06}.png"

    def left(labels: Json) -> Json:
        return {
            kind: [one for one in value if one["frame"] != name]
            if isinstance(value, list)
            else value
            for kind, value in labels.items()
        }

    return told | {
        "names": [empty if one == name else one for one in told["names"]],
        "deleted": sorted([*(one for one in told["deleted"] if one != name), empty]),
        "jobs": [
            job
            | {
                "labels": left(job["labels"]),
                "issues": [issue for issue in job["issues"] if issue[0] != name],
            }
            for job in told["jobs"]
        ],
    }
