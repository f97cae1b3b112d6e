"""What a profile has yet to label, as the database says it."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.unlabelled import count_unlabelled, unlabelled
from mirrorset.records import Annotation, ImageRecord, Reason, Rejected, Verdict

AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
IDS = tuple(f"{number:064x}" for number in range(1, 10))


def image(image_id: str) -> ImageRecord:
    return ImageRecord(
        image_id=image_id,
        media_type="image/png",
        size_bytes=1,
        width_px=1,
        height_px=1,
        pixel_hash=image_id,
        phash="0" * 16,
    )


def note(image_id: str, by: str, origin: str = "model") -> Annotation:
    return Annotation(
        image_id=image_id, faces=(), origin=origin, by=by, schema_version="selfie-1", made_at=AT
    )


def rejected(image_id: str, step: str = "prelabel", is_retryable: bool = False) -> Rejected:
    return Rejected(
        item_id=image_id, step=step, reason=Reason.MODEL_FAILED, is_retryable=is_retryable
    )


@pytest.fixture
def catalogue(catalogue_url: str) -> Iterator[Catalogue]:
    """Nine images, of which no order of insertion tells the order of ids."""
    with Catalogue(catalogue_url) as opened:
        opened.upsert([image(image_id) for image_id in reversed(IDS)])
        yield opened


@pytest.mark.parametrize(
    ("record", "is_left_out"),
    [
        (note(IDS[4], by="research"), True),
        (note(IDS[4], by="commercial"), False),
        (note(IDS[4], by="mia", origin="human"), True),
        (note(IDS[4], by="mia", origin="gold"), True),
        (Verdict(image_id=IDS[4], check="not_stopped", passed=False), True),
        (Verdict(image_id=IDS[4], check="not_stopped", passed=True), False),
        (rejected(IDS[4]), True),
        (rejected(IDS[4], is_retryable=True), False),
        (rejected(IDS[4], step="select"), False),
    ],
)
def test_one_record_leaves_its_image_out_or_not(
    catalogue: Catalogue, record: Annotation | Rejected, is_left_out: bool
) -> None:
    catalogue.upsert([record])
    expected = tuple(one for one in IDS if not (is_left_out and one == IDS[4]))
    assert tuple(unlabelled(catalogue, "research", 100)) == (expected,)
    assert count_unlabelled(catalogue, "research") == len(expected)


def test_pages_are_of_one_size_and_in_order_of_ids(catalogue: Catalogue) -> None:
    pages = list(unlabelled(catalogue, "research", 4))
    assert pages == [IDS[:4], IDS[4:8], IDS[8:]]


def test_what_is_labelled_between_two_pages_moves_no_image(catalogue: Catalogue) -> None:
    pages = unlabelled(catalogue, "research", 4)
    first = next(pages)
    catalogue.upsert([note(one, by="research") for one in first])
    assert next(pages) == IDS[4:8]
    # The images of the second page are at a worker when the run is killed; the next begins there.
    assert next(unlabelled(catalogue, "research", 4)) == IDS[4:8]


def test_no_images_no_pages(tmp_path: Path) -> None:
    with Catalogue(f"sqlite:///{tmp_path}/empty.sqlite") as empty:
        assert list(unlabelled(empty, "research", 4)) == []
        assert count_unlabelled(empty, "research") == 0
