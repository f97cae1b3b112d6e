"""Report: the current release, what was rejected and the parity verdicts; people's quality."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flows.engine import flow
from flows.release_state import current_version
from flows.snapshot import rejected_files
from mirrorset.catalogue import Catalogue
from mirrorset.pixels import decode
from mirrorset.records import Annotation, Decision, Quarantine, Record, Sighting, Verdict
from mirrorset.workspace import Workspace, open_workspace
from reports.page import Private, render
from reports.qa_page import render_qa
from reports.refused import may_be_seen
from reports.shown import credit

_QUALITY = "quality.html"


class Pages(Record):
    """What was written. quality: None where `mirrorset annotate qa` has not reported yet."""

    report: Path
    quality: Path | None = None


@flow(name="report")
def report(home: Path) -> Pages:
    """Write report/index.html of the workspace, and report/quality.html."""
    workspace = open_workspace(home)
    name, version = workspace.dataset.name, current_version(workspace)
    with workspace.locked():
        page = render(
            workspace.release(name, version),
            rejected_files(workspace),
            sorted((workspace.parity / f"{name}-{version}").glob("comparison-*.json")),
            workspace.home / "report" / "index.html",
            f"{name} {version}",
            private=Private(workspace.snapshot, workspace.blobs),
            quality=_QUALITY if _told(workspace).is_file() else "",
        )
        return Pages(report=page, quality=_quality(workspace))


def _told(workspace: Workspace) -> Path:
    return workspace.private / "qa.json"


def _quality(workspace: Workspace) -> Path | None:
    if not _told(workspace).is_file():
        return None
    with workspace.catalogue() as catalogue:
        return render_qa(
            _told(workspace),
            workspace.home / "report" / _QUALITY,
            f"{workspace.dataset.name}: labels by people",
            lambda image_id: _seen(workspace, catalogue, image_id),
        )


def _seen(
    workspace: Workspace, catalogue: Catalogue, image_id: str
) -> tuple[NDArray[np.uint8], str] | None:
    """An image's pixels and whom to name with it; None where it may not be shown, or is gone."""
    sightings = list(catalogue.read(Sighting, image_id=image_id))
    is_allowed = may_be_seen(
        sightings,
        list(catalogue.read(Annotation, image_id=image_id)),
        list(catalogue.read(Verdict, image_id=image_id)),
        list(catalogue.read(Quarantine, image_id=image_id)),
        list(catalogue.read(Decision, image_id=image_id)),
        workspace.dataset.intended_use,
    )
    if not is_allowed or not workspace.blobs.has(image_id):
        return None
    first = sightings[0]
    return decode(workspace.blobs.get(image_id)), credit(first.author, first.licence)
