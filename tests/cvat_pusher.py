"""A batch of pictures with labels, pushed to a CVAT server, and what the server then holds."""

import json
from collections.abc import Sequence
from pathlib import Path

from cvat_annotator import Pictures
from cvat_labels import SCHEMA, label_of
from standin.server import Cvat

from annotation.batches import BatchParams, make_batch
from annotation.cvat.connection import Connection, connect
from annotation.cvat.exchange import ServerExchange
from annotation.cvat.shape_json import Frame, ServerLabels, from_annotations
from annotation.outgoing import outgoing
from annotation.pseudonyms import Pseudonyms
from mirrorset.records import Batch


class Pusher:
    """Pictures with labels, and what carries them to a server."""

    def __init__(
        self,
        cvat: Cvat,
        home: Path,
        images: int = 4,
        assignees: Sequence[str] = (),
        **params: object,
    ) -> None:
        self.cvat = cvat
        self.home = home
        self.params = BatchParams.model_validate(params)
        self.assignees = assignees
        self.pictures = Pictures.plain(images)
        self.labels = [
            label_of(image_id, uncertainty=number / 100)
            for number, image_id in enumerate(self.pictures)
        ]
        self.planned = make_batch(list(self.pictures), SCHEMA.version)
        self.renew()

    def renew(self) -> None:
        """Another connection, as another process has one."""
        self.connection: Connection = connect(*self.address, patience_s=20)

    @property
    def address(self) -> tuple[str, str]:
        return self.cvat.url, self.cvat.token

    def __getstate__(self) -> dict[str, object]:
        """What another process may have of it: neither the server nor the connection."""
        here = ("cvat", "connection")
        return {name: value for name, value in vars(self).items() if name not in here}

    def exchange(self, connection: Connection | None = None) -> ServerExchange:
        names = Pseudonyms(self.home / "annotators.json")
        return ServerExchange(
            connection or self.connection,
            names,
            self.params,
            assignees=self.assignees,
            title="faces",
        )

    def push(self, batch: Batch | None = None, connection: Connection | None = None) -> Batch:
        return self.exchange(connection).push(
            batch or self.planned, self.pictures.records(), self.pictures, self.labels, SCHEMA
        )

    def tasks(self) -> list[dict]:
        return [
            task
            for task in self.connection.pages("/api/tasks")
            if self.planned.batch_id in task["bug_tracker"]
        ]

    def jobs(self, batch: Batch) -> list[dict]:
        listed = self.connection.pages("/api/jobs", {"task_id": batch.task})
        return sorted(listed, key=lambda job: job["id"])

    def held(self, path: str, batch: Batch) -> dict[int, object]:
        """The shapes at a task's or job's annotations, by frame, source left out."""
        labels = ServerLabels(self.connection.pages("/api/labels", {"task_id": batch.task}))
        answer = self.connection.call("GET", f"{path}/annotations/")
        meta = self.connection.call("GET", f"/api/tasks/{batch.task}/data/meta")
        frames = {
            number: Frame(name=one["name"], width_px=one["width"], height_px=one["height"])
            for number, one in enumerate(meta["frames"])
        }
        return {
            frame: plain(shapes)
            for frame, shapes in from_annotations(answer, frames, labels).items()
            if shapes.every()
        }

    def sent(self, batch: Batch) -> dict[int, object]:
        ready = outgoing(batch, self.pictures.records(), self.labels, SCHEMA)
        return {frame: plain(one.shapes) for frame, one in enumerate(ready)}


def plain(shapes: object) -> object:
    """Shapes as data in which order and source do not count."""
    text = json.loads(shapes.model_dump_json())  # type: ignore[attr-defined]

    def sorted_(value: object) -> object:
        if isinstance(value, dict):
            return {k: sorted_(v) for k, v in value.items() if k != "source"}
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return sorted((sorted_(one) for one in value), key=json.dumps)
        return value

    return sorted_(text)
