"""Of rejected images only those are shown against which nothing but their quality speaks."""

from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path

import pytest

from mirrorset.blobs import BlobStore
from mirrorset.files import write_records
from mirrorset.pixels import PixelParams, inspect
from mirrorset.records import (
    Annotation,
    Decision,
    IntendedUse,
    Quarantine,
    Reason,
    Record,
    Rejected,
    Verdict,
)
from reports.page import Private, render
from reports.refused import read_refused
from reports.shown import Shown

from .conftest import AT, MODEL, Drawn, face, picture, sighting

CONTENT = picture(40)
IMAGE = inspect(CONTENT, PixelParams())
DRAWN = Drawn(colour=40)
REJECTED = Rejected(
    item_id=IMAGE.image_id, step="select", reason=Reason.BLURRED, detail="sharpness is 12."
)
ANNOTATION = Annotation(
    image_id=IMAGE.image_id,
    faces=(face(DRAWN),),
    origin="model",
    by="research",
    models=(MODEL,),
    schema_version="1",
    made_at=AT,
)


def verdict(check: str, passed: bool = True) -> Verdict:
    return Verdict(image_id=IMAGE.image_id, check=check, passed=passed, measured=1, threshold=1)


def quarantine(**changed: object) -> Quarantine:
    fields = {
        "image_id": IMAGE.image_id,
        "source": "gallery",
        "source_item_id": "40",
        "reason": Reason.GONE,
        "detail": "",
        "since": AT,
        "expires_at": AT + timedelta(days=30),
    }
    return Quarantine.model_validate(fields | changed)


GOOD: dict[str, list[Record]] = {
    "images": [IMAGE],
    "sightings": [sighting(IMAGE.image_id, DRAWN)],
    "annotations": [ANNOTATION],
    "verdicts": [verdict("adult"), verdict("intimate")],
    "quarantine": [],
    "decisions": [],
}
DROP = Decision(
    image_id=IMAGE.image_id, gate="adult", action="drop", by="", reason="", decided_at=AT
)


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., list[Shown]]:
    """What may be shown where the snapshot's folders hold these records instead of good ones."""

    def read(
        *rejected: Rejected, use: IntendedUse = "research", **changed: Iterable[Record]
    ) -> list[Shown]:
        for folder, records in (GOOD | changed).items():
            write_records(tmp_path / "snapshot" / folder / "00000.jsonl", records)
        blobs = BlobStore(str(tmp_path / "blobs"))
        blobs.put(CONTENT)
        return list(read_refused(rejected or [REJECTED], tmp_path / "snapshot", blobs, use))

    return read


def test_one_of_low_quality_is_shown_with_its_labels_and_author(
    refused: Callable[..., list[Shown]],
) -> None:
    (shown,) = refused()
    assert (shown.verdict, shown.detail) == ("Face not sharp enough", "sharpness is 12.")
    assert (shown.author, shown.split, len(shown.faces)) == ("A. Photographer", "", 1)
    assert shown.rgb().shape == (240, 300, 3)


@pytest.mark.parametrize(
    "changed",
    [
        {"sightings": []},
        {"sightings": [sighting(IMAGE.image_id, Drawn(40, licence="CC BY-ND 4.0"))]},
        {
            "sightings": [
                sighting(IMAGE.image_id, DRAWN),
                sighting(IMAGE.image_id, Drawn(41, licence="CC BY-NC-ND 2.0")),
            ]
        },
        {"verdicts": [verdict("intimate")]},
        {"verdicts": [verdict("adult", passed=False), verdict("intimate")]},
        {"verdicts": [verdict("adult"), verdict("intimate", passed=False)]},
        {"verdicts": [verdict("adult"), verdict("not_stopped", passed=False)]},
        {"annotations": [ANNOTATION.model_copy(update={"tags": {"do_not_use": "minor"}})]},
        {"annotations": []},
        {"quarantine": [quarantine()]},
        {"decisions": [DROP]},
    ],
)
def test_nothing_else_may_be_held_against_it(
    refused: Callable[..., list[Shown]], changed: dict[str, list[Record]]
) -> None:
    assert refused(**changed) == []


def test_a_quarantine_that_has_ended_holds_nothing_back(
    refused: Callable[..., list[Shown]],
) -> None:
    assert len(refused(quarantine=[quarantine(released_at=AT)])) == 1


def test_what_commerce_may_not_use_it_does_not_see(refused: Callable[..., list[Shown]]) -> None:
    seen = [sighting(IMAGE.image_id, Drawn(40, licence="CC BY-NC 4.0"))]
    assert len(refused(sightings=seen)) == 1
    assert refused(sightings=seen, use="commercial") == []


@pytest.mark.parametrize(
    "reason", [Reason.MINOR_DOUBT, Reason.INTIMATE, Reason.DROPPED, Reason.GONE, Reason.NO_FACE]
)
def test_of_other_reasons_no_picture_is_shown(
    refused: Callable[..., list[Shown]], reason: Reason
) -> None:
    assert refused(REJECTED.model_copy(update={"reason": reason})) == []


def test_the_page_holds_it_apart_from_what_was_released(
    refused: Callable[..., list[Shown]], make_release: Callable[..., Path], tmp_path: Path
) -> None:
    refused()
    write_records(tmp_path / "rejected.jsonl", [REJECTED])
    private = Private(tmp_path / "snapshot", BlobStore(str(tmp_path / "blobs")))
    release = make_release({"colour": 90})
    out = tmp_path / "index.html"
    for with_private, pictures in ((None, 1), (private, 2)):
        render(release, tmp_path / "rejected.jsonl", [], out, "Faces", private=with_private)
        html = out.read_text()
        assert len(list((tmp_path / "index").rglob("*.jpg"))) == pictures
        assert ('"Face not sharp enough", "released"' in html) == (with_private is not None)
