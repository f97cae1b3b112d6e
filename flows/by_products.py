"""What commands made of releases and wrote of images: conversions, packs, runs, reports, logs."""

import shutil

from curation.erase import erase_conversion, erase_records
from flows.certificates import folder_of
from flows.survey import Version
from mirrorset.elsewhere import is_away, noted
from mirrorset.erasure import Gone, Removed, Unreached
from mirrorset.fetched import forget
from mirrorset.files import clear_leftovers, write_bytes
from mirrorset.workspace import Workspace
from parity.erase import erase_pack, erase_run, erase_runs
from reports.erase import erase as erase_report


def erase_by_products(
    workspace: Workspace, gone: Gone, versions: list[Version], is_dry_run: bool = False
) -> list[Removed]:
    """Conversions, packs, runs, reports and notes that hold or name one of the images."""
    found = []
    for made in noted(workspace.home):
        found += erase_conversion(made, gone, is_dry_run)
        found += erase_pack(made, gone, is_dry_run)
        found += erase_run(made, versions, is_dry_run)
        if made.is_file() and (count := erase_records(made, gone, is_dry_run)):
            found.append(Removed(place="receipts", name=str(made), count=count))
    for name, version in versions:
        found += erase_runs(workspace.parity / f"{name}-{version}", is_dry_run)
        if count := forget(workspace.settings.cache, name, version, is_dry_run):
            found.append(Removed(place="fetched", name=f"{name}-{version}", count=count))
    for page in sorted((workspace.home / "report").glob("*.html")):
        found += erase_report(page, gone, is_dry_run)
    return found + _from_notes(workspace, gone, is_dry_run)


def away(workspace: Workspace) -> list[Unreached]:
    """What commands made elsewhere, where nothing lies now."""
    return [
        Unreached(
            place="made elsewhere",
            name=str(made),
            why="Its folder is not there: mount it and run the same again, or, where it is gone "
            "for good, remove its line from .mirrorset/made-elsewhere.txt.",
        )
        for made in noted(workspace.home)
        if is_away(made)
    ]


def clear_half_written(workspace: Workspace) -> None:
    """What killed processes had begun to write: nobody knows what of it concerns the images."""
    home, private = workspace.home, workspace.private
    for folder in (home / "data", home / "report", workspace.exchange, workspace.logs):
        clear_leftovers(folder)
    clear_leftovers(workspace.parity)
    for folder in noted(home):
        for ending in ("part", "old"):
            shutil.rmtree(folder.with_name(f".{folder.name}.{ending}"), ignore_errors=True)
    for scratch in folder_of(private).glob("*.scratch"):
        shutil.rmtree(scratch, ignore_errors=True)


def _from_notes(workspace: Workspace, gone: Gone, is_dry_run: bool) -> list[Removed]:
    """Lines of logs, and the report of annotators' quality, which is made anew."""
    found = []
    for log in sorted(workspace.logs.glob("*.log")):
        lines = log.read_bytes().splitlines(keepends=True)
        kept = [line for line in lines if not gone.is_in(line)]
        if len(kept) < len(lines):
            found.append(Removed(place="logs", name=log.name, count=len(lines) - len(kept)))
            if not is_dry_run:
                write_bytes(log, b"".join(kept))
    report = workspace.private / "qa.json"
    if report.is_file() and gone.is_in(report.read_bytes()):
        found.append(Removed(place="reports", name=report.name, count=1))
        if not is_dry_run:
            report.unlink()
    return found
