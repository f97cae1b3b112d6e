"""What annotators' archives hold of images beside the batches that the catalogue knows."""

from collections.abc import Iterable
from pathlib import Path

from annotation.archive import erase_from_archive
from mirrorset.erasure import Gone, Removed, Unreached
from mirrorset.errors import InputError
from mirrorset.records import Batch


def archives(root: Path) -> list[Path]:
    """Every archive of an exchange by folder, whoever it belongs to."""
    return sorted([*root.glob("outbox/*/*.zip"), *root.glob("inbox/*.zip")])


def erase_from_archives(
    root: Path, gone: Gone, is_dry_run: bool = False
) -> tuple[list[Removed], list[Unreached]]:
    """Take the images out of every archive below `root`; one that cannot be read is not reached."""
    count, unreached = 0, []
    for path in archives(root):
        try:
            count += erase_from_archive(path, gone.stems, is_dry_run)
        except InputError as error:
            unreached.append(Unreached(place="archives", name=path.name, why=str(error)))
    return ([Removed(place="archives", name="zips", count=count)] if count else []), unreached


def batches_with(batches: Iterable[Batch], gone: Gone) -> list[Batch]:
    """The batches that hold one of the images."""
    return [one for one in batches if not gone.image_ids.isdisjoint(one.image_ids)]
