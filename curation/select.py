"""Select: the images of a snapshot that pass every gate, and why the others do not."""

import re
from collections import Counter
from collections.abc import Container, Iterator
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from curation.gates import SelectParams, first_refusal, subject_of
from curation.records import Selected
from curation.snapshot import (
    Candidate,
    numbered_candidates,
    read_ledger,
    read_rejected,
)
from mirrorset.columns import IdColumn, Ids, IdSet, hex_ids, run_starts
from mirrorset.files import SortedRecords, write_parts
from mirrorset.records import IntendedUse, Reason, Record, Rejected, Sighting

_is_image_id = re.compile("[0-9a-f]{64}").fullmatch


class Counts(Record):
    """How a step ended: records kept, and records rejected by reason."""

    kept: int
    rejected: dict[Reason, int]


def select(snapshot: Path, work: Path, intended_use: IntendedUse, params: SelectParams) -> Counts:
    """Write selected/ and rejected.jsonl into `work`.

    Of several images with the same pixels the one that is in the ledger stays, else the smallest
    image_id. Memory holds ids and hashes of the images that pass, some 150 bytes of each.
    """
    judged_before = IdSet(filter(_is_image_id, (one.item_id for one in read_rejected(snapshot))))
    rejected, reasons = SortedRecords(), Counter[Reason]()

    def reject(record: Rejected) -> None:
        rejected.add(record)
        reasons[record.reason] += 1

    ids, pixels, is_new = IdColumn(), IdColumn(), bytearray()
    for part, candidates in groupby(numbered_candidates(snapshot), key=itemgetter(0)):
        ledger = read_ledger(snapshot, part)
        for _, candidate in candidates:
            image = candidate.image
            if not candidate.annotations and image.image_id in judged_before:
                continue
            outcome = _judge(candidate, intended_use, params)
            if isinstance(outcome, Rejected):
                reject(outcome)
                continue
            ids.append(image.image_id)
            pixels.append(image.pixel_hash)
            is_new.append(image.image_id not in ledger)

    twins = _twins(ids.array(), pixels.array(), np.frombuffer(is_new, dtype=np.bool_))
    for image_id, twin in twins.items():
        reject(_rejected(image_id, Reason.DUPLICATE_PIXELS, f"Same pixels as image {twin}."))

    # A second reading, so that memory holds ids and never all annotations.
    write_parts(work / "selected", _selected(snapshot, twins, intended_use, params))
    rejected.write(work / "rejected.jsonl")
    return Counts(kept=len(is_new) - len(twins), rejected=dict(sorted(reasons.items())))


def _twins(ids: Ids, pixels: Ids, is_new: NDArray[np.bool_]) -> dict[str, str]:
    """Of images with the same pixels all but the first; which that is, by image_id."""
    order = np.lexsort((ids, is_new, pixels))
    starts = run_starts(pixels[order])
    firsts = np.repeat(order[starts], np.diff(starts, append=len(order)))
    is_twin = np.ones(len(order), dtype=np.bool_)
    is_twin[starts] = False
    others = zip(hex_ids(ids[order[is_twin]]), hex_ids(ids[firsts[is_twin]]), strict=True)
    return dict(others)


def _selected(
    snapshot: Path, left_out: Container[str], intended_use: IntendedUse, params: SelectParams
) -> Iterator[tuple[int, Selected]]:
    for part, candidate in numbered_candidates(snapshot):
        outcome = _judge(candidate, intended_use, params)
        if isinstance(outcome, Selected) and candidate.image.image_id not in left_out:
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
