"""One task on a server with its annotator, and what has been pulled of it."""

from pathlib import Path

from cvat_annotator import Annotator, Pictures, make_project, make_task
from cvat_labels import SCHEMA, label_of
from standin.server import Cvat

from annotation.batches import make_batch
from annotation.cvat.connection import Connection, connect
from annotation.cvat.pull import Stage, pull_task
from annotation.exchange import Returned
from annotation.pseudonyms import Pseudonyms
from mirrorset.records import AnnotationJob, Batch


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
