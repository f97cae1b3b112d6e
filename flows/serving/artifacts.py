"""What a run shows in Prefect's UI: a table of its counts, and where its results lie."""

import re
from contextlib import suppress
from typing import Any

from prefect.artifacts import create_link_artifact, create_markdown_artifact
from prefect.exceptions import PrefectException

from annotation.folder import FOLDER
from flows import run_notes
from flows.exchanges import server_of
from flows.serving.markdown import escaped, table_of
from mirrorset.records import Batch
from mirrorset.workspace import Workspace

#: Fields of summaries that say where results lie.
_PLACES = ("verdict", "devices", "fallback", "where")


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
        _link_tasks(workspace)


def keep(workspace: Workspace, step: str, title: str, markdown: str) -> None:
    """Keep an artifact; its key, shown in the UI with all versions, names dataset and step."""
    # A run whose work is done does not fail for want of its picture.
    with suppress(PrefectException, OSError):
        create_markdown_artifact(
            markdown=markdown, key=key_of(workspace, step), description=escaped(title)
        )


def key_of(workspace: Workspace, step: str) -> str:
    """Key of a step's artifacts: small letters, digits and dashes are all that Prefect takes."""
    return re.sub(r"[^a-z0-9]+", "-", f"{workspace.dataset.name}-{step}".lower()).strip("-")


def _link_tasks(workspace: Workspace) -> None:
    with workspace.catalogue() as catalogue:
        batches = [batch for batch in catalogue.read(Batch) if batch.task]
    server = server_of(workspace)
    projects = sorted({one.project for one in batches if one.server == server and one.project})
    with suppress(PrefectException, OSError):
        for project in projects:
            create_link_artifact(
                link=f"{server}/projects/{project}",
                link_text=f"CVAT project {project}",
                key=key_of(workspace, f"cvat-project-{project}"),
            )
