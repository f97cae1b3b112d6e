"""A small release with drawn pictures and hand-set labels, built as real releases are."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from curation.build import build
from curation.records import Attribution
from mirrorset.blobs import BlobStore
from mirrorset.files import write_records
from mirrorset.licences import normalise
from mirrorset.params import DatasetParams, Responsible
from mirrorset.pixels import PixelParams, inspect
from mirrorset.records import (
    Annotation,
    DatasetItem,
    Evidence,
    Face,
    Landmarks,
    Lighting,
    Mask,
    ModelRef,
    Origin,
    Pose,
    Sighting,
    Split,
)

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WIDTH_PX, HEIGHT_PX = 300, 240
MODEL = ModelRef(name="mesh", sha256="a" * 64, licence="Apache-2.0", is_commercial_use_allowed=True)


@dataclass(frozen=True)
class Drawn:
    """What differs between two images of a release."""

    colour: int
    group_id: str = ""
    split: Split = "train"
    confidence: float = 0.9
    yaw_deg: float = 0.0
    side: str = "front"
    origin: Origin = "model"
    licence: str = "CC BY 4.0"
    author: str = "A. Photographer"
    tags: tuple[tuple[str, str], ...] = ()


def face(drawn: Drawn) -> Face:
    """A face in the middle of the picture, its 68 landmarks on a circle."""
    angles = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points = tuple((round(150 + 40 * np.cos(a), 2), round(120 + 50 * np.sin(a), 2)) for a in angles)
    return Face(
        face_id="0",
        box=(100.0, 60.0, 200.0, 180.0),
        score=0.8,
        landmarks={
            "ibug68": Landmarks(
                points=points, visibility=(2,) * 68, confidence=(drawn.confidence,) * 68
            )
        },
        pose=Pose(yaw_deg=drawn.yaw_deg, pitch_deg=-0.2, roll_deg=3.0),
        lighting=Lighting(side=drawn.side, level=0.5, evenness=0.9, colour_cast=0.0),
    )


MASK = Mask(label="person", left=50, top=20, right=249, bottom=219, rle=(0, 200 * 200))


@pytest.fixture
def make_release(tmp_path: Path) -> Callable[..., Path]:
    """A function that builds a release and returns its folder; each argument is one image.

    An argument holds the fields of `Drawn` in which the image differs from the default.
    """

    def make(*images: dict[str, Any]) -> Path:
        blobs = BlobStore(str(tmp_path / "blobs"))
        drawn = [Drawn(**({"colour": place} | image)) for place, image in enumerate(images)]
        rows = sorted((_row(image, blobs) for image in drawn), key=lambda row: row[0].image_id)
        work = tmp_path / "work"
        write_records(work / "items/00000.jsonl", [item for item, _ in rows])
        write_records(work / "attributions/00000.jsonl", [attribution for _, attribution in rows])
        folder = tmp_path / "releases" / "faces" / "0.1.0"
        build(
            work,
            blobs,
            folder,
            dataset=DatasetParams(name="faces"),
            version="0.1.0",
            responsible=Responsible(),
        )
        return folder

    return make


def _row(drawn: Drawn, blobs: BlobStore) -> tuple[DatasetItem, Attribution]:
    content = picture(drawn.colour)
    image = inspect(content, PixelParams())
    blobs.put(content)
    annotation = Annotation(
        image_id=image.image_id,
        faces=(face(drawn),),
        tags=dict(drawn.tags),
        masks=(MASK,),
        origin=drawn.origin,
        by="research",
        models=(MODEL,),
        schema_version="1",
        made_at=AT,
    )
    item = DatasetItem(
        image_id=image.image_id,
        group_id=drawn.group_id or f"{drawn.colour:016x}",
        split=drawn.split,
        image_shard=0,
        annotation=annotation,
    )
    return item, Attribution(image=image, sighting=sighting(image.image_id, drawn))


def sighting(image_id: str, drawn: Drawn) -> Sighting:
    """Where the image was seen."""
    licence = normalise(drawn.licence)
    assert licence
    return Sighting(
        image_id=image_id,
        source="gallery",
        source_item_id=str(drawn.colour),
        page_url=f"https://example.org/{drawn.colour}.html",
        image_url=f"https://example.org/{drawn.colour}.png",
        licence=licence,
        author=drawn.author,
        evidence=Evidence(licence_read_from="link", licence_text=drawn.licence, crawler="test"),
        seen_at=AT,
    )


def picture(colour: int) -> bytes:
    """A drawn picture, encoded."""
    rgb = np.full((HEIGHT_PX, WIDTH_PX, 3), colour, np.uint8)
    rgb[60:180, 100:200] = 255 - colour
    encoded = io.BytesIO()
    Image.fromarray(rgb).save(encoded, "PNG")
    return encoded.getvalue()
