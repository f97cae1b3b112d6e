"""Selected images take their places in the ledger and become the items of a release."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import orjson

from curation.leakage import leakage, refuse
from curation.ledger import Places, kept_out
from curation.records import Attribution, GroupMember, Selected
from curation.select import Counts
from curation.snapshot import read_ledger
from mirrorset.columns import IdColumn, hex_ids
from mirrorset.errors import InputError
from mirrorset.files import SortedRecords, parts_of, parts_written, read_parts, read_records
from mirrorset.records import (
    DatasetItem,
    IntendedUse,
    LedgerEntry,
    Reason,
    Rejected,
)


def split(snapshot: Path, work: Path, *, is_unreviewed: bool) -> Counts:
    """Write items/, attributions/ and conflicts.jsonl into `work`.

    Items come in order of image_shard, then image_id, so that the shards are built in one pass; a
    part is an image shard's, and stays as it is while its images and their labels do.
    is_unreviewed: whether the release is declared so; else an image of the test split whose labels
    no person has looked at is rejected. It keeps its place for the day on which one has.

    Raises InputError where a selected image is not in the snapshot's ledger, GateError where
    anything would leak from one split into another.
    """
    places = Places(read_parts(snapshot / "ledger", LedgerEntry))
    groups = read_parts(work / "groups", GroupMember)
    refused = {record.item_id: record for record in kept_out(groups, places)}
    del places
    rejected, reasons = SortedRecords(), Counter[Reason]()
    kept = 0

    def reject(record: Rejected) -> None:
        rejected.add(record)
        reasons[record.reason] += 1

    with (
        parts_written(work / "items", is_sorting=True) as items,
        parts_written(work / "attributions", is_sorting=True) as attributions,
    ):
        for part in parts_of(work / "selected"):
            ledger = read_ledger(snapshot, int(part.stem))
            for selected in read_records(part, Selected):
                image_id = selected.image.image_id
                if image_id in refused:
                    reject(refused[image_id])
                    continue
                entry = ledger.get(image_id)
                if entry is None:
                    raise InputError(
                        f"Image {image_id} is not in {snapshot / 'ledger'}: groups and splits "
                        "are minted by `mirrorset release`, run that."
                    )
                is_of_a_model = selected.annotation.origin == "model"
                if entry.split == "test" and is_of_a_model and not is_unreviewed:
                    reject(_unreviewed(image_id))
                    continue
                kept += 1
                items.add(entry.image_shard, _item(selected, entry))
                attributions.add(entry.image_shard, _attribution(selected))
    rejected.write(work / "conflicts.jsonl")
    refuse(leakage(snapshot, work))
    return Counts(kept=kept, rejected=dict(sorted(reasons.items())))


def content_digest(
    items: Iterable[DatasetItem], attributions: Iterable[Attribution], intended_use: IntendedUse
) -> str:
    """sha256 over what a release says, in any order, without the times at which it was found out.

    Covered are the intended use, image ids, groups, splits, the test series, all of the annotation
    but `made_at`, and of the attributions source, author, licence, where that was read, and the
    addresses' hosts and paths. The number of the image shard is layout, not content; so is the port
    of an address.
    attributions: line for line beside the items.
    """
    ids, contents = IdColumn(), IdColumn()
    for item, attribution in zip(items, attributions, strict=True):
        ids.append(item.image_id)
        contents.append(hashlib.sha256(_content(item, attribution)).hexdigest())
    order = np.lexsort((contents.array(), ids.array()))
    digest = hashlib.sha256(f"{intended_use}\n".encode())
    for image_id, content in zip(
        hex_ids(ids.array()[order]), hex_ids(contents.array()[order]), strict=True
    ):
        digest.update(f"{image_id} {content}\n".encode())
    return digest.hexdigest()


def _content(item: DatasetItem, attribution: Attribution) -> bytes:
    sighting = attribution.sighting
    # Of a release that has no series the digest is what it was before there were any.
    left_out = {"image_shard", "series_images"} | (set() if item.test_series else {"test_series"})
    content = {
        "item": item.model_dump(
            mode="json", exclude=dict.fromkeys(left_out, True) | {"annotation": {"made_at"}}
        ),
        "sighting": sighting.model_dump(
            mode="json", include={"source", "source_item_id", "author", "licence"}
        ),
        "evidence": [sighting.evidence.licence_read_from, sighting.evidence.licence_text],
        "addresses": [_place(sighting.page_url), _place(sighting.image_url)],
    }
    return orjson.dumps(content, option=orjson.OPT_SORT_KEYS)


def _place(url: str) -> list[str]:
    parts = urlsplit(url)
    return [parts.hostname or "", parts.path, parts.query]


def _item(selected: Selected, entry: LedgerEntry) -> DatasetItem:
    return DatasetItem(
        image_id=entry.image_id,
        group_id=entry.group_id,
        split=entry.split,
        image_shard=entry.image_shard,
        annotation=selected.annotation,
        test_series=entry.test_series,
        series_images=entry.series_images,
    )


def _unreviewed(image_id: str) -> Rejected:
    return Rejected(
        item_id=image_id,
        step="split",
        reason=Reason.UNREVIEWED,
        detail="It belongs to the test split and no person has looked at its labels: have it "
        "annotated, or declare the release unreviewed (dataset.is_unreviewed in params.yaml).",
        is_retryable=True,
    )


def _attribution(selected: Selected) -> Attribution:
    return Attribution(image=selected.image, sighting=selected.sighting)
