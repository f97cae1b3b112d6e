"""Tasks on a CVAT server as a push leaves them, and an annotator who edits them through its API."""

import hashlib
import io
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from PIL import Image

from annotation.conversion import to_shapes
from annotation.cvat import waiting
from annotation.cvat.connection import Connection
from annotation.cvat.shape_json import ServerLabels, to_annotations
from annotation.exchange import image_name
from annotation.schema import LabelSchema, cvat_labels
from annotation.shapes import ImageShapes
from mirrorset.records import Annotation, Batch, ImageRecord

Json = dict[str, Any]
WIDTH, HEIGHT = 64, 48


class Pictures(dict[str, bytes]):
    """Original bytes by image_id, with `get` as a blob store has it."""

    @classmethod
    def plain(cls, count: int) -> "Pictures":
        """Small pictures, each of its own colour."""
        found = cls()
        for number in range(count):
            buffer = io.BytesIO()
            colour = (number % 256, number // 256, 128)
            Image.new("RGB", (WIDTH, HEIGHT), colour).save(buffer, "PNG")
            found[hashlib.sha256(buffer.getvalue()).hexdigest()] = buffer.getvalue()
        return found

    def records(self) -> list[ImageRecord]:
        return [
            ImageRecord(
                image_id=image_id,
                media_type="image/png",
                size_bytes=len(content),
                width_px=WIDTH,
                height_px=HEIGHT,
                pixel_hash=image_id,
                phash="0" * 16,
            )
            for image_id, content in self.items()
        ]


def make_project(connection: Connection, schema: LabelSchema) -> int:
    spec = {"name": f"pull {secrets.token_hex(4)}", "labels": cvat_labels(schema)}
    return int(connection.call("POST", "/api/projects", body=spec)["id"])


def make_task(
    connection: Connection,
    project: int,
    batch: Batch,
    pictures: Pictures,
    annotations: Sequence[Annotation],
    schema: LabelSchema,
    **spec: object,
) -> Batch:
    """The batch as a task with its labels; spec: segment_size, overlap, consensus_replicas."""
    task = connection.call(
        "POST",
        "/api/tasks",
        body={
            "name": batch.batch_id,
            "project_id": project,
            "bug_tracker": f"mirrorset:{batch.batch_id}",
            **spec,
        },
    )["id"]
    names = {image.image_id: image_name(image) for image in pictures.records()}
    order = [names[image_id] for image_id in batch.image_ids]
    path = f"/api/tasks/{task}/data/"
    connection.call("POST", path, headers={"Upload-Start": "true"}, find=dict)
    connection.call(
        "POST",
        path,
        headers={"Upload-Multiple": "true"},
        files=[
            (f"client_files[{index}]", (names[one], pictures[one], "image/png"))
            for index, one in enumerate(batch.image_ids)
        ],
        find=dict,
    )
    started = connection.call(
        "POST",
        path,
        headers={"Upload-Finish": "true"},
        body={"image_quality": 90, "sorting_method": "predefined", "upload_file_order": order},
        find=dict,
    )
    waiting.wait(connection, started["rq_id"], f"making task {task}")
    label_by_id = {label.image_id: label for label in annotations}
    shapes = {
        frame: to_shapes(label_by_id[one], names[one], WIDTH, HEIGHT, schema)
        for frame, one in enumerate(batch.image_ids)
    }
    put(connection, f"/api/tasks/{task}", project, shapes)
    return batch.model_copy(
        update={"server": connection.url, "project": str(project), "task": str(task)}
    )


def put(connection: Connection, path: str, project: int, shapes: Mapping[int, ImageShapes]) -> None:
    labels = ServerLabels(connection.pages("/api/labels", {"project_id": project}))
    connection.call("PUT", f"{path}/annotations/", body=to_annotations(shapes, labels))


class Annotator:
    """A person in CVAT's editor: loads a job, changes shapes, saves, sets the job's state.

    What the editor saves of a changed shape has the source "manual"; of one that a model drew,
    "semi-auto".
    """

    def __init__(self, connection: Connection, project: int) -> None:
        self._connection = connection
        self._labels = list(connection.pages("/api/labels", {"project_id": project}))

    def jobs(self, batch: Batch, kind: str = "annotation") -> list[Json]:
        """The task's jobs of a kind, in frame order."""
        listed = self._connection.pages("/api/jobs", {"task_id": batch.task})
        return sorted(
            (job for job in listed if job["type"] == kind),
            key=lambda job: (job["start_frame"], job["id"]),
        )

    def label(self, name: str) -> Json:
        return next(label for label in self._labels if label["name"] == name)

    def shapes(self, job: Json, frame: int, label: str | None = None) -> list[Json]:
        return self.on_frame(self.load(job), frame, label)

    def load(self, job: Json) -> Json:
        """All that is on a job, as the editor has it when it is opened."""
        answer: Json = self._connection.call("GET", f"/api/jobs/{job['id']}/annotations/")
        return answer

    def on_frame(self, loaded: Json, frame: int, label: str | None = None) -> list[Json]:
        return [
            shape
            for shape in loaded["shapes"]
            if shape["frame"] == frame
            and (label is None or shape["label_id"] == self.label(label)["id"])
        ]

    def change(self, job: Json, shape: Json, edit: Callable[[Json], None]) -> None:
        """Change one shape in place and save it."""
        edit(shape)
        shape["source"] = "semi-auto" if shape["source"] == "auto" else "manual"
        self._save(job, "update", shapes=[shape])

    def delete(self, job: Json, *shapes: Json) -> None:
        self._save(job, "delete", shapes=list(shapes))

    def draw(self, job: Json, frame: int, label: str, kind: str, points: list[float]) -> None:
        shape = self._new(frame, label) | {
            "type": kind,
            "points": points,
            "occluded": False,
            "outside": False,
            "z_order": 0,
            "rotation": 0.0,
        }
        self._save(job, "create", shapes=[shape])

    def tag(self, job: Json, frame: int, label: str, value: str | None = None) -> None:
        self._save(job, "create", tags=[self._new(frame, label, value)])

    def untag(self, job: Json, frame: int, label: str) -> None:
        own = [
            tag
            for tag in self.load(job)["tags"]
            if tag["frame"] == frame and tag["label_id"] == self.label(label)["id"]
        ]
        self._save(job, "delete", tags=own)

    def set(self, job: Json, **fields: object) -> None:
        """stage, state, assignee (a user id)."""
        self._connection.call("PATCH", f"/api/jobs/{job['id']}", body=fields)

    def finish(self, *jobs: Json) -> None:
        for job in jobs:
            self.set(job, state="completed")

    def _new(self, frame: int, label: str, value: str | None = None) -> Json:
        named = self.label(label)
        attributes = [
            {"spec_id": spec["id"], "value": spec["default_value"]} for spec in named["attributes"]
        ]
        if value is not None:
            attributes[0]["value"] = value
        return {
            "frame": frame,
            "label_id": named["id"],
            "group": 0,
            "source": "manual",
            "attributes": attributes,
        }

    def _save(
        self, job: Json, action: str, shapes: Iterable[Json] = (), tags: Iterable[Json] = ()
    ) -> None:
        self._connection.call(
            "PATCH",
            f"/api/jobs/{job['id']}/annotations/",
            query={"action": action},
            body={"version": 0, "shapes": list(shapes), "tags": list(tags), "tracks": []},
            find=lambda: None,
        )


def set_attribute(label: Json, shape: Json, name: str, value: str) -> None:
    """Set an attribute of a shape by its name."""
    spec_id = next(spec["id"] for spec in label["attributes"] if spec["name"] == name)
    shape["attributes"] = [one for one in shape["attributes"] if one["spec_id"] != spec_id] + [
        {"spec_id": spec_id, "value": value}
    ]
