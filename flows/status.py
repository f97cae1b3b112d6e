"""Status: how far annotation is, read while others work; it changes nothing."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from annotation.folder import FOLDER
from annotation.qa import QaReport
from annotation.status import Status, status_of
from flows.exchanges import exchange_with, label_schema
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.looks import looks
from mirrorset.errors import InputError, MirrorsetError
from mirrorset.records import AnnotationJob, Batch, utc_now
from mirrorset.workspace import Workspace, open_workspace

# A person waits for the answer; what the last pull found will do.
_PATIENCE_S = 3.0


class _Jobs(NamedTuple):
    """Jobs, and in words why they are not those of this moment; "" where they are."""

    jobs: list[AnnotationJob]
    note: str = ""


def status(home: Path, is_asking: bool = True) -> Status:
    """What the catalogue knows, with the jobs as the server has them now.

    is_asking: False asks no server. Where none is asked, or one cannot be, jobs are as the last
    pull found them, and the note says so. Raises as `open_workspace` does.
    """
    workspace = open_workspace(home)
    with workspace.catalogue(is_looked_at=True) as catalogue:
        jobs = _now(workspace, catalogue, _pulled(catalogue), is_asking)
        return _status(workspace, catalogue, jobs)


def watch(home: Path, every_s: float) -> Iterator[Status]:
    """The status again and again, without end. While a server is away, jobs stay as last seen."""
    seen: _Jobs | None = None
    while True:
        workspace = open_workspace(home)
        with workspace.catalogue(is_looked_at=True) as catalogue:
            jobs = _now(workspace, catalogue, seen or _pulled(catalogue))
            now = _status(workspace, catalogue, jobs)
        if not jobs.note:
            seen = _Jobs(jobs.jobs, f"Jobs are as they were at {utc_now():%H:%M:%S} UTC")
        yield now
        time.sleep(every_s)


def _status(workspace: Workspace, catalogue: Catalogue, known: _Jobs) -> Status:
    return status_of(
        list(catalogue.read(Batch)),
        known.jobs,
        looks(catalogue),
        _last_report(workspace).agreement,
        label_schema(workspace).skeleton.name,
        known.note,
    )


def _pulled(catalogue: Catalogue) -> _Jobs:
    jobs = list(catalogue.read(AnnotationJob))
    as_of = "as the last pull found them" if jobs else "not known before the first pull"
    return _Jobs(jobs, f"Jobs are {as_of}")


def _now(
    workspace: Workspace, catalogue: Catalogue, before: _Jobs, is_asking: bool = True
) -> _Jobs:
    """The jobs as their servers have them; where none is asked, or one cannot be, `before`'s."""
    pulled = list(catalogue.read(AnnotationJob))
    out = [batch for batch in catalogue.read(Batch) if batch.task and batch.server != FOLDER]
    if not out:
        return _Jobs(pulled)
    if not is_asking:
        return _Jobs(before.jobs, f"{before.note}; the server has not answered yet.")
    try:
        servers = {batch.server for batch in out}
        exchanges = {one: exchange_with(workspace, one, _PATIENCE_S) for one in servers}
        return _Jobs([job for b in out for job in exchanges[b.server].jobs(b, pulled)])
    except MirrorsetError as error:
        return _Jobs(before.jobs, f"{before.note}: {error}")


def _last_report(workspace: Workspace) -> QaReport:
    """What the last `annotate qa` wrote; an empty report before the first."""
    file = workspace.private / "qa.json"
    try:
        return QaReport.model_validate_json(file.read_bytes())
    except FileNotFoundError:
        return QaReport()
    except ValidationError:
        raise InputError(
            f"{file} is of another version: run `mirrorset annotate qa` again."
        ) from None
