"""Two hundred pictures with labels of every kind, and the part of these that COCO Keypoints has."""

import hashlib
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image

from annotation.exchange import image_name
from annotation.schema import LabelSchema, cvat_labels, load_label_schema
from mirrorset.blobs import BlobStore
from mirrorset.files import write_records
from mirrorset.records import Annotation, Face, ImageRecord, Landmarks, Mask

SIDE_PX = 640
_BOX = (170.0, 150.0, 470.0, 470.0)
_SIDE = 300


def schema_of(points: int) -> LabelSchema:
    """The label schema `selfie`, its skeleton cut down to so many points."""
    schema = load_label_schema()
    return schema.model_copy(
        update={
            "point_names": schema.point_names[:points],
            "layout": schema.layout[:points],
            "edges": tuple(edge for edge in schema.edges if max(edge) < points),
        }
    )


def write(folder: Path, images: int, schema: LabelSchema) -> None:
    """Make the data in the fresh `folder`: for us pictures by id, images.jsonl and labels.jsonl;
    for cvat-cli the folder peer/ with the same files, labels.json and coco.json.
    """
    draw = np.random.default_rng(7)
    (folder / "peer" / "images").mkdir(parents=True)
    blobs = BlobStore(str(folder / "blobs"))
    records, labels = [], []
    for number in range(images):
        content = _picture(draw)
        image_id = hashlib.sha256(content).hexdigest()
        record = ImageRecord(
            image_id=image_id,
            media_type="image/jpeg",
            size_bytes=len(content),
            width_px=SIDE_PX,
            height_px=SIDE_PX,
            pixel_hash=image_id,
            phash="0" * 16,
        )
        records.append(record)
        labels.append(_label(image_id, schema, draw, number))
        blobs.put(content)
        (folder / "peer" / "images" / image_name(record)).write_bytes(content)
    write_records(folder / "images.jsonl", records)
    write_records(folder / "labels.jsonl", labels)
    skeleton = [one for one in cvat_labels(schema) if one["type"] == "skeleton"]
    (folder / "peer" / "labels.json").write_text(json.dumps(skeleton))
    (folder / "peer" / "coco.json").write_text(json.dumps(_coco(records, labels, schema)))


def _picture(draw: np.random.Generator) -> bytes:
    """A JPEG of some 50 kB: smooth noise, which compresses about as a photograph does."""
    coarse = draw.integers(0, 256, (48, 48, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    image = Image.fromarray(coarse).resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC)
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _label(
    image_id: str, schema: LabelSchema, draw: np.random.Generator, number: int
) -> Annotation:
    points = np.asarray(schema.layout) / 100 * _SIDE + (170, 160) + draw.normal(0, 1, (1, 2))
    count = len(points)
    landmarks = Landmarks(
        points=tuple((round(float(x), 2), round(float(y), 2)) for x, y in points),
        visibility=tuple(1 if index % 17 == 0 else 2 for index in range(count)),
        confidence=tuple(round(float(one), 4) for one in draw.uniform(0.5, 1, count)),
    )
    face = Face(
        face_id="0",
        box=_BOX,
        score=0.93,
        landmarks={schema.skeleton.name: landmarks},
        uncertainty=number / 1000,
    )
    left, top, right, bottom = (round(value) for value in _BOX)
    row = right - left
    rle = tuple(part for _ in range(bottom - top) for part in (20, row - 40, 20))
    # Rows end and begin with background: neighbouring runs of it are one.
    joined = (20, *(part for _ in range(bottom - top - 1) for part in (row - 40, 40)), row - 40, 20)
    assert sum(rle) == sum(joined)
    mask = Mask(label="person", left=left, top=top, right=right - 1, bottom=bottom - 1, rle=joined)
    return Annotation(
        image_id=image_id,
        faces=(face,),
        tags={"lighting": "left"},
        masks=(mask,),
        origin="model",
        by="research",
        schema_version=schema.version,
        made_at=datetime(2026, 11, 23, tzinfo=UTC),
    )


def _coco(
    records: list[ImageRecord], labels: list[Annotation], schema: LabelSchema
) -> dict[str, object]:
    left, top, right, bottom = _BOX
    name = schema.skeleton.name
    return {
        "licenses": [],
        "info": {},
        "categories": [
            {
                "id": 1,
                "name": name,
                "supercategory": "",
                "keypoints": list(schema.point_names),
                "skeleton": [[a + 1, b + 1] for a, b in schema.edges],
            }
        ],
        "images": [
            {"id": number, "file_name": image_name(one), "width": SIDE_PX, "height": SIDE_PX}
            for number, one in enumerate(records, start=1)
        ],
        "annotations": [
            {
                "id": number,
                "image_id": number,
                "category_id": 1,
                "iscrowd": 0,
                "segmentation": [],
                "bbox": [left, top, right - left, bottom - top],
                "area": (right - left) * (bottom - top),
                "num_keypoints": len(schema.point_names),
                "keypoints": [
                    value
                    for (x, y), seen in zip(
                        one.faces[0].landmarks[name].points,
                        one.faces[0].landmarks[name].visibility,
                        strict=True,
                    )
                    for value in (x, y, seen)
                ],
            }
            for number, one in enumerate(labels, start=1)
        ],
    }
