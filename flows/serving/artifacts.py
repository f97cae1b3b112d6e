"""What a run shows in Prefect's UI: its progress, a table of its counts, where its results lie.

Of a picture an artifact holds the address alone: what is kept in Prefect's database cannot be
erased for certain. The pictures themselves are the report's, from which an erasure removes them.
"""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
from prefect.artifacts import (
    create_markdown_artifact,
    create_progress_artifact,
    update_progress_artifact,
)
from prefect.exceptions import PrefectException

from annotation.folder import FOLDER
from flows import run_notes
from flows.exchanges import server_of
from flows.serve import report_at
from flows.serving.markdown import link, picture, table_of, table_of_cells
from mirrorset.markup import escaped
from mirrorset.records import AnnotationJob, Batch
from mirrorset.workspace import Workspace
from reports.judged import worst_pictures

#: A run whose work is done does not fail for want of its picture.
_UNKEPT = (PrefectException, httpx.HTTPError, OSError)
#: Fields of summaries that say where results lie.
_PLACES = ("verdict", "devices", "fallback", "where")
#: Batches that a run lists, those that are out first.
_BATCHES = 50
#: Pictures of one comparison.
_WORST = 4
_TELL_EVERY_S = 5.0


def show_result(workspace: Workspace, step: str, result: Any) -> None:
    """Keep a table of what a step counted, and links to what it made."""
    counts = run_notes.counts_of(result)
    parts = [table_of(counts)] if counts else []
    if fault := getattr(result, "fault", ""):
        parts.append(escaped(fault))
    if tag := getattr(result, "tag", ""):
        pushed_to = getattr(result, "pushed_to", "") or "nowhere: the workspace has no remote"
        parts.append(f"Release {escaped(tag)}, pushed to {escaped(pushed_to)}.")
    places = {name: getattr(result, name, None) for name in _PLACES}
    parts += [f"{name}: {escaped(place)}" for name, place in places.items() if place]
    keep(workspace, step, f"{step}: what was counted", "\n\n".join(parts) or "Nothing to count.")
    if step in ("push", "pull") and server_of(workspace) != FOLDER:
        keep(workspace, "cvat", "Batches on the CVAT server", batches_table(workspace))


def show_report(workspace: Workspace, page: Path) -> None:
    """Keep where the report is, and the images on which models depart the most from the reference.

    Pictures are seen where a browser of this machine shows them while `mirrorset serve` runs.
    """
    host, url = socket.gethostname(), report_at(workspace)
    shown = f"\n\nIn a browser on {escaped(host)}: {link('report', f'{url}/{page.name}')}"
    where = escaped(f"{page} on {host}") + (shown if url else "")
    keep(workspace, "report", "The current release as a page with pictures", where)
    if url and (worst := "\n\n".join(_worst_of(page, url))):
        title = "Images on which models depart the most from the reference"
        now = f"{shown}, with authors and licences. The pictures are what it holds now."
        keep(workspace, "parity-worst", title, worst + now)


def _worst_of(page: Path, url: str) -> Iterator[str]:
    for run, paths in worst_pictures(page).items():
        yield f"### {escaped(run)}"
        for number, path in enumerate(paths[:_WORST], start=1):
            address = f"{url}/{path.relative_to(page.parent).as_posix()}"
            yield picture(f"{run}, {number}", address)


def progress_of(workspace: Workspace, step: str) -> Callable[[str, int, int], None]:
    """Shows how far a step's bars are, each as an artifact; for `progress.told`."""
    ids: dict[str, Any] = {}
    told_at: dict[str, float] = {}

    def tell(title: str, completed: int, total: int) -> None:
        now = time.monotonic()
        if completed < total and now - told_at.get(title, -_TELL_EVERY_S) < _TELL_EVERY_S:
            return
        told_at[title] = now
        percent = min(100.0, 100 * completed / total)
        with suppress(*_UNKEPT):
            if title not in ids:
                key = key_of(workspace, f"{step}-progress")
                ids[title] = create_progress_artifact(percent, key, escaped(title))
            else:
                update_progress_artifact(ids[title], percent)

    return tell


def keep(workspace: Workspace, step: str, title: str, markdown: str) -> None:
    """Keep an artifact; its key, shown in the UI with all versions, names dataset and step."""
    with suppress(*_UNKEPT):
        create_markdown_artifact(
            markdown=markdown, key=key_of(workspace, step), description=escaped(title)
        )


def key_of(workspace: Workspace, step: str) -> str:
    """Key of a step's artifacts: small letters, digits and dashes are all that Prefect takes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{workspace.dataset.name}-{step}".lower()).strip("-")


def batches_table(workspace: Workspace) -> str:
    """Batches on the CVAT server, with links to their tasks and jobs."""
    server = server_of(workspace)
    with workspace.catalogue() as catalogue:
        batches = [one for one in catalogue.read(Batch) if one.task and one.server == server]
        jobs = list(catalogue.read(AnnotationJob))
    batches.sort(key=lambda one: (one.state == "returned", -int(one.task)))
    rows = [
        (
            escaped(one.batch_id),
            one.state,
            str(len(one.image_ids)),
            link(f"task {one.task}", f"{server}/tasks/{one.task}"),
            ", ".join(
                link(f"{job.job_id} ({job.state})", f"{server}/tasks/{one.task}/jobs/{job.job_id}")
                for job in jobs
                if job.batch_id == one.batch_id
            ),
        )
        for one in batches[:_BATCHES]
    ]
    more = len(batches) - len(rows)
    listed = table_of_cells(("batch", "state", "images", "task", "jobs"), rows)
    return f"{listed}\n\nand {more} more" if more > 0 else listed
