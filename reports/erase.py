"""Images leave reports."""

import shutil
from pathlib import Path

from mirrorset.erasure import Gone, Removed


def erase(page: Path, gone: Gone, is_dry_run: bool = False) -> list[Removed]:
    """Remove the page where it names one of the images, and the folder of its pictures beside it.

    `mirrorset report` makes both anew.
    """
    beside = page.with_suffix("")
    if not is_dry_run and beside.is_dir() and _is_named(page, gone):
        # The page last: while it is there, a killed erasure is known to be incomplete.
        shutil.rmtree(beside)
    return erase_file(page, gone, is_dry_run)


def erase_file(page: Path, gone: Gone, is_dry_run: bool = False) -> list[Removed]:
    """Remove a page that holds its pictures itself, where it names one of the images."""
    if not _is_named(page, gone):
        return []
    if not is_dry_run:
        page.unlink()
    return [Removed(place="reports", name=page.name, count=1)]


def _is_named(page: Path, gone: Gone) -> bool:
    return page.is_file() and gone.is_in(page.read_bytes())
