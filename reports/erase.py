"""Images leave the report."""

import shutil
from pathlib import Path

from mirrorset.erasure import Gone, Removed


def erase(page: Path, gone: Gone, is_dry_run: bool = False) -> list[Removed]:
    """Remove the page where it names one of the images, and the folder of its pictures beside it.

    `mirrorset report` makes both anew.
    """
    if not page.is_file() or not gone.is_in(page.read_bytes()):
        return []
    if not is_dry_run:
        # The page last: while it is there, a killed erasure is known to be incomplete.
        if (beside := page.with_suffix("")).is_dir():
            shutil.rmtree(beside)
        page.unlink()
    return [Removed(place="reports", name=page.name, count=1)]
