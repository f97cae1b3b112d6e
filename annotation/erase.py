"""What an exchange by folder holds of images, whether or not the catalogue knows the batch."""

import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from annotation.archive import erase_from_archive
from annotation.folder import BATCH, read_batch
from mirrorset.erasure import Gone, Removed, Unreached, attempted
from mirrorset.files import write_records
from mirrorset.records import Batch


def archives(root: Path) -> list[Path]:
    """Every archive of an exchange by folder, whoever it belongs to."""
    return sorted([*root.glob("outbox/*/*.zip"), *root.glob("inbox/*.zip")])


def erase_from_boxes(
    root: Path, gone: Gone, is_dry_run: bool = False
) -> tuple[list[Removed], list[Unreached]]:
    """Take the images out of every archive and batch below `root`; one that cannot be read is not
    reached. A batch that none is left of goes.
    """
    counts, unreached = {"zips": 0, "batches": 0}, []

    def archive(path: Path) -> None:
        counts["zips"] += erase_from_archive(path, gone.stems, is_dry_run)

    def batch(folder: Path) -> None:
        counts["batches"] += _erase_from_batch(folder, gone, is_dry_run)

    for path in archives(root):
        unreached += attempted("archives", partial(archive, path), path.name)
    # After its archive: killed in between, the batch still says what it holds.
    for record in sorted(root.glob(f"outbox/[!.]*/{BATCH}")):
        unreached += attempted("archives", partial(batch, record.parent), record.parent.name)
    found = [Removed(place="archives", name=name, count=count) for name, count in counts.items()]
    return [one for one in found if one.count], unreached


def _erase_from_batch(folder: Path, gone: Gone, is_dry_run: bool) -> bool:
    """Take the images out of a batch's own record; returns whether any was there."""
    batch = read_batch(folder)
    kept = tuple(one for one in batch.image_ids if one not in gone.image_ids)
    if len(kept) == len(batch.image_ids):
        return False
    if not is_dry_run and kept:
        write_records(folder / BATCH, [batch.model_copy(update={"image_ids": kept})])
    elif not is_dry_run:
        shutil.rmtree(folder)
    return True


def batches_with(batches: Iterable[Batch], gone: Gone) -> list[Batch]:
    """The batches that hold one of the images."""
    return [one for one in batches if not gone.image_ids.isdisjoint(one.image_ids)]
