"""Real portraits with hand-set landmarks, as an encoded picture and the records of a snapshot."""

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from curation.build import build
from curation.gates import SelectParams
from curation.ledger import LedgerParams, mint
from curation.records import GroupMember
from curation.select import select
from curation.split import split
from faces.registry import fetch, load_registry
from faces.scrfd import Scrfd
from mirrorset.blobs import BlobStore
from mirrorset.files import part_file, write_records
from mirrorset.licences import normalise
from mirrorset.load import ReleaseCard
from mirrorset.params import DatasetParams, Responsible
from mirrorset.pixels import PixelParams, inspect
from mirrorset.records import (
    Annotation,
    Decision,
    Evidence,
    Face,
    ImageRecord,
    Landmarks,
    LedgerEntry,
    Lighting,
    Mask,
    ModelRef,
    Origin,
    Pose,
    Quality,
    Quarantine,
    Record,
    Rejected,
    Sighting,
    Verdict,
)

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# In the templates of the FRL London set: pupils, points around the nose tip, mouth corners; 0 and
# 87 lie on the image's left.
TEM_POINTS = ([0], [1], [54, 60, 170, 172], [87], [93])

MESH = ModelRef(name="mesh", sha256="a" * 64, licence="Apache-2.0", is_commercial_use_allowed=True)
FRONTAL = Pose(yaw_deg=2.0, pitch_deg=-3.5, roll_deg=0.25)


@dataclass(frozen=True)
class Portrait:
    """An upright picture and its five points (5, 2) px, from which records are made."""

    picture: Image.Image
    five: np.ndarray
    encoding: dict[str, object] = field(default_factory=lambda: {"format": "JPEG", "quality": 92})
    licence: str = "CC BY 4.0"
    author: str = "A. Photographer"
    source: str = "gallery"
    subject_ids: tuple[str, ...] = ()
    shows_author: bool = False
    origin: Origin = "model"
    is_adult: bool = True
    failed_checks: tuple[str, ...] = ()
    quality: dict[str, float] = field(default_factory=dict)
    pose: Pose | None = FRONTAL
    attributes: dict[str, str] = field(default_factory=lambda: {"occlusion": "none"})
    occluded_points: int = 0
    tags: dict[str, str] = field(default_factory=lambda: {"lighting": "left"})
    models: tuple[ModelRef, ...] = (MESH,)

    def but(self, **changes: object) -> "Portrait":
        """The same with some fields changed."""
        return replace(self, **changes)

    def mirrored(self) -> "Portrait":
        """The mirror image; left and right points change places."""
        flipped = self.five[[1, 0, 2, 4, 3]] * (-1, 1) + (self.picture.width, 0)
        return self.but(picture=ImageOps.mirror(self.picture), five=flipped)

    def cropped(self, left: float, top: float, right: float, bottom: float) -> "Portrait":
        """Without these shares of the sides."""
        width, height = self.picture.size
        x, y = round(left * width), round(top * height)
        box = (x, y, width - round(right * width), height - round(bottom * height))
        return self.but(picture=self.picture.crop(box), five=self.five - (x, y))

    def reencoded(self, quality: int) -> "Portrait":
        """The same picture through JPEG of another quality."""
        return self.but(encoding={"format": "JPEG", "quality": quality})

    @cached_property
    def content(self) -> bytes:
        out = io.BytesIO()
        self.picture.save(out, **self.encoding)
        return out.getvalue()

    @cached_property
    def image(self) -> ImageRecord:
        return inspect(self.content, PixelParams())

    @property
    def sighting(self) -> Sighting:
        image_id = self.image.image_id
        licence = normalise(self.licence)
        assert licence is not None
        return Sighting(
            image_id=image_id,
            source=self.source,
            source_item_id=image_id[:8],
            page_url=f"http://127.0.0.1:8080/page/{image_id[:8]}",
            image_url=f"http://127.0.0.1:8080/{image_id[:8]}.jpg",
            licence=licence,
            author=self.author,
            subject_ids=self.subject_ids,
            shows_author=self.shows_author,
            evidence=Evidence(
                licence_read_from="rel=license", licence_text=self.licence, crawler="mirrorset/test"
            ),
            seen_at=AT,
        )

    @property
    def face(self) -> Face:
        left, right, nose, mouth_left, mouth_right = (tuple(point) for point in self.five.tolist())
        points = [nose] * 36 + [left] * 6 + [right] * 6 + [nose] * 20
        points[48], points[54] = mouth_left, mouth_right
        eye_distance = float(np.linalg.norm(self.five[0] - self.five[1]))
        x, y = self.five.mean(axis=0)
        measures = {
            "inter_eye_distance_px": eye_distance,
            "head_size": 0.5,
            "sharpness": 300.0,
            "luminance_mean": 0.5,
            "luminance_variance": 0.04,
            "under_exposure": 0.01,
            "over_exposure": 0.01,
            "dynamic_range": 6.5,
            "illumination_uniformity": 0.7,
            "eyes_open": 0.07,
            "mouth_closed": 0.01,
            "margin_left": 2.0,
            "margin_right": 2.0,
            "margin_above": 1.5,
            "margin_below": 2.5,
        }
        return Face(
            face_id="0",
            box=(x - eye_distance, y - eye_distance, x + eye_distance, y + eye_distance),
            score=0.9,
            landmarks={
                "ibug68": Landmarks(
                    points=tuple(points),
                    visibility=(1,) * self.occluded_points + (2,) * (68 - self.occluded_points),
                    confidence=(0.75,) * 68,
                )
            },
            pose=self.pose,
            lighting=Lighting(side="left", level=0.5, evenness=0.8, colour_cast=0.0),
            quality=Quality(**measures | self.quality),
            blendshapes={"mouthSmileLeft": 0.25, "browDownLeft": 0.125},
            attributes=self.attributes,
        )

    @property
    def annotation(self) -> Annotation:
        return Annotation(
            image_id=self.image.image_id,
            faces=(self.face,),
            tags=self.tags,
            masks=(Mask(label="person", left=1, top=2, right=4, bottom=3, rle=(1, 6, 1)),),
            origin=self.origin,
            by="research" if self.origin == "model" else "annotator-1",
            models=self.models,
            schema_version="1",
            made_at=AT,
        )

    @property
    def verdicts(self) -> list[Verdict]:
        image_id = self.image.image_id
        return [
            Verdict(image_id=image_id, check="adult", passed=self.is_adult),
            *(
                Verdict(image_id=image_id, check=check, passed=False)
                for check in self.failed_checks
            ),
        ]


@pytest.fixture(scope="session")
def portraits(shared_data: Path) -> list[Portrait]:
    """Eight people from the FRL London set, scaled to 405 px, upright."""
    found = []
    for path in sorted((shared_data / "photos/frl_london/neutral_front").glob("*.jpg"))[:8]:
        template = np.loadtxt(path.with_suffix(".tem"), skiprows=1, max_rows=189)
        points = np.stack([template[indices].mean(axis=0) for indices in TEM_POINTS])
        with Image.open(path) as picture:
            scale = 405 / picture.width
            small = picture.convert("RGB").resize((405, round(picture.height * scale)))
        found.append(Portrait(small, (points * scale).round(2)))
    return found


@pytest.fixture(scope="session")
def seen_twice(shared_data: Path, model_cache: Path) -> list[Portrait]:
    """Two people of the FRL London set, neutral, smiling, neutral, smiling; points by SCRFD.

    The pictures of the second are near-duplicates of each other, those of the first are not.
    """
    detector = Scrfd(fetch(load_registry()["scrfd_500m_bnkps"], model_cache))
    found = []
    for name in ("006", "005"):
        for face in (f"neutral_front/{name}_03", f"smiling_front/{name}_08"):
            with Image.open(shared_data / f"photos/frl_london/{face}.jpg") as picture:
                small = picture.convert("RGB").resize((405, 405))
            ((detection,),) = detector.detect([np.asarray(small)])
            found.append(Portrait(small, detection.five_points.round(2)))
    return found


@pytest.fixture
def blobs(tmp_path: Path) -> BlobStore:
    """An empty store."""
    return BlobStore(str(tmp_path / "blobs"))


@pytest.fixture
def release_of(
    snapshot_of: "SnapshotOf", blobs: BlobStore, tmp_path: Path
) -> Callable[..., ReleaseCard]:
    """Selects, splits and builds portraits into tmp_path/"releases"/VERSION, keeping a ledger.

    Every portrait is a group of its own; shards hold two images.
    """
    ledger: dict[str, LedgerEntry] = {}
    params = LedgerParams(seed="test", train=0.5, val=0.25, test=0.25, images_per_shard=2)

    def release(
        portraits: Sequence[Portrait], version: str, url: str = "", **responsible: str
    ) -> ReleaseCard:
        work = tmp_path / "work"
        members = [
            GroupMember(image_id=portrait.image.image_id, key=portrait.image.image_id)
            for portrait in portraits
        ]
        new, _ = mint(members, ledger, params, AT)
        ledger.update({entry.image_id: entry for entry in new})
        snapshot = snapshot_of(portraits, ledger=ledger.values())
        select(snapshot, work, "research", SelectParams())
        write_records(work / "groups/00000.jsonl", members)
        split(snapshot, work, is_unreviewed=True)
        return build(
            work,
            blobs,
            tmp_path / "releases" / version,
            dataset=DatasetParams(name="faces", url=url),
            version=version,
            responsible=Responsible(**responsible),
        )

    return release


SnapshotOf = Callable[..., Path]


@pytest.fixture
def snapshot_of(tmp_path: Path, blobs: BlobStore) -> SnapshotOf:
    """Puts portraits into `blobs` and writes the snapshot that holds their records."""

    def write(
        portraits: Sequence[Portrait],
        *,
        ledger: Iterable[LedgerEntry] = (),
        rejected: Iterable[Rejected] = (),
        quarantines: Iterable[Quarantine] = (),
        decisions: Iterable[Decision] = (),
        without: Sequence[str] = (),
    ) -> Path:
        folder = tmp_path / "snapshot"
        for portrait in portraits:
            blobs.put(portrait.content)
        files: dict[str, list[Record]] = {
            "images": [portrait.image for portrait in portraits],
            "sightings": [portrait.sighting for portrait in portraits],
            "annotations": [portrait.annotation for portrait in portraits],
            "verdicts": [verdict for portrait in portraits for verdict in portrait.verdicts],
            "ledger": list(ledger),
            "quarantine": list(quarantines),
            "decisions": list(decisions),
        }
        for name, records in files.items():
            kept = [] if name in without else sorted(records, key=lambda record: record.image_id)
            write_records(folder / name / part_file(0), kept)
        write_records(folder / "rejected.jsonl", rejected)
        return folder

    return write
