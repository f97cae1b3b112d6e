"""Faces drawn after the skeleton's template, and a CVAT that edits archives as a person would."""

import hashlib
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from xml.etree.ElementTree import Element, tostring

import numpy as np
import pytest
from PIL import Image

from annotation.cvat_xml import parse_xml
from annotation.schema import LabelSchema, load_label_schema
from mirrorset.records import (
    Annotation,
    Face,
    ImageRecord,
    Landmarks,
    Lighting,
    Mask,
    ModelRef,
    Pose,
    Quality,
)

AT = datetime(2026, 11, 23, 12, 0, 0, 250_000, tzinfo=UTC)
MODEL = ModelRef(name="2d106det", sha256="f0" * 32, licence="x", is_commercial_use_allowed=False)


@pytest.fixture(scope="session")
def schema() -> LabelSchema:
    return load_label_schema()


@pytest.fixture(scope="session")
def make_face(schema: LabelSchema) -> Callable[..., Face]:
    """A face whose box has its top left corner at (left, top) and this side, in px."""

    def make(face_id: str = "0", left: float = 100, top: float = 80, side: float = 200) -> Face:
        # Bent, or it would be the template that nobody has moved onto a face.
        drawing = np.asarray(schema.layout)
        bent = drawing + np.cos((drawing[:, :1] - 50) / 15) * (0, 3)
        points = np.round(bent / 100 * side + (left, top), 2)
        lattice = tuple((float(x), float(y)) for x, y in points)
        count = len(lattice)
        return Face(
            face_id=face_id,
            box=(left, top, left + side, top + side),
            score=0.8731,
            landmarks={
                "ibug68": Landmarks(
                    points=lattice,
                    visibility=(2,) * count,
                    confidence=tuple(round(0.5 + i / 200, 4) for i in range(count)),
                ),
                "face106": Landmarks(
                    points=((1.5, 2.5),) * 106, visibility=(2,) * 106, confidence=(0.9,) * 106
                ),
            },
            pose=Pose(yaw_deg=3.2, pitch_deg=-1.0, roll_deg=0.4),
            lighting=Lighting(side="left", level=0.51, evenness=0.88, colour_cast=0.2),
            quality=Quality(
                inter_eye_distance_px=90.0,
                head_size=0.5,
                sharpness=120.0,
                luminance_mean=0.5,
                luminance_variance=0.05,
                under_exposure=0.01,
                over_exposure=0.02,
                dynamic_range=6.5,
                illumination_uniformity=0.7,
                eyes_open=0.07,
                mouth_closed=0.01,
                margin_left=2.0,
                margin_right=2.0,
                margin_above=1.5,
                margin_below=2.5,
            ),
            blendshapes={"jawOpen": 0.12},
        )

    return make


@pytest.fixture(scope="session")
def make_annotation(make_face: Callable[..., Face]) -> Callable[..., Annotation]:
    """A model's annotation of an image; without faces given, of one face."""

    def make(image_id: str = "ab" * 32, *faces: Face) -> Annotation:
        return Annotation(
            image_id=image_id,
            faces=faces or (make_face(),),
            tags={"lighting": "left"},
            masks=(Mask(label="person", left=10, top=20, right=13, bottom=21, rle=(1, 2, 2, 3)),),
            origin="model",
            by="research",
            models=(MODEL,),
            schema_version="selfie-3",
            made_at=AT,
        )

    return make


class Pictures(dict[str, bytes]):
    """Original bytes by image_id, with `get` as a blob store has it."""

    def records(self) -> list[ImageRecord]:
        return [
            ImageRecord(
                image_id=image_id,
                media_type="image/png",
                size_bytes=len(content),
                width_px=640,
                height_px=480,
                pixel_hash=image_id,
                phash="0" * 16,
            )
            for image_id, content in self.items()
        ]


@pytest.fixture
def pictures() -> Pictures:
    """Three plain pictures of 640×480 px."""
    found = Pictures()
    for shade in (40, 90, 200):
        buffer = io.BytesIO()
        Image.new("RGB", (640, 480), (shade, shade, shade)).save(buffer, "PNG")
        found[hashlib.sha256(buffer.getvalue()).hexdigest()] = buffer.getvalue()
    return found


@pytest.fixture
def edit() -> Callable[..., None]:
    """Import a task archive, let a person change it, export it: what CVAT would put out.

    Everything imported has source "file", order is another, and images are left out of the zip.
    """

    def run(task: Path, export: Path, change: Callable[[Element], None], who: str = "mia") -> None:
        with zipfile.ZipFile(task) as archive:
            root = parse_xml(archive.read("annotations.xml"))
        for image in root.iter("image"):
            for shape in image.iter():
                if "source" in shape.attrib:
                    shape.set("source", "file")
            for skeleton in image.iter("skeleton"):
                skeleton[:] = list(reversed(skeleton))
            image[:] = list(reversed(image))
        assignee = root.find("meta/task/assignee")
        assert assignee is not None
        username = Element("username")
        username.text = who
        assignee.append(username)
        change(root)
        export.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(export, "w") as archive:
            archive.writestr("annotations.xml", tostring(root))

    return run
