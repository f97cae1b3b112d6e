"""The snapshot: the catalogue frozen as files of records, from which DVC's stages start.

What is about an image stands in the part that the image came with, in each kind's folder; images
that are new make parts of their own, after the last one. So a further release sends what is new,
and the parts in which something changed.
"""

from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mirrorset.catalogue import Catalogue
from mirrorset.columns import IdColumn, Ids, hex_ids
from mirrorset.files import (
    parts_of,
    read_parts,
    read_records,
    write_parts,
    write_records,
)
from mirrorset.records import (
    Annotation,
    Decision,
    ImageRecord,
    LedgerEntry,
    Quarantine,
    Rejected,
    Sighting,
    Verdict,
)
from mirrorset.workspace import Workspace

OfAnImage = ImageRecord | Sighting | Annotation | Verdict | Quarantine | Decision | LedgerEntry
_KINDS: dict[str, type[OfAnImage]] = {
    "images": ImageRecord,
    "sightings": Sighting,
    "annotations": Annotation,
    "verdicts": Verdict,
    "quarantine": Quarantine,
    "decisions": Decision,
    "ledger": LedgerEntry,
}
# What was rejected need not be an image.
_REJECTED = "rejected.jsonl"
_IMAGES_PER_PART = 1000


def write_snapshot(workspace: Workspace, catalogue: Catalogue) -> None:
    """Write the whole snapshot, each part sorted by image and then by its record's key."""
    parts = _parts(workspace.snapshot / "images", catalogue)
    for name in _KINDS:
        _write(workspace.snapshot / name, catalogue, parts)
    write_records(workspace.snapshot / _REJECTED, map(_without_path, catalogue.read(Rejected)))


def restore_catalogue(workspace: Workspace, catalogue: Catalogue) -> None:
    """Fill an empty catalogue from the snapshot: what a clone knows of groups and splits.

    The original bytes are private and stay where they were crawled.
    """
    if is_cloned(workspace, catalogue):
        for name, kind in _KINDS.items():
            catalogue.upsert_all(read_parts(workspace.snapshot / name, kind))
        catalogue.upsert_all(read_records(workspace.snapshot / _REJECTED, Rejected))


def is_cloned(workspace: Workspace, catalogue: Catalogue) -> bool:
    """Whether the snapshot knows images and the catalogue does not yet."""
    return catalogue.count(ImageRecord) == 0 and (workspace.snapshot / "images").exists()


def write_kind(workspace: Workspace, name: str, catalogue: Catalogue) -> None:
    """Write one folder of the snapshot anew, such as "ledger"."""
    parts = _parts(workspace.snapshot / "images", catalogue)
    _write(workspace.snapshot / name, catalogue, parts)


class _Parts(NamedTuple):
    """All image ids in order, the part of each, and the numbers of all parts."""

    ids: Ids
    of: NDArray[np.int32]
    numbers: list[int]

    def numbered(self, records: Iterable[OfAnImage]) -> Iterator[tuple[int, OfAnImage]]:
        """Records in order of image_id, each with its part."""
        known = zip(hex_ids(self.ids), self.of.tolist(), strict=True)
        image_id, part = "", -1
        for record in records:
            while image_id < record.image_id:
                image_id, part = next(known)
            yield part, record


def _write(folder: Path, catalogue: Catalogue, parts: _Parts) -> None:
    records = map(_shareable, catalogue.read(_KINDS[folder.name]))
    write_parts(folder, parts.numbered(records), parts.numbers)


def _parts(images: Path, catalogue: Catalogue) -> _Parts:
    """As the folder of images has them, and new ones after these for images that it lacks."""
    numbers = [int(part.stem) for part in parts_of(images)]
    known, of_known = IdColumn(), array("i")
    for number, part in zip(numbers, parts_of(images), strict=True):
        for image in read_records(part, ImageRecord):
            known.append(image.image_id)
            of_known.append(number)
    kept = IdColumn()
    for image_id in catalogue.image_ids():
        kept.append(image_id)
    ids = kept.array()
    order = np.argsort(known.array())
    places = np.searchsorted(known.array(), ids, sorter=order)
    is_known = np.zeros(len(ids), dtype=np.bool_)
    of = np.empty(len(ids), dtype=np.int32)
    if len(order):
        before = order[places.clip(max=len(order) - 1)]
        is_known = known.array()[before] == ids
        of = np.array(of_known, dtype=np.int32)[before]
    first = max(numbers, default=-1) + 1
    of[~is_known] = first + np.arange((~is_known).sum()) // _IMAGES_PER_PART
    return _Parts(ids, of, sorted({*numbers, *np.unique(of).tolist()} or {0}))


def _shareable(record: OfAnImage) -> OfAnImage:
    """What names people, servers or paths stays in the catalogue: a snapshot goes with releases."""
    if isinstance(record, Sighting):
        return record.model_copy(update={"image_url": record.public_image_url})
    if isinstance(record, Decision):
        return record.model_copy(update={"by": "", "reason": ""})
    if isinstance(record, Annotation):
        return record.model_copy(update={"provenance": None})
    return record


def _without_path(record: Rejected) -> Rejected:
    """Its item_id says which file it was."""
    is_path = record.image_url.startswith("file:")
    return record.model_copy(update={"image_url": ""}) if is_path else record


def rejected_files(workspace: Workspace) -> list[Path]:
    """All files that say what was rejected and why, of the steps before the release and in it."""
    return [
        workspace.snapshot / _REJECTED,
        workspace.work / "rejected.jsonl",
        workspace.work / "conflicts.jsonl",
    ]
