"""Releases of real portraits that people marked (the Face Research Lab London Set)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from frl_template import read_template
from numpy.typing import NDArray

from curation.build import build
from curation.records import Attribution
from mirrorset.blobs import BlobStore
from mirrorset.files import write_records
from mirrorset.params import DatasetParams, Responsible
from mirrorset.pixels import PixelParams, inspect
from mirrorset.records import (
    Annotation,
    DatasetItem,
    Evidence,
    Face,
    Landmarks,
    Licence,
    Lighting,
    LightSide,
    Origin,
    Pose,
    Sighting,
    Split,
)

WHEN = datetime(2026, 1, 1, tzinfo=UTC)
# ibug68 → the Face Research Lab's template, where both mark the same place; the tip of the nose
# (30) is not in the template.
TEMPLATE = {36: 18, 39: 22, 42: 23, 45: 27, 33: 55, 48: 87, 54: 93, 51: 90, 57: 106, 8: 129}


@dataclass(frozen=True)
class Portrait:
    """An encoded picture with its face, and the split of the release that it goes to."""

    content: bytes
    face: Face
    split: Split = "test"


def human_face(
    template: NDArray[np.float64], light: LightSide = "front", roll_deg: float = 0.0
) -> Face:
    """The face with the human-placed `template` (189, 2) px."""
    points = [(0.0, 0.0)] * 68
    for index, place in TEMPLATE.items():
        points[index] = (float(template[place][0]), float(template[place][1]))
    (left, right), chin = (points[36], points[45]), points[8]
    middle, eyes_y = (left[0] + right[0]) / 2, (left[1] + right[1]) / 2
    height = chin[1] - eyes_y
    return Face(
        face_id="0",
        box=(middle - 0.63 * height, eyes_y - 0.43 * height, middle + 0.63 * height, chin[1]),
        score=1.0,
        landmarks={
            "ibug68": Landmarks(points=tuple(points), visibility=(2,) * 68, confidence=(1.0,) * 68)
        },
        pose=Pose(yaw_deg=0.0, pitch_deg=0.0, roll_deg=roll_deg),
        lighting=Lighting(side=light, level=0.5, evenness=1.0, colour_cast=0.0),
    )


def portraits_in(folder: Path, labelled: int, unlabelled: int = 0) -> list[Portrait]:
    """The first pictures of `folder`; the last of them lack landmarks."""
    found = []
    for index, path in enumerate(sorted(folder.glob("*.jpg"))[: labelled + unlabelled]):
        face = human_face(read_template(path.with_suffix(".tem")))
        if index >= labelled:
            face = face.model_copy(update={"landmarks": {}})
        found.append(Portrait(path.read_bytes(), face))
    return found


def make_release(portraits: Sequence[Portrait], work: Path, origin: Origin) -> Path:
    """A release of `portraits`, made in the folder `work`."""
    blobs = BlobStore(str(work / "blobs"))
    rows = []
    for portrait in portraits:
        record = inspect(portrait.content, PixelParams())
        blobs.put(portrait.content)
        annotation = Annotation(
            image_id=record.image_id,
            faces=(portrait.face,),
            origin=origin,
            by="test",
            schema_version="1",
            made_at=WHEN,
        )
        sighting = Sighting(
            image_id=record.image_id,
            source="frl_london",
            source_item_id=record.image_id,
            page_url="https://doi.org/10.6084/m9.figshare.5047666",
            image_url=f"https://example.org/{record.image_id}",
            licence=Licence(code="CC-BY", version="4.0"),
            author="=DeBruine and Jones",
            evidence=Evidence(licence_read_from="file", licence_text="CC BY 4.0", crawler="test"),
            seen_at=WHEN,
        )
        item = DatasetItem(
            image_id=record.image_id,
            group_id=record.image_id[:16],
            split=portrait.split,
            image_shard=0,
            annotation=annotation,
        )
        rows.append((item, Attribution(image=record, sighting=sighting)))
    rows.sort(key=lambda row: row[0].image_id)
    write_records(work / "items/00000.jsonl", (item for item, _ in rows))
    write_records(work / "attributions/00000.jsonl", (attribution for _, attribution in rows))
    release = work / "release"
    build(
        work,
        blobs,
        release,
        dataset=DatasetParams(name="faces"),
        version="1.0.0",
        responsible=Responsible(),
    )
    return release
