"""Select: the images of a snapshot that pass every gate, and why the others do not."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from curation.gates import SelectParams, first_refusal, subject_of
from curation.records import Selected
from curation.snapshot import (
    Candidate,
    numbered_candidates,
    read_candidates,
    read_ledger,
    read_rejected,
)
from mirrorset.files import write_parts, write_records
from mirrorset.records import IntendedUse, Reason, Record, Rejected, Sighting


class Counts(Record):
    """How a step ended: records kept, and records rejected by reason."""

    kept: int
    rejected: dict[Reason, int]


def select(snapshot: Path, work: Path, intended_use: IntendedUse, params: SelectParams) -> Counts:
    """Write selected/ and rejected.jsonl into `work`.

    Of several images with the same pixels the one that is in the ledger stays, else the smallest
    image_id.
    """
    ledger = read_ledger(snapshot)
    judged_before = {rejected.item_id for rejected in read_rejected(snapshot)}
    rejected: list[Rejected] = []
    first_by_pixels: dict[str, tuple[bool, str]] = {}
    passed: dict[str, str] = {}
    for candidate in read_candidates(snapshot):
        image = candidate.image
        if not candidate.annotations and image.image_id in judged_before:
            continue
        outcome = _judge(candidate, intended_use, params)
        if isinstance(outcome, Rejected):
            rejected.append(outcome)
            continue
        rank = (image.image_id not in ledger, image.image_id)
        first_by_pixels[image.pixel_hash] = min(rank, first_by_pixels.get(image.pixel_hash, rank))
        passed[image.image_id] = image.pixel_hash

    kept = {image_id for _, image_id in first_by_pixels.values()}
    for image_id in passed.keys() - kept:
        twin = first_by_pixels[passed[image_id]][1]
        rejected.append(
            _rejected(image_id, Reason.DUPLICATE_PIXELS, f"Same pixels as image {twin}.")
        )
    rejected.sort(key=lambda record: record.item_id)

    # A second reading, so that memory holds ids and never all annotations.
    write_parts(work / "selected", _selected(snapshot, kept, intended_use, params))
    write_records(work / "rejected.jsonl", rejected)
    return Counts(
        kept=len(kept), rejected=dict(sorted(Counter(r.reason for r in rejected).items()))
    )


def _selected(
    snapshot: Path, kept: set[str], intended_use: IntendedUse, params: SelectParams
) -> Iterator[tuple[int, Selected]]:
    for part, candidate in numbered_candidates(snapshot):
        outcome = _judge(candidate, intended_use, params)
        if isinstance(outcome, Selected) and candidate.image.image_id in kept:
            yield part, outcome


def _judge(
    candidate: Candidate, intended_use: IntendedUse, params: SelectParams
) -> Selected | Rejected:
    image_id = candidate.image.image_id
    subject = subject_of(candidate, intended_use)
    if subject is None:
        return Rejected(
            item_id=image_id,
            step="select",
            reason=Reason.MODEL_FAILED,
            detail="No annotation: label the image with `mirrorset prelabel`.",
            is_retryable=True,
        )
    if refused := first_refusal(subject, params):
        return _rejected(image_id, *refused)
    # The gate of licences has seen that there is one.
    sighting = cast(Sighting, subject.sighting)
    return Selected(image=candidate.image, sighting=sighting, annotation=subject.annotation)


def _rejected(image_id: str, reason: Reason, detail: str) -> Rejected:
    return Rejected(item_id=image_id, step="select", reason=reason, detail=detail)
