"""What commands made of releases and wrote of images: conversions, packs, runs, reports, logs."""

import fcntl
import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path

from curation.erase import erase_conversion, erase_records
from flows import run_notes
from flows.certificates import folder_of
from flows.serving.approval import audit_file
from flows.survey import Version
from mirrorset import logs
from mirrorset.elsewhere import is_away, noted
from mirrorset.erasure import Gone, Removed, Unreached, attempted
from mirrorset.fetched import forget
from mirrorset.files import clear_leftovers, write_bytes
from mirrorset.workspace import Workspace
from parity.erase import erase_pack, erase_run, erase_runs
from reports.erase import erase as erase_report
from reports.erase import erase_file


def erase_by_products(
    workspace: Workspace, gone: Gone, versions: list[Version], is_dry_run: bool = False
) -> tuple[list[Removed], list[Unreached]]:
    """Conversions, packs, runs, reports and notes that hold or name one of the images.

    One that cannot be touched is not reached, and keeps no other back.
    """
    found: list[Removed] = []
    unreached: list[Unreached] = []

    def attempt(place: str, step: Callable[[], Iterable[Removed]], name: str) -> None:
        unreached.extend(attempted(place, lambda: found.extend(step()), name))

    for made in noted(workspace.home):
        attempt("made elsewhere", partial(_from_made, made, gone, versions, is_dry_run), str(made))
    for name, version in versions:
        runs = workspace.parity / f"{name}-{version}"
        attempt("parity runs", partial(erase_runs, runs, is_dry_run), runs.name)
        fetched = partial(_from_fetched, workspace, name, version, is_dry_run)
        attempt("fetched", fetched, runs.name)
    for page in sorted((workspace.home / "report").glob("*.html")):
        attempt("reports", partial(erase_report, page, gone, is_dry_run), page.name)
    attempt("logs", partial(_from_notes, workspace, gone, is_dry_run), "")
    attempt("notes", partial(run_notes.erase, workspace.private, gone, is_dry_run), "runs")
    attempt("approvals", partial(_from_approvals, workspace, gone, is_dry_run), "")
    return found, unreached


def _from_made(
    made: Path, gone: Gone, versions: list[Version], is_dry_run: bool
) -> Iterator[Removed]:
    yield from erase_conversion(made, gone, is_dry_run)
    yield from erase_pack(made, gone, is_dry_run)
    yield from erase_run(made, versions, is_dry_run)
    if made.suffix == ".html":
        yield from erase_file(made, gone, is_dry_run)
    elif made.is_file() and (count := erase_records(made, gone, is_dry_run)):
        yield Removed(place="receipts", name=str(made), count=count)


def _from_fetched(
    workspace: Workspace, name: str, version: str, is_dry_run: bool
) -> Iterator[Removed]:
    if count := forget(workspace.settings.cache, name, version, is_dry_run):
        yield Removed(place="fetched", name=f"{name}-{version}", count=count)


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


def clear_half_written(workspace: Workspace) -> list[Unreached]:
    """What killed processes had begun to write: nobody knows what of it concerns the images."""
    home = workspace.home
    own = [home / "data", home / "report", workspace.exchange, workspace.logs, workspace.parity]
    unreached = []
    for folder in own:
        unreached += attempted("half written", partial(clear_leftovers, folder), folder.name)
    aside = [
        made.with_name(f".{made.name}.{ending}")
        for made in noted(home)
        for ending in ("part", "old")
    ]
    for folder in [*aside, *folder_of(workspace.private).glob("*.scratch")]:
        if folder.exists():
            unreached += attempted("half written", partial(shutil.rmtree, folder), str(folder))
    return unreached


def _from_approvals(workspace: Workspace, gone: Gone, is_dry_run: bool) -> list[Removed]:
    """People's reasons, where they name one: the words go, the decisions stay."""
    file = audit_file(workspace)
    if not file.exists():
        return []
    # In place, and no longer or shorter: whoever waits for the lock adds to this very file.
    with file.open("r+b") as audit:
        fcntl.flock(audit, fcntl.LOCK_EX)
        lines = audit.read().splitlines(keepends=True)
        count = sum(gone.is_told_in(line) for line in lines)
        if count and not is_dry_run:
            audit.seek(0)
            audit.write(gone.blotted(b"".join(lines)))
    return [Removed(place="approvals", name=file.name, count=count)] if count else []


def _from_notes(workspace: Workspace, gone: Gone, is_dry_run: bool) -> list[Removed]:
    """Lines of logs, and the report of annotators' quality, which is made anew."""
    found = []
    # A run that does not wait for the workspace may be writing: its line comes before or after.
    with logs.locked(workspace.logs):
        for log in [*sorted(workspace.logs.glob("*.log")), *logs.log_files(workspace.logs)]:
            lines = log.read_bytes().splitlines(keepends=True)
            kept = [line for line in lines if not gone.is_told_in(line)]
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
