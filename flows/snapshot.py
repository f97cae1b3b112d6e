"""The snapshot: the catalogue frozen as files of records, from which DVC's stages start.

What is about an image stands in the part that the image came with, in each kind's folder; images
that are new make parts of their own, after the last one. So a further release sends what is new,
and the parts in which something changed.
"""

from pathlib import Path
from typing import NamedTuple

from mirrorset.catalogue import Catalogue
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
    write_records(workspace.snapshot / _REJECTED, catalogue.read(Rejected))


def restore_catalogue(workspace: Workspace, catalogue: Catalogue) -> None:
    """Fill an empty catalogue from the snapshot: what a clone knows of groups and splits.

    The original bytes are private and stay where they were crawled.
    """
    if is_cloned(workspace, catalogue):
        for name, kind in _KINDS.items():
            catalogue.upsert(list(read_parts(workspace.snapshot / name, kind)))
        catalogue.upsert(list(read_records(workspace.snapshot / _REJECTED, Rejected)))


def is_cloned(workspace: Workspace, catalogue: Catalogue) -> bool:
    """Whether the snapshot knows images and the catalogue does not yet."""
    return catalogue.count(ImageRecord) == 0 and (workspace.snapshot / "images").exists()


def write_kind(workspace: Workspace, name: str, catalogue: Catalogue) -> None:
    """Write one folder of the snapshot anew, such as "ledger"."""
    parts = _parts(workspace.snapshot / "images", catalogue)
    _write(workspace.snapshot / name, catalogue, parts)


class _Parts(NamedTuple):
    """The part of each image, and the numbers of all parts."""

    of: dict[str, int]
    numbers: list[int]


def _write(folder: Path, catalogue: Catalogue, parts: _Parts) -> None:
    records = map(_shareable, catalogue.read(_KINDS[folder.name]))
    write_parts(folder, ((parts.of[one.image_id], one) for one in records), parts.numbers)


def _parts(images: Path, catalogue: Catalogue) -> _Parts:
    """As the folder of images has them, and new ones after these for images that it lacks."""
    numbers = [int(part.stem) for part in parts_of(images)]
    parts = {
        image.image_id: number
        for number, part in zip(numbers, parts_of(images), strict=True)
        for image in read_records(part, ImageRecord)
    }
    new = [one.image_id for one in catalogue.read(ImageRecord) if one.image_id not in parts]
    first = max(numbers, default=-1) + 1
    parts |= {image_id: first + i // _IMAGES_PER_PART for i, image_id in enumerate(new)}
    return _Parts(parts, sorted({*numbers, *parts.values()} or {0}))


def _shareable(record: OfAnImage) -> OfAnImage:
    """What names people or servers stays in the catalogue: snapshots go where releases go."""
    if isinstance(record, Decision):
        return record.model_copy(update={"by": "", "reason": ""})
    if isinstance(record, Annotation):
        return record.model_copy(update={"provenance": None})
    return record


def rejected_files(workspace: Workspace) -> list[Path]:
    """All files that say what was rejected and why, of the steps before the release and in it."""
    return [
        workspace.snapshot / _REJECTED,
        workspace.work / "rejected.jsonl",
        workspace.work / "conflicts.jsonl",
    ]
