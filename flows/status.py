"""Status: how far annotation is, read while others work; it changes nothing."""

import time
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from annotation.folder import FOLDER
from annotation.qa import QaReport
from annotation.status import Status, status_of
from flows.annotate import exchange_with, label_schema
from mirrorset.catalogue import Catalogue
from mirrorset.catalogue.looks import looks
from mirrorset.errors import InputError, MirrorsetError
from mirrorset.records import AnnotationJob, Batch
from mirrorset.workspace import Workspace, open_workspace

# A person waits for the answer; what the last pull found will do.
_PATIENCE_S = 3.0


def status(home: Path, is_asking: bool = True) -> Status:
    """What the catalogue knows, with the jobs as the server has them now.

    is_asking: False asks no server. One that cannot be asked leaves the jobs as the last pull found
    them; the note says so. Raises as `open_workspace` does.
    """
    workspace = open_workspace(home)
    with workspace.catalogue() as catalogue:
        batches = list(catalogue.read(Batch))
        jobs, note = _jobs(workspace, catalogue, batches, is_asking)
        return status_of(
            batches,
            jobs,
            looks(catalogue),
            _last_report(workspace).agreement,
            label_schema(workspace).skeleton.name,
            note,
        )


def watch(home: Path, every_s: float) -> Iterator[Status]:
    """The status again and again, without end."""
    while True:
        yield status(home)
        time.sleep(every_s)


def _jobs(
    workspace: Workspace, catalogue: Catalogue, batches: list[Batch], is_asking: bool
) -> tuple[list[AnnotationJob], str]:
    known = list(catalogue.read(AnnotationJob))
    out = [batch for batch in batches if batch.task and batch.server != FOLDER]
    if not (out and is_asking):
        return known, ""
    try:
        servers = {batch.server for batch in out}
        exchanges = {one: exchange_with(workspace, one, _PATIENCE_S) for one in servers}
        return [job for b in out for job in exchanges[b.server].jobs(b, known)], ""
    except MirrorsetError as error:
        return known, f"Jobs are as the last pull found them: {error}"


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
