"""Selected images take their places in the ledger and become the items of a release."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import orjson

from curation.leakage import leakage, refuse
from curation.ledger import kept_out
from curation.records import Attribution, GroupMember, Selected
from curation.select import Counts
from curation.snapshot import read_ledger
from mirrorset.errors import InputError
from mirrorset.files import parts_of, read_parts, write_parts, write_records
from mirrorset.records import (
    DatasetItem,
    IntendedUse,
    LedgerEntry,
    Origin,
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
    ledger = read_ledger(snapshot)
    groups = read_parts(work / "groups", GroupMember)
    refused = {record.item_id: record for record in kept_out(groups, ledger)}
    rejected: list[Rejected] = []
    places: list[_Place] = []
    for image_id, origin, part, offset in _offsets(work / "selected"):
        entry = ledger.get(image_id)
        if image_id in refused:
            rejected.append(refused[image_id])
        elif entry is None:
            raise InputError(
                f"Image {image_id} is not in {snapshot / 'ledger'}: groups and splits "
                "are minted by `mirrorset release`, run that."
            )
        elif entry.split == "test" and origin == "model" and not is_unreviewed:
            rejected.append(_unreviewed(image_id))
        else:
            places.append(_Place(entry.image_shard, image_id, part, offset))
    places.sort()
    write_parts(
        work / "items", ((place.image_shard, _item(place.read(), ledger)) for place in places)
    )
    write_parts(
        work / "attributions", ((place.image_shard, _attribution(place.read())) for place in places)
    )
    rejected.sort(key=lambda record: record.item_id)
    write_records(work / "conflicts.jsonl", rejected)
    refuse(leakage(snapshot, work))
    reasons = Counter(record.reason for record in rejected)
    return Counts(kept=len(places), rejected=dict(sorted(reasons.items())))


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
    lines = sorted(
        f"{item.image_id} {hashlib.sha256(_content(item, attribution)).hexdigest()}\n"
        for item, attribution in zip(items, attributions, strict=True)
    )
    return hashlib.sha256("".join([f"{intended_use}\n", *lines]).encode()).hexdigest()


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


def _item(selected: Selected, ledger: dict[str, LedgerEntry]) -> DatasetItem:
    entry = ledger[selected.image.image_id]
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


class _Place(NamedTuple):
    """Where an image goes in the release, and where it stands among the selected."""

    image_shard: int
    image_id: str
    part: Path
    offset: int

    def read(self) -> Selected:
        with self.part.open("rb") as lines:
            lines.seek(self.offset)
            return Selected.model_validate_json(lines.readline())


def _offsets(selected: Path) -> Iterator[tuple[str, Origin, Path, int]]:
    for part in parts_of(selected):
        offset = 0
        with part.open("rb") as lines:
            for line in lines:
                record = Selected.model_validate_json(line)
                yield record.image.image_id, record.annotation.origin, part, offset
                offset += len(line)


def _attribution(selected: Selected) -> Attribution:
    return Attribution(image=selected.image, sighting=selected.sighting)
