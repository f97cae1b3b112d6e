"""Images that nobody took, with all that a catalogue knows of an image.

Image `i` is the same in every run: a small JPEG of smooth noise, a face's 68 points in it, a
receipt, labels and verdicts. Of each hundred images one is a copy of the image before it, encoded
anew, two are refused by a gate, and one item was rejected by the crawl.
"""

import functools
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import cv2
import numpy as np
import simplejpeg
from numpy.typing import NDArray

from mirrorset.pixels import PixelParams, inspect
from mirrorset.records import (
    Annotation,
    Evidence,
    Face,
    ImageRecord,
    Landmarks,
    Licence,
    Lighting,
    ModelRef,
    Pose,
    Quality,
    Reason,
    Record,
    Rejected,
    Sighting,
    Verdict,
)

SIDE_PX = 96
_BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
_LICENCE = Licence(code="CC-BY", version="4.0", url="https://creativecommons.org/licenses/by/4.0/")
_MODELS = tuple(
    ModelRef(
        name=name,
        sha256=hashlib.sha256(name.encode()).hexdigest(),
        licence="Apache-2.0",
        is_commercial_use_allowed=True,
    )
    for name in ("detector", "landmarks")
)


def picture(number: int) -> bytes:
    """The original bytes of image `number`."""
    is_copy = number % 100 == 99
    random = np.random.default_rng(number - is_copy)
    coarse = random.integers(0, 256, (12, 12, 3), dtype=np.uint8)
    rgb = cv2.resize(coarse, (SIDE_PX, SIDE_PX), interpolation=cv2.INTER_CUBIC)
    return simplejpeg.encode_jpeg(rgb, quality=60 if is_copy else 80)


def records(number: int, content: bytes) -> Iterator[Record]:
    """What crawl and pre-labelling know of image `number`, whose bytes are `content`."""
    image = inspect(content, PixelParams(min_side_px=1))
    yield image
    yield _sighting(number, image)
    yield _annotation(number, image.image_id)
    for check in ("adult", "intimate"):
        yield Verdict(
            image_id=image.image_id, check=check, passed=True, measured=0.9, threshold=0.5
        )
    if number % 100 == 50:
        yield Rejected(
            item_id=f"archive:lost{number}",
            step="crawl",
            reason=Reason.TOO_SMALL,
            detail="64×64 px, under 128 px on a side.",
            image_url=f"https://images.example/lost{number}.jpg",
        )


def _sighting(number: int, image: ImageRecord) -> Sighting:
    return Sighting(
        image_id=image.image_id,
        source="archive",
        source_item_id=f"item{number}",
        page_url=f"https://archive.example/page/{number}",
        image_url=f"https://images.example/{number}.jpg",
        licence=_LICENCE,
        author=f"Author {number % 5003}",
        evidence=Evidence(
            licence_read_from="extmetadata.LicenseUrl",
            licence_text=_LICENCE.url,
            host_files={"robots.txt": "404"},
            crawler="mirrorset/0.1.0",
        ),
        seen_at=_BEGAN + timedelta(seconds=number),
    )


def _annotation(number: int, image_id: str) -> Annotation:
    random = np.random.default_rng((number, 1))
    points = _template() + random.normal(0, 0.4, (68, 2))
    is_refused = number % 100 in (10, 60)
    face = Face(
        face_id="0",
        box=(12.0, 10.0, 84.0, 90.0),
        score=0.93,
        landmarks={
            "ibug68": Landmarks(
                points=tuple((round(x, 2), round(y, 2)) for x, y in points.tolist()),
                visibility=(2,) * 68,
                confidence=tuple(random.uniform(0.8, 1, 68).round(3).tolist()),
            )
        },
        uncertainty=round(random.uniform(0.01, 0.05), 4),
        pose=Pose(
            yaw_deg=round(random.normal(0, 12), 2),
            pitch_deg=round(random.normal(0, 6), 2),
            roll_deg=round(random.normal(0, 4), 2),
        ),
        lighting=Lighting(side="left", level=0.3, evenness=0.8, colour_cast=0.1),
        quality=Quality(
            inter_eye_distance_px=20.0 if is_refused else 36.0,
            head_size=0.4,
            sharpness=round(random.uniform(200, 800), 1),
            luminance_mean=0.3,
            luminance_variance=0.04,
            under_exposure=0.01,
            over_exposure=0.01,
            dynamic_range=6.5,
            illumination_uniformity=0.7,
            eyes_open=0.07,
            mouth_closed=0.01,
            margin_left=1.0,
            margin_right=1.0,
            margin_above=1.0,
            margin_below=1.0,
        ),
        attributes={"occlusion": "none"},
    )
    return Annotation(
        image_id=image_id,
        faces=(face,),
        tags={"lighting": "left"},
        origin="model",
        by="research",
        models=_MODELS,
        schema_version="selfie-1",
        made_at=_BEGAN + timedelta(days=1, seconds=number),
    )


@functools.cache
def _template() -> NDArray[np.float64]:
    """68 points (68, 2) px of a face that fills the picture: ibug68's order, roughly."""
    jaw = [(12 + 72 * i / 16, 40 + 48 * np.sin(np.pi * i / 16)) for i in range(17)]
    brows = [(20 + 5 * i, 28.0) for i in range(5)] + [(56 + 5 * i, 28.0) for i in range(5)]
    nose = [(48.0, 38 + 5 * i) for i in range(4)] + [(40 + 4 * i, 58.0) for i in range(5)]
    eyes = [
        (x + 6 * np.cos(angle), 38 + 3 * np.sin(angle))
        for x in (30, 66)
        for angle in np.linspace(-np.pi, np.pi * 2 / 3, 6)
    ]
    outer = [(48 + 14 * np.cos(a), 72 + 5 * np.sin(a)) for a in np.linspace(-np.pi, np.pi, 12)]
    inner = [(48 + 9 * np.cos(a), 72 + 2 * np.sin(a)) for a in np.linspace(-np.pi, np.pi, 8)]
    return np.array([*jaw, *brows, *nose, *eyes, *outer, *inner], dtype=np.float64)
