"""The release folder: written aside, complete, then renamed."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import get_args

from curation.croissant import write_croissant
from curation.datasheet import datasheet, gaps
from curation.documents import Tally, write_attribution, write_labels_json
from curation.images import write_images
from curation.labels import write_labels
from curation.records import Attribution
from curation.split import content_digest
from mirrorset.blobs import BlobStore
from mirrorset.errors import InputError, MirrorsetError
from mirrorset.files import folder_written_aside, read_parts, write_text
from mirrorset.load import ReleaseCard, Series, open_release
from mirrorset.params import DatasetParams, Responsible
from mirrorset.records import DatasetItem, Split


def build(
    work: Path,
    blobs: BlobStore,
    folder: Path,
    *,
    dataset: DatasetParams,
    version: str,
    responsible: Responsible,
) -> ReleaseCard:
    """Write the release `folder` from the items and attributions of `work`.

    A release never changes: one of the same content that stands at `folder`, whole, stays byte for
    byte, whatever has come to be said of it since (a receipt seen again, say). Anything else there
    is replaced. Memory holds one shard's labels at a time. Raises InputError where there is no
    item, or an image is not in `blobs`.
    """
    digest = digest_of(work, dataset)
    if standing := _standing(folder, version, digest):
        return standing
    tally = Tally()
    with folder_written_aside(folder) as aside:
        for shard, rows in groupby(_rows(work), key=lambda row: row[0].image_shard):
            _write_shard(aside, shard, list(rows), blobs, tally)
        if tally.images == 0:
            raise InputError(
                f"{work / 'items'} holds no image to release: "
                f"{work / 'rejected.jsonl'} says why each was rejected."
            )
        return describe(
            aside,
            work,
            tally,
            digest,
            dataset=dataset,
            version=version,
            responsible=responsible,
        )


def describe(
    folder: Path,
    work: Path,
    tally: Tally,
    digest: str,
    *,
    dataset: DatasetParams,
    version: str,
    responsible: Responsible,
    elsewhere: Mapping[str, str] | None = None,
) -> ReleaseCard:
    """Write what a release says of itself into `folder`, which holds its shards.

    tally: over all its items. digest: `digest_of` these. elsewhere: sha256 of the release's files
    that are not in `folder`.
    """
    write_labels_json(folder / "labels.json", tally)
    write_attribution(folder / "ATTRIBUTION.csv", read_parts(work / "attributions", Attribution))
    title = f"{dataset.name} {version}"
    write_text(
        folder / "DATASHEET.md", datasheet(title, digest, tally, dataset.intended_use, responsible)
    )
    checksums = {**(elsewhere or {}), **_checksums(folder)}
    write_croissant(
        folder / "croissant.json",
        tally,
        checksums,
        gaps(tally),
        dataset=dataset,
        version=version,
        responsible=responsible,
    )
    card = ReleaseCard(
        name=dataset.name,
        version=version,
        digest=digest,
        intended_use=dataset.intended_use,
        images=tally.images,
        groups=tally.groups,
        splits=dict(tally.splits),
        unreviewed=tally.unreviewed.total(),
        is_unreviewed=tally.unreviewed["test"] > 0,
        test_series=_test_series(tally),
        files=dict(sorted((checksums | _checksums(folder, "croissant.json")).items())),
    )
    write_text(folder / "release.json", card.model_dump_json(indent=1) + "\n")
    return card


def digest_of(work: Path, dataset: DatasetParams) -> str:
    """The digest of the release that the items and attributions of `work` make."""
    return content_digest(
        read_parts(work / "items", DatasetItem),
        read_parts(work / "attributions", Attribution),
        dataset.intended_use,
    )


def _standing(folder: Path, version: str, digest: str) -> ReleaseCard | None:
    """The whole release of this content at `folder`, if there is one."""
    try:
        standing = open_release(folder)
        if (standing.card.version, standing.card.digest) != (version, digest):
            return None
        standing.verify()
    except MirrorsetError:
        return None
    return standing.card


def _test_series(tally: Tally) -> Series | None:
    name, images = tally.series
    return Series(name=name, images=images, left=tally.series_left) if name else None


def tally_of(work: Path) -> Tally:
    """Counts over the items of `work`."""
    tally = Tally()
    for item, attribution in _rows(work):
        tally.add(item, attribution)
    return tally


def _rows(work: Path) -> Iterator[tuple[DatasetItem, Attribution]]:
    return zip(
        read_parts(work / "items", DatasetItem),
        read_parts(work / "attributions", Attribution),
        strict=True,
    )


def _write_shard(
    folder: Path,
    shard: int,
    rows: list[tuple[DatasetItem, Attribution]],
    blobs: BlobStore,
    tally: Tally,
) -> None:
    images = folder / "images" / f"{shard:05d}.parquet"
    write_images(images, (attribution.image for _, attribution in rows), blobs)
    for split in get_args(Split):
        write_labels(
            folder / "labels" / f"{split}-{shard:05d}.parquet",
            ((item, attribution) for item, attribution in rows if item.split == split),
        )
    for item, attribution in rows:
        tally.add(item, attribution)


def _checksums(folder: Path, pattern: str = "*") -> dict[str, str]:
    checksums = {}
    for path in sorted(path for path in folder.rglob(pattern) if path.is_file()):
        with path.open("rb") as content:
            sha256 = hashlib.file_digest(content, "sha256").hexdigest()
        checksums[path.relative_to(folder).as_posix()] = sha256
    return checksums
