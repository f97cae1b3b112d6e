"""Images leave the report."""

from pathlib import Path

from mirrorset.erasure import Gone, Removed


def erase(page: Path, gone: Gone, is_dry_run: bool = False) -> list[Removed]:
    """Remove the page where it shows or names one of the images: `mirrorset report` makes it anew."""
    if not page.is_file() or not gone.is_in(page.read_bytes()):
        return []
    if not is_dry_run:
        page.unlink()
    return [Removed(place="reports", name=page.name, count=1)]
