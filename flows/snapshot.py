"""The snapshot: the catalogue frozen as sorted files, from which DVC's stages start."""

from pathlib import Path

from mirrorset.catalogue import Catalogue
from mirrorset.files import read_records, write_records
from mirrorset.records import (
    Annotation,
    Decision,
    ImageRecord,
    LedgerEntry,
    Quarantine,
    Record,
    Rejected,
    Sighting,
    Verdict,
)
from mirrorset.workspace import Workspace

_FILES: dict[str, type[Record]] = {
    "images.jsonl": ImageRecord,
    "sightings.jsonl": Sighting,
    "annotations.jsonl": Annotation,
    "verdicts.jsonl": Verdict,
    "quarantine.jsonl": Quarantine,
    "decisions.jsonl": Decision,
    "rejected.jsonl": Rejected,
    "ledger.jsonl": LedgerEntry,
}


def write_snapshot(workspace: Workspace, catalogue: Catalogue) -> None:
    """Write every file of the snapshot, each sorted by image and then by its record's key."""
    for name in _FILES:
        write_part(workspace.snapshot / name, catalogue)


def restore_catalogue(workspace: Workspace, catalogue: Catalogue) -> None:
    """Fill an empty catalogue from the snapshot: what a clone knows of groups and splits.

    The original bytes are private and stay where they were crawled.
    """
    if is_cloned(workspace, catalogue):
        for name, kind in _FILES.items():
            catalogue.upsert(list(read_records(workspace.snapshot / name, kind)))


def is_cloned(workspace: Workspace, catalogue: Catalogue) -> bool:
    """Whether the snapshot knows images and the catalogue does not yet."""
    return catalogue.count(ImageRecord) == 0 and (workspace.snapshot / "images.jsonl").exists()


def write_part(path: Path, catalogue: Catalogue) -> None:
    """Write one file of the snapshot; `path.name` says which."""
    kind = _FILES[path.name]
    write_records(path, map(_shareable, catalogue.read(kind)))


def _shareable(record: Record) -> Record:
    """What names people or servers stays in the catalogue: snapshots go where releases go."""
    if isinstance(record, Decision):
        return record.model_copy(update={"by": "", "reason": ""})
    if isinstance(record, Annotation):
        return record.model_copy(update={"provenance": None})
    return record


def rejected_files(workspace: Workspace) -> list[Path]:
    """All files that say what was rejected and why, of the steps before the release and in it."""
    return [
        workspace.snapshot / "rejected.jsonl",
        workspace.work / "rejected.jsonl",
        workspace.work / "conflicts.jsonl",
    ]
