"""Made pictures, noise with a face's labels, in a catalogue or as a release."""

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import simplejpeg

from curation.build import build
from curation.records import Attribution
from mirrorset.blobs import BlobStore
from mirrorset.files import write_records
from mirrorset.licences import normalise
from mirrorset.load import ReleaseCard
from mirrorset.params import DatasetParams, Responsible
from mirrorset.pixels import PixelParams, inspect
from mirrorset.records import (
    Annotation,
    DatasetItem,
    Evidence,
    Face,
    ImageRecord,
    Landmarks,
    Lighting,
    Pose,
    Quality,
    Record,
    Sighting,
    Verdict,
)
from mirrorset.workspace import Workspace

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
#: Makes JPEGs of about 60 kB at quality 92.
SIDE_PX = 256


@dataclass(frozen=True)
class Made:
    """One picture and what is known of it."""

    content: bytes
    image: ImageRecord
    sighting: Sighting
    annotation: Annotation
    verdict: Verdict


def fill(workspace: Workspace, numbers: Iterable[int], side_px: int = SIDE_PX) -> None:
    """Put an image for each number into the workspace: bytes, receipt, one face, verdict."""
    records: list[Record] = []
    for number in numbers:
        one = made(number, side_px)
        workspace.blobs.put(one.content)
        records += [one.image, one.sighting, one.annotation, one.verdict]
    with workspace.catalogue() as catalogue:
        catalogue.upsert(records)


def build_release(folder: Path, numbers: Iterable[int], images_per_shard: int = 4) -> ReleaseCard:
    """Write a release of small images to `folder`, …/NAME/VERSION; three of four in train."""
    by_id = sorted((made(number, 64) for number in numbers), key=lambda one: one.image.image_id)
    with tempfile.TemporaryDirectory() as scratch:
        blobs, work = BlobStore(f"{scratch}/blobs"), Path(scratch)
        for one in by_id:
            blobs.put(one.content)
        write_records(work / "attributions/00000.jsonl", map(_attribution, by_id))
        items = (
            DatasetItem(
                image_id=one.image.image_id,
                group_id=one.image.image_id[:16],
                split="test" if index % 4 == 3 else "train",
                image_shard=index // images_per_shard,
                annotation=one.annotation,
            )
            for index, one in enumerate(by_id)
        )
        write_records(work / "items/00000.jsonl", items)
        return build(
            work,
            blobs,
            folder,
            dataset=DatasetParams(name=folder.parent.name, is_unreviewed=True),
            version=folder.name,
            responsible=Responsible(),
        )


def _attribution(one: Made) -> Attribution:
    return Attribution(image=one.image, sighting=one.sighting)


def picture(number: int, side_px: int = SIDE_PX) -> bytes:
    """A JPEG of noise; each number has its own."""
    random = np.random.default_rng(number)
    pixels = random.integers(0, 256, (side_px, side_px, 3), np.uint8)
    return simplejpeg.encode_jpeg(pixels, quality=92, colorsubsampling="420")


def made(number: int, side_px: int = SIDE_PX) -> Made:
    """The picture of a number, CC BY, with one face and an adult's verdict."""
    content = picture(number, side_px)
    image = inspect(content, PixelParams(min_side_px=1))
    licence = normalise("CC BY 4.0")
    assert licence is not None
    sighting = Sighting(
        image_id=image.image_id,
        source="gallery",
        source_item_id=str(number),
        page_url=f"http://127.0.0.1/page/{number}",
        image_url=f"http://127.0.0.1/{number}.jpg",
        licence=licence,
        author=f"Author {number}",
        evidence=Evidence(licence_read_from="rel=license", licence_text="CC", crawler="test"),
        seen_at=AT,
    )
    annotation = Annotation(
        image_id=image.image_id,
        faces=(_face(number, side_px),),
        origin="model",
        by="research",
        schema_version="selfie-3",
        made_at=AT,
    )
    verdict = Verdict(image_id=image.image_id, check="adult", passed=True)
    return Made(content, image, sighting, annotation, verdict)


def _face(number: int, side_px: int) -> Face:
    """A face in the middle; its points are noise within the box."""
    near, far = side_px / 4, side_px * 3 / 4
    points = np.random.default_rng(number).uniform(near, far, (68, 2))
    return Face(
        face_id="0",
        box=(near, near, far, far),
        score=0.9,
        landmarks={
            "ibug68": Landmarks(
                points=tuple(map(tuple, points.tolist())),
                visibility=(2,) * 68,
                confidence=(0.75,) * 68,
            )
        },
        pose=Pose(yaw_deg=2.0, pitch_deg=-3.5, roll_deg=0.25),
        lighting=Lighting(side="left", level=0.5, evenness=0.8, colour_cast=0.0),
        quality=Quality(
            inter_eye_distance_px=far - near,
            head_size=0.5,
            sharpness=300.0,
            luminance_mean=0.5,
            luminance_variance=0.04,
            under_exposure=0.01,
            over_exposure=0.01,
            dynamic_range=6.5,
            illumination_uniformity=0.7,
            eyes_open=0.07,
            mouth_closed=0.01,
            margin_left=0.5,
            margin_right=0.5,
            margin_above=0.5,
            margin_below=0.5,
        ),
    )
