"""Labels of every kind that a model gives a picture of 64×48 px, to go to a CVAT server."""

from datetime import UTC, datetime

from annotation.schema import load_label_schema
from mirrorset.records import Annotation, Face, Landmarks, Mask

SCHEMA = load_label_schema()


def label_of(image_id: str, uncertainty: float | None = None) -> Annotation:
    """A face with visible, occluded and outside points, a mask and a tag."""
    points = tuple((round(8 + x * 0.4, 2), round(4 + y * 0.4, 2)) for x, y in SCHEMA.layout)
    count = len(points)
    landmarks = Landmarks(
        points=points,
        visibility=(2, 1, 0, *(2,) * (count - 3)),
        confidence=tuple(round(0.5 + i / 200, 4) for i in range(count)),
    )
    return Annotation(
        image_id=image_id,
        faces=(
            Face(
                face_id="0",
                box=(8.0, 4.0, 48.0, 44.0),
                score=0.87,
                landmarks={SCHEMA.skeleton.name: landmarks},
                uncertainty=uncertainty,
            ),
        ),
        tags={"lighting": "left"},
        masks=(Mask(label="person", left=10, top=20, right=13, bottom=21, rle=(1, 2, 2, 3)),),
        origin="model",
        by="research",
        schema_version=SCHEMA.version,
        made_at=datetime(2026, 11, 23, tzinfo=UTC),
    )
