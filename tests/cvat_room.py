"""One task on a server with its annotator, and what has been pulled of it."""

from datetime import UTC, datetime
from pathlib import Path

from cvat_annotator import Annotator, Pictures, make_project, make_task
from standin.server import Cvat

from annotation.batches import make_batch
from annotation.cvat.connection import Connection, connect
from annotation.cvat.pull import Stage, pull_task
from annotation.exchange import Returned
from annotation.pseudonyms import Pseudonyms
from annotation.schema import load_label_schema
from mirrorset.records import Annotation, AnnotationJob, Batch, Face, Landmarks, Mask

SCHEMA = load_label_schema()


def label_of(image_id: str) -> Annotation:
    """One face with all its points, a mask and a tag."""
    points = tuple((round(8 + x * 0.4, 2), round(4 + y * 0.4, 2)) for x, y in SCHEMA.layout)
    return Annotation(
        image_id=image_id,
        faces=(
            Face(
                face_id="0",
                box=(8.0, 4.0, 48.0, 44.0),
                score=0.87,
                landmarks={
                    "ibug68": Landmarks(
                        points=points,
                        visibility=(2, 1, 0, *(2,) * 65),
                        confidence=tuple(round(0.5 + i / 200, 4) for i in range(68)),
                    )
                },
            ),
        ),
        tags={"lighting": "left"},
        masks=(Mask(label="person", left=10, top=20, right=13, bottom=21, rle=(1, 2, 2, 3)),),
        origin="model",
        by="research",
        schema_version=SCHEMA.version,
        made_at=datetime(2026, 11, 23, tzinfo=UTC),
    )


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
